"""CLIP and SigLIP checkpoints from a folder, in the layouts of transformers and open_clip. An export to ONNX must run
without torch and transformers, whose CLIP processors need torchvision, so photos and texts are prepared here.
"""

from __future__ import annotations

import hashlib
import html
import json
import re
import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from coordi.artifacts import hash_file
from coordi.config import Settings
from coordi.encoders.base import OPEN_CLIP_CONFIG, OPEN_CLIP_WEIGHTS, WEIGHTS, unit_vectors
from coordi.errors import CoordiError, EncoderError, require

if TYPE_CHECKING:
    from PIL import Image

EXTRA = "train"
CONFIG = "config.json"
TOKENIZER = "tokenizer.json"
_SHARDS = "model.safetensors.index.json"
_PROCESSOR = "preprocessor_config.json"
_SHARED_PROCESSOR = "processor_config.json"  # newer versions of transformers: image processor and tokenizer in one file
_TOKENIZER_CONFIG = "tokenizer_config.json"
_CLIP_VOCABULARY = ("vocab.json", "merges.txt")
_SENTENCEPIECE = "spiece.model"
_PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")

_LARGEST_RATIO = 16
_IMAGE_PROCESSORS = ("CLIPImageProcessor", "SiglipImageProcessor")
_UNSUPPORTED_STEPS = ("do_pad", "do_reduce_labels", "do_thumbnail", "do_align_long_axis")


class PhotoRecipe(Settings):
    """From an RGB photo to the image tower's input, ``(3, H, W)`` float32: resize, crop around the centre (black where
    the photo is smaller), multiply by ``scale``, subtract ``mean``, divide by ``std``.

    Attributes:
        shortest_edge: The shorter side after resizing; the longer keeps the proportions, rounded down.
        size: Height and width after resizing, whatever the proportions. Not with ``shortest_edge``.
        resample: Pillow's number of the filter, which always antialiases: 2 bilinear, 3 bicubic.
        crop: Height and width; None for no crop.
    """

    shortest_edge: int | None = Field(default=None, ge=1)
    size: tuple[int, int] | None = None
    resample: int = Field(default=3, ge=0, le=5)
    crop: tuple[int, int] | None = None
    scale: float = Field(default=1 / 255, gt=0)
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    std: tuple[float, float, float] = (1.0, 1.0, 1.0)

    @model_validator(mode="after")
    def _check_shape(self) -> PhotoRecipe:
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
        """The recipe of a ``preprocessor_config.json`` of any version, read by transformers' own class."""
        name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or _IMAGE_PROCESSORS[0])
        kind = name.removesuffix("Fast").removesuffix("Pil").replace("FeatureExtractor", "ImageProcessor")
        if kind not in _IMAGE_PROCESSORS:
            raise ValueError(f"its image processor is {name!r}, accepted are {', '.join(_IMAGE_PROCESSORS)}")
        unsupported = [step for step in _UNSUPPORTED_STEPS if config.get(step)]
        if unsupported:
            raise ValueError(f"its image processor asks for {', '.join(unsupported)}, which isn't supported")
        given = {name: value for name, value in config.items() if value is not None}
        steps = getattr(require("transformers", EXTRA), f"{kind}Pil").from_dict(given).to_dict()
        recipe: dict[str, Any] = {"resample": steps["resample"], "scale": 1.0}
        if steps["do_resize"]:
            edge = set(steps["size"]) == {"shortest_edge"}
            recipe |= {"shortest_edge": steps["size"]["shortest_edge"]} if edge else {"size": _shape(steps["size"])}
        if steps.get("do_center_crop"):
            recipe["crop"] = _shape(steps["crop_size"])
        if steps["do_rescale"]:
            recipe["scale"] = steps["rescale_factor"]
        if steps["do_normalize"]:
            recipe |= {"mean": steps["image_mean"], "std": steps["image_std"]}
        return cls(**recipe)

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width of every prepared photo."""
        shape = self.crop or self.size
        if shape is None:
            raise ValueError("a recipe has a crop or a size")
        return shape

    def prepare(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """The tower's input, ``(B, 3, H, W)``."""
        height, width = self.shape
        pixels = np.empty((len(images), height, width, 3), dtype=np.uint8)
        for row, image in zip(pixels, images, strict=True):
            row[:] = np.asarray(self._resized(image.convert("RGB") if image.mode != "RGB" else image))
        mean, std = (np.array(values, dtype=np.float32) for values in (self.mean, self.std))
        factor, shift = np.float32(self.scale) / std, mean / std
        prepared = np.empty((len(images), 3, height, width), dtype=np.float32)
        for channel in range(3):
            np.multiply(pixels[..., channel], factor[channel], out=prepared[:, channel])
            prepared[:, channel] -= shift[channel]
        return prepared

    def _resized(self, image: Image.Image) -> Image.Image:
        if self.size is not None:
            image = image.resize(self.size[::-1], self.resample)
        elif self.shortest_edge is not None:
            # A line of pixels would become gigabytes: cut to 16 times the shorter side first.
            short = min(image.size)
            image = _center_crop(image, *(min(side, _LARGEST_RATIO * short) for side in image.size))
            sides = [
                self.shortest_edge if side == short else int(self.shortest_edge * side / short) for side in image.size
            ]
            image = image.resize((sides[0], sides[1]), self.resample)
        return image if self.crop is None else _center_crop(image, *self.crop[::-1])


