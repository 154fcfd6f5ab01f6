"""Checkpoints exported to ONNX: writing them and running them without torch."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError

from coordi.artifacts import atomic_path, hash_file, write_json, write_text
from coordi.config import Settings
from coordi.encoders.clip import EXTRA, PhotoRecipe, Recipe, TextRecipe, Tokens, TorchTowers, TowersEncoder
from coordi.encoders.edge import open_session
from coordi.errors import ArtifactError, EncoderError, require

MANIFEST = "manifest.json"
IMAGE_TOWER = "image.onnx"
TEXT_TOWER = "text.onnx"
TOKENIZER = "tokenizer.json"
FILES = (IMAGE_TOWER, TEXT_TOWER, TOKENIZER)
FORMAT: Literal["coordi-onnx-encoder-1"] = "coordi-onnx-encoder-1"
Weights = Literal["float32", "int8"]
_AGAIN = "export it again with: coordi encoder export"


class OnnxManifest(Settings):
    """What stands beside the networks.

    Attributes:
        format: Of the folder.
        source: The encoder that was exported, as the user named it.
        source_identity: Its identity.
        dimension: D of every vector.
        logit_scale: What cosines are multiplied by.
        logit_bias: What is added before a sigmoid; None for a softmax over labels.
        photos: How photos are prepared.
        texts: How texts are cleaned, cut and padded.
        weights: Of the image tower.
        sha256: Of each file.
    """

    format: Literal["coordi-onnx-encoder-1"] = FORMAT
    source: str
    source_identity: str
    dimension: int = Field(ge=1)
    logit_scale: float = Field(gt=0)
    logit_bias: float | None = None
    photos: PhotoRecipe
    texts: TextRecipe
    weights: Weights = "float32"
    sha256: dict[str, str]


class OnnxTowers:
    """Two sessions of onnxruntime on the processor."""

    def __init__(self, image: Any, text: Any, weights: Weights = "float32") -> None:
        self._image = image
        self._text = text
        self._one_by_one = weights == "int8"

    def image(self, pixels: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of prepared photos ``(B, 3, H, W)``.

        In 8 bits the scale of what goes into a layer is that of all photos in the call, so photos go one by one: a
        vector must not depend on which others are beside it.
        """
        parts = np.split(pixels, len(pixels)) if self._one_by_one and len(pixels) else [pixels]
        return np.concatenate([self._image.run(["vectors"], {"pixels": part})[0] for part in parts], dtype=np.float32)

    def text(self, tokens: npt.NDArray[np.int64]) -> npt.NDArray[np.float32]:
        """Vectors ``(B, D)`` of token ids ``(B, T)``."""
        return np.asarray(self._text.run(["vectors"], {"tokens": tokens})[0], dtype=np.float32)


def is_onnx_folder(folder: Path) -> bool:
    """Whether a folder was made by the export: only its manifest is looked at."""
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and str(found.get("format", "")).startswith("coordi-onnx-encoder")


def load_onnx(folder: Path, name: str | None = None) -> TowersEncoder:
    """An exported encoder, each file checked against the manifest before it is opened.

    Args:
        folder: Where it lies.
        name: What the encoder is called; None for the folder.

    Raises:
        EncoderError: If a file is missing, was changed, or can't be read.
    """
    manifest = _manifest(folder)
    contents = {name: _checked(folder / name, manifest.sha256[name]) for name in FILES}
    from tokenizers import Tokenizer

    try:
        tokens = Tokens(Tokenizer.from_str(contents[TOKENIZER].decode()), manifest.texts)
        towers = OnnxTowers(
            open_session(contents.pop(IMAGE_TOWER)), open_session(contents.pop(TEXT_TOWER)), manifest.weights
        )
    # The readers raise types of their own, some of them bare Exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"{folder} can't be opened as an exported encoder ({reason}); {_AGAIN}") from error
    lines = [manifest.sha256[name] for name in FILES] + [manifest.model_dump_json(exclude={"source", "sha256"})]
    identity = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    bias = manifest.logit_bias
    recipe = Recipe(manifest.photos, tokens, manifest.dimension, manifest.logit_scale, bias)
    return TowersEncoder(name or str(folder), identity, recipe, towers)


def _manifest(folder: Path) -> OnnxManifest:
    path = folder / MANIFEST
    try:
        manifest = OnnxManifest.model_validate_json(path.read_text(encoding="utf-8"))
        _check_files(manifest.sha256)
    except (OSError, ValidationError, ValueError) as error:
        reason = "; ".join(str(error).split("\n")[:3])
        raise EncoderError(f"{path} isn't the manifest of an exported encoder ({reason}); {_AGAIN}") from error
    return manifest


