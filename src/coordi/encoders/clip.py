"""CLIP and SigLIP checkpoints from a folder, in the layouts of transformers and open_clip."""

from __future__ import annotations

import hashlib
import html
import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from coordi.artifacts import hash_file
from coordi.config import Settings
from coordi.errors import CoordiError, EncoderError, require

if TYPE_CHECKING:
    from PIL import Image


CONFIG = "config.json"
OPEN_CLIP_CONFIG = "open_clip_config.json"
OPEN_CLIP_WEIGHTS = "open_clip_model.safetensors"
WEIGHTS = "model.safetensors"
_SHARDS = "model.safetensors.index.json"
_PROCESSOR = "preprocessor_config.json"
_PROCESSORS_TOGETHER = "processor_config.json"
_TOKENIZER_CONFIG = "tokenizer_config.json"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
_CONVERT = (
    "from transformers import AutoModel; AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')"  # no quotes
)


class CheckpointFolder:
    """A folder in the Hugging Face layout."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.used: list[Path] = []

    def has(self, name: str) -> bool:
        """Whether there is such a file."""
        return (self.path / name).is_file()

    def json(self, name: str) -> dict[str, Any]:
        """A JSON object of the folder, which from then on is part of the identity.

        Raises:
            EncoderError: If it is missing or isn't one.
        """
        path = self.file(name)
        try:
            found = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(found, dict):
                raise ValueError(f"it holds {type(found).__name__}, not an object")
        except (OSError, ValueError) as error:
            raise EncoderError(f"{path} can't be read as JSON ({error}); get it again") from error
        return found

    def file(self, name: str) -> Path:
        """The path of a file, which from then on is part of the identity.

        Raises:
            EncoderError: If it is missing.
        """
        path = self.path / name
        if not path.is_file():
            raise self.lacks([name])
        if path not in self.used:
            self.used.append(path)
        return path

    def processor(self) -> dict[str, Any]:
        """What the image processor asks for, from the file of its own or the one that it shares with the tokenizer."""
        if not self.has(_PROCESSOR) and self.has(_PROCESSORS_TOGETHER):
            found = self.json(_PROCESSORS_TOGETHER).get("image_processor")
            if isinstance(found, dict):
                return found
        return self.json(_PROCESSOR)

    def tokenizer_config(self) -> dict[str, Any]:
        """What the tokenizer's configuration says; nothing where there is none."""
        return self.json(_TOKENIZER_CONFIG) if self.has(_TOKENIZER_CONFIG) else {}

    def weights(self, name: str = WEIGHTS) -> list[Path]:
        """The weights in safetensors, in one file or in parts.

        Raises:
            EncoderError: If they aren't there, or only as pickle.
        """
        if name != WEIGHTS or self.has(name) or not self.has(_SHARDS):
            if not self.has(name):
                raise self._no_safetensors(name)
            return [self.file(name)]
        parts = sorted(set(self.json(_SHARDS).get("weight_map", {}).values()))
        missing = [part for part in parts if not self.has(part)]
        if missing or not parts:
            raise self.lacks(missing or [name])
        return [self.file(part) for part in parts]

    def identity(self) -> str:
        """SHA-256 over names and contents of what was used."""
        lines = sorted(f"{path.name} {hash_file(path)}" for path in self.used)
        return hashlib.sha256("\n".join(lines).encode()).hexdigest()

    def lacks(self, names: Sequence[str]) -> EncoderError:
        """The error of a folder without some files."""
        return EncoderError(
            f"{self.path} isn't a whole checkpoint: it lacks {', '.join(names)}; get every file of its repository "
            "beside the ones that are there (docs/encoders.md lists them)"
        )

    def broken(self, error: Exception) -> EncoderError:
        """The error of a folder whose files don't fit together."""
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        return EncoderError(
            f"{self.path} can't be loaded as a checkpoint: {reason}; get its files again, or give another encoder"
        )

    def _no_safetensors(self, name: str) -> EncoderError:
        pickled = sorted(path.name for pattern in _PICKLED for path in self.path.glob(pattern))
        if not pickled:
            return self.lacks([name])
        return EncoderError(
            f"{self.path} has its weights as pickle only ({', '.join(pickled)}) and lacks {name}: pickle may run code "
            "when it is loaded, so coordi doesn't open it; get the safetensors of its repository, or convert it where "
            f'you trust it: python -c "{_CONVERT.format(folder=self.path)}"'
        )


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = re.compile(r"\s+")


