"""Step 1: run the frozen backbone over the views of every photo, once, into ``.cache/edge-encoder``."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import onnxruntime
import torch

from coordi.encoders.evaluation import is_holdout
from efficientnet_lite import load_backbone
from image_features import SIDE, ImageFeatures, batches, learn_palette


def export_features(data: Path, backbone: Path, out: Path, seed: int) -> None:
    photos = sorted((data / "images").glob("*.jpg"), key=lambda path: int(path.stem))
    training = [path for path in photos if not is_holdout(int(path.stem))]
    generator = np.random.default_rng([seed, 1])
    chosen = [training[i] for i in generator.choice(len(training), size=600, replace=False)]
    module = ImageFeatures(load_backbone(backbone), learn_palette(chosen, generator)).eval()
    torch.save(module.state_dict(), out / "features.pt")
    torch.onnx.export(
        module, (torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8),), str(out / "features.onnx"),
        input_names=["pixels"], output_names=["features"], dynamo=False, opset_version=17,
        dynamic_axes={"pixels": {0: "batch"}, "features": {0: "batch"}},
    )  # fmt: skip
    (out / "ids.json").write_text(json.dumps([int(path.stem) for path in photos]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--views", type=int, nargs="+", default=[0, 1, 2, 3])
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if not (options.cache / "features.onnx").exists():
        export_features(options.data, options.backbone, options.cache, options.seed)
    session_options = onnxruntime.SessionOptions()
    session_options.intra_op_num_threads = options.threads
    session = onnxruntime.InferenceSession(str(options.cache / "features.onnx"), session_options)
    ids = json.loads((options.cache / "ids.json").read_text())
    photos = [options.data / "images" / f"{photo_id}.jpg" for photo_id in ids]
    for view in options.views:
        started = time.monotonic()
        rows = []
        for number, pixels in enumerate(batches(photos, view, options.seed)):
            rows.append(session.run(None, {"pixels": pixels})[0].astype(np.float16))
            if number % 50 == 0:
                print(f"view {view}: {len(rows) * 16} photos, {time.monotonic() - started:.0f} s", flush=True)
        np.save(options.cache / f"view{view}.npy", np.concatenate(rows))


if __name__ == "__main__":
    main()
