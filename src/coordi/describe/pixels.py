"""How a checkpoint wants its photos: resized, cropped, scaled and normalised, with Pillow and numpy alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from coordi.config import Settings

if TYPE_CHECKING:
    from PIL import Image

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