class TextRecipe(Settings):
    """From texts to what a text tower takes, ``(B, T)`` int64.

    Attributes:
        clean: What is done before the tokenizer. ``none``; ``lowercase`` (SigLIP 2); ``siglip``: lower case, without
            ASCII punctuation and repeated spaces; ``open_clip``: its ``canonicalize``, the same after mending broken
            encodings and HTML, with a space for each underscore.
        length: The most tokens that a text may have, the special ones included; more are cut off.
        padding: ``longest`` pads to the longest text of a batch (CLIP, where what follows the end doesn't matter);
            ``full`` to ``length`` (SigLIP, which was trained so and reads the last place).
        side: Where padding goes.
        pad_id: The token that fills.
    """

    clean: Literal["none", "lowercase", "siglip", "open_clip"] = "none"
    length: int = Field(ge=2)
    padding: Literal["longest", "full"]
    side: Literal["right", "left"] = "right"
    pad_id: int = Field(ge=0)

    def cleaned(self, text: str) -> str:
        """The text that the tokenizer gets.

        References:
            ``canonicalize_text`` of big_vision, as SiglipTokenizer of transformers and open_clip have it.
        """
        if self.clean == "none":
            return text
        if self.clean == "lowercase":
            return text.lower()
        if self.clean == "open_clip":
            import ftfy

            text = html.unescape(html.unescape(ftfy.fix_text(text))).strip().replace("_", " ")
        return _SPACES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).strip()


