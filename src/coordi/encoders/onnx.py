"""Checkpoints exported to ONNX: writing them, and running them without torch."""

from __future__ import annotations

import hashlib
import io
import json
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field, ValidationError, field_validator

from coordi.artifacts import atomic_path, hash_file, write_json, write_text
from coordi.config import Settings
from coordi.encoders.base import import_onnxruntime, onnx_session, read_checked, unit_vectors
from coordi.encoders.clip import EXTRA, PhotoRecipe, TextRecipe, TextTokenizer, Tower, TowersEncoder
from coordi.errors import ArtifactError, EncoderError, require

MANIFEST = "manifest.json"
IMAGE_TOWER = "image.onnx"
TEXT_TOWER = "text.onnx"
TOKENIZER = "tokenizer.json"
FILES = (IMAGE_TOWER, TEXT_TOWER, TOKENIZER)
TOLERANCE = 1e-3
LEAST_COSINE = 0.98
"""Of a photo's vector in 8 bits with the checkpoint's own."""
Weights = Literal["float32", "int8"]
_EXPORT_AGAIN = "export it again with: coordi encoder export"
_OPSET = 17
_LARGEST = 2**31 - 2**20
_TEXTS = ("a photo of a red dress", "shoes", "a long silk scarf with a pattern of flowers")


class OnnxManifest(Settings):
    """Manifest beside the networks: the exported encoder, its recipes, and the SHA-256 of each file."""

    format: Literal["coordi-onnx-encoder-1"] = "coordi-onnx-encoder-1"
    source: str
    source_identity: str
    dimension: int = Field(ge=1)
    logit_scale: float = Field(gt=0)
    logit_bias: float | None = None
    photos: PhotoRecipe
    texts: TextRecipe
    weights: Weights = "float32"
    sha256: dict[str, str]

    @field_validator("sha256")
    @classmethod
    def _has_every_file(cls, named: dict[str, str]) -> dict[str, str]:
        if set(named) != set(FILES):
            raise ValueError(f"it names {', '.join(sorted(named)) or 'no file'}, expected {', '.join(FILES)}")
        return named


def is_onnx_folder(folder: Path) -> bool:
    """Whether the export wrote a folder, by its manifest alone."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(manifest, dict) and str(manifest.get("format", "")).startswith("coordi-onnx-encoder")


def load_onnx(folder: Path, name: str | None = None) -> TowersEncoder:
    """An exported encoder; raises EncoderError if a file is missing, differs from the manifest, or can't be read."""
    from tokenizers import Tokenizer

    path = folder / MANIFEST
    try:
        manifest = OnnxManifest.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, ValidationError, ValueError) as error:
        reason = "; ".join(str(error).split("\n")[:3])
        raise EncoderError(f"{path} isn't the manifest of an exported encoder ({reason}); {_EXPORT_AGAIN}") from error
    contents = {file: read_checked(folder / file, manifest.sha256[file], _EXPORT_AGAIN) for file in FILES}
    try:
        tokens = TextTokenizer(Tokenizer.from_str(contents[TOKENIZER].decode()), manifest.texts)
        image, text = (onnx_session(contents.pop(file)) for file in (IMAGE_TOWER, TEXT_TOWER))
    # The readers raise types of their own, some of them bare Exception.
    except Exception as error:
        reason = " ".join(str(error).split())[:300]
        raise EncoderError(f"{folder} can't be opened as an exported encoder ({reason}); {_EXPORT_AGAIN}") from error
    lines = [manifest.sha256[file] for file in FILES] + [manifest.model_dump_json(exclude={"source", "sha256"})]
    return TowersEncoder(
        name or str(folder),
        hashlib.sha256("\n".join(lines).encode()).hexdigest(),
        manifest.photos,
        tokens,
        _onnx_tower(image, "pixels", manifest.weights),
        _onnx_tower(text, "tokens"),
        dimension=manifest.dimension,
        logit_scale=manifest.logit_scale,
        logit_bias=manifest.logit_bias,
    )


