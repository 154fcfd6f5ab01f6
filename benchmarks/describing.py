"""From JPEG files to attributes on two cores: the edge encoder, and a CLIP of ViT-B/32's size four ways.

    python benchmarks/describing.py FOLDER [--photos 200] [--threads 2] [--json]

FOLDER holds photos (``*.jpg``). Every way opens each file, prepares it, encodes it and gives each attribute of the
bundled vocabulary its probabilities; loading the encoder and encoding the labels come before the clock. The CLIP has
random weights in the real sizes (vision 768 wide, 12 layers, patches of 32, photos of 224; text 512 wide; projection
512), which cost the same as trained ones. "transformers" is CLIPModel with CLIP's own image processor as the library's
page has it, in float32. The ways take turns, batch by batch, so that what else runs on the machine slows all alike.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BATCH = 16
PARTS = ("open", "prepare", "encode", "label")


@dataclass
class Way:
    """One way to describe photos.

    Attributes:
        name: What it is.
        prepare: Photos to what the network takes.
        encode: That to unit vectors.
        texts: Label vectors of every attribute, with the logit scale.
        seconds: Spent on each part.
        processor: Seconds that cores spent on it, waiting threads that spin included.
        batches: Photos per second of each batch.
    """

    name: str
    prepare: Callable[[Sequence[Any]], Any]
    encode: Callable[[Any], Any]
    texts: tuple[list[Any], float]
    seconds: dict[str, float] = field(default_factory=lambda: dict.fromkeys(PARTS, 0.0))
    processor: float = 0.0
    batches: list[float] = field(default_factory=list)


def describe(way: Way, paths: Sequence[Path]) -> None:
    from coordi.data.photos import open_photo
    from coordi.encoders.labels import LabelClassifier

    before, marks = time.process_time(), [time.perf_counter()]
    images = [open_photo(path) for path in paths]
    marks.append(time.perf_counter())
    prepared = way.prepare(images)
    marks.append(time.perf_counter())
    vectors = way.encode(prepared)
    marks.append(time.perf_counter())
    for labels in way.texts[0]:
        LabelClassifier(labels, way.texts[1]).probabilities(vectors)
    marks.append(time.perf_counter())
    way.processor += time.process_time() - before
    for part, start, end in zip(PARTS, marks[:-1], marks[1:], strict=True):
        way.seconds[part] += end - start
    way.batches.append(len(paths) / (marks[-1] - marks[0]))


def label_vectors_of(encoder: Any) -> tuple[list[Any], float]:
    from coordi.encoders.labels import label_vectors, load_vocabulary

    attributes = load_vocabulary("fashion").attributes.values()
    phrases = [(one.template, [entry.phrases for entry in one.labels]) for one in attributes]
    return [label_vectors(encoder, template, words) for template, words in phrases], encoder.logit_scale


def make_clip(folder: Path) -> None:
    """A CLIP of ViT-B/32's size with random weights; its tokenizer knows letters only, which is all that texts need."""
    import torch
    import transformers

    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: place for place, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_processor_type": "CLIPImageProcessor"}))
    end = len(tokens) - 1
    config = transformers.CLIPConfig(text_config={"bos_token_id": end - 1, "eos_token_id": end, "pad_token_id": end})
    torch.manual_seed(0)
    transformers.CLIPModel(config).save_pretrained(folder)


def edge_way() -> Way:
    from coordi.encoders.edge import EdgeEncoder

    encoder = EdgeEncoder.bundled()
    # Preparing and encoding are one call of the encoder's; the benchmark doesn't reach into it.
    return Way("edge", lambda images: images, encoder.encode_images, label_vectors_of(encoder))


def towers_way(name: str, encoder: Any, texts: tuple[list[Any], float]) -> Way:
    def encode(pixels: Any) -> Any:
        import numpy as np

        vectors = encoder.image_tower(pixels)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    return Way(name, encoder.photos.prepare, encode, texts)


