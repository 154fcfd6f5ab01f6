from __future__ import annotations

import shutil
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.data.leaks import Leak, audit
from coordi.data.questions import compatibility_questions
from coordi.types import Dataset, Outfit, Split

from .conftest import with_items


def _with_outfits(dataset: Dataset, more: Iterable[Outfit]) -> Dataset:
    return replace(dataset, outfits=(*dataset.outfits, *more))


def _leaks_named(dataset: Dataset, name: str, **questions: Split) -> list[Leak]:
    sampled = {key: compatibility_questions(dataset, split, "random", 1) for key, split in questions.items()}
    return [leak for leak in audit(dataset, sampled) if leak.name == name]


def _copies(dataset: Dataset, outfit: Outfit, split: Split, name: str) -> Dataset:
    """The outfit again under other ids, in another order, with its titles."""
    copies = {f"{name}{item}": replace(dataset.items[item], id=f"{name}{item}") for item in outfit.item_ids}
    grown = replace(dataset, items={**dataset.items, **copies})
    return _with_outfits(grown, [Outfit(name, tuple(reversed(copies)), split)])


def test_an_outfit_of_the_same_id(apart: Dataset) -> None:
    planted = _with_outfits(apart, [replace(apart.outfits_of("train")[4], split="test")])
    (leak,) = _leaks_named(planted, "duplicates")
    assert (leak.where, leak.count, leak.auc) == ("train and test", 1, None)


def test_what_a_memoriser_of_duplicates_gets(apart: Dataset) -> None:
    """Of 125 true outfits it knows 25 and says yes to those alone: AUC 0.5 + 25 / 125 / 2."""
    planted = apart
    for place, outfit in enumerate(apart.outfits_of("train")[:25]):
        planted = _copies(planted, outfit, "test", f"copy{place}x")
    (leak,) = _leaks_named(planted, "duplicates", same="test", others="valid")
    assert (leak.where, leak.count, leak.chance) == ("train and test", 25, 0.5)
    assert leak.auc == pytest.approx(0.5 + 25 / 125 / 2)
    assert "25 of 125 test outfits (20.0%) are in train" in leak.detail
    assert "a memoriser of them gets AUC 0.60 on 'same'" in leak.detail


def test_validation_outfits_in_test_are_told_too(apart: Dataset) -> None:
    planted = _copies(apart, apart.outfits_of("valid")[0], "test", "copy")
    (leak,) = _leaks_named(planted, "duplicates", test="test")
    assert (leak.where, leak.count) == ("valid and test", 1)


def test_near_duplicates(apart: Dataset) -> None:
    one, other = apart.outfits_of("train")[1], apart.outfits_of("train")[3]
    large = Outfit("large", (*one.item_ids, *other.item_ids), "train")
    nearly = Outfit("nearly", large.item_ids[1:], "test")
    (leak,) = _leaks_named(_with_outfits(apart, [large, nearly]), "duplicates", test="test")
    assert leak.count == 1
    assert leak.auc == pytest.approx(0.5 + 1 / 101 / 2)
    assert "are nearly in train: nearly" in leak.detail


def test_questions_that_ask_of_training_outfits(apart: Dataset) -> None:
    trained = compatibility_questions(apart, "train", "random", 1)[:30]
    sampled = (*compatibility_questions(apart, "test", "random", 1), *trained)
    (leak,) = [leak for leak in audit(apart, {"mixed": sampled}) if leak.name == "duplicates"]
    assert (leak.where, leak.count) == ("mixed", 30)
    known, total = sum(one.compatible for one in trained), sum(one.compatible for one in sampled)
    assert leak.auc == pytest.approx(0.5 + known / total / 2)
    assert audit(apart, {"training's own": compatibility_questions(apart, "train", "random", 1)}) == ()


def test_items_of_two_splits(apart: Dataset) -> None:
    """Half of the test outfits are made anew of items that stood together in training, with one of their own."""
    old, new = apart.outfits_of("train"), apart.outfits_of("test")
    mixed = [
        replace(mine, item_ids=(*old[place].item_ids[:2], mine.item_ids[2])) if place % 2 else mine
        for place, mine in enumerate(new)
    ]
    kept = tuple(outfit for outfit in apart.outfits if outfit.split != "test")
    (leak,) = _leaks_named(replace(apart, outfits=(*kept, *mixed)), "items", test="test")
    assert (leak.where, leak.count) == ("train and test", 100)
    assert leak.auc == pytest.approx(0.75, abs=0.02)


def test_titles_of_two_splits(apart: Dataset) -> None:
    old, new = apart.outfits_of("train")[0].item_ids[0], apart.outfits_of("test")[0].item_ids[0]
    planted = {
        "same": apart.items[old].title.upper(),
        "near": " ".join(reversed(apart.items[old].title.split())) + " new",
    }
    for what, words in (("same", "have a title that train has"), ("near", "have nearly a title that train has")):
        item = replace(apart.items[new], title=planted[what])
        (leak,) = _leaks_named(replace(apart, items={**apart.items, new: item}), "titles", test="test")
        assert (leak.where, leak.count, leak.chance) == ("train and test", 1, 0.5)
        assert leak.auc == 0.5
        assert words in leak.detail


def test_titles_that_stood_together_are_worth_something(apart: Dataset) -> None:
    """Every test outfit has the titles of two items of a training outfit, and one of its own."""
    titles: dict[str, str] = {}
    for old, new in zip(apart.outfits_of("train"), apart.outfits_of("test"), strict=False):
        titles |= {new.item_ids[place]: apart.items[old.item_ids[place]].title for place in (0, 1)}
    planted = with_items(apart, lambda item: replace(item, title=titles.get(item.id, item.title)))
    (leak,) = _leaks_named(planted, "titles", test="test")
    assert leak.count == 200
    assert leak.auc == pytest.approx(1.0, abs=0.03)


def _picture(path: Path, seed: int) -> Path:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 5, 3)).astype(np.uint8)
    Image.fromarray(pixels).resize((160, 160), Image.Resampling.BICUBIC).save(path, quality=95)
    return path


def test_photos_of_two_splits(apart: Dataset, tmp_path: Path) -> None:
    trained, tested = apart.outfits_of("train")[:6], apart.outfits_of("test")[:6]
    photos = {name: _picture(tmp_path / f"{name}.jpg", int(name)) for outfit in (*trained, *tested)
              for name in outfit.item_ids}  # fmt: skip
    shutil.copy(photos[trained[0].item_ids[0]], photos[tested[0].item_ids[0]])
    Image.open(photos[trained[1].item_ids[0]]).save(photos[tested[1].item_ids[0]], quality=70)
    photos[tested[2].item_ids[0]].write_bytes(b"\xff\xd8\xff not a photo")
    pictured = with_items(apart, lambda item: replace(item, image=photos.get(item.id)))
    same, near, unreadable = _leaks_named(pictured, "photos", test="test")
    for leak, words in ((same, "have a photo that train has"), (near, "have nearly a photo that train has")):
        assert (leak.where, leak.count, leak.auc) == ("train and test", 1, 0.5)
        assert words in leak.detail
    assert (unreadable.where, unreadable.count, unreadable.auc) == ("photos", 1, None)
    assert "1 photos can't be opened" in unreadable.detail
    assert [leak for leak in audit(pictured, {}, photos=False) if leak.name == "photos"] == []