def _center_crop(image: Image.Image, width: int, height: int) -> Image.Image:
    if (width, height) == image.size:
        return image
    left, top = (image.width - width) // 2, (image.height - height) // 2
    return image.crop((left, top, left + width, top + height))


def _shape(size: Mapping[str, Any]) -> tuple[int, int]:
    if set(size) != {"height", "width"}:
        raise ValueError(f"a size of {size!r} isn't supported; accepted are a number, shortest_edge, height and width")
    return size["height"], size["width"]


_NO_PUNCTUATION = str.maketrans("", "", string.punctuation)
_SPACES = re.compile(r"\s+")
Cleaning = Literal["none", "lowercase", "siglip", "open_clip"]


class TextRecipe(Settings):
    """From texts to the text tower's input, ``(B, T)`` int64.

    Attributes:
        clean: ``lowercase`` (SigLIP 2); ``siglip``: also without ASCII punctuation and repeated spaces; ``open_clip``:
            the same after mending broken encodings and HTML, with a space for each underscore.
        length: Maximum tokens of a text, special ones included; longer texts are cut.
        padding: To the ``longest`` text of a batch (CLIP ignores what follows the end token), or ``full`` to ``length``
            (SigLIP was trained so and reads the last position).
    """

    clean: Cleaning = "none"
    length: int = Field(ge=2)
    padding: Literal["longest", "full"]
    side: Literal["right", "left"] = "right"
    pad_id: int = Field(ge=0)

    def cleaned(self, text: str) -> str:
        """The text for the tokenizer: ``canonicalize_text`` of big_vision, as transformers and open_clip have it."""
        if self.clean == "none":
            return text
        if self.clean == "lowercase":
            return text.lower()
        if self.clean == "open_clip":
            import ftfy

            text = html.unescape(html.unescape(ftfy.fix_text(text))).strip().replace("_", " ")
        return _SPACES.sub(" ", text.lower().translate(_NO_PUNCTUATION)).strip()


class TextTokenizer:
    """A tokenizer that cleans, cuts and pads by a recipe."""

    def __init__(self, tokenizer: Any, recipe: TextRecipe) -> None:
        self.recipe = recipe
        self.tokenizer = tokenizer
        tokenizer.enable_truncation(recipe.length)
        length = recipe.length if recipe.padding == "full" else None
        tokenizer.enable_padding(direction=recipe.side, pad_id=recipe.pad_id, length=length)

    def encode(self, texts: Sequence[str]) -> npt.NDArray[np.int64]:
        """Token ids ``(B, T)`` of at least one text."""
        rows = self.tokenizer.encode_batch([self.recipe.cleaned(text) for text in texts])
        return np.array([row.ids for row in rows], dtype=np.int64)


_PHOTOS_PER_BATCH = 16
_PHOTOS_PER_GPU_BATCH = 128
_TEXTS_PER_BATCH = 32