def transformers_way(folder: Path, texts: tuple[list[Any], float]) -> Way:
    """As the library's documentation has it: its image processor, then ``get_image_features``."""
    import torch
    import transformers
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil

    model = transformers.CLIPModel.from_pretrained(folder, dtype=torch.float32).eval()
    processor = CLIPImageProcessorPil.from_pretrained(folder)

    def prepare(images: Sequence[Any]) -> Any:
        return processor(images=list(images), return_tensors="pt")["pixel_values"]

    def encode(pixels: Any) -> Any:
        with torch.inference_mode():
            found = model.get_image_features(pixel_values=pixels).pooler_output
            return (found / found.norm(dim=-1, keepdim=True)).numpy()

    return Way("CLIP ViT-B/32, transformers", prepare, encode, texts)


def clip_ways(scratch: Path) -> list[Way]:
    from coordi.encoders.clip import load_checkpoint
    from coordi.encoders.onnx import export_onnx, load_onnx

    source, out, small = scratch / "clip", scratch / "onnx", scratch / "onnx8"
    source.mkdir()
    make_clip(source)
    texts = label_vectors_of(load_checkpoint(source))
    export_onnx(load_checkpoint(source), out)
    export_onnx(load_checkpoint(source), small, "int8")
    return [
        transformers_way(source, texts),
        towers_way("CLIP ViT-B/32, coordi, torch", load_checkpoint(source), texts),
        towers_way("CLIP ViT-B/32, coordi, ONNX", load_onnx(out), texts),
        towers_way("CLIP ViT-B/32, ONNX --int8", load_onnx(small), texts),
    ]


@dataclass(frozen=True)
class Row:
    """Of one way: photos per second over all and in the median batch, and milliseconds per photo by part.

    ``cores`` is in milliseconds of processor time per photo, which what else runs on the machine changes little.
    """

    name: str
    photos_per_second: float
    median_batch: float
    cores: float
    milliseconds: dict[str, float]


def measure(paths: Sequence[Path]) -> list[Row]:
    with tempfile.TemporaryDirectory() as scratch:
        ways = [edge_way(), *clip_ways(Path(scratch))]
        for way in ways:  # the first batch pays for what is set up late
            describe(way, paths[:BATCH])
            way.seconds, way.processor, way.batches = dict.fromkeys(PARTS, 0.0), 0.0, []
        for start in range(0, len(paths), BATCH):
            for way in ways:
                describe(way, paths[start : start + BATCH])
    count = len(paths)
    return [
        Row(
            way.name, count / sum(way.seconds.values()), sorted(way.batches)[len(way.batches) // 2],
            1000 * way.processor / count,
            {part: 1000 * seconds / count for part, seconds in way.seconds.items()},
        )
        for way in ways
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="with *.jpg")
    parser.add_argument("--photos", type=int, default=200, help="how many, in the order of their names (200)")
    parser.add_argument("--threads", type=int, default=2, help="cores to use (2)")
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    paths = sorted(given.folder.glob("*.jpg"))[: given.photos]
    if len(paths) < BATCH:
        parser.error(f"{given.folder} holds {len(paths)} *.jpg, at least {BATCH} are needed")
    os.environ["OMP_NUM_THREADS"] = str(given.threads)
    os.environ["HF_HUB_OFFLINE"] = "1"
    if hasattr(os, "sched_setaffinity"):  # onnxruntime takes as many threads as there are cores
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: given.threads])
    rows = measure(paths)
    by_name = {row.name: row.photos_per_second for row in rows}
    edge, library, _, onnx, onnx8 = by_name.values()
    ratios = {"edge": edge / library, "ONNX": onnx / library, "ONNX --int8": onnx8 / library}
    ratios = {f"{name} / transformers": ratio for name, ratio in ratios.items()}
    if given.as_json:
        print(json.dumps({"photos": len(paths), "rows": [asdict(row) for row in rows], "ratios": ratios}))
        return
    print(f"{len(paths)} photos, batches of {BATCH}, {given.threads} threads")
    print(
        f"{'':<30}{'photos/s':>9}{'median':>8}{'cores':>8}"
        + "".join(f"{part:>9}" for part in PARTS)
        + "  (ms per photo)"
    )
    for row in rows:
        parts = "".join(f"{row.milliseconds[part]:>9.2f}" for part in PARTS)
        print(f"{row.name:<30}{row.photos_per_second:>9.1f}{row.median_batch:>8.1f}{row.cores:>8.1f}{parts}")
    for name, ratio in ratios.items():
        print(f"{name}: {ratio:.2f}")


if __name__ == "__main__":
    main()
