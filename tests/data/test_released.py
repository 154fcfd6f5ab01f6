from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from coordi.config import DataSettings
from coordi.data import release_questions as rules
from coordi.data.cleaning import clean
from coordi.data.loading import load
from coordi.data.source import (
    UNKNOWN_ANSWER,
    Funnel,
    Source,
    SourceItem,
    SourceOutfit,
)
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, QuestionFile, ReleaseQuestions, Split

Maryland = Callable[[Mapping[str, Any]], Path]
AddsUp = Callable[[Dataset], None]

# An item is a letter; its title is its own but for twins. "s" is a sofa, "e" has no title.
TITLES = {letter: f"thing {letter}" for letter in "abcdfghijklmnopq"} | {"e": "", "A": "Thing A", "s": "sofa"}
LOOKS: Mapping[Split, Sequence[str]] = {"train": ("abc", "ijk"), "test": ("dfg", "hlm", "npA")}


def _released(
    asked: Sequence[tuple[str, bool]] = (),
    blanks: Sequence[tuple[str, str, int | None]] = (),
    looks: Mapping[Split, Sequence[str]] = LOOKS,
    asked_as: str | None = None,
) -> tuple[ReleaseQuestions, Dataset]:
    items = tuple(SourceItem(name, title, "" if name == "s" else "top") for name, title in TITLES.items())
    outfits = tuple(SourceOutfit(f"look-{look}", tuple(look), split) for split, made in looks.items() for look in made)
    funnel = Funnel()
    funnel.read("items", len(items))
    funnel.read("outfits", len(outfits))
    part = ReleaseQuestions(
        "release", "test",
        tuple(CompatibilityQuestion("", asked_as or f"look-{names}", tuple(names), truth) for names, truth in asked),
        tuple(
            FitbQuestion("", f"look-{names}", tuple(names), tuple(shown), UNKNOWN_ANSWER if answer is None else answer)
            for names, shown, answer in blanks
        ),
    )  # fmt: skip
    source = Source("made up", "test", items, outfits, funnel, keeps_single_items=False, questions=(part,))
    dataset = clean(source, DataSettings(), 5)
    return dataset.released[0], dataset


def _asked(part: ReleaseQuestions) -> dict[str, bool]:
    return {"".join(sorted(one.item_ids)): one.compatible for one in part.compatibility}


def test_questions_are_asked_and_their_items_stay(adds_up: AddsUp) -> None:
    part, dataset = _released([("dfg", True), ("qoh", False)])
    adds_up(dataset)
    assert _asked(part) == {"dfg": True, "hoq": False}
    assert part.compatibility_file == QuestionFile(2)
    assert part.blanks_file == QuestionFile()
    assert {"q", "o"} <= set(dataset.items)
    assert {"q", "o"}.isdisjoint(name for outfit in dataset.outfits for name in outfit.item_ids)


@pytest.mark.parametrize(
    ("names", "truth", "left", "reason"),
    [
        ("dsf", True, "df", rules.SHORTENED), ("def", False, "df", rules.REAL), ("deh", False, "dh", rules.SHORTENED),
        ("d?f", True, "df", rules.UNKNOWN), ("ds?", True, "", rules.TOO_FEW), ("se", False, "", rules.TOO_FEW),
        ("aAd", True, "ad", rules.SAME_TITLE), ("aAd", False, "ad", rules.SAME_TITLE),
        ("ddh", False, "dh", rules.SAME_TITLE),
        ("abc", True, "", rules.TRAINED), ("cbA", True, "", rules.TRAINED), ("abc", False, "", rules.REAL),
        ("df", False, "", rules.REAL),
    ],
)  # fmt: skip
def test_every_change_and_loss_is_counted(names: str, truth: bool, left: str, reason: str) -> None:
    part, _ = _released([(names, truth), ("hlm", True)])
    expected = {"hlm": True} | ({left: truth} if left and reason != rules.REAL else {})
    assert _asked(part) == expected
    assert dict(part.compatibility_file.losses) == {reason: 1}
    assert part.compatibility_file.count == 2