class Tokens:
    """A tokenizer that follows a recipe."""

    def __init__(self, tokenizer: Any, recipe: TextRecipe) -> None:
        self.tokenizer = tokenizer
        self.recipe = recipe
        tokenizer.enable_truncation(recipe.length)
        tokenizer.enable_padding(
            direction=recipe.side, pad_id=recipe.pad_id, length=recipe.length if recipe.padding == "full" else None
        )

    def of(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids ``(B, T)`` of at least one text."""
        rows = self.tokenizer.encode_batch([self.recipe.cleaned(text) for text in texts])
        return np.array([row.ids for row in rows], dtype=np.int64)

    def json(self) -> str:
        """The tokenizer as the text of a ``tokenizer.json``."""
        return str(self.tokenizer.to_str())


_LONGEST = 16
_SUFFIXES = ("Fast", "Pil")
_UNSUPPORTED = ("do_pad", "do_reduce_labels", "do_thumbnail", "do_align_long_axis")
_CLIP = {
    "do_resize": True, "size": {"shortest_edge": 224}, "resample": 3, "do_center_crop": True,
    "crop_size": {"height": 224, "width": 224}, "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.48145466, 0.4578275, 0.40821073], "image_std": [0.26862954, 0.26130258, 0.27577711],
}  # fmt: skip
_SIGLIP = {
    "do_resize": True, "size": {"height": 224, "width": 224}, "resample": 3, "do_center_crop": False,
    "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True,
    "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5],
}  # fmt: skip
_DEFAULTS = {
    "CLIPImageProcessor": _CLIP,
    "CLIPFeatureExtractor": _CLIP,
    "SiglipImageProcessor": _SIGLIP,
}
"""What each processor of transformers does where the file is silent."""


class PhotoRecipe(Settings):
    """From an RGB photo to what an image tower takes, ``(3, H, W)`` float32.

    The steps are those of the checkpoint's own image processor, in its order: resize, crop around the middle (with
    black where the photo is smaller), multiply by ``scale``, subtract ``mean``, divide by ``std``.

    Attributes:
        shortest_edge: The shorter side after resizing; the longer keeps the proportions, rounded down.
        size: Height and width after resizing, whatever the proportions. Not with ``shortest_edge``.
        resample: Pillow's number of the filter, which always antialiases: 2 bilinear, 3 bicubic.
        crop: Height and width of what is kept around the middle; None keeps all.
        scale: What pixel values of 0 to 255 are multiplied by.
        mean: Per channel, subtracted after scaling.
        std: Per channel, divided by at last.
    """

    shortest_edge: int | None = Field(default=None, ge=1)
    size: tuple[int, int] | None = None
    resample: int = Field(default=3, ge=0, le=5)
    crop: tuple[int, int] | None = None
    scale: float = Field(default=1 / 255, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _one_shape(self) -> PhotoRecipe:
        if self.shortest_edge and self.size:
            raise ValueError("both shortest_edge and size are given; one of them says how photos are resized")
        if self.crop is None and self.size is None:
            raise ValueError("photos would keep their proportions; the tower needs one shape: give size or crop")
        if not all(length > 0 for length in (*(self.size or ()), *(self.crop or ()))):
            raise ValueError(f"lengths must be 1 or more, got size {self.size} and crop {self.crop}")
        if not all(self.std):
            raise ValueError(f"std must not hold 0, got {self.std}")
        return self

    @classmethod
    def of_processor(cls, config: Mapping[str, Any]) -> PhotoRecipe:
        """What ``preprocessor_config.json`` asks for, whatever version of transformers wrote it.

        Raises:
            ValueError: If it is another kind of processor, or asks for a step that isn't done here.
        """
        kind = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "CLIPImageProcessor")
        for suffix in _SUFFIXES:
            kind = kind.removesuffix(suffix)
        if kind not in _DEFAULTS:
            raise ValueError(f"its image processor is {kind!r}, accepted are {', '.join(_DEFAULTS)}")
        asked = [name for name in _UNSUPPORTED if config.get(name)]
        if asked:
            raise ValueError(f"its image processor asks for {', '.join(asked)}, which isn't supported")
        given = {**_DEFAULTS[kind], **{name: value for name, value in config.items() if value is not None}}
        recipe: dict[str, Any] = {"resample": given["resample"], "scale": 1.0}
        if given["do_resize"]:
            recipe |= _size(given["size"])
        if given["do_center_crop"]:
            recipe["crop"] = _height_and_width(given.get("crop_size", 224))
        if given["do_rescale"]:
            recipe["scale"] = given["rescale_factor"]
        if given["do_normalize"]:
            recipe |= {"mean": given["image_mean"], "std": given["image_std"]}
        return cls(**recipe)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of every prepared photo."""
        shape = self.crop or self.size
        if shape is None:
            raise ValueError("a recipe has a crop or a size")
        return shape

    def prepare(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Photos as the tower takes them, ``(B, 3, H, W)``."""
        height, width = self.shape
        pixels = np.empty((len(images), height, width, 3), dtype=np.uint8)
        for place, image in enumerate(images):
            pixels[place] = np.asarray(self._shaped(image.convert("RGB") if image.mode != "RGB" else image))
        factor = np.float32(self.scale) / np.asarray(self.std, dtype=np.float32)
        shift = np.asarray(self.mean, dtype=np.float32) / np.asarray(self.std, dtype=np.float32)
        prepared = np.empty((len(images), 3, height, width), dtype=np.float32)
        for channel in range(3):
            np.multiply(pixels[..., channel], factor[channel], out=prepared[:, channel])
            prepared[:, channel] -= shift[channel]
        return prepared

    def _shaped(self, image: Image.Image) -> Image.Image:
        if self.size is not None:
            height, width = self.size
            image = image.resize((width, height), self.resample)
        elif self.shortest_edge is not None:
            image = _not_too_long(image)
            short = min(image.size)
            width, height = (
                self.shortest_edge if side == short else int(self.shortest_edge * side / short) for side in image.size
            )
            image = image.resize((width, height), self.resample)
        if self.crop is not None:
            height, width = self.crop
            left, top = (image.width - width) // 2, (image.height - height) // 2
            image = image.crop((left, top, left + width, top + height))
        return image


def _not_too_long(image: Image.Image) -> Image.Image:
    """Cut a photo around its middle to 16 times its shorter side: a line of pixels would become gigabytes."""
    longest = _LONGEST * min(image.size)
    width, height = (min(side, longest) for side in image.size)
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _size(given: Any) -> dict[str, Any]:
    """``size`` as a number (the shorter side, as in old files), as ``shortest_edge``, or as height and width."""
    if isinstance(given, int):
        return {"shortest_edge": given}
    if isinstance(given, Mapping) and "shortest_edge" in given and "longest_edge" not in given:
        return {"shortest_edge": given["shortest_edge"]}
    return {"size": _height_and_width(given)}


def _height_and_width(given: Any) -> tuple[int, int]:
    if isinstance(given, int):
        return given, given
    if isinstance(given, Mapping) and "height" in given and "width" in given:
        return given["height"], given["width"]
    raise ValueError(f"a size of {given!r} isn't supported; accepted are a number, shortest_edge, height and width")


_PHOTOS_AT_ONCE = 16
_TEXTS_AT_ONCE = 32


class Towers(Protocol):
    """The two networks of a checkpoint."""

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``, of any length."""
        ...

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``, of any length."""
        ...


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a checkpoint says beside its weights.

    Attributes:
        photos: How photos are prepared.
        tokens: How texts are.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by.
        logit_bias: What is added before a sigmoid (SigLIP); None for a softmax over labels (CLIP).
    """

    photos: PhotoRecipe
    tokens: Tokens
    dimension: int
    logit_scale: float
    logit_bias: float | None


class TowersEncoder:
    """A checkpoint as an ``ImageTextEncoder``; a text longer than the checkpoint takes is cut."""

    def __init__(self, name: str, identity: str, recipe: Recipe, towers: Towers) -> None:
        self.name = name
        self.identity = identity
        self.recipe = recipe
        self.towers = towers
        self.dimension = recipe.dimension
        self.logit_scale = recipe.logit_scale
        self.logit_bias = recipe.logit_bias

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, photos prepared as the checkpoint asks."""
        rows = [
            self.towers.image(self.recipe.photos.prepare(images[start : start + _PHOTOS_AT_ONCE]))
            for start in range(0, len(images), _PHOTOS_AT_ONCE)
        ]
        return self._unit(rows)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, texts cleaned, cut and padded as the checkpoint asks."""
        rows = [
            self.towers.text(self.recipe.tokens.of(texts[start : start + _TEXTS_AT_ONCE]))
            for start in range(0, len(texts), _TEXTS_AT_ONCE)
        ]
        return self._unit(rows)

    def _unit(self, rows: list[npt.NDArray[np.float32]]) -> npt.NDArray[np.float32]:
        vectors = np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *rows])
        norms = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        return np.asarray(vectors / norms, dtype=np.float32)


