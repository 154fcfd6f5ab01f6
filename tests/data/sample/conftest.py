from __future__ import annotations

import csv
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from coordi.data.sample.garments import Garment, garment_of
from coordi.data.sample.wardrobe import SampleSize
from coordi.data.sample.writer import make_sample

SMALL = SampleSize(items=90, train=24, valid=8, test=12)


@dataclass(frozen=True)
class Written:
    """A sample as anyone would read it back from its files."""

    folder: Path
    items: dict[str, dict[str, str]]
    outfits: list[dict[str, Any]]
    progress: list[tuple[int, int]]

    def garment(self, item_id: str) -> Garment:
        return garment_of(self.items[item_id]["title"])


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Written:
    folder = tmp_path_factory.mktemp("sample") / "shop"
    seen: list[tuple[int, int]] = []
    make_sample(folder, 5, SMALL, progress=lambda done, total: seen.append((done, total)))
    with (folder / "items.csv").open(encoding="utf-8", newline="") as file:
        items = {row["id"]: row for row in csv.DictReader(file)}
    outfits = [json.loads(line) for line in (folder / "outfits.jsonl").read_text(encoding="utf-8").splitlines()]
    return Written(folder, items, outfits, seen)