# From prepared photos (B, 3, H, W) or token ids (B, T) to vectors (B, D) of any length.
Tower = Callable[[npt.NDArray[Any]], npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class TowersEncoder:
    """A checkpoint as an ``ImageTextEncoder``, its two networks in torch or in ONNX (then ``model`` is None)."""

    name: str
    identity: str
    photos: PhotoRecipe
    tokens: TextTokenizer
    image_tower: Tower
    text_tower: Tower
    dimension: int
    logit_scale: float
    logit_bias: float | None
    model: Any = None
    photos_per_batch: int = _PHOTOS_PER_BATCH

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, photos prepared as the checkpoint asks."""
        return self._encode(images, self.photos.prepare, self.image_tower, self.photos_per_batch)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """Unit vectors ``(N, D)``, texts cleaned, cut and padded as the checkpoint asks."""
        return self._encode(texts, self.tokens.encode, self.text_tower, _TEXTS_PER_BATCH)

    def _encode(
        self, inputs: Sequence[Any], prepare: Callable[[Sequence[Any]], npt.NDArray[Any]], tower: Tower, size: int
    ) -> npt.NDArray[np.float32]:
        rows = [tower(prepare(inputs[start : start + size])) for start in range(0, len(inputs), size)]
        return unit_vectors(np.concatenate([np.zeros((0, self.dimension), dtype=np.float32), *rows]))


# Recipe of photos, tokenizer and model of a checkpoint.
_Parts = tuple[PhotoRecipe, TextTokenizer, Any]


def load_checkpoint(folder: Path, name: str | None = None) -> TowersEncoder:
    """Load CLIP or SigLIP from a folder: safetensors only, no code from the folder, no network. Of two layouts,
    transformers' is read, unless its ``config.json`` only points to code of its own. Raises as ``load_encoder`` does.
    """
    load = _loader(folder)
    try:
        photos, tokens, model = load(folder)
        _check_fit(model.config, photos, tokens)
    except CoordiError:
        raise
    # transformers, tokenizers and safetensors raise types of their own for broken files, some a bare Exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise EncoderError(
            f"{folder} can't be loaded as a checkpoint: {reason}; get its files again, or give another encoder"
        ) from error
    is_clip = load is _load_clip
    torch = require("torch", EXTRA)
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    model = model.eval().to(device)
    return TowersEncoder(
        name or str(folder),
        _identity(folder, is_open_clip=load is _load_open_clip),
        photos,
        tokens,
        _torch_tower(model.get_image_features, "pixel_values", device),
        # No mask: CLIP's vector is read at the end token, before any padding; SigLIP was trained without one.
        _torch_tower(model.get_text_features, "input_ids", device),
        dimension=int(model.config.projection_dim if is_clip else model.config.text_config.projection_size),
        logit_scale=float(model.logit_scale.detach().exp()),
        logit_bias=None if is_clip else float(model.logit_bias.detach()),
        model=model,
        photos_per_batch=_PHOTOS_PER_BATCH if device.type == "cpu" else _PHOTOS_PER_GPU_BATCH,
    )


def _check_fit(config: Any, photos: PhotoRecipe, tokens: TextTokenizer) -> None:
    side, text, size = int(config.vision_config.image_size), config.text_config, tokens.tokenizer.get_vocab_size()
    if photos.shape != (side, side):
        shape = " x ".join(map(str, photos.shape))
        raise ValueError(f"its image processor makes photos of {shape}, its model takes {side}")
    if size > int(text.vocab_size):
        raise ValueError(f"its tokenizer has {size} tokens, its model knows {text.vocab_size}")
    if tokens.recipe.length > int(text.max_position_embeddings):
        raise ValueError(f"its tokenizer makes {tokens.recipe.length} tokens, more than its model takes")


def _torch_tower(features: Callable[..., Any], name: str, device: Any) -> Tower:
    torch = require("torch", EXTRA)

    def tower(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        with torch.inference_mode():
            vectors = features(**{name: torch.from_numpy(values).to(device)}).pooler_output
            return np.asarray(vectors.float().cpu().numpy(), dtype=np.float32)

    return tower


def _loader(folder: Path) -> Callable[[Path], _Parts]:
    has_open_clip = (folder / OPEN_CLIP_CONFIG).is_file()
    if has_open_clip and not (folder / CONFIG).is_file():
        return _load_open_clip
    config = _read_json(folder / CONFIG)
    kind = config.get("model_type")
    has_code = "auto_map" in config or "open_clip_model_name" in config
    if has_open_clip and (has_code or kind is None):  # without a type, as timm's repositories have it
        return _load_open_clip
    if has_code:
        raise EncoderError(
            f"{folder} is loaded by code of its own (auto_map in {CONFIG}), which coordi doesn't run; what it can "
            f"read instead is open_clip's layout, so get {OPEN_CLIP_CONFIG} and {OPEN_CLIP_WEIGHTS} of the "
            "same repository too"
        )
    if kind == "siglip2":
        raise EncoderError(
            f"{folder} is a SigLIP 2 checkpoint for photos of any proportions (NaFlex), which isn't supported; "
            "take one of a fixed size, such as google/siglip2-base-patch16-224"
        )
    if kind not in ("clip", "siglip"):
        raise EncoderError(f"{folder} holds a model of type {kind!r} ({CONFIG}); accepted are 'clip' and 'siglip'")
    return _load_clip if kind == "clip" else _load_siglip


def _load_clip(folder: Path) -> _Parts:
    transformers, tokenizers = require("transformers", EXTRA), require("tokenizers", EXTRA)
    photos = PhotoRecipe.of_processor(_processor_config(folder))
    if not (folder / TOKENIZER).is_file() and not all((folder / name).is_file() for name in _CLIP_VOCABULARY):
        raise _incomplete(folder, f"{TOKENIZER} (or {' and '.join(_CLIP_VOCABULARY)})")
    wrapped = transformers.CLIPTokenizerFast.from_pretrained(folder, local_files_only=True)
    tokenizer = tokenizers.Tokenizer.from_str(wrapped.backend_tokenizer.to_str())
    model = _load_model(transformers.CLIPModel, folder)
    length = int(model.config.text_config.max_position_embeddings)
    recipe = TextRecipe(length=length, padding="longest", pad_id=int(wrapped.pad_token_id))
    return photos, TextTokenizer(tokenizer, recipe), model


def _load_siglip(folder: Path) -> _Parts:
    photos, config = PhotoRecipe.of_processor(_processor_config(folder)), _tokenizer_config(folder)
    tokenizer = _sentencepiece_tokenizer(folder, config)
    model = _load_model(require("transformers", EXTRA).SiglipModel, folder)
    # A tokenizer without a limit of its own has one of 10^30.
    length = min(int(config.get("model_max_length") or 1e30), int(model.config.text_config.max_position_embeddings))
    return photos, _siglip_tokens(tokenizer, config, length, _siglip_cleaning(config)), model


def _siglip_cleaning(config: Mapping[str, Any]) -> Cleaning:
    """Cleaning that ``tokenizer.json`` doesn't always include: SigLIP 2 was trained on lower-case text, which the Gemma
    tokenizer of its files doesn't make (Tschannen et al., SigLIP 2, 2025, section 2.1).
    """
    kind = str(config.get("tokenizer_class", "")).removesuffix("Fast")
    if kind == "SiglipTokenizer":
        return "siglip" if config.get("do_lower_case", True) else "none"
    return "lowercase" if kind in ("GemmaTokenizer", "Siglip2Tokenizer") else "none"


def _siglip_tokens(tokenizer: Any, config: Mapping[str, Any], length: int, clean: Cleaning) -> TextTokenizer:
    pad_id = tokenizer.token_to_id(pad := _token(config, "pad_token"))
    if pad_id is None:
        raise ValueError(f"its tokenizer has no token {pad!r} to pad with")
    side: Literal["left", "right"] = "left" if config.get("padding_side") == "left" else "right"
    return TextTokenizer(tokenizer, TextRecipe(clean=clean, length=length, padding="full", side=side, pad_id=pad_id))


def _sentencepiece_tokenizer(folder: Path, config: Mapping[str, Any]) -> Any:
    """The folder's ``tokenizer.json``, set to close every text with the end token, as SigLIP was trained."""
    tokenizers = require("tokenizers", EXTRA)
    if not (folder / TOKENIZER).is_file() and (folder / _SENTENCEPIECE).is_file():
        raise EncoderError(
            f"{folder} has its tokenizer as {_SENTENCEPIECE} only and lacks {TOKENIZER}; get that file from the "
            "checkpoint's repository, or from google/siglip-base-patch16-224, whose vocabulary is the same for every "
            "English SigLIP"
        )
    tokenizer = tokenizers.Tokenizer.from_file(str(_existing(folder / TOKENIZER)))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    end_id = tokenizer.token_to_id(end := _token(config, "eos_token"))
    if end_id is None:
        raise ValueError(f"its tokenizer has no end token {end!r}")
    if tokenizer.encode("a").ids[-1:] != [end_id]:
        template = tokenizers.processors.TemplateProcessing(single=f"$A {end}", special_tokens=[(end, end_id)])
        tokenizer.post_processor = template
    return tokenizer


def _token(config: Mapping[str, Any], name: str) -> str:
    """A special token's text, in both spellings of the configuration; SigLIP ends and pads with the same token."""
    token = config.get(name)
    return str((token.get("content") if isinstance(token, Mapping) else token) or "</s>")


def _load_model(kind: Any, folder: Path) -> Any:
    """A model with every weight from the folder's safetensors, in float32; no code is run."""
    _weights(folder)
    model, report = kind.from_pretrained(
        folder, use_safetensors=True, local_files_only=True, trust_remote_code=False,
        dtype=require("torch", EXTRA).float32, output_loading_info=True,
    )  # fmt: skip
    for problem, names in (
        ("its weights lack", report["missing_keys"]),
        ("config.json has no place for the weights", report["unexpected_keys"]),
        ("config.json disagrees with the shapes of", [str(row) for row in report["mismatched_keys"]]),
    ):
        if names:
            first = ", ".join(sorted(names)[:5])
            raise ValueError(f"{problem} {first}{' and others' if len(names) > 5 else ''}")
    return model


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise _incomplete(path.parent, path.name)
    return path


def _incomplete(folder: Path, missing: str) -> EncoderError:
    return EncoderError(
        f"{folder} isn't a whole checkpoint: it lacks {missing}; get every file of its repository beside the ones that "
        "are there (docs/encoders.md lists them)"
    )


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(_existing(path).read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__}, not an object")
    except (OSError, ValueError) as error:
        raise EncoderError(f"{path} can't be read as JSON ({error}); get it again") from error
    return content


def _processor_config(folder: Path) -> dict[str, Any]:
    if not (folder / _PROCESSOR).is_file() and (folder / _SHARED_PROCESSOR).is_file():
        config = _read_json(folder / _SHARED_PROCESSOR).get("image_processor")
        if isinstance(config, dict):
            return config
    return _read_json(folder / _PROCESSOR)


def _tokenizer_config(folder: Path) -> dict[str, Any]:
    path = folder / _TOKENIZER_CONFIG
    return _read_json(path) if path.is_file() else {}


def _weights(folder: Path, name: str = WEIGHTS) -> list[Path]:
    if name == WEIGHTS and not (folder / name).is_file() and (folder / _SHARDS).is_file():
        index = _read_json(folder / _SHARDS).get("weight_map", {})
        return [folder / _SHARDS, *(_existing(folder / shard) for shard in sorted(set(index.values())) or [name])]
    pickled = sorted(path.name for pattern in _PICKLED for path in folder.glob(pattern))
    if pickled and not (folder / name).is_file():
        convert = (
            f"from transformers import AutoModel; AutoModel.from_pretrained('{folder}').save_pretrained('{folder}')"
        )
        raise EncoderError(
            f"{folder} has its weights as pickle only ({', '.join(pickled)}) and lacks {name}: pickle may run code "
            "when it is loaded, so coordi doesn't open it; get the safetensors of its repository, or convert it where "
            f'you trust it: python -c "{convert}"'
        )
    return [_existing(folder / name)]


def _identity(folder: Path, is_open_clip: bool) -> str:
    tokenizer = [TOKENIZER] if (folder / TOKENIZER).is_file() else _CLIP_VOCABULARY
    processor = _PROCESSOR if (folder / _PROCESSOR).is_file() else _SHARED_PROCESSOR
    names = [CONFIG, _TOKENIZER_CONFIG, *tokenizer, OPEN_CLIP_CONFIG if is_open_clip else processor]
    paths = [folder / name for name in names] + _weights(folder, OPEN_CLIP_WEIGHTS if is_open_clip else WEIGHTS)
    lines = sorted(f"{path.name} {hash_file(path)}" for path in paths if path.is_file())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


# open_clip's layout, as Marqo publishes FashionSigLIP. The library open-clip-torch reads it, but needs torchvision and
# timm; here the weights get the names of transformers' SiglipModel instead.
_TIMM = re.compile(r"vit_(base|large|so400m|giantopt)_patch(\d+)_siglip_(\d+)")
_HEADS = {"base": 12, "large": 16, "so400m": 16, "giantopt": 16}
# timm gives these towers the exact GELU and the others its tanh form; the paper's own code has the tanh form for all.
_EXACT_GELU = re.compile(r"vit_(base_patch16_siglip_\d+|large_patch16_siglip_(256|384)|so400m_patch14_siglip_\d+)")
_FILTERS = {"bilinear": 2, "bicubic": 3}
_RENAMED = (
    ("visual.trunk.pos_embed", "vision_model.embeddings.position_embedding.weight"),
    ("visual.trunk.patch_embed.proj.", "vision_model.embeddings.patch_embedding."),
    ("visual.trunk.norm.", "vision_model.post_layernorm."),
    ("visual.trunk.blocks.", "vision_model.encoder.layers."),
    ("visual.trunk.attn_pool.latent", "vision_model.head.probe"),
    ("visual.trunk.attn_pool.proj.", "vision_model.head.attention.out_proj."),
    ("visual.trunk.attn_pool.norm.", "vision_model.head.layernorm."),
    ("visual.trunk.attn_pool.mlp.", "vision_model.head.mlp."),
    ("text.token_embedding.", "text_model.embeddings.token_embedding."),
    ("text.positional_embedding", "text_model.embeddings.position_embedding.weight"),
    ("text.ln_final.", "text_model.final_layer_norm."),
    ("text.text_projection.", "text_model.head."),
    ("text.transformer.resblocks.", "text_model.encoder.layers."),
    (".norm1.", ".layer_norm1."), (".norm2.", ".layer_norm2."),
    (".ln_1.", ".layer_norm1."), (".ln_2.", ".layer_norm2."),
    (".attn.proj.", ".attn.out_proj."), (".attn.", ".self_attn."), (".mlp.c_fc.", ".mlp.fc1."),
    (".mlp.c_proj.", ".mlp.fc2."),
)  # fmt: skip


def _load_open_clip(folder: Path) -> _Parts:
    given = _read_json(folder / OPEN_CLIP_CONFIG)
    vision, text = (given.get("model_cfg", {}).get(f"{tower}_cfg", {}) for tower in ("vision", "text"))
    _check_is_siglip(folder, vision, text)
    photos = _open_clip_photos(given.get("preprocess_cfg", {}), int(vision["image_size"]))
    config = _tokenizer_config(folder)
    tokenizer = _sentencepiece_tokenizer(folder, config)
    (path,) = _weights(folder, OPEN_CLIP_WEIGHTS)
    weights = rename_open_clip(require("safetensors.torch", EXTRA).load_file(path))
    clean = (text.get("tokenizer_kwargs") or {}).get("clean", "none")
    if clean != "canonicalize":
        raise ValueError(f"text_cfg.tokenizer_kwargs.clean is {clean!r}, supported is 'canonicalize'")
    tokens = _siglip_tokens(tokenizer, config, int(text["context_length"]), "open_clip")
    return photos, tokens, _siglip_of_open_clip(weights, vision, text)


def _check_is_siglip(folder: Path, vision: Mapping[str, Any], text: Mapping[str, Any]) -> None:
    name = str(vision.get("timm_model_name", "none"))
    is_siglip = _TIMM.fullmatch(name) and vision.get("timm_pool") == "map" and vision.get("timm_proj") == "none"
    if not is_siglip or not text.get("no_causal_mask") or not text.get("proj_bias") or text.get("pool_type") != "last":
        raise EncoderError(
            f"{folder} is an open_clip checkpoint of another kind (timm_model_name {name!r}); supported in that "
            "layout is SigLIP with attention pooling (vit_base_patch16_siglip_224 and its kin); for others get the "
            "files in transformers' layout (config.json with model_type 'clip' or 'siglip', and model.safetensors)"
        )


def _open_clip_photos(prepared: Mapping[str, Any], side: int) -> PhotoRecipe:
    """The recipe of ``preprocess_cfg``; the defaults are open_clip's."""
    mode, filter_name = prepared.get("resize_mode", "shortest"), prepared.get("interpolation", "bicubic")
    if filter_name not in _FILTERS:
        raise ValueError(f"preprocess_cfg.interpolation is {filter_name!r}, supported are {', '.join(_FILTERS)}")
    if mode not in ("squash", "shortest"):
        raise ValueError(f"preprocess_cfg.resize_mode is {mode!r}, supported are squash and shortest")
    clip, square = PhotoRecipe.of_processor({}), (side, side)
    resize: dict[str, Any] = {"size": square} if mode == "squash" else {"shortest_edge": side, "crop": square}
    mean, std = prepared.get("mean", clip.mean), prepared.get("std", clip.std)
    return PhotoRecipe(resample=_FILTERS[filter_name], mean=mean, std=std, **resize)


def rename_open_clip(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's SigLIP weights under transformers' names; other names stay, for the strict loading to refuse. Query,
    key and value are separate in transformers' layers, and together in its pooling; in open_clip the reverse.
    """
    torch = require("torch", EXTRA)
    old, renamed = dict(tensors), {}
    for part in ("weight", "bias"):
        names = [f"visual.trunk.attn_pool.{matrix}.{part}" for matrix in ("q", "kv")]
        missing = [name for name in names if name not in old]
        if missing:
            raise ValueError(f"the weights lack {' and '.join(missing)}")
        renamed[f"vision_model.head.attention.in_proj_{part}"] = torch.cat([old.pop(name) for name in names])
    for name, tensor in old.items():
        if packed := re.fullmatch(r"(.+\.attn)\.(?:qkv\.|in_proj_)(weight|bias)", name):
            for matrix, rows in zip(("q_proj", "k_proj", "v_proj"), tensor.chunk(3), strict=True):
                renamed[_new_name(f"{packed[1]}.{matrix}.{packed[2]}")] = rows
        elif name == "visual.trunk.pos_embed":
            renamed[_new_name(name)] = tensor.squeeze(0)
        else:
            renamed[_new_name(name)] = tensor.reshape(1) if tensor.ndim == 0 else tensor
    return renamed


def _new_name(name: str) -> str:
    for old, new in _RENAMED:
        name = name.replace(old, new)
    return name


def _siglip_of_open_clip(weights: Mapping[str, Any], vision: Mapping[str, Any], text: Mapping[str, Any]) -> Any:
    transformers, torch = require("transformers", EXTRA), require("torch", EXTRA)
    name = str(vision["timm_model_name"])
    size, patch, _ = _TIMM.fullmatch(name).groups()  # type: ignore[union-attr]
    tanh = "gelu_pytorch_tanh"
    is_tanh = (text.get("act_kwargs") or {}).get("approximate") == "tanh"
    config = transformers.SiglipConfig(
        vision_config={
            **_layer_sizes(weights, "vision_model"), "num_attention_heads": _HEADS[size], "patch_size": int(patch),
            "image_size": int(vision["image_size"]), "hidden_act": "gelu" if _EXACT_GELU.fullmatch(name) else tanh,
            "layer_norm_eps": 1e-6,
        },
        text_config={
            **_layer_sizes(weights, "text_model"), "num_attention_heads": int(text["heads"]),
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


def _layer_sizes(weights: Mapping[str, Any], tower: str) -> dict[str, int]:
    """Width, depth and hidden size of a tower's layers, from the weights."""
    first = f"{tower}.encoder.layers.0.mlp.fc1.weight"
    if first not in weights:
        raise ValueError(f"the weights hold no layers of the {tower.split('_')[0]} tower")
    layers = {int(key.split(".")[3]) for key in weights if key.startswith(f"{tower}.encoder.layers.")}
    intermediate, hidden = weights[first].shape
    return {"hidden_size": hidden, "intermediate_size": intermediate, "num_hidden_layers": len(layers)}