def test_part_of_a_training_outfit_isnt_asked_about() -> None:
    part, _ = _released([("ab", True)], looks={"train": ("ab", "ijk"), "test": ("dfg",)})
    assert dict(part.compatibility_file.losses) == {rules.TRAINED: 1}
    part, _ = _released([("abs", True)], looks={"train": ("abcs",), "test": ("dfg",)}, asked_as="look-abcs")
    assert dict(part.compatibility_file.losses) == {rules.TRAINED: 1}


def test_a_question_can_lose_items_for_several_reasons() -> None:
    part, _ = _released([("aAs?d", True)])
    assert _asked(part) == {"ad": True}
    assert dict(part.compatibility_file.losses) == {rules.UNKNOWN: 1, rules.SHORTENED: 1, rules.SAME_TITLE: 1}


@pytest.mark.parametrize(
    ("question", "shown", "answer", "reason"),
    [
        ("df", "gh", None, rules.NO_ANSWER), ("df", "gs", 0, rules.NO_CANDIDATE), ("df", "e?", 0, rules.NO_CANDIDATE),
        ("s", "gh", 0, rules.TOO_FEW), ("df", "gf", 0, rules.SAME_TITLE_CANDIDATE),
        ("ad", "gA", 0, rules.SAME_TITLE_CANDIDATE),
        ("df", "aA", 0, rules.SAME_TITLE_CANDIDATE), ("ab", "dc", 1, rules.TRAINED),
        ("df", "ghi", 0, rules.OTHER_CHOICES),
    ],
)  # fmt: skip
def test_a_blank_that_cant_be_asked_is_counted(question: str, shown: str, answer: int | None, reason: str) -> None:
    part, _ = _released(blanks=[("hl", "md", 0), ("np", "jA", 1), (question, shown, answer)])
    assert {"".join(sorted(one.candidates)) for one in part.blanks} == {"dm", "Aj"}
    assert dict(part.blanks_file.losses) == {reason: 1}


def test_a_blank_keeps_its_answer_when_it_is_shuffled() -> None:
    part, _ = _released(blanks=[("dfs", "ghij", 0), ("hl", "mdij", 0), ("np", "Aijd", 0)] * 30)
    truth = {"df": "g", "hl": "m", "np": "A"}
    assert all(truth["".join(sorted(one.item_ids))] == one.candidates[one.answer] for one in part.blanks)
    assert {one.answer for one in part.blanks} == {0, 1, 2, 3}
    assert dict(part.blanks_file.losses) == {rules.SHORTENED: 30}


def test_items_that_go_after_cleaning_go_from_the_questions_too() -> None:
    part, _ = _released(
        [("dfg", True), ("hjo", False), ("hl", True)], [("hlm", "jA", 0), ("np", "jA", 1), ("n", "oA", 1)]
    )
    assert rules.without_items(part, set(TITLES)) == part
    left = rules.without_items(part, set(TITLES) - {"f", "j", "l", "n"})
    assert _asked(left) == {"dg": True, "ho": False}
    assert left.blanks == ()
    assert dict(left.compatibility_file.losses) == {rules.LATER: 2, rules.TOO_FEW: 1}
    assert dict(left.blanks_file.losses) == {rules.TOO_FEW: 1, rules.NO_CANDIDATE: 2}
    (blank,) = rules.without_items(part, set(TITLES) - {"o", "p", "h"}).blanks[1:]
    assert blank.item_ids == ("n",)
    assert blank.candidates[blank.answer] == "A"


def test_outfits_that_a_model_was_trained_on_arent_asked_about() -> None:
    part, _ = _released([("dfg", True), ("hjo", False)], [("np", "jA", 1), ("hl", "mj", 0)])
    left = rules.without_training_outfits(part, lambda names: "".join(sorted(names)) in ("dfg", "hjo", "hlm"))
    assert _asked(left) == {"hjo": False}
    assert [sorted(one.item_ids) for one in left.blanks] == [["n", "p"]]
    assert left.compatibility_file == left.blanks_file == QuestionFile(2, {rules.TRAINED: 1})


def test_a_duplicate_outfit_is_still_asked_about() -> None:
    part, dataset = _released([("dfg", True), ("gfd", True)], looks={"test": ("dfg", "gfd")})
    assert len(dataset.outfits) == 1
    assert [one.compatible for one in part.compatibility] == [True, True]