EXTRA = "train"
_NAMED = 5


class TorchTowers:
    """A ``CLIPModel`` or ``SiglipModel``, which answer to the same two calls."""

    def __init__(self, model: Any, shape: tuple[int, int], tokens: Tokens) -> None:
        """Check that what is prepared is what the model takes.

        Raises:
            ValueError: If photos come out in another size than the model's, or token ids could lie outside its table.
        """
        self.model = model.eval()
        side = int(model.config.vision_config.image_size)
        if shape != (side, side):
            raise ValueError(f"its image processor makes photos of {shape[0]} x {shape[1]}, its model takes {side}")
        known, table = tokens.tokenizer.get_vocab_size(), int(model.config.text_config.vocab_size)
        if known > table:
            raise ValueError(f"its tokenizer has {known} tokens, its model knows {table}")
        if tokens.recipe.length > int(model.config.text_config.max_position_embeddings):
            raise ValueError(f"its tokenizer makes {tokens.recipe.length} tokens, more than its model takes")

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``."""
        torch = require("torch", EXTRA)
        with torch.inference_mode():
            found = self.model.get_image_features(pixel_values=torch.from_numpy(pixels))
        return np.asarray(found.pooler_output.numpy(), dtype=np.float32)

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``.

        No mask: CLIP's vector is read at the end token, before any padding; SigLIP was trained without one.
        """
        torch = require("torch", EXTRA)
        with torch.inference_mode():
            found = self.model.get_text_features(input_ids=torch.from_numpy(tokens))
        return np.asarray(found.pooler_output.numpy(), dtype=np.float32)


def load_strictly(kind: Any, folder: CheckpointFolder) -> Any:
    """A model of the given class with every weight from the folder's safetensors, in float32; no code is run.

    Raises:
        ValueError: If the weights lack one or hold one that the configuration has no place for.
    """
    torch = require("torch", EXTRA)
    folder.weights()
    model, report = kind.from_pretrained(
        folder.path, use_safetensors=True, local_files_only=True, trust_remote_code=False, dtype=torch.float32,
        output_loading_info=True,
    )  # fmt: skip
    for what, names in (
        ("its weights lack", report["missing_keys"]),
        ("config.json has no place for the weights", report["unexpected_keys"]),
        ("config.json disagrees with the shapes of", [str(one) for one in report["mismatched_keys"]]),
    ):
        if names:
            shown = ", ".join(sorted(names)[:_NAMED])
            raise ValueError(f"{what} {shown}{' and others' if len(names) > _NAMED else ''}")
    return model


_TOKENIZERS = (("tokenizer.json",), ("vocab.json", "merges.txt"))


