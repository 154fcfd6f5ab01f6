"""Look at what an encoder says: photos in rows, each with its description."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw

from coordi.data.photos import open_photo
from coordi.encoders.base import load_encoder
from coordi.encoders.labels import Labeller, load_vocabulary

COLUMNS, SIDE, LINES = 6, 200, 110


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--encoder", default="edge")
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jpg"))
    picked = np.random.default_rng(options.seed).choice(
        len(photos), size=min(options.photos, len(photos)), replace=False
    )
    encoder, vocabulary = load_encoder(options.encoder), load_vocabulary("fashion")
    rows = -(-len(picked) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * SIDE, rows * (SIDE + LINES)), "white")
    draw = ImageDraw.Draw(sheet)
    labeller = Labeller(encoder, vocabulary)
    for place, index in enumerate(picked):
        image = open_photo(photos[index])
        left, top = place % COLUMNS * SIDE, place // COLUMNS * (SIDE + LINES)
        said = labeller.descriptions([""], encoder.encode_images([image]))[0].attributes
        image.thumbnail((SIDE - 4, SIDE - 4))
        sheet.paste(image, (left, top))
        lines = [f"{n[:8]}: {', '.join(f'{x.text} {x.probability:.2f}' for x in labels)}" for n, labels in said.items()]
        draw.multiline_text((left, top + SIDE), "\n".join(lines), fill="black")
    sheet.save(options.out)


if __name__ == "__main__":
    main()