def _four(maryland: Maryland) -> Path:
    """Four test outfits with their release questions, positives first in every pair."""
    looks = [(str(n), [(f"blouse {n}", 17), (f"jeans {n}", 27), (f"pumps {n}", 43)]) for n in range(8)]
    folder = maryland({"train": looks[:4], "test": looks[4:]})
    lines = [line for n in range(4, 8) for line in (f"1 {n}_1 {n}_2 {n}_3", f"0 {n}_1 {(n - 3) % 4 + 4}_2 0_3")]
    (folder / "fashion_compatibility_prediction.txt").write_text("\n".join(lines) + "\n")
    blanks = [{"question": [f"{n}_1", f"{n}_2"], "answers": [f"{n}_3", "0_3", "1_3"]} for n in range(4, 8)]
    (folder / "fill_in_blank_test.json").write_text(json.dumps(blanks))
    return folder


def test_the_release_asks_the_same_whatever_the_seed(maryland: Maryland) -> None:
    folder = _four(maryland)
    for settings in (DataSettings(), DataSettings(train_outfits=2, test_outfits=2)):
        one, other = (load(folder, settings, seed) for seed in (1, 2))
        assert one.released == other.released
        assert len(one.released) == 1
    (part,) = one.released
    assert part.compatibility_file.count == len(part.compatibility) == 4
    assert part.blanks_file.count == len(part.blanks) == 2
    assert [row.count for row in one.funnel if "'release': test_outfits=2" in row.reason] == [2]
    outfits = {one.outfit_id for one in part.compatibility}
    assert len(outfits) == 2
    assert outfits == {one.outfit_id for one in part.blanks}


@pytest.mark.parametrize("split", ["outfit-disjoint", "item-disjoint"])
def test_the_releases_questions_go_with_its_own_splits(maryland: Maryland, split: Any) -> None:
    dataset = load(_four(maryland), DataSettings(split=split), 1)
    assert dataset.released == ()
    (row,) = [row for row in dataset.funnel if "release's questions 'release'" in row.reason]
    assert (row.count, row.dropped) == (4, False)
    assert f"not split={split}" in row.reason


def test_order_and_ids_dont_tell_the_answer(maryland: Maryland) -> None:
    (part,) = load(_four(maryland), DataSettings(), 1).released
    assert [one.id for one in part.compatibility] == [f"test-release-{number:06d}" for number in range(8)]
    assert [one.compatible for one in part.compatibility] != [True, False] * 4
    assert any(one.item_ids != tuple(sorted(one.item_ids)) for one in part.compatibility if one.compatible)
    assert Counter(one.outfit_id for one in part.compatibility) == dict.fromkeys("4567", 2)


def test_questions_of_a_split_that_isnt_there_are_all_counted(maryland: Maryland) -> None:
    folder = _four(maryland)
    (folder / "test_no_dup.json").unlink()
    (part,) = load(folder, DataSettings(), 1).released
    assert part.by_task() == {
        "compatibility": (0, QuestionFile(8, {rules.TOO_FEW: 8})),
        "fill-in-the-blank": (0, QuestionFile(4, {rules.NO_CANDIDATE: 4})),
    }


def test_the_real_release(real: Dataset) -> None:
    plain, resampled = real.released
    assert (plain.name, resampled.name) == ("release", "release-resampled")
    assert (plain.compatibility_file.count, plain.blanks_file.count) == (2918, 1459)
    assert (resampled.compatibility_file.count, resampled.blanks_file.count) == (2918, 0)
    for part in real.released:
        for kept, file in part.by_task().values():
            gone = sum(count for reason, count in file.losses.items() if reason.startswith("left out"))
            assert kept + gone == file.count
        for one in part.compatibility:
            titles = [real.items[name].title.casefold() for name in one.item_ids]
            assert len(set(titles)) == len(titles) >= 2
    assert len(plain.blanks) > 50
    assert {len(one.candidates) for one in plain.blanks} == {4}
    assert all(one.candidates[one.answer].startswith(f"{one.outfit_id}_") for one in plain.blanks)