def load_clip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers; the softmax over labels is CLIP's.

    Raises:
        EncoderError: If a file is missing.
        ValueError: If the files don't fit together; transformers and safetensors raise types of their own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    transformers = require("transformers", EXTRA)
    photos = PhotoRecipe.of_processor(folder.processor())
    tokenizer = _tokenizer(folder, transformers)
    model = load_strictly(transformers.CLIPModel, folder)
    text = TextRecipe(
        length=int(model.config.text_config.max_position_embeddings),
        padding="longest",
        pad_id=int(tokenizer.pad_token_id),
    )
    tokens = Tokens(_copied(tokenizer.backend_tokenizer), text)
    scale = float(model.logit_scale.detach().exp())
    recipe = Recipe(photos, tokens, int(model.config.projection_dim), scale, None)
    return recipe, TorchTowers(model, photos.shape, tokens)


def _copied(tokenizer: Any) -> Any:
    """A tokenizer of one's own, so that truncation and padding can be set."""
    found = require("tokenizers", EXTRA).Tokenizer.from_str(tokenizer.to_str())
    found.no_truncation()
    found.no_padding()
    return found


def _tokenizer(folder: CheckpointFolder, transformers: Any) -> Any:
    for names in _TOKENIZERS:
        if all(folder.has(name) for name in names):
            for name in names:
                folder.file(name)
            folder.tokenizer_config()
            return transformers.CLIPTokenizerFast.from_pretrained(folder.path, local_files_only=True)
    raise folder.lacks(["tokenizer.json (or vocab.json and merges.txt)"])


SENTENCEPIECE_FILE = "tokenizer.json"
_SENTENCEPIECE = "spiece.model"


def load_siglip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers; every label is judged alone, by a sigmoid.

    Raises:
        EncoderError: If a file is missing.
        ValueError: If the files don't fit together; transformers and safetensors raise types of their own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    transformers = require("transformers", EXTRA)
    photos = PhotoRecipe.of_processor(folder.processor())
    config = folder.tokenizer_config()
    clean = _cleaning(config)
    tokenizer = sentencepiece_tokenizer(folder, config)
    model = load_strictly(transformers.SiglipModel, folder)
    return siglip_recipe(model, photos, (tokenizer, clean, config))


def siglip_recipe(
    model: Any,
    photos: PhotoRecipe,
    text: tuple[Any, Literal["none", "lowercase", "siglip", "open_clip"], Mapping[str, Any]],
) -> tuple[Recipe, TorchTowers]:
    """What a loaded SigLIP model and its tokenizer, with cleaning and configuration, make together."""
    tokenizer, clean, config = text
    text_config = model.config.text_config
    longest = config.get("model_max_length")
    # A tokenizer without a limit of its own has one of 10^30.
    length = min(int(longest or 1e30), int(text_config.max_position_embeddings))
    pad = _content(config.get("pad_token")) or "</s>"
    pad_id = tokenizer.token_to_id(pad)
    if pad_id is None:
        raise ValueError(f"its tokenizer has no token {pad!r} to pad with")
    side: Literal["left", "right"] = "left" if config.get("padding_side") == "left" else "right"
    recipe = TextRecipe(clean=clean, length=length, padding="full", side=side, pad_id=pad_id)
    tokens = Tokens(tokenizer, recipe)
    scale, bias = float(model.logit_scale.detach().exp()), float(model.logit_bias.detach())
    dimension = int(text_config.projection_size)
    return Recipe(photos, tokens, dimension, scale, bias), TorchTowers(model, photos.shape, tokens)


def sentencepiece_tokenizer(folder: CheckpointFolder, config: Mapping[str, Any]) -> Any:
    """The folder's ``tokenizer.json``, made to close every text with the end token, as SigLIP was trained.

    Raises:
        EncoderError: If there is none.
    """
    tokenizers = require("tokenizers", EXTRA)
    if not folder.has(SENTENCEPIECE_FILE):
        if folder.has(_SENTENCEPIECE):
            raise EncoderError(
                f"{folder.path} has its tokenizer as {_SENTENCEPIECE} only and lacks {SENTENCEPIECE_FILE}; get that "
                "file from the checkpoint's repository, or from google/siglip-base-patch16-224, whose vocabulary is "
                "the same for every English SigLIP"
            )
        raise folder.lacks([SENTENCEPIECE_FILE])
    tokenizer = tokenizers.Tokenizer.from_file(str(folder.file(SENTENCEPIECE_FILE)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end = _content(config.get("eos_token")) or "</s>"
    end_id = tokenizer.token_to_id(end)
    if end_id is None:
        raise ValueError(f"its tokenizer has no end token {end!r}")
    if tokenizer.encode("a").ids[-1:] != [end_id]:
        template = tokenizers.processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, end_id)])
        tokenizer.post_processor = template
    return tokenizer


