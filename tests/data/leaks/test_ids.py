from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from coordi.data.leaks import audit
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion

Questions = tuple[CompatibilityQuestion, ...]


def _by_word(place: int, question: CompatibilityQuestion) -> str:
    return f"{'pos' if question.compatible else 'neg'}-{place}"


def _by_parity(place: int, question: CompatibilityQuestion) -> str:
    return f"q-{2 * place + question.compatible}"


def _by_size(place: int, question: CompatibilityQuestion) -> str:
    return f"q-{place + 10_000 * question.compatible}"


@pytest.mark.parametrize("name", [_by_word, _by_parity, _by_size])
def test_ids_of_questions(shop: Dataset, sampled: Questions, name: Callable[[int, CompatibilityQuestion], str]) -> None:
    planted = [replace(question, id=name(place, question)) for place, question in enumerate(sampled)]
    (leak,) = audit(shop, {"planted": planted})
    assert (leak.name, leak.visible) == ("ids", False)
    assert leak.auc == pytest.approx(1.0, abs=0.01)


def test_the_sequence_of_questions(shop: Dataset, sampled: Questions) -> None:
    first_positives = sorted(sampled, key=lambda question: not question.compatible)
    (leak,) = audit(shop, {"planted": first_positives})
    assert leak.detail.startswith("places of questions tell the answer: AUC 1.00")


def _renamed(dataset: Dataset, names: dict[str, str]) -> Dataset:
    items = {names[name]: replace(item, id=names[name]) for name, item in dataset.items.items()}
    outfits = tuple(replace(one, item_ids=tuple(names[name] for name in one.item_ids)) for one in dataset.outfits)
    return replace(dataset, items=items, outfits=outfits)


def _with_names(sampled: Questions, names: dict[str, str]) -> dict[str, tuple[CompatibilityQuestion, ...]]:
    return {"planted": tuple(replace(one, item_ids=tuple(names[name] for name in one.item_ids)) for one in sampled)}


def _set_names(dataset: Dataset) -> dict[str, str]:
    """As in the Maryland release: an item is named after its outfit, whose number says nothing."""
    names = {name: f"none_{name}" for name in dataset.items}
    for outfit in dataset.outfits:
        letters = "".join(chr(ord("a") + int(digit)) for digit in outfit.id[1:])
        names |= {name: f"{letters}_{name}" for name in outfit.item_ids}
    return names


def _counted_up(dataset: Dataset) -> dict[str, str]:
    """As in the Polyvore Outfits release: ids are numbers that rise as items are added, an outfit's one by one."""
    order = dict.fromkeys(name for outfit in dataset.outfits for name in outfit.item_ids)
    return {name: str(100_000 + number) for number, name in enumerate([*order, *(set(dataset.items) - set(order))])}


@pytest.mark.parametrize(
    ("names", "what"),
    [(_set_names, "prefixes that item ids share"), (_counted_up, "numbers of item ids that lie near one another")],
)
def test_ids_of_items(
    apart: Dataset, sampled_apart: Questions, names: Callable[[Dataset], dict[str, str]], what: str
) -> None:
    """Known to nobody who reads titles and photos, yet to whoever makes an embedding of them."""
    renamed = names(apart)
    (leak,) = audit(_renamed(apart, renamed), _with_names(sampled_apart, renamed))
    assert (leak.name, leak.visible) == ("ids", False)
    assert leak.detail.startswith(f"{what} tell the answer")
    assert leak.auc is not None
    assert leak.auc > 0.95


def test_negatives_of_new_items(shop: Dataset, sampled: Questions) -> None:
    known = {name for outfit in shop.outfits for name in outfit.item_ids}
    added = {name: replace(shop.items[name], id=f"9{name}") for name in known}
    grown = replace(shop, items={**shop.items, **{item.id: item for item in added.values()}})
    planted = [
        one if one.compatible else replace(one, item_ids=tuple(added[name].id for name in one.item_ids))
        for one in sampled
    ]
    (leak,) = audit(grown, {"planted": planted})
    assert "low or high numbers of item ids" in leak.detail


def test_candidates_that_are_named_like_the_outfit(apart: Dataset, blanks_apart: tuple[FitbQuestion, ...]) -> None:
    for names in (_set_names, _counted_up):
        renamed = names(apart)
        planted = [
            replace(
                blank,
                item_ids=tuple(renamed[name] for name in blank.item_ids),
                candidates=tuple(renamed[name] for name in blank.candidates),
            )
            for blank in blanks_apart
        ]
        (leak,) = audit(_renamed(apart, renamed), {}, blanks={"planted": planted})
        assert (leak.name, leak.where, leak.visible) == ("ids", "planted blanks", False)
        assert leak.accuracy is not None
        assert leak.accuracy > 0.95


def test_candidates_that_hold_the_outfits_id(shop: Dataset, blanks: tuple[FitbQuestion, ...]) -> None:
    planted = [
        replace(blank, outfit_id=blank.candidates[blank.answer][:5], candidates=blank.candidates) for blank in blanks
    ]
    (leak,) = audit(shop, {}, blanks={"planted": planted})
    assert leak.name == "ids"
    assert leak.accuracy == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("text", ["{title} ({item})", "{item}", "from {outfit}: {title}"])
def test_ids_in_texts(shop: Dataset, text: str) -> None:
    outfit = shop.outfits[0]
    item_id = outfit.item_ids[0]
    said = text.format(title=shop.items[item_id].title, item=item_id, outfit=outfit.id)
    (leak,) = audit(shop, {}, {name: item.title for name, item in shop.items.items()} | {item_id: said})
    assert (leak.name, leak.where, leak.count, leak.visible) == ("ids", "texts", 1, True)
    assert item_id in leak.detail


def test_an_id_within_another_word_is_no_leak(shop: Dataset) -> None:
    item_id = shop.outfits[0].item_ids[0]
    assert audit(shop, {}, {item_id: f"x{item_id}9"}) == ()
