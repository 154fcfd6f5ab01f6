"""The frozen part of the image tower: pixels to one long feature vector, and the cache of it over augmented views.

Pooled maps of several depths sit beside the last one because colour and pattern are gone from the last one; a soft
histogram over learned colours sits beside those because a mean over a white background dilutes a thin object's colour.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageFilter
from scipy import ndimage
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from efficientnet_lite import EfficientNetLite0

SIDE = 224
COLOURS = 96
# Of backgrounds: the least white, the most of a step between neighbours and of a distance from the border's colour.
WHITE, EVEN, FAR = 249, 3.0, 45


def central_window() -> Tensor:
    """Weights ``(1, 1, 28, 28)`` of mean 1 that fall off from the centre."""
    axis = torch.linspace(-1, 1, 28)
    window = torch.exp(-(axis[:, None] ** 2 + axis[None, :] ** 2) / (2 * 0.4**2))
    return window[None, None] / window.mean()


class Colours(nn.Module):
    """A small image ``(N, 3, 28, 28)`` to the square roots of soft histograms: of the whole, of the centre, and of what
    stands out from the border's mean colour, ``(N, 288)``.
    """

    def __init__(self, palette: NDArray[np.float32], sharpness: float) -> None:
        super().__init__()
        self.sharpness = sharpness
        self.register_buffer("palette", torch.from_numpy(palette))
        self.register_buffer("window", central_window())

    def forward(self, small: Tensor) -> Tensor:
        """Softmax over the nearness of each pixel to the palette's colours."""
        nearness = 2 * F.conv2d(small, self.palette[:, :, None, None]) - (self.palette**2).sum(1)[None, :, None, None]
        share = torch.softmax(self.sharpness * nearness, dim=1)
        edges = torch.cat([small[:, :, 0], small[:, :, -1], small[:, :, :, 0], small[:, :, :, -1]], dim=2)
        border = edges.mean(dim=2)[:, :, None, None]
        apart = (5 * (small - border).abs().amax(dim=1, keepdim=True)).clamp(max=1) + 0.03
        weight = apart * self.window
        standing_out = (share * weight).sum(dim=(2, 3)) / weight.sum(dim=(2, 3))
        return torch.cat([share.mean(dim=(2, 3)), (share * self.window).mean(dim=(2, 3)), standing_out], dim=1).sqrt()


class PooledMaps(nn.Module):
    """``(N, 224, 224, 3)`` uint8 RGB to pooled maps ``(N, 3776)`` and a small image ``(N, 3, 28, 28)``, float32."""

    def __init__(self, backbone: EfficientNetLite0) -> None:
        super().__init__()
        self.backbone = backbone
        self.register_buffer("window", central_window())

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Normalise as the ImageNet weights want ((x - 127) / 128), then pool every map."""
        x = (pixels.to(torch.float32).permute(0, 3, 1, 2) - 127.0) / 128.0
        *taps, head = self.backbone.maps(x)
        pooled = [head.mean(dim=(2, 3)), head.amax(dim=(2, 3))]
        for tap in taps:
            pooled += [tap.mean(dim=(2, 3)), tap.amax(dim=(2, 3))]
        for tap in taps[:4]:
            small = F.avg_pool2d(tap, tap.shape[-1] // 14)
            window = F.avg_pool2d(self.window, 2)
            pooled.append((small * window).mean(dim=(2, 3)))
        return torch.cat(pooled, dim=1), F.avg_pool2d(x, 8)


def foreground(pixels: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Pixels that aren't background, ``(H, W)``; all of them where the background can't be told.

    On white paper: what is near-white and in one piece with the border is background. On other paper, whose light falls
    off: what is even (a small gradient) and in one piece with the border.
    """
    border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    if np.median(border) > WHITE:
        return ~_beside_the_border(pixels.min(axis=2) > WHITE)
    smooth = ndimage.uniform_filter(pixels.astype(np.float32), (3, 3, 1))
    steps = [np.abs(ndimage.sobel(smooth, axis) / 8).max(axis=2) for axis in (0, 1)]
    far = np.abs(smooth - np.median(border, axis=0)).max(axis=2) > FAR
    inside = np.pad(~_beside_the_border((np.maximum(*steps) < EVEN) & ~far), 4)
    closed = ndimage.binary_fill_holes(ndimage.binary_closing(inside, iterations=3))[4:-4, 4:-4]
    result = ndimage.binary_opening(ndimage.binary_erosion(closed))
    return result if 0.02 < result.mean() < 0.7 else np.ones_like(result)


def _beside_the_border(pixels: NDArray[np.bool_]) -> NDArray[np.bool_]:
    labels, _ = ndimage.label(pixels)
    touching = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return np.isin(labels, touching[touching > 0])


def augmented(image: Image.Image, view: int, generator: np.random.Generator) -> Image.Image:
    """View 0 is the photo itself; 1 fills the frame, 2 changes the background, 3 does all, blurs and posterises.

    View 4 is a wardrobe: another light, a plain or busy background, a tighter or wider frame, a tilt, a worse camera.
    View 5 is 3 or 4.
    """
    if view == 0:
        return image
    if view == 5:
        view = int(generator.choice([3, 4]))
    if view == 4:
        return _in_a_wardrobe(image, generator)
    pixels = np.asarray(image)
    inside = foreground(pixels)
    if generator.random() < 0.5:
        pixels, inside = pixels[:, ::-1], inside[:, ::-1]
    background = _background(view, generator)
    canvas = np.where(inside[:, :, None], pixels, background).astype(np.uint8)
    canvas = _framed(canvas, inside, background, view, generator)
    result = Image.fromarray(canvas)
    if view != 1:
        result = result.rotate(generator.uniform(-12, 12), Image.Resampling.BILINEAR, fillcolor=tuple(background))
    if view == 3:
        if generator.random() < 0.5:
            result = result.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, 1.6)))
        else:
            result = result.quantize(int(generator.integers(4, 16))).convert("RGB")
    return result