def _cleaning(config: Mapping[str, Any]) -> Literal["none", "lowercase", "siglip"]:
    """What is done to a text before ``tokenizer.json``, which doesn't always hold it.

    SigLIP 2 was trained on lower-case text, which the Gemma tokenizer that its files name doesn't make (Tschannen et
    al., SigLIP 2, 2025, section 2.1).
    """
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind == "SiglipTokenizer":
        return "siglip" if config.get("do_lower_case", True) else "none"
    return "lowercase" if kind in ("GemmaTokenizer", "Siglip2Tokenizer") else "none"


def _content(token: Any) -> str:
    """A special token as its text, however the configuration writes it."""
    return str(token.get("content", "") if isinstance(token, Mapping) else token or "")


_TIMM = re.compile(r"vit_(base|large|so400m|giantopt)_patch(\d+)_siglip_(\d+)")
_HEADS = {"base": 12, "large": 16, "so400m": 16, "giantopt": 16}
# timm gives these towers the exact GELU and the others its tanh form; the paper's own code has the tanh form for all.
_EXACT_GELU = re.compile(r"vit_(base_patch16_siglip_\d+|large_patch16_siglip_(256|384)|so400m_patch14_siglip_\d+)")
_FILTERS = {"bilinear": 2, "bicubic": 3}
_ALIKE = (
    (r"visual\.trunk\.patch_embed\.proj\.", "vision_model.embeddings.patch_embedding."),
    (r"visual\.trunk\.norm\.", "vision_model.post_layernorm."),
    (r"visual\.trunk\.blocks\.(\d+)\.norm([12])\.", r"vision_model.encoder.layers.\1.layer_norm\2."),
    (r"visual\.trunk\.blocks\.(\d+)\.attn\.proj\.", r"vision_model.encoder.layers.\1.self_attn.out_proj."),
    (r"visual\.trunk\.blocks\.(\d+)\.mlp\.", r"vision_model.encoder.layers.\1.mlp."),
    (r"visual\.trunk\.attn_pool\.latent$", "vision_model.head.probe"),
    (r"visual\.trunk\.attn_pool\.proj\.", "vision_model.head.attention.out_proj."),
    (r"visual\.trunk\.attn_pool\.norm\.", "vision_model.head.layernorm."),
    (r"visual\.trunk\.attn_pool\.mlp\.", "vision_model.head.mlp."),
    (r"text\.token_embedding\.", "text_model.embeddings.token_embedding."),
    (r"text\.positional_embedding$", "text_model.embeddings.position_embedding.weight"),
    (r"text\.ln_final\.", "text_model.final_layer_norm."),
    (r"text\.text_projection\.", "text_model.head."),
    (r"text\.transformer\.resblocks\.(\d+)\.ln_([12])\.", r"text_model.encoder.layers.\1.layer_norm\2."),
    (r"text\.transformer\.resblocks\.(\d+)\.attn\.out_proj\.", r"text_model.encoder.layers.\1.self_attn.out_proj."),
    (r"text\.transformer\.resblocks\.(\d+)\.mlp\.c_fc\.", r"text_model.encoder.layers.\1.mlp.fc1."),
    (r"text\.transformer\.resblocks\.(\d+)\.mlp\.c_proj\.", r"text_model.encoder.layers.\1.mlp.fc2."),
)
_TOGETHER = (
    (r"visual\.trunk\.blocks\.(\d+)\.attn\.qkv\.(weight|bias)", r"vision_model.encoder.layers.\1.self_attn.{}.\2"),
    (
        r"text\.transformer\.resblocks\.(\d+)\.attn\.in_proj_(weight|bias)",
        r"text_model.encoder.layers.\1.self_attn.{}.\2",
    ),
)


