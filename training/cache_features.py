"""Step 2: run the frozen backbone over a view of every photo, once, into ``.cache/edge-encoder``.

A view is two arrays, ``view0-maps.npy`` (pooled maps, float16) and ``view0-small.npy`` (28 x 28 pixels), with a row for
each of ``shop_photos``; view 0 of all, the others of a ninth of the training part. ``--made`` does the same for the
photos of ``make_photos.py``: several garments in one, and other things.
"""

from __future__ import annotations

import argparse
import time
import zlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from PIL import Image

from coordi.encoders.edge import prepare
from efficientnet_lite import load_backbone
from export_encoder import fold_padding
from image_features import SIDE, PooledMaps, augmented
from shops import ShopPhoto, has_views, made_photos, shop_photos

BATCH = 8
Make = Callable[[int], NDArray[np.uint8]]


def export_maps(backbone: Path, out: Path) -> None:
    """The pooled maps as an ONNX file, which runs faster than torch."""
    torch.onnx.export(
        PooledMaps(load_backbone(backbone)).eval(), (torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8),), str(out),
        input_names=["pixels"], output_names=["maps", "small"], dynamo=False, opset_version=17,
        dynamic_axes={name: {0: "batch"} for name in ("pixels", "maps", "small")},
    )  # fmt: skip
    onnx.save(fold_padding(onnx.load(out), ["maps", "small"]), out)


def view_of(photos: Sequence[ShopPhoto], view: int, seed: int, row: int) -> NDArray[np.uint8]:
    """A view ``(224, 224, 3)`` of a photo, from a generator of its own, so that order doesn't matter."""
    photo = photos[row]
    pixels = prepare(Image.open(photo.path).convert("RGB"))
    generator = np.random.default_rng([seed, view, zlib.crc32(photo.id.encode())])
    return np.asarray(augmented(Image.fromarray(pixels), view, generator))


def run(session: onnxruntime.InferenceSession, out: Path, count: int, make: Make, threads: int) -> None:
    """Write the maps and the small images of ``count`` pictures, of which ``make`` gives each."""

    def batch(start: int) -> tuple[NDArray[np.float16], NDArray[np.uint8]]:
        pixels = np.stack([make(row) for row in range(start, min(start + BATCH, count))])
        maps, small = session.run(["maps", "small"], {"pixels": pixels})
        if start % (BATCH * 25) == 0:
            print(f"{out.name}: {start} of {count}, {time.monotonic() - started:.0f} s", flush=True)
        return maps.astype(np.float16), np.rint(small * 128 + 127).astype(np.uint8)

    started = time.monotonic()
    with ThreadPoolExecutor(threads) as pool:
        maps, smalls = zip(*pool.map(batch, range(0, count, BATCH)), strict=True)
    np.save(f"{out}-maps.npy", np.concatenate(maps))
    np.save(f"{out}-small.npy", np.concatenate(smalls))


def open_session(cache: Path, backbone: Path) -> onnxruntime.InferenceSession:
    cache.mkdir(parents=True, exist_ok=True)
    if not (cache / "maps.onnx").exists():
        export_maps(backbone, cache / "maps.onnx")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(str(cache / "maps.onnx"), options)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--views", type=int, nargs="*", default=[0, 5])
    parser.add_argument("--made", action="store_true", help="the photos of make_photos.py too")
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    session = open_session(options.cache, options.backbone)
    for view in options.views:
        photos = [photo for photo in shop_photos(options.data) if view == 0 or has_views(photo)]
        make = partial(view_of, photos, view, options.seed)
        run(session, options.cache / f"view{view}", len(photos), make, options.threads)
    if options.made:
        made = made_photos(options.cache / "made")
        run(
            session, options.cache / "made", len(made), lambda row: prepare(Image.open(made[row].path)), options.threads
        )


if __name__ == "__main__":
    main()
