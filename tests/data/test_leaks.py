from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from coordi.data.leaks import Leak, audit
from coordi.data.questions import compatibility_questions
from coordi.domain import PROTOCOLS, SPLITS, CompatibilityQuestion, Dataset, Outfit, Protocol

Wardrobe = Callable[..., Dataset]
Questions = dict[str, tuple[CompatibilityQuestion, ...]]


@pytest.fixture
def clean(wardrobe: Wardrobe) -> Dataset:
    made: Dataset = wardrobe({"train": 120, "valid": 30, "test": 60})
    return made


def _questions(dataset: Dataset, seed: int = 1) -> Questions:
    return {
        f"{split} {protocol}": compatibility_questions(dataset, split, protocol, seed)
        for split in SPLITS
        for protocol in PROTOCOLS
    }


def _texts(dataset: Dataset) -> dict[str, str]:
    return {item_id: item.title for item_id, item in dataset.items.items()}


def _names(leaks: Iterable[Leak]) -> set[str]:
    return {leak.name for leak in leaks}


def _with_outfits(dataset: Dataset, more: Iterable[Outfit]) -> Dataset:
    return replace(dataset, outfits=(*dataset.outfits, *more))


@pytest.mark.parametrize("seed", range(5))
def test_a_clean_set_raises_none(clean: Dataset, seed: int) -> None:
    assert audit(clean, _questions(clean, seed), _texts(clean)) == ()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_order_positives_in_the_sources_order(clean: Dataset, protocol: Protocol) -> None:
    asked = compatibility_questions(clean, "train", protocol, 1)
    order = {item_id: place for place, item_id in enumerate(clean.items)}
    planted = [
        replace(question, item_ids=tuple(sorted(question.item_ids, key=order.__getitem__)))
        if question.compatible
        else question
        for question in asked
    ]
    leaks = audit(clean, {"train": planted})
    assert _names(leaks) == {"order"}
    assert all(leak.auc is not None and leak.auc > 0.6 for leak in leaks)


def test_order_by_place_in_the_source_when_categories_say_nothing(clean: Dataset) -> None:
    alike = replace(clean, items={item_id: replace(item, category="top") for item_id, item in clean.items.items()})
    planted = [
        replace(question, item_ids=tuple(sorted(question.item_ids))) if question.compatible else question
        for question in compatibility_questions(alike, "train", "random", 1)
    ]
    leaks = audit(alike, {"train": planted})
    assert [leak.name for leak in leaks] == ["order"]
    assert "source's order" in leaks[0].detail


def test_order_by_category_alone_when_ids_say_nothing(clean: Dataset) -> None:
    """Negatives ordered shoes first, positives top first, each item's place in the source being no help."""
    ranks = {"top": 0, "bottom": 1, "bag": 2, "shoes": 3}

    def rank(item_id: str) -> int:
        return ranks[clean.items[item_id].category]

    asked = compatibility_questions(clean, "train", "same-category", 1)
    planted = [
        replace(question, item_ids=tuple(sorted(question.item_ids, key=rank, reverse=not question.compatible)))
        for question in asked
    ]
    shuffled = replace(clean, items={item_id: clean.items[item_id] for item_id in sorted(clean.items, key=hash_of)})
    categories = [leak for leak in audit(shuffled, {"train": planted}) if "categories by position" in leak.detail]
    assert [leak.name for leak in categories] == ["order"]


def hash_of(item_id: str) -> int:
    return int(item_id[1:]) * 7919 % 1009


def test_size(clean: Dataset) -> None:
    asked = compatibility_questions(clean, "train", "random", 1)
    planted = [
        question if question.compatible else replace(question, item_ids=question.item_ids[:-1]) for question in asked
    ]
    leaks = audit(clean, {"train": planted})
    assert _names(leaks) == {"size"}
    assert leaks[0].auc == pytest.approx(0.875)


def _id_by_word(place: int, question: CompatibilityQuestion) -> str:
    return f"{'pos' if question.compatible else 'neg'}-{place}"


def _id_by_parity(place: int, question: CompatibilityQuestion) -> str:
    return f"q-{2 * place + question.compatible}"


def _id_by_size(place: int, question: CompatibilityQuestion) -> str:
    return f"q-{place + 10_000 * question.compatible}"