def load_open_clip(folder: CheckpointFolder) -> tuple[Recipe, TorchTowers]:
    """Recipe and towers of a SigLIP checkpoint in open_clip's layout.

    Raises:
        EncoderError: If a file is missing, or the model is of another kind.
        ValueError: If the files don't fit together; safetensors raises a type of its own too.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    given = folder.json(OPEN_CLIP_CONFIG)
    config, prepared = given.get("model_cfg", {}), given.get("preprocess_cfg", {})
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    _check_kind(folder, config)
    side = int(vision["image_size"])
    photos = _photos(prepared, side)
    tokenizer_config = folder.tokenizer_config()
    tokenizer = sentencepiece_tokenizer(folder, tokenizer_config)
    (path,) = folder.weights(OPEN_CLIP_WEIGHTS)
    model = _model(require("safetensors.torch", EXTRA).load_file(path), vision, text)
    clean = (text.get("tokenizer_kwargs") or {}).get("clean", "none")
    if clean != "canonicalize":
        raise ValueError(f"text_cfg.tokenizer_kwargs.clean is {clean!r}, supported is 'canonicalize'")
    limits = {**tokenizer_config, "model_max_length": int(text["context_length"])}
    return siglip_recipe(model, photos, (tokenizer, "open_clip", limits))


def _check_kind(folder: CheckpointFolder, config: Mapping[str, Any]) -> None:
    vision, text = config.get("vision_cfg", {}), config.get("text_cfg", {})
    name = str(vision.get("timm_model_name", "none"))
    is_siglip = _TIMM.fullmatch(name) and vision.get("timm_pool") == "map" and vision.get("timm_proj") == "none"
    if not is_siglip or not text.get("no_causal_mask") or not text.get("proj_bias") or text.get("pool_type") != "last":
        raise EncoderError(
            f"{folder.path} is an open_clip checkpoint of another kind (timm_model_name {name!r}); supported in that "
            "layout is SigLIP with attention pooling (vit_base_patch16_siglip_224 and its kin); for others get the "
            "files in transformers' layout (config.json with model_type 'clip' or 'siglip', and model.safetensors)"
        )


def _photos(prepared: Mapping[str, Any], side: int) -> PhotoRecipe:
    """What ``preprocess_cfg`` asks for; the defaults are open_clip's."""
    mode, filter_name = prepared.get("resize_mode", "shortest"), prepared.get("interpolation", "bicubic")
    if filter_name not in _FILTERS:
        raise ValueError(f"preprocess_cfg.interpolation is {filter_name!r}, supported are {', '.join(_FILTERS)}")
    clip = PhotoRecipe.of_processor({})
    common: dict[str, Any] = {
        "resample": _FILTERS[filter_name],
        "mean": prepared.get("mean", clip.mean),
        "std": prepared.get("std", clip.std),
    }
    if mode == "squash":
        return PhotoRecipe(size=(side, side), **common)
    if mode == "shortest":
        return PhotoRecipe(shortest_edge=side, crop=(side, side), **common)
    raise ValueError(f"preprocess_cfg.resize_mode is {mode!r}, supported are squash and shortest")