def _check_files(named: Mapping[str, str]) -> None:
    if set(named) != set(FILES):
        raise ValueError(f"it names {', '.join(sorted(named)) or 'no file'}, expected {', '.join(FILES)}")


def _checked(path: Path, expected: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise EncoderError(f"{path} can't be read ({error.strerror or error}); {_AGAIN}") from error
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise EncoderError(
            f"{path} isn't the file that was exported: its SHA-256 is {found[:16]}..., the manifest says "
            f"{expected[:16]}...; it isn't opened; {_AGAIN}"
        )
    return content


TOLERANCE = 1e-3
LEAST_COSINE = 0.98
"""Of an image vector of an 8-bit export with the checkpoint's own."""
_OPSET = 17
_LARGEST = 2**31 - 2**20
_TEXTS = ("a photo of a red dress", "shoes", "a long silk scarf with a pattern of flowers")


@dataclass(frozen=True, slots=True)
class Exported:
    """What was written.

    Attributes:
        folder: Where it lies.
        mebibytes: Size of its files together.
        difference: Largest difference of a unit vector's number between torch and ONNX, over a few photos and texts;
            over texts alone in 8 bits.
        cosine: Smallest cosine of a photo's vector with the checkpoint's own.
    """

    folder: Path
    mebibytes: float
    difference: float
    cosine: float


def export_onnx(encoder: TowersEncoder, out: Path, weights: Weights = "float32") -> Exported:
    """Write an encoder as ONNX, open what was written, and compare its vectors with the encoder's own.

    The manifest comes last, so a folder with one is whole.

    Args:
        encoder: Loaded from a checkpoint.
        out: A folder that isn't there yet, or is empty.
        weights: Of the image tower. In ``int8`` its matrices have 8 bits per number and one scale per column, and what
            they are multiplied by is rounded to 8 bits too, with a scale for each photo.

    Raises:
        ArtifactError: If ``out`` holds something, or can't be written.
        EncoderError: If the encoder was exported already, is too large for one ONNX file per tower, can't be traced,
            or its vectors differ after the export by more than 0.001, or in 8 bits have a cosine below 0.98.
    """
    towers = encoder.towers
    if not isinstance(towers, TorchTowers):
        raise EncoderError(f"{encoder.name} is in ONNX already; give the folder of a checkpoint")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} holds something already; choose another --out or delete it")
    pixels, tokens = _examples(encoder)
    vision, text = _modules(towers.model)
    _write(out / IMAGE_TOWER, vision, (pixels, "pixels", {0: "photos"}))
    _write(out / TEXT_TOWER, text, (tokens, "tokens", {0: "texts", 1: "length"}))
    write_text(out / TOKENIZER, encoder.recipe.tokens.json())
    if weights == "int8":
        _to_eight_bits(out / IMAGE_TOWER)
    manifest = OnnxManifest(
        source=encoder.name, source_identity=encoder.identity, dimension=encoder.dimension,
        logit_scale=encoder.logit_scale, logit_bias=encoder.logit_bias, photos=encoder.recipe.photos,
        texts=encoder.recipe.tokens.recipe, weights=weights, sha256={name: hash_file(out / name) for name in FILES},
    )  # fmt: skip
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    exact = weights == "float32"
    exported = _compared(encoder, out, (pixels, tokens), exact)
    if not (exported.difference <= TOLERANCE and (exact or exported.cosine >= LEAST_COSINE)):
        (out / MANIFEST).unlink()
        found = f"differ by {exported.difference:.2g}, more than {TOLERANCE}"
        if not exact:
            found = f"have a cosine of {exported.cosine:.3f} with its own, less than {LEAST_COSINE}"
        raise EncoderError(
            f"the export of {encoder.name} gives vectors that {found}; it has no manifest and can't be used; "
            + ("please report which checkpoint this is" if exact else "export it in float32 instead: leave out --int8")
        )
    return exported


def _examples(encoder: TowersEncoder) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]]:
    """Prepared photos of noise, of other numbers than the traced batch will have, and token ids."""
    height, width = encoder.recipe.photos.shape
    pixels = np.random.default_rng(5).normal(size=(3, 3, height, width)).astype(np.float32)
    return pixels, encoder.recipe.tokens.of(_TEXTS)