def _in_a_wardrobe(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    pixels = np.asarray(image)
    inside = foreground(pixels)
    if generator.random() < 0.5:
        pixels, inside = pixels[:, ::-1], inside[:, ::-1]
    busy = generator.random() < 0.7
    back = texture(generator) if busy else np.full((SIDE, SIDE, 3), generator.integers(60, 256, size=3), dtype=np.uint8)
    mask = Image.fromarray((inside * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(5))
    mask = mask.filter(ImageFilter.GaussianBlur(0.8))
    angle, scale = generator.uniform(-20, 20), generator.uniform(0.65, 1.5)
    side = round(SIDE * scale)
    place = tuple(int(v) for v in (SIDE - side) // 2 + generator.uniform(-0.06, 0.06, size=2) * SIDE)
    thing = Image.fromarray(np.ascontiguousarray(pixels)).resize((side, side), Image.Resampling.BILINEAR)
    mask = mask.resize((side, side), Image.Resampling.BILINEAR).rotate(angle, Image.Resampling.BILINEAR)
    result = Image.fromarray(back)
    result.paste(thing.rotate(angle, Image.Resampling.BILINEAR), place, mask)
    return spoiled(result, generator, darkest=0.35, tint=0.07, blurred=(0.4, 2.0), compressed=(0.5, 15, 60))


def spoiled(
    image: Image.Image,
    generator: np.random.Generator,
    *,
    darkest: float,
    tint: float,
    blurred: tuple[float, float],
    compressed: tuple[float, int, int],
) -> Image.Image:
    """Other light, a little blur, a worse file: ``blurred`` is a share of photos and the largest radius, ``compressed``
    a share, and JPEG qualities from the lowest to below the highest.
    """
    light = generator.uniform(darkest, 1.1) * generator.uniform(1 - tint, 1 + tint, size=3)
    image = Image.fromarray(np.clip(np.asarray(image.convert("RGB")) * light, 0, 255).astype(np.uint8))
    if generator.random() < blurred[0]:
        image = image.filter(ImageFilter.GaussianBlur(generator.uniform(0.3, blurred[1])))
    if generator.random() < compressed[0]:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=int(generator.integers(*compressed[1:])))
        image = Image.open(file).convert("RGB")
    return image


def texture(generator: np.random.Generator) -> NDArray[np.uint8]:
    """A made-up background ``(224, 224, 3)``: noise of some coarseness between two or more colours, or boards."""
    cells = int(generator.choice([3, 5, 8, 14, 28, 56]))
    shape = (cells, int(generator.choice([1, cells])), 3) if generator.random() < 0.3 else (cells, cells, 3)
    coarse = generator.integers(0, 256, size=shape).astype(np.float32)
    base = generator.integers(30, 230, size=3)
    base = base.mean() + (base - base.mean()) * generator.uniform(0.1, 1.0)
    grey = coarse.mean(axis=2, keepdims=True)
    coarse = grey + (coarse - grey) * generator.uniform(0.1, 1.0)
    mixed = np.clip(base + (coarse - 128) * generator.uniform(0.15, 0.8), 0, 255).astype(np.uint8)
    smooth = Image.Resampling.BICUBIC if generator.random() < 0.5 else Image.Resampling.NEAREST
    picture = Image.fromarray(mixed).resize((SIDE, SIDE), smooth)
    return np.asarray(
        picture.rotate(float(generator.choice([0, 90, 0, 90, 35])), fillcolor=tuple(int(b) for b in base))
    )


def _background(view: int, generator: np.random.Generator) -> NDArray[np.uint8]:
    if view == 1:
        return np.full(3, 255, dtype=np.uint8)
    base = generator.integers(150, 256)
    return np.clip(base + generator.integers(-25, 26, size=3), 0, 255).astype(np.uint8)


def _framed(
    canvas: NDArray[np.uint8],
    inside: NDArray[np.bool_],
    background: NDArray[np.uint8],
    view: int,
    generator: np.random.Generator,
) -> NDArray[np.uint8]:
    rows, columns = np.nonzero(inside)
    if len(rows) < 50:
        return canvas
    slack = generator.uniform(0.0, 0.08 if view == 1 else 0.25, size=4) * SIDE
    if view == 3:
        slack -= generator.uniform(0, 0.12) * SIDE
    top, bottom = int(max(rows.min() - slack[0], 0)), int(min(rows.max() + 1 + slack[1], SIDE))
    left, right = int(max(columns.min() - slack[2], 0)), int(min(columns.max() + 1 + slack[3], SIDE))
    part = Image.fromarray(canvas[top : max(bottom, top + 16), left : max(right, left + 16)])
    # The release squeezed 3:4 photos into squares; half of the views undo that.
    width, height = part.size[0] * (0.75 if generator.random() < 0.5 else 1.0), part.size[1]
    scale = SIDE / max(width, height)
    part = part.resize((max(int(width * scale), 8), max(int(height * scale), 8)), Image.Resampling.BILINEAR)
    square = Image.new("RGB", (SIDE, SIDE), tuple(int(c) for c in background))
    square.paste(part, ((SIDE - part.size[0]) // 2, (SIDE - part.size[1]) // 2))
    return np.asarray(square)
