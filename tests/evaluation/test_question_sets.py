from __future__ import annotations

import re
from dataclasses import replace

import pytest

from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluation.question_sets import draw_questions
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, QuestionFile, ReleaseQuestions, Split

ALL = EvaluateSettings(retrieval_pool=5)


def released(wardrobe: Dataset, split: Split, asked: int = 4, name: str = "release") -> ReleaseQuestions:
    outfits = wardrobe.outfits_of(split)[:4]
    questions = tuple(
        CompatibilityQuestion(f"{name}-{split}-{place}", one.id, one.item_ids, place % 2 == 0)
        for place, one in enumerate(outfits)
    )
    file = QuestionFile(asked, {"name an unknown item": asked - 4} if asked > 4 else {})
    return ReleaseQuestions(name, split, questions, (), file)


def test_every_protocol_that_the_data_allows(wardrobe: Dataset) -> None:
    parts = {part.protocol: part for part in draw_questions(wardrobe, ALL, 3)}
    assert list(parts) == ["random", "same-category", "one-swapped", "pairs"]
    assert all(part.valid and part.test for part in parts.values())
    assert [bool(part.blanks) for part in parts.values()] == [True, True, False, False]
    assert [bool(part.retrieval) for part in parts.values()] == [False, True, False, False]
    assert {len(question.item_ids) for question in parts["pairs"].test} == {2}
    for question in parts["one-swapped"].test:
        own = next(set(one.item_ids) for one in wardrobe.outfits if one.id == question.outfit_id)
        assert len(own - set(question.item_ids)) == (0 if question.compatible else 1)


def test_a_release_brings_its_own_questions(wardrobe: Dataset) -> None:
    with_files = replace(wardrobe, released=(released(wardrobe, "valid"), released(wardrobe, "test")))
    (part,) = draw_questions(with_files, EvaluateSettings(protocols=("release",)), 3)
    assert part.test == with_files.released[1].compatibility
    assert part.valid == with_files.released[0].compatibility
    assert not part.warnings
    assert draw_questions(with_files, ALL, 3)[-1] == part


@pytest.mark.parametrize(("name", "chosen"), [("release", "random"), ("release-resampled", "same-category")])
def test_thresholds_of_a_release_without_validation_questions(wardrobe: Dataset, name: str, chosen: str) -> None:
    with_files = replace(wardrobe, released=(released(wardrobe, "test", asked=5, name=name),))
    (part,) = draw_questions(with_files, EvaluateSettings(protocols=("release",)), 3)
    drawn = next(one for one in draw_questions(wardrobe, ALL, 3) if one.protocol == chosen)
    assert part.valid == drawn.valid
    assert part.warnings[0] == f"1 of the 5 compatibility questions of '{name}': name an unknown item."
    assert f"thresholds are chosen on {chosen} ones" in part.warnings[1]


def test_half_a_release_is_no_release(wardrobe: Dataset) -> None:
    half = replace(wardrobe, released=(released(wardrobe, "test", asked=9),))
    problem = (
        "The release's own compatibility questions ('release') aren't asked: only 4 of the 9 can be, which is less "
        "than half (5 name an unknown item)"
    )
    with pytest.raises(EvaluationError, match=re.escape(f"{problem}; get the whole release")):
        draw_questions(half, EvaluateSettings(protocols=("random", "release")), 3)
    parts = draw_questions(half, ALL, 3)
    assert [part.protocol for part in parts] == ["random", "same-category", "one-swapped", "pairs"]
    assert f"{problem}." in parts[0].warnings


@pytest.mark.parametrize("file", [QuestionFile(), QuestionFile(2)])
def test_a_release_that_asks_nothing(wardrobe: Dataset, file: QuestionFile) -> None:
    nothing = replace(wardrobe, released=(ReleaseQuestions("release", "test", (), (), blanks_file=file),))
    with pytest.raises(EvaluationError, match=r"aren't asked: (its files are empty|only 0 of the 2 can be)"):
        draw_questions(nothing, EvaluateSettings(protocols=("release",)), 3)


def test_each_task_of_a_release_must_be_half_there(wardrobe: Dataset) -> None:
    """9 compatibility questions of which 4 are left and 3 blanks of which 2 are; then the other way round."""
    part = released(wardrobe, "test", asked=9)
    one, other, *_ = wardrobe.outfits_of("test")
    blanks = tuple(
        FitbQuestion(str(answer), one.id, one.item_ids[1:], (one.item_ids[0], other.item_ids[0]), answer)
        for answer in (0, 0)
    )
    part = replace(part, blanks=blanks, blanks_file=QuestionFile(3, {"no candidate": 1}))
    settings = EvaluateSettings(protocols=("release",))
    (found,) = draw_questions(replace(wardrobe, released=(part,)), settings, 3)
    assert (found.valid, found.test, found.blanks) == ((), (), blanks)
    assert found.warnings == (
        "The release's own compatibility questions ('release') aren't asked: only 4 of the 9 can be, which is less "
        "than half (5 name an unknown item).",
        "1 of the 3 fill-in-the-blank questions of 'release': no candidate.",
    )
    part = replace(released(wardrobe, "test"), blanks=blanks, blanks_file=QuestionFile(5, {"no candidate": 3}))
    (found,) = draw_questions(replace(wardrobe, released=(part,)), settings, 3)
    assert (found.test, found.blanks) == (part.compatibility, ())
    assert found.warnings[0] == (
        "The release's own fill-in-the-blank questions ('release') aren't asked: only 2 of the 5 can be, which is less "
        "than half (3 no candidate)."
    )


def test_questions_of_one_answer_are_no_question(wardrobe: Dataset) -> None:
    part = released(wardrobe, "test")
    part = replace(part, compatibility=tuple(replace(one, compatible=True) for one in part.compatibility))
    with pytest.raises(EvaluationError, match="4 of the 4 are compatible, so there is one answer"):
        draw_questions(replace(wardrobe, released=(part,)), EvaluateSettings(protocols=("release",)), 3)


def test_a_release_that_is_not_there(wardrobe: Dataset) -> None:
    with pytest.raises(EvaluationError, match="'wardrobe' has no question files for its test split"):
        draw_questions(wardrobe, EvaluateSettings(protocols=("release",)), 3)


def test_a_pool_that_is_too_large_is_told(wardrobe: Dataset) -> None:
    part = draw_questions(wardrobe, EvaluateSettings(protocols=("same-category",), retrieval_pool=40), 3)[0]
    assert not part.retrieval
    assert "12 test outfits have no retrieval query: no item of theirs has 39 others" in part.warnings[-1]
