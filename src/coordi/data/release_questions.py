"""The question files of a release, as far as they can be asked after cleaning."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from coordi.data.source import (
    MIN_ITEMS,
    Source,
    SourceBlank,
    SourceCompatibility,
    SourceItem,
    SourceOutfit,
    SourceQuestions,
    title_key,
)
from coordi.types import SPLITS, CompatibilityQuestion, FitbQuestion, QuestionFile, ReleaseQuestions

_STREAM = 131  # no run's seed beside it: the release asks everybody the same

SHORTENED = "asked without items that cleaning left out (nobody wears them, no title, ...)"
LATER = "asked without items that were left out later (nothing tells what they are)"
UNKNOWN = "asked without items that no split file has"
TWINS = "asked with the first of items of one title"
TOO_FEW = f"left out, as fewer than {MIN_ITEMS} items are left"
TRAINED = "left out, as its outfit is in the training split"
REAL = "left out, as what is left of the made-up outfit is part of a real one"
NO_CANDIDATE = "left out, as a candidate is one that cleaning left out or no split file has"
TWIN_CANDIDATE = "left out, as a candidate has the title of another or of the outfit's items"
UNTOLD = "left out, as the file doesn't tell which candidate is right"
OTHER_CHOICES = "left out, as it has another number of candidates than most"


def release_questions(
    source: Source, items: Mapping[str, SourceItem], outfits: Sequence[SourceOutfit]
) -> tuple[ReleaseQuestions, ...]:
    """What can be asked of the question files that came with a source; the same whatever the run's seed.

    Args:
        source: Its items and outfits are those that were read.
        items: What cleaning kept, with its titles, by id.
        outfits: What cleaning kept, each with its split, before any cap.
    """
    sieve = _Sieve(source, items, outfits)
    return tuple(_released(part, stream, sieve) for stream, part in enumerate(source.questions))


def capped(part: SourceQuestions, cap: int | None) -> tuple[SourceQuestions, int]:
    """The questions of at most ``cap`` outfits, the same ones for every seed, and how many outfits are left aside.

    Negatives whose outfit isn't known count apart, so that no file is left with one kind only.
    """
    positive = dict.fromkeys(
        [one.outfit_id for one in part.compatibility if one.compatible] + [one.outfit_id for one in part.blanks]
    )
    alone = dict.fromkeys(one.outfit_id for one in part.compatibility if one.outfit_id not in positive)
    kept = {name for names in (positive, alone) for name in sorted(names, key=_drawn)[:cap]}
    fewer = replace(
        part,
        compatibility=tuple(one for one in part.compatibility if one.outfit_id in kept),
        blanks=tuple(one for one in part.blanks if one.outfit_id in kept),
    )
    return fewer, sum(name not in kept for name in positive)


def named_items(parts: Sequence[ReleaseQuestions]) -> set[str]:
    """Every item that the questions name."""
    named: set[str] = set()
    for part in parts:
        named.update(name for one in part.compatibility for name in one.item_ids)
        named.update(name for one in part.blanks for name in (*one.item_ids, *one.candidates))
    return named


def without_items(part: ReleaseQuestions, items: Collection[str]) -> ReleaseQuestions:
    """The questions with the items that are still there, after something later than cleaning left some out."""
    losses, lost_blanks = Counter(part.compatibility_file.losses), Counter(part.blanks_file.losses)
    compatibility = []
    for one in part.compatibility:
        left = tuple(name for name in one.item_ids if name in items)
        if len(left) < len(one.item_ids):
            losses[LATER if len(left) >= MIN_ITEMS else TOO_FEW] += 1
        if len(left) >= MIN_ITEMS:
            compatibility.append(replace(one, item_ids=left))
    blanks = []
    for blank in part.blanks:
        left = tuple(name for name in blank.item_ids if name in items)
        if not all(name in items for name in blank.candidates):
            lost_blanks[NO_CANDIDATE] += 1
        elif len(left) + 1 < MIN_ITEMS:
            lost_blanks[TOO_FEW] += 1
        else:
            lost_blanks[LATER] += len(left) < len(blank.item_ids)
            blanks.append(replace(blank, item_ids=left))
    return _with(part, compatibility, blanks, losses, lost_blanks)


def without_taught(part: ReleaseQuestions, is_taught: Callable[[Sequence[str]], bool]) -> ReleaseQuestions:
    """The questions without those of outfits that a model was trained on.

    Args:
        part: The questions.
        is_taught: Whether these items, in any order, were a training outfit.
    """
    losses, lost_blanks = Counter(part.compatibility_file.losses), Counter(part.blanks_file.losses)
    compatibility = [one for one in part.compatibility if not (one.compatible and is_taught(one.item_ids))]
    blanks = [one for one in part.blanks if not is_taught((*one.item_ids, one.candidates[one.answer]))]
    losses[TRAINED] += len(part.compatibility) - len(compatibility)
    lost_blanks[TRAINED] += len(part.blanks) - len(blanks)
    return _with(part, compatibility, blanks, losses, lost_blanks)


def _with(
    part: ReleaseQuestions,
    compatibility: Iterable[CompatibilityQuestion],
    blanks: Iterable[FitbQuestion],
    losses: Mapping[str, int],
    lost_blanks: Mapping[str, int],
) -> ReleaseQuestions:
    return replace(
        part,
        compatibility=tuple(compatibility),
        blanks=tuple(blanks),
        compatibility_file=_file(part.compatibility_file.asked, losses),
        blanks_file=_file(part.blanks_file.asked, lost_blanks),
    )


def _file(asked: int, losses: Mapping[str, int]) -> QuestionFile:
    return QuestionFile(asked, MappingProxyType({reason: count for reason, count in losses.items() if count}))


def _drawn(outfit_id: str) -> bytes:
    return hashlib.sha256(f"{_STREAM}\0{outfit_id}".encode()).digest()


def _released(part: SourceQuestions, stream: int, sieve: _Sieve) -> ReleaseQuestions:
    generator = np.random.default_rng([_STREAM, SPLITS.index(part.split), stream])
    losses: Counter[str] = Counter()
    lost_blanks: Counter[str] = Counter()
    asked = [(one, left) for one in part.compatibility if (left := sieve.compatibility(one, losses))]
    blanks = [(one, left) for one in part.blanks if (left := sieve.blank(one, lost_blanks))]
    choices = Counter(len(one.candidates) for one, _ in blanks).most_common(1)
    even = [(one, left) for one, left in blanks if len(one.candidates) == choices[0][0]]
    lost_blanks[OTHER_CHOICES] += len(blanks) - len(even)
    prefix = f"{part.split}-{part.name}"
    return ReleaseQuestions(
        name=part.name,
        split=part.split,
        compatibility=tuple(
            _question(f"{prefix}-{number:06d}", *asked[int(drawn)], generator)
            for number, drawn in enumerate(generator.permutation(len(asked)))
        ),
        blanks=tuple(
            _blank(f"{prefix}-blank-{number:06d}", *even[int(drawn)], generator)
            for number, drawn in enumerate(generator.permutation(len(even)))
        ),
        compatibility_file=_file(len(part.compatibility), losses),
        blanks_file=_file(len(part.blanks), lost_blanks),
    )


def _question(
    question_id: str, one: SourceCompatibility, left: Sequence[str], generator: np.random.Generator
) -> CompatibilityQuestion:
    return CompatibilityQuestion(question_id, one.outfit_id, _shuffled(left, generator), compatible=one.compatible)


def _blank(question_id: str, one: SourceBlank, left: Sequence[str], generator: np.random.Generator) -> FitbQuestion:
    true = one.candidates[one.answer or 0]
    shown = _shuffled(one.candidates, generator)
    return FitbQuestion(question_id, one.outfit_id, _shuffled(left, generator), shown, shown.index(true))


def _shuffled(item_ids: Sequence[str], generator: np.random.Generator) -> tuple[str, ...]:
    return tuple(item_ids[int(position)] for position in generator.permutation(len(item_ids)))


class _Sieve:
    """What of a question's items is left, and why a question can't be asked."""

    def __init__(self, source: Source, items: Mapping[str, SourceItem], outfits: Sequence[SourceOutfit]) -> None:
        self._items = items
        self._read = {item.id for item in source.items}
        taught = [outfit for outfit in outfits if outfit.split == "train"]
        self._taught_ids = {outfit.id for outfit in taught}
        self._taught = {self._titles(outfit.item_ids) for outfit in taught}
        self._wearing: dict[str, set[str]] = {}
        for outfit in source.outfits:
            for name in outfit.item_ids:
                self._wearing.setdefault(name, set()).add(outfit.id)

    def compatibility(self, question: SourceCompatibility, losses: Counter[str]) -> tuple[str, ...]:
        """The items to ask about; none if the question is left out. Either way it is counted."""
        left, changes = self._left(question.item_ids)
        reason = None
        if len(left) < MIN_ITEMS:
            reason = TOO_FEW
        elif question.compatible and self._was_taught(question.outfit_id, left):
            reason = TRAINED
        elif not question.compatible and self._are_worn_together(left):
            reason = REAL
        losses.update([reason] if reason else changes)
        return () if reason else left

    def blank(self, question: SourceBlank, losses: Counter[str]) -> tuple[str, ...]:
        """The rest of the outfit to ask with; nothing if the question is left out. Either way it is counted."""
        left, changes = self._left(question.item_ids)
        reason = None
        if question.answer is None:
            reason = UNTOLD
        elif not all(name in self._items for name in question.candidates):
            reason = NO_CANDIDATE
        elif len(left) + 1 < MIN_ITEMS:
            reason = TOO_FEW
        elif len(self._first_of_each_title((*left, *question.candidates))) < len(left) + len(question.candidates):
            reason = TWIN_CANDIDATE
        elif self._was_taught(question.outfit_id, (*left, question.candidates[question.answer])):
            reason = TRAINED
        losses.update([reason] if reason else changes)
        return () if reason else left

    def _left(self, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        found = [name for name in names if name in self._items]
        left = self._first_of_each_title(found)
        changes = {
            UNKNOWN: any(name not in self._read for name in names),
            SHORTENED: any(name in self._read and name not in self._items for name in names),
            TWINS: len(left) < len(found),
        }
        return left, [change for change, happened in changes.items() if happened]

    def _first_of_each_title(self, names: Collection[str]) -> tuple[str, ...]:
        first: dict[str, str] = {}
        for name in names:
            first.setdefault(title_key(self._items[name]), name)
        return tuple(first.values())

    def _titles(self, names: Iterable[str]) -> tuple[str, ...]:
        return tuple(sorted(title_key(self._items[name]) for name in names))

    def _was_taught(self, outfit_id: str, names: Iterable[str]) -> bool:
        return outfit_id in self._taught_ids or self._titles(names) in self._taught

    def _are_worn_together(self, names: Sequence[str]) -> bool:
        worn = [self._wearing.get(name, set()) for name in names]
        return bool(worn[0].intersection(*worn[1:]))
