from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from coordi.data.leaks import Leak, audit
from coordi.data.questions import draw_retrieval
from coordi.errors import DataError
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion

from .conftest import Shop, all_blanks, all_questions


def _named(leaks: tuple[Leak, ...]) -> set[tuple[str, str]]:
    return {(leak.name, leak.where) for leak in leaks}


def _texts(dataset: Dataset) -> dict[str, str]:
    return {item_id: item.title for item_id, item in dataset.items.items()}


@pytest.mark.parametrize("seed", range(8))
def test_clean_data_raises_nothing_but_what_random_candidates_are_known_for(make_shop: Shop, seed: int) -> None:
    """The outfit lacks the blanked item's category, and random wrong candidates are of any: that is no false alarm."""
    shop = make_shop(seed)
    leaks = audit(shop, all_questions(shop, seed), _texts(shop), blanks=all_blanks(shop, seed))
    assert _named(leaks) == {("categories", "train random blanks"), ("categories", "test random blanks")}


def test_what_is_found_says_what_it_is_worth(
    shop: Dataset, sampled: tuple[CompatibilityQuestion, ...], blanks: tuple[FitbQuestion, ...]
) -> None:
    shorter = [
        question if question.compatible else replace(question, item_ids=question.item_ids[:-1]) for question in sampled
    ]
    first = [replace(blank, candidates=_true_first(blank), answer=0) for blank in blanks]
    size, position = audit(shop, {"planted": shorter}, blanks={"planted": first})
    assert (size.name, size.where, size.accuracy, size.chance, size.visible) == ("size", "planted", None, 0.5, True)
    assert size.auc == pytest.approx(0.875, abs=0.02)
    assert (position.name, position.where, position.auc, position.visible) == ("position", "planted blanks", None, True)
    assert (position.accuracy, position.chance) == (1.0, 0.25)
    for leak, figure in ((size, f"AUC {size.auc:.2f}, where 0.50"), (position, "accuracy 1.00, where 0.25")):
        assert figure in leak.detail


def _true_first(blank: FitbQuestion) -> tuple[str, ...]:
    true = blank.candidates[blank.answer]
    return (true, *(name for name in blank.candidates if name != true))


def test_too_few_questions_accuse_nobody_and_are_named(
    shop: Dataset, sampled: tuple[CompatibilityQuestion, ...], blanks: tuple[FitbQuestion, ...]
) -> None:
    positives, negatives = ([one for one in sampled if one.compatible is truth][:9] for truth in (True, False))
    shorter = [replace(question, item_ids=question.item_ids[:2]) for question in negatives]
    some = {"few": [*positives, *shorter], "none": (), "all": sampled}
    (note,) = audit(shop, some, blanks={"none": (), "few": blanks[:19], "enough": blanks[:20]})
    assert (note.name, note.where, note.count, note.visible) == ("unaudited", "few, few blanks", 2, False)
    assert "(18 of few, 19 of few blanks)" in note.detail
    (note,) = audit(shop, {"one answer": [one for one in sampled if one.compatible]})
    assert (note.name, note.where) == ("unaudited", "one answer")


@pytest.mark.parametrize("outfits", range(8, 20))
def test_a_leak_that_tells_every_answer_is_found_or_said_to_be_unfindable(apart: Dataset, outfits: int) -> None:
    """Negatives of three items, positives of four: AUC 1."""
    chosen = [one for one in apart.outfits if len(one.item_ids) == 4][: outfits + 1]
    sampled: list[CompatibilityQuestion] = []
    for place, (one, other) in enumerate(pairwise(chosen)):
        mixed = (*one.item_ids[:2], other.item_ids[2])
        sampled.append(CompatibilityQuestion(f"q{place}", one.id, one.item_ids, compatible=True))
        sampled.append(CompatibilityQuestion(f"r{place}", one.id, mixed, compatible=False))
    names = {leak.name for leak in audit(apart, {"few": sampled}, photos=False)}
    assert ("size" in names) == ("unaudited" not in names) == (outfits >= 13)


def test_blanks_without_a_choice_show_nothing(shop: Dataset, blanks: tuple[FitbQuestion, ...]) -> None:
    alone = [replace(blank, candidates=(blank.candidates[blank.answer],), answer=0) for blank in blanks]
    (note,) = audit(shop, {}, blanks={"one": alone})
    assert (note.name, note.where) == ("unaudited", "one blanks")