def _model(tensors: Mapping[str, Any], vision: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    transformers, torch = require("transformers", EXTRA), require("torch", EXTRA)
    name = str(vision["timm_model_name"])
    size, patch, _ = _TIMM.fullmatch(name).groups()  # type: ignore[union-attr]
    weights = renamed(tensors)
    tanh = "gelu_pytorch_tanh"
    is_tanh = (text.get("act_kwargs") or {}).get("approximate") == "tanh"
    config = transformers.SiglipConfig(
        vision_config={
            **_tower(weights, "vision_model"), "num_attention_heads": _HEADS[size], "patch_size": int(patch),
            "image_size": int(vision["image_size"]), "hidden_act": "gelu" if _EXACT_GELU.fullmatch(name) else tanh,
            "layer_norm_eps": 1e-6,
        },
        text_config={
            **_tower(weights, "text_model"), "num_attention_heads": int(text["heads"]),
            "vocab_size": int(text["vocab_size"]), "max_position_embeddings": int(text["context_length"]),
            "projection_size": len(weights["text_model.head.weight"]), "hidden_act": tanh if is_tanh else "gelu",
            "layer_norm_eps": float((text.get("norm_kwargs") or {}).get("eps", 1e-5)),
            # Not used by the network; the defaults lie outside a small vocabulary.
            "bos_token_id": None, "eos_token_id": 1,
        },
    )  # fmt: skip
    model = transformers.SiglipModel(config)
    model.load_state_dict({key: value.to(torch.float32) for key, value in weights.items()}, strict=True)
    return model


def _tower(weights: Mapping[str, Any], tower: str) -> dict[str, int]:
    """Width, depth and size of the hidden layers, as the weights have them."""
    layers = {int(key.split(".")[3]) for key in weights if key.startswith(f"{tower}.encoder.layers.")}
    first = f"{tower}.encoder.layers.0.mlp.fc1.weight"
    if first not in weights:
        raise ValueError(f"the weights hold no layers of the {tower.split('_')[0]} tower")
    intermediate, hidden = weights[first].shape
    return {"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": len(layers)}


def renamed(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's SigLIP weights under transformers' names: query, key and value apart, or together in the pooling.

    Raises:
        ValueError: If a name isn't of such a model, or one of the pooling's parts is missing.
    """
    torch = require("torch", EXTRA)
    found: dict[str, Any] = {}
    pooling: dict[str, Any] = {}
    for name, tensor in tensors.items():
        if name in ("logit_scale", "logit_bias"):
            found[name] = tensor.reshape(1)
        elif name == "visual.trunk.pos_embed":
            found["vision_model.embeddings.position_embedding.weight"] = tensor.squeeze(0)
        elif part := re.fullmatch(r"visual\.trunk\.attn_pool\.(q|kv)\.(weight|bias)", name):
            pooling["_".join(part.groups())] = tensor
        else:
            found |= _renamed(name, tensor)
    for what in ("weight", "bias"):
        if {f"q_{what}", f"kv_{what}"} - set(pooling):
            raise ValueError(f"the weights lack visual.trunk.attn_pool.q.{what} or kv.{what}")
        joined = torch.cat([pooling[f"q_{what}"], pooling[f"kv_{what}"]])
        found[f"vision_model.head.attention.in_proj_{what}"] = joined
    return found


def _renamed(name: str, tensor: Any) -> dict[str, Any]:
    for old, new in _TOGETHER:
        if re.fullmatch(old, name):
            target = re.sub(old, new, name)
            parts = tensor.chunk(3)
            return {target.format(part): one for part, one in zip(("q_proj", "k_proj", "v_proj"), parts, strict=True)}
    for old, new in _ALIKE:
        if re.match(old, name):
            return {re.sub(old, new, name): tensor}
    raise ValueError(f"the weights hold {name!r}, which a SigLIP model in open_clip's layout doesn't have")


_KINDS = "'clip' and 'siglip'"


def load_checkpoint(folder: Path, name: str | None = None) -> TowersEncoder:
    """Load CLIP or SigLIP from a folder: safetensors only, no code from the folder, no network.

    A folder with both layouts (``config.json`` of transformers, ``open_clip_config.json``) is read in transformers',
    unless its ``config.json`` only points to code of its own.

    Args:
        folder: Where it lies.
        name: What the encoder is called; None for the folder.

    Raises:
        EncoderError: If a file is missing, the weights are pickle only, the model is of another kind, or the files
            don't fit together.
        MissingDependencyError: If torch or transformers isn't installed.
    """
    found = CheckpointFolder(folder)
    try:
        recipe, towers = _loader(found)(found)
    except CoordiError:
        raise
    # transformers, tokenizers and safetensors raise types of their own for broken files, some a bare Exception.
    except Exception as error:
        raise found.broken(error) from error
    return TowersEncoder(name or str(folder), found.identity(), recipe, towers)


def _loader(folder: CheckpointFolder) -> Callable[[CheckpointFolder], tuple[Recipe, TorchTowers]]:

    if not folder.has(CONFIG):
        if folder.has(OPEN_CLIP_CONFIG):
            return load_open_clip
        raise folder.lacks([CONFIG])
    config = folder.json(CONFIG)
    if "auto_map" in config or "open_clip_model_name" in config:
        if folder.has(OPEN_CLIP_CONFIG):
            return load_open_clip
        raise EncoderError(
            f"{folder.path} is loaded by code of its own (auto_map in {CONFIG}), which coordi doesn't run; what it can "
            f"read instead is open_clip's layout, so get {OPEN_CLIP_CONFIG} and open_clip_model.safetensors of the "
            "same repository too"
        )
    kind = config.get("model_type")
    if kind is None and folder.has(OPEN_CLIP_CONFIG):
        return load_open_clip  # as timm's repositories have it
    if kind == "siglip2":
        raise EncoderError(
            f"{folder.path} is a SigLIP 2 checkpoint for photos of any proportions (NaFlex), which isn't supported; "
            "take one of a fixed size, such as google/siglip2-base-patch16-224"
        )
    if kind not in ("clip", "siglip"):
        raise EncoderError(f"{folder.path} holds a model of type {kind!r} ({CONFIG}); accepted are {_KINDS}")
    return load_clip if kind == "clip" else load_siglip