@pytest.mark.parametrize("name", [_id_by_word, _id_by_parity, _id_by_size])
def test_ids_of_questions(clean: Dataset, name: Callable[[int, CompatibilityQuestion], str]) -> None:
    asked = compatibility_questions(clean, "train", "random", 1)
    planted = [replace(question, id=name(place, question)) for place, question in enumerate(asked)]
    assert _names(audit(clean, {"train": planted})) == {"ids"}


def test_ids_the_sequence_of_questions(clean: Dataset) -> None:
    asked: Sequence[CompatibilityQuestion] = compatibility_questions(clean, "train", "random", 1)
    first_positives = sorted(asked, key=lambda question: not question.compatible)
    assert _names(audit(clean, {"train": first_positives})) == {"ids"}


@pytest.mark.parametrize("text", ["{title} ({item})", "{item}", "from {outfit}: {title}"])
def test_ids_in_texts(clean: Dataset, text: str) -> None:
    outfit = clean.outfits[0]
    item_id = outfit.item_ids[0]
    texts: Mapping[str, str] = {
        **_texts(clean),
        item_id: text.format(title=clean.items[item_id].title, item=item_id, outfit=outfit.id),
    }
    leaks = audit(clean, {}, texts)
    assert _names(leaks) == {"ids"}
    assert leaks[0].count == 1
    assert item_id in leaks[0].detail


def test_an_id_within_another_word_is_no_leak(clean: Dataset) -> None:
    item_id = clean.outfits[0].item_ids[0]
    assert audit(clean, {}, {item_id: f"x{item_id}9"}) == ()


def test_duplicates_by_id_across_splits(clean: Dataset) -> None:
    planted = _with_outfits(clean, [replace(clean.outfits_of("train")[4], split="test")])
    leaks = [leak for leak in audit(planted, {}) if leak.name == "duplicates"]
    assert [(leak.where, leak.count) for leak in leaks] == [("train and test", 1)]


def test_duplicates_by_titles_under_other_ids(clean: Dataset) -> None:
    original = clean.outfits_of("train")[4]
    copies = {f"z{item_id}": replace(clean.items[item_id], id=f"z{item_id}") for item_id in original.item_ids}
    planted = _with_outfits(
        replace(clean, items={**clean.items, **copies}), [Outfit("other", tuple(reversed(copies)), "valid")]
    )
    leaks = [leak for leak in audit(planted, {}) if leak.name == "duplicates"]
    assert [(leak.where, leak.count) for leak in leaks] == [("train and valid", 1)]


def test_near_duplicates(clean: Dataset) -> None:
    one, other = clean.outfits_of("train")[1], clean.outfits_of("train")[3]
    large = Outfit("large", (*one.item_ids, *other.item_ids), "train")
    nearly = Outfit("nearly", large.item_ids[1:], "test")
    leaks = [leak for leak in audit(_with_outfits(clean, [large, nearly]), {}) if leak.name == "duplicates"]
    assert [leak.count for leak in leaks] == [1]
    assert "nearly" in leaks[0].detail


def test_titles_across_splits_are_reported(clean: Dataset) -> None:
    trained, tested = clean.outfits_of("train")[0].item_ids[0], clean.outfits_of("test")[0].item_ids[0]
    item = replace(clean.items[tested], title=clean.items[trained].title.upper())
    leaks = audit(replace(clean, items={**clean.items, tested: item}), {})
    assert [(leak.name, leak.where, leak.count) for leak in leaks] == [("titles", "train and test", 1)]


def test_the_real_release_leaks_nothing_but_common_titles(real: Dataset) -> None:
    assert _names(audit(real, _questions(real), _texts(real))) == {"titles"}


def test_the_releases_own_questions_do_leak(real_data: Path, real: Dataset) -> None:
    """Its positives stand in the outfit's order, its negatives in none."""
    folder = real_data / "polyvore-maryland"
    asked: list[CompatibilityQuestion] = []
    for line in (folder / "fashion_compatibility_prediction.txt").read_text().splitlines():
        truth, *names = line.split()
        kept = tuple(name for name in names if name in real.items)
        if len(kept) > 1:
            asked.append(CompatibilityQuestion(f"q{len(asked)}", kept[0].split("_")[0], kept, truth == "1"))
    assert "order" in _names(audit(real, {"release": asked}))