def _onnx_tower(session: Any, name: str, weights: Weights = "float32") -> Tower:
    """A session as a function. In 8 bits all photos of a call share the scales of the layers' inputs, so photos go one
    by one: a vector must not depend on the others in its batch.
    """

    def tower(values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        parts = np.split(values, len(values)) if weights == "int8" else [values]
        return np.concatenate([session.run(["vectors"], {name: part})[0] for part in parts], dtype=np.float32)

    return tower


@dataclass(frozen=True, slots=True)
class Exported:
    """An export compared with its checkpoint: the largest ``difference`` of a unit vector's number over a few photos
    and texts (texts alone in 8 bits), and the smallest ``cosine`` of a photo's two vectors.
    """

    folder: Path
    mebibytes: float
    difference: float
    cosine: float


def export_onnx(encoder: TowersEncoder, out: Path, weights: Weights = "float32") -> Exported:
    """Write an encoder as ONNX, the manifest last, load it again, and compare its vectors with the encoder's own.
    ``int8`` rounds the image tower's matrices, with a scale for each column, and their inputs, with one for each photo.

    Raises:
        ArtifactError: If ``out`` holds something, or can't be written.
        EncoderError: If the encoder was exported already, is too large for one ONNX file per tower, can't be traced, or
            its vectors differ after the export by more than 0.001, or in 8 bits have a cosine below 0.98.
    """
    if encoder.model is None:
        raise EncoderError(f"{encoder.name} is in ONNX already; give the folder of a checkpoint")
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ArtifactError(f"{out} holds something already; choose another --out or delete it")
    # More photos and texts than the traced batch will have.
    pixels = np.random.default_rng(5).normal(size=(3, 3, *encoder.photos.shape)).astype(np.float32)
    tokens = encoder.tokens.encode(_TEXTS)
    _write_towers(encoder.model, out, pixels, tokens)
    write_text(out / TOKENIZER, str(encoder.tokens.tokenizer.to_str()))
    if weights == "int8":
        _quantize(out / IMAGE_TOWER)
    manifest = OnnxManifest(
        source=encoder.name, source_identity=encoder.identity, dimension=encoder.dimension,
        logit_scale=encoder.logit_scale, logit_bias=encoder.logit_bias, photos=encoder.photos,
        texts=encoder.tokens.recipe, weights=weights, sha256={file: hash_file(out / file) for file in FILES},
    )  # fmt: skip
    write_json(out / MANIFEST, manifest.model_dump(mode="json"))
    exported = _compare(encoder, out, (pixels, tokens), weights)
    _check_vectors(encoder, exported, weights)
    return exported


def _check_vectors(encoder: TowersEncoder, exported: Exported, weights: Weights) -> None:
    problem = advice = ""
    if not exported.difference <= TOLERANCE:
        problem = f"differ by {exported.difference:.2g}, more than {TOLERANCE}"
        advice = "report which checkpoint this is"
    elif weights == "int8" and not exported.cosine >= LEAST_COSINE:
        problem = f"have a cosine of {exported.cosine:.3f} with its own, less than {LEAST_COSINE}"
        advice = "export it in float32 instead: leave out --int8"
    if problem:
        (exported.folder / MANIFEST).unlink()
        raise EncoderError(
            f"the export of {encoder.name} gives vectors that {problem}; it has no manifest and can't be used; {advice}"
        )


def _write_towers(model: Any, out: Path, pixels: npt.NDArray[np.float32], tokens: npt.NDArray[np.int64]) -> None:
    torch = require("torch", EXTRA)

    class Tower(torch.nn.Module):  # type: ignore[misc,name-defined]
        def __init__(self, features: Callable[[Any], Any]) -> None:
            super().__init__()
            self.model = model
            self.features = features

        def forward(self, given: Any) -> Any:
            return self.features(given).pooler_output

    # transformers' default attention has branches that depend on shapes.
    model.set_attn_implementation("eager")
    image = Tower(lambda given: model.get_image_features(pixel_values=given))
    text = Tower(lambda given: model.get_text_features(input_ids=given))
    _write(out / IMAGE_TOWER, image, (pixels, "pixels", {0: "photos"}))
    _write(out / TEXT_TOWER, text, (tokens, "tokens", {0: "texts", 1: "length"}))


def _write(path: Path, module: Any, example: tuple[npt.NDArray[Any], str, dict[int, str]]) -> None:
    torch = require("torch", EXTRA)
    given, name, axes = example
    example_input = torch.from_numpy(given[:2]).to(module.model.device)
    buffer = io.BytesIO()
    with warnings.catch_warnings(), torch.inference_mode():
        # The tracing exporter is the one that needs nothing beside torch; it warns at length that another is newer.
        warnings.simplefilter("ignore")
        try:
            torch.onnx.export(
                module, (example_input,), buffer, dynamo=False, opset_version=_OPSET,
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


def _quantize(path: Path) -> None:
    quantization = import_onnxruntime("onnxruntime.quantization")
    level = logging.root.level
    logging.root.setLevel(logging.ERROR)  # it logs to the root logger that models can be prepared first
    try:
        with atomic_path(path) as temporary:
            quantization.quantize_dynamic(
                path, temporary, op_types_to_quantize=["MatMul", "Gemm"], per_channel=True,
                weight_type=quantization.QuantType.QInt8, extra_options={"MatMulConstBOnly": True},
                reduce_range=True,  # 8 bits overflow on processors without VNNI, and a file goes to other machines
            )  # fmt: skip
    finally:
        logging.root.setLevel(level)


def _compare(
    source: TowersEncoder, out: Path, examples: tuple[npt.NDArray[np.float32], npt.NDArray[np.int64]], weights: Weights
) -> Exported:
    exported, (pixels, tokens) = load_onnx(out), examples
    photos = [unit_vectors(encoder.image_tower(pixels)) for encoder in (source, exported)]
    texts = [unit_vectors(encoder.text_tower(tokens)) for encoder in (source, exported)]
    compared = [photos, texts] if weights == "float32" else [texts]
    difference = max(float(np.abs(before - after).max()) for before, after in compared)
    size = sum((out / file).stat().st_size for file in FILES) / 2**20
    return Exported(out, size, difference, float((photos[0] * photos[1]).sum(axis=1).min()))
