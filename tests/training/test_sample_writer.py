from __future__ import annotations

import csv
import json
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from training.sample_drawing.garments import garment_of
from training.sample_drawing.rules import agrees
from training.sample_drawing.wardrobe import SampleSize, fill_wardrobe
from training.sample_drawing.writer import draw_photo, is_flipped, make_sample

from coordi.errors import CoordiError

SHIPPED = Path(__file__).parents[2] / "src" / "coordi" / "data" / "sample.zip"


def test_the_shipped_sample_is_what_the_program_draws() -> None:
    wardrobe = fill_wardrobe(17, SampleSize())
    with ZipFile(SHIPPED) as archive:
        rows = csv.DictReader(archive.read("items.csv").decode().splitlines())
        titles = {row["id"]: row["title"] for row in rows}
        outfits = [json.loads(line) for line in archive.read("outfits.jsonl").decode().splitlines()]
    assert titles == {item_id: garment.title for item_id, garment in wardrobe.garments.items()}
    assert [(outfit["id"], tuple(outfit["items"]), outfit["split"], outfit["title"]) for outfit in outfits] == [
        (outfit.id, outfit.item_ids, outfit.split, outfit.title) for outfit in wardrobe.outfits
    ]
    assert all(agrees([garment_of(titles[item_id]) for item_id in outfit["items"]]) for outfit in outfits)


@pytest.mark.slow
def test_the_shipped_photos_are_what_the_program_draws(tmp_path: Path) -> None:
    """Compared by pixels: another version of the JPEG library may write other bytes."""
    garments = fill_wardrobe(17, SampleSize()).garments
    with ZipFile(SHIPPED) as archive:
        for item_id in list(garments)[::40]:
            draw_photo(tmp_path / "drawn.jpg", garments[item_id], is_flipped(garments[item_id], item_id, 17))
            pixels = [
                np.asarray(Image.open(file), np.float32)
                for file in (tmp_path / "drawn.jpg", archive.open(f"images/{item_id}.jpg"))
            ]
            assert np.abs(pixels[0] - pixels[1]).max() <= 2, item_id


@pytest.mark.parametrize("size", [{"items": 20}, {"valid": 0}, {"train": -3}])
def test_too_small_a_sample_is_refused(size: dict[str, int]) -> None:
    with pytest.raises(CoordiError, match=str(next(iter(size.values())))):
        SampleSize(**size)


def test_more_outfits_than_the_items_make_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CoordiError, match="of 5000 outfits"):
        make_sample(tmp_path / "shop", 1, SampleSize(items=90, train=20, valid=5000, test=20))