def _modules(model: Any) -> tuple[Any, Any]:
    """Both towers with their projections, as modules that take one tensor and give one."""
    torch = require("torch", EXTRA)

    class Tower(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, features: Callable[[Any], Any]) -> None:
            super().__init__()
            self.model = model
            self.features = features

        def forward(self, given: Any) -> Any:
            return self.features(given)

    # The attention that transformers picks on its own has branches that depend on shapes.
    model.set_attn_implementation("eager")

    def clip_image(pixels: Any) -> Any:
        return model.visual_projection(_class_vectors(model.vision_model, pixels))

    def siglip_image(pixels: Any) -> Any:
        return model.get_image_features(pixel_values=pixels).pooler_output

    def text(tokens: Any) -> Any:
        return model.get_text_features(input_ids=tokens).pooler_output

    return Tower(clip_image if model.config.model_type == "clip" else siglip_image), Tower(text)


def _class_vectors(vision: Any, pixels: Any) -> Any:
    """What CLIP's vision model pools, ``(B, W)``, without what nobody reads.

    Of the last layer only the first place, the class token's, is used: the others are its keys and values, and are
    spared the rest. In a ViT-B/32 that is 7% of the work.
    """
    found = vision.pre_layrnorm(vision.embeddings(pixels))  # (B, T, W)
    *layers, last = vision.encoder.layers
    for layer in layers:
        found = layer(found, attention_mask=None)
    normed, attention = last.layer_norm1(found), last.self_attn

    def by_head(rows: Any) -> Any:
        return rows.unflatten(-1, (attention.num_heads, -1)).transpose(1, 2)  # (B, heads, T, W / heads)

    query, key, value = attention.q_proj(normed[:, :1]), attention.k_proj(normed), attention.v_proj(normed)
    scores = (by_head(query) @ by_head(key).transpose(-1, -2) * attention.scale).softmax(dim=-1)
    first = found[:, :1] + attention.out_proj((scores @ by_head(value)).transpose(1, 2).flatten(2))
    first = first + last.mlp(last.layer_norm2(first))
    return vision.post_layernorm(first[:, 0])


def _write(path: Path, module: Any, example: tuple[npt.NDArray[Any], str, dict[int, str]]) -> None:
    torch = require("torch", EXTRA)
    given, name, axes = example
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracing exporter is the one that needs nothing beside torch; it says at length that another is newer.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module, (torch.from_numpy(given[:2]),), buffer, dynamo=False, opset_version=_OPSET,
                input_names=[name], output_names=["vectors"], dynamic_axes={name: axes, "vectors": {0: axes[0]}},
            )  # fmt: skip
        # Tracing may fail in any of torch's ways.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise EncoderError(
                f"the network can't be written as ONNX: {reason}; use the checkpoint's own folder"
            ) from error
    if buffer.getbuffer().nbytes > _LARGEST:
        raise EncoderError(f"{path.name} would be larger than 2 GiB, which ONNX can't hold; use the checkpoint itself")
    with atomic_path(path) as temporary:
        temporary.write_bytes(buffer.getbuffer())


def _to_eight_bits(path: Path) -> None:
    quantization = require("onnxruntime.quantization", EXTRA)
    logging.getLogger().addFilter(_no_hint)  # it says through the root logger that models can be prepared first
    try:
        with atomic_path(path) as temporary:
            quantization.quantize_dynamic(
                path, temporary, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
                weight_type=quantization.QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
            )  # fmt: skip
    finally:
        logging.getLogger().removeFilter(_no_hint)


def _no_hint(record: logging.LogRecord) -> bool:
    return "consider to run pre-processing" not in record.getMessage()


def _compared(
    first: TowersEncoder, out: Path, examples: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]], exact: bool
) -> Exported:
    """What was written, opened again and compared with what it was made from."""
    pixels, tokens = examples
    second = load_onnx(out)
    photos = _unit(first.towers.image(pixels)), _unit(second.towers.image(pixels))
    texts = _unit(first.towers.text(tokens)), _unit(second.towers.text(tokens))
    compared = [photos, texts] if exact else [texts]
    difference = max(float(np.abs(one - other).max()) for one, other in compared)
    size = sum((out / name).stat().st_size for name in FILES) / 2**20
    return Exported(out, size, difference, float((photos[0] * photos[1]).sum(axis=1).min()))


def _unit(vectors: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.asarray(vectors / np.linalg.norm(vectors, axis=1, keepdims=True), dtype=np.float32)
