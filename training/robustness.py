"""How much worse an encoder gets on photos as people take them: held-out photos, spoiled in one way at a time.

Backgrounds are put behind what stands before a near-white one; the busy one is another held-out photo, enlarged.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageFilter, ImageOps

from coordi.data.photos import open_photo
from coordi.encoders.base import load_encoder
from coordi.encoders.evaluation import holdout_photos, label_lists, label_metrics, label_shares, read_labelled
from image_features import foreground

COLUMNS = ("articleType", "baseColour")
Change = Callable[[Image.Image, np.random.Generator], Image.Image]


def cropped(share: float) -> Change:
    def change(image: Image.Image, _: np.random.Generator) -> Image.Image:
        sides = [side * (1 - share) / 2 for side in image.size]
        return image.crop((int(sides[0]), int(sides[1]), int(image.width - sides[0]), int(image.height - sides[1])))

    return change


def turned(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    angle = 15 if generator.random() < 0.5 else -15
    return image.rotate(angle, Image.Resampling.BILINEAR, fillcolor=image.getpixel((0, 0)))


def darker(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    noisy = np.asarray(image) * 0.3 + generator.normal(0, 5, size=(image.height, image.width, 3))
    return Image.fromarray(np.clip(noisy, 0, 255).astype(np.uint8))


def poor_jpeg(image: Image.Image, _: np.random.Generator) -> Image.Image:
    file = io.BytesIO()
    image.save(file, "JPEG", quality=20)
    return Image.open(file).convert("RGB")


def on_colour(image: Image.Image, generator: np.random.Generator) -> Image.Image:
    return before(image, np.full((image.height, image.width, 3), generator.integers(40, 230, size=3)))


def before(image: Image.Image, background: np.ndarray) -> Image.Image:
    mask = Image.fromarray((foreground(np.asarray(image)) * 255).astype(np.uint8)).filter(ImageFilter.MinFilter(3))
    return Image.composite(image, Image.fromarray(background.astype(np.uint8)), mask)


def among_others(others: list[Path]) -> Change:
    def change(image: Image.Image, generator: np.random.Generator) -> Image.Image:
        other = open_photo(others[generator.integers(len(others))])
        return before(image, np.asarray(cropped(0.5)(other, generator).resize(image.size)))

    return change


def by_exif(image: Image.Image, _: np.random.Generator) -> Image.Image:
    """A photo stored on its side, losslessly, that says so; opened again as coordi opens photos."""
    exif = Image.Exif()
    exif[0x0112] = 6
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "turned.png"
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
        return open_photo(path)


def changes(others: list[Path]) -> dict[str, Change]:
    return {
        "as it is": lambda image, _: image,
        "stored on its side, EXIF says so": by_exif,
        "centre crop 80%": cropped(0.8),
        "centre crop 60%": cropped(0.6),
        "turned by 15 degrees": turned,
        "flipped left to right": lambda image, _: ImageOps.mirror(image),
        "upside down": lambda image, _: ImageOps.flip(image),
        "blurred, radius 2": lambda image, _: image.filter(ImageFilter.GaussianBlur(2)),
        "grey": lambda image, _: image.convert("L").convert("RGB"),
        "low light, 30%, with noise": darker,
        "JPEG quality 20": poor_jpeg,
        "coloured background": on_colour,
        "busy background": among_others(others),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--encoder", default="edge")
    parser.add_argument("--photos", type=int, default=300)
    parser.add_argument("--only", nargs="*", default=[], help="changes by name; all of them by default")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    every = read_labelled(options.data)
    lists, held = label_lists(every), holdout_photos(every)
    order = np.random.default_rng([options.seed, 6]).permutation(len(held))
    photos = [held[place] for place in order[: options.photos] if len(held[place].labels) >= len(COLUMNS)]
    encoder = load_encoder(options.encoder)
    opened = [open_photo(photo.path) for photo in photos]
    plain = np.zeros(0)  # vectors of the photos as they are, which come first
    for name, change in changes([held[place].path for place in order[options.photos :]]).items():
        if options.only and name not in options.only:
            continue
        generator = np.random.default_rng([options.seed, 7])
        rows = encoder.encode_images([change(image, generator) for image in opened])
        plain = plain if plain.size else rows
        found = {"change": name, "n": len(rows), "identical": not options.only and bool((rows == plain).all())}
        for column in COLUMNS:
            kept = [row for row, photo in enumerate(photos) if column in photo.labels]
            truth = np.array([lists[column].index(photos[row].labels[column]) for row in kept])
            result = label_metrics(truth, label_shares(encoder, column, lists[column], rows[kept]), generator)
            found[column] = {"weighted_f1": round(result["weighted_f1"], 3), "ci95": result["ci95"]["weighted_f1"]}
        print(json.dumps(found), flush=True)


if __name__ == "__main__":
    main()