def test_an_unknown_item_is_named(shop: Dataset, sampled: tuple[CompatibilityQuestion, ...]) -> None:
    strange = [replace(sampled[0], item_ids=("nobody's", *sampled[0].item_ids[1:])), *sampled[1:]]
    with pytest.raises(DataError, match=r"names the item 'nobody's', which 'shop' doesn't have"):
        audit(shop, {"strange": strange})


def test_what_no_model_is_shown_comes_last_and_once(shop: Dataset, sampled: tuple[CompatibilityQuestion, ...]) -> None:
    planted = [replace(one, id=f"{'yes' if one.compatible else 'no'}-{place}") for place, one in enumerate(sampled)]
    shorter = [one if one.compatible else replace(one, item_ids=one.item_ids[:2]) for one in planted]
    leaks = audit(shop, {"a": planted, "b": shorter})
    assert [(leak.name, leak.where, leak.visible) for leak in leaks] == [("size", "b", True), ("ids", "a, b", False)]


def test_retrieval_queries_are_blanks_too(shop: Dataset) -> None:
    queries = draw_retrieval(shop, "test", 1, 20).questions
    assert audit(shop, {}, blanks={"retrieval": queries}) == ()
    first = [replace(query, candidates=_true_first(query), answer=0) for query in queries]
    (leak,) = audit(shop, {}, blanks={"retrieval": first})
    assert (leak.name, leak.accuracy) == ("position", 1.0)
    assert leak.chance == pytest.approx(0.05)


@pytest.fixture(scope="module")
def of_the_release(real: Dataset) -> tuple[Leak, ...]:
    """The audit of questions of the test split, drawn and of the release."""
    released = {part.name: part.compatibility for part in real.released}
    drawn = all_questions(real, 1, ["test"])
    return audit(real, drawn | released, _texts(real), blanks=all_blanks(real, 1, ["test"]), photos=False)


@pytest.mark.slow
def test_the_real_release(of_the_release: tuple[Leak, ...]) -> None:
    """What was found and looked at: sellers' names tell outfits apart, ids name them, and a few titles are common."""
    leaks = [leak for leak in of_the_release if not leak.where.startswith("release")]
    by_name = {leak.name: leak for leak in leaks}
    assert {"words", "titles", "categories"} <= set(by_name)
    assert "yoins" in " ".join(leak.detail for leak in leaks if leak.name == "words")
    assert not set(by_name) & {"order", "size", "balance", "repeats", "popularity", "position", "duplicates", "items"}
    assert [leak.auc for leak in leaks if leak.name == "ids"] == [1.0, None]
    assert all(not leak.visible for leak in leaks if leak.name == "ids")
    assert all(leak.auc is None or leak.auc < 0.51 for leak in leaks if leak.name == "titles")


@pytest.mark.slow
def test_the_releases_own_questions_leak_their_order(real_data: Path, real: Dataset) -> None:
    """As they stand in the file, before coordi shuffles them: positives in the outfit's order, negatives in none."""
    sampled = _as_they_stand(real_data / "polyvore-maryland" / "fashion_compatibility_prediction.txt", real)
    (order,) = [leak for leak in audit(real, {"release": sampled}, photos=False) if leak.name == "order"]
    assert order.auc is not None
    assert order.auc > 0.95
    assert "so do categories by who stands before whom" in order.detail


def _as_they_stand(path: Path, real: Dataset) -> list[CompatibilityQuestion]:
    sampled: list[CompatibilityQuestion] = []
    for line in path.read_text().splitlines():
        truth, *names = line.split()
        kept = tuple(name for name in names if name in real.items)
        if len(kept) > 1:
            sampled.append(CompatibilityQuestion(f"q{len(sampled)}", f"o{len(sampled)}", kept, truth == "1"))
    return sampled


@pytest.mark.slow
def test_a_leak_of_the_release_is_told_whatever_else_is_asked(real: Dataset, of_the_release: tuple[Leak, ...]) -> None:
    """Sellers' names stand in titles, and the release's own negatives mix sellers."""
    release = {"release": real.released[0].compatibility}
    alone = [leak for leak in audit(real, release, photos=False) if leak.where == "release" and leak.visible]
    assert [leak for leak in of_the_release if leak.where == "release"] == alone
    (words,) = [leak for leak in alone if leak.name == "words"]
    assert words.auc == pytest.approx(0.59, abs=0.01)


@pytest.mark.slow
def test_release_questions_are_clean_once_shuffled(of_the_release: tuple[Leak, ...]) -> None:
    leaks = [leak for leak in of_the_release if leak.where.startswith("release")]
    assert "order" not in {leak.name for leak in leaks if leak.visible}
