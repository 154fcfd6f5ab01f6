"""Step 4: write the image tower, small and checked, and the manifest into ``src/coordi/encoders/weights``.

Weights are stored in 8 bits per output channel and multiplied out when the file is opened, so arithmetic stays in
float32: a vector doesn't depend on what shares its batch, as it would with dynamically quantised activations.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.utils
import onnxruntime
import torch
from onnx import helper, numpy_helper
from torch import Tensor, nn

from efficientnet_lite import load_backbone
from image_features import SIDE, Colours, PooledMaps
from train_projection import Projection

SMALLEST = 1024
WEIGHTS = Path("src/coordi/encoders/weights")
TEXT_SIDE = ("tokens.safetensors", "tokenizer.json")


class ImageTower(nn.Module):
    """Pixels to unit vectors."""

    def __init__(self, maps: PooledMaps, colours: Colours, projection: Projection) -> None:
        super().__init__()
        self.maps, self.colours, self.projection = maps, colours, projection

    def forward(self, pixels: Tensor) -> Tensor:
        """``(N, 224, 224, 3)`` uint8 to ``(N, D)``."""
        maps, small = self.maps(pixels)
        return self.projection(torch.cat([maps, self.colours(small)], dim=1))


def in_eight_bits(model: onnx.ModelProto) -> None:
    """Replace every large weight by int8 values and a scale per output channel, cast and multiplied in the graph."""
    graph = model.graph
    columns = {node.input[1] for node in graph.node if node.op_type == "MatMul"}
    columns |= {
        node.input[1] for node in graph.node
        if node.op_type == "Gemm" and not any(a.name == "transB" and a.i for a in node.attribute)
    }  # fmt: skip
    added = []
    for tensor in list(graph.initializer):
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < SMALLEST or values.ndim < 2:
            continue
        channel = values.ndim - 1 if tensor.name in columns else 0
        others = tuple(axis for axis in range(values.ndim) if axis != channel)
        scale = np.maximum(np.abs(values).max(axis=others, keepdims=True), 1e-12) / 127
        name = tensor.name
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(np.rint(values / scale).astype(np.int8), f"{name}_q"))
        graph.initializer.append(numpy_helper.from_array(scale.astype(np.float32), f"{name}_scale"))
        added.append(helper.make_node("Cast", [f"{name}_q"], [f"{name}_cast"], to=onnx.TensorProto.FLOAT))
        added.append(helper.make_node("Mul", [f"{name}_cast", f"{name}_scale"], [name]))
    for node in reversed(added):
        graph.node.insert(0, node)


def fold_padding(model: onnx.ModelProto, outputs: list[str]) -> onnx.ModelProto:
    """Give every convolution the padding that the graph works out before it, and drop what worked it out.

    SAME padding is exported as some twenty nodes and a ``Pad`` per convolution. Without them the convolutions follow
    one another in the processor's own layout, which halves the time. Vectors stay the same within 1e-6.
    """
    pads = {node.output[0]: node for node in model.graph.node if node.op_type == "Pad"}
    probe = onnx.ModelProto()
    probe.CopyFrom(model)
    names = [node.input[1] for node in pads.values()]
    for name in names:
        probe.graph.output.append(helper.make_tensor_value_info(name, onnx.TensorProto.INT64, None))
    session = onnxruntime.InferenceSession(probe.SerializeToString(), providers=["CPUExecutionProvider"])
    found = dict(zip(names, session.run(names, {"pixels": np.zeros((1, SIDE, SIDE, 3), np.uint8)}), strict=True))
    for node in model.graph.node:
        if node.op_type == "Conv" and node.input[0] in pads:
            pad = pads[node.input[0]]
            _, _, top, left, _, _, bottom, right = (int(value) for value in found[pad.input[1]])
            given = next(one for one in node.attribute if one.name == "pads")
            if list(given.ints) != [0, 0, 0, 0]:
                raise ValueError(f"{node.name} pads by {list(given.ints)} itself, expected no padding")
            given.ints[:] = [top, left, bottom, right]
            node.input[0] = pad.input[0]
    return onnx.utils.Extractor(model).extract_model(["pixels"], outputs)


def load_projection(state: dict[str, Tensor]) -> Projection:
    """The projection with the shapes and weights that were saved."""
    hidden, width = state["first.weight"].shape
    projection = Projection(torch.zeros(width), torch.ones(width), torch.zeros_like(state["names"]), hidden)
    projection.load_state_dict(state)
    return projection.eval()


def export_image(backbone: Path, saved: dict[str, Any], out: Path) -> None:
    colours = Colours(saved["colours"]["palette"].numpy(), saved["sharpness"])
    tower = ImageTower(PooledMaps(load_backbone(backbone)), colours, load_projection(saved["projection"]))
    torch.onnx.export(
        tower.eval(), (torch.zeros(2, SIDE, SIDE, 3, dtype=torch.uint8),), str(out),
        input_names=["pixels"], output_names=["vectors"], dynamo=False, opset_version=17,
        dynamic_axes={"pixels": {0: "batch"}, "vectors": {0: "batch"}},
    )  # fmt: skip
    model = fold_padding(onnx.load(out), ["vectors"])
    in_eight_bits(model)
    onnx.checker.check_model(model)
    onnx.save(model, out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--backbone", type=Path, required=True, help="efficientnet-lite0-57934424.pth")
    parser.add_argument("--name", default="both", help="of the projection in the cache")
    parser.add_argument("--out", type=Path, default=WEIGHTS, help="a folder; without a text side it gets the package's")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for file in TEXT_SIDE:
        if not (options.out / file).exists():
            shutil.copyfile(WEIGHTS / file, options.out / file)
    saved = torch.load(options.cache / f"{options.name}.pt", weights_only=True)
    export_image(options.backbone, saved, options.out / "image.onnx")
    files = ("image.onnx", *TEXT_SIDE)
    digests = {name: hashlib.sha256((options.out / name).read_bytes()).hexdigest() for name in files}
    manifest = {
        "name": "edge",
        "dimension": saved["projection"]["names"].shape[1],
        "logit_scale": round(saved["scale"], 4),
        "calibration": {"temperatures": saved["temperatures"]},
        "sha256": digests,
    }
    (options.out / "manifest.json").write_text(json.dumps(manifest, indent=2) + "\n")
    print({name: (options.out / name).stat().st_size for name in (*files, "manifest.json")})


if __name__ == "__main__":
    main()
