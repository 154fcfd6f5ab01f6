"""The question files of a release, as far as they can be used after cleaning."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from coordi.data.source import (
    MIN_ITEMS,
    UNKNOWN_ANSWER,
    Source,
    SourceItem,
    SourceOutfit,
    first_of_each_title,
    shuffled,
    title_set,
)
from coordi.types import (
    SPLITS,
    CompatibilityQuestion,
    FitbQuestion,
    QuestionFile,
    RandomStream,
    ReleaseQuestions,
)

AnyQuestion = CompatibilityQuestion | FitbQuestion

SHORTENED = "asked without items that cleaning left out (nobody wears them, no title, ...)"
LATER = "asked without items that were left out later (nothing tells what they are)"
UNKNOWN = "asked without items that no split file has"
SAME_TITLE = "asked with the first of items of one title"
TOO_FEW = f"left out, as fewer than {MIN_ITEMS} items are left"
TRAINED = "left out, as its outfit is in the training split"
REAL = "left out, as what is left of the made-up outfit is part of a real one"
NO_CANDIDATE = "left out, as a candidate is one that cleaning left out or no split file has"
SAME_TITLE_CANDIDATE = "left out, as a candidate has the title of another or of the outfit's items"
NO_ANSWER = "left out, as the file doesn't tell which candidate is right"
OTHER_CHOICES = "left out, as it has another number of candidates than most"


def release_questions(
    source: Source, items: Mapping[str, SourceItem], outfits: Sequence[SourceOutfit]
) -> tuple[ReleaseQuestions, ...]:
    """The questions of a source's files that can be used; the same whatever the run's seed."""
    rules = _ReleaseFilter(source, items, outfits)
    return tuple(_read_part(part, stream, rules) for stream, part in enumerate(source.questions))


def capped(part: ReleaseQuestions, cap: int | None) -> tuple[ReleaseQuestions, int]:
    """The questions of at most ``cap`` outfits, the same ones for every seed, and how many outfits are left aside.
    Negatives whose outfit is unknown count apart, so that no file is left with one answer only.
    """
    positive = dict.fromkeys(
        [question.outfit_id for question in part.compatibility if question.compatible]
        + [blank.outfit_id for blank in part.blanks]
    )
    others = dict.fromkeys(question.outfit_id for question in part.compatibility if question.outfit_id not in positive)
    chosen = {name for names in (positive, others) for name in sorted(names, key=_rank)[:cap]}
    fewer = replace(
        part,
        compatibility=tuple(question for question in part.compatibility if question.outfit_id in chosen),
        blanks=tuple(blank for blank in part.blanks if blank.outfit_id in chosen),
    )
    return fewer, sum(name not in chosen for name in positive)


def named_items(parts: Sequence[ReleaseQuestions]) -> set[str]:
    """Every item that the questions name."""
    names: set[str] = set()
    for part in parts:
        names.update(*(question.item_ids for question in part.compatibility))
        names.update(*((*blank.item_ids, *blank.candidates) for blank in part.blanks))
    return names


def without_items(part: ReleaseQuestions, items: Collection[str]) -> ReleaseQuestions:
    """The questions with the items that are still there, after a step later than cleaning left some out."""

    def remaining(question: AnyQuestion, losses: Counter[str]) -> tuple[str, ...]:
        left = tuple(name for name in question.item_ids if name in items)
        reason = LATER if len(left) < len(question.item_ids) else ""
        candidates = question.candidates if isinstance(question, FitbQuestion) else ()
        if not all(name in items for name in candidates):
            reason = NO_CANDIDATE
        elif len(left) + bool(candidates) < MIN_ITEMS:
            reason = TOO_FEW
        losses[reason] += bool(reason)
        return left if reason in ("", LATER) else ()

    return _filtered(part, remaining)


def without_training_outfits(part: ReleaseQuestions, is_trained: Callable[[Sequence[str]], bool]) -> ReleaseQuestions:
    """The questions without those of outfits that a model was trained on, as ``is_trained`` says of their items."""

    def remaining(question: AnyQuestion, losses: Counter[str]) -> tuple[str, ...]:
        if isinstance(question, FitbQuestion):
            trained = is_trained((*question.item_ids, question.candidates[question.answer]))
        else:
            trained = question.compatible and is_trained(question.item_ids)
        losses[TRAINED] += trained
        return () if trained else question.item_ids

    return _filtered(part, remaining)


def _filtered(
    part: ReleaseQuestions, remaining: Callable[[AnyQuestion, Counter[str]], tuple[str, ...]]
) -> ReleaseQuestions:
    """The questions with the items that a function leaves; it counts why it changes or drops (no items) one."""
    losses, blank_losses = Counter(part.compatibility_file.losses), Counter(part.blanks_file.losses)
    pairs = [replace(each, item_ids=left) for each in part.compatibility if (left := remaining(each, losses))]
    blanks = [replace(each, item_ids=left) for each in part.blanks if (left := remaining(each, blank_losses))]
    return replace(
        part,
        compatibility=tuple(pairs),
        blanks=tuple(blanks),
        compatibility_file=_file(part.compatibility_file.count, losses),
        blanks_file=_file(part.blanks_file.count, blank_losses),
    )


def _file(count: int, losses: Mapping[str, int]) -> QuestionFile:
    return QuestionFile(count, {reason: lost for reason, lost in losses.items() if lost})


def _rank(outfit_id: str) -> bytes:
    return hashlib.sha256(f"{RandomStream.RELEASE:d}\0{outfit_id}".encode()).digest()


def _read_part(part: ReleaseQuestions, stream: int, rules: _ReleaseFilter) -> ReleaseQuestions:
    generator = np.random.default_rng([RandomStream.RELEASE, SPLITS.index(part.split), stream])
    counted = replace(
        part, compatibility_file=QuestionFile(len(part.compatibility)), blanks_file=QuestionFile(len(part.blanks))
    )
    usable = _filtered(counted, rules.remaining)
    choices = Counter(len(blank.candidates) for blank in usable.blanks).most_common(1)
    even = [blank for blank in usable.blanks if len(blank.candidates) == choices[0][0]]
    odd = {OTHER_CHOICES: len(usable.blanks) - len(even)}
    prefix = f"{part.split}-{part.name}"
    pairs = []
    for number, position in enumerate(generator.permutation(len(usable.compatibility))):
        question = usable.compatibility[position]
        items = shuffled(question.item_ids, generator)
        pairs.append(replace(question, id=f"{prefix}-{number:06d}", item_ids=items))
    blanks = []
    for number, position in enumerate(generator.permutation(len(even))):
        blank = even[position]
        candidates = shuffled(blank.candidates, generator)
        answer = candidates.index(blank.candidates[blank.answer])
        items, name = shuffled(blank.item_ids, generator), f"{prefix}-blank-{number:06d}"
        blanks.append(replace(blank, id=name, item_ids=items, candidates=candidates, answer=answer))
    return replace(
        usable,
        compatibility=tuple(pairs),
        blanks=tuple(blanks),
        blanks_file=_file(len(part.blanks), Counter(usable.blanks_file.losses) + Counter(odd)),
    )


class _ReleaseFilter:
    def __init__(self, source: Source, items: Mapping[str, SourceItem], outfits: Sequence[SourceOutfit]) -> None:
        self._items = items
        self._read = {item.id for item in source.items}
        training = [outfit for outfit in outfits if outfit.split == "train"]
        self._training_ids = {outfit.id for outfit in training}
        self._training_titles = {title_set(outfit.item_ids, items) for outfit in training}
        self._outfits_with: dict[str, set[str]] = defaultdict(set)
        for outfit in source.outfits:
            for name in outfit.item_ids:
                self._outfits_with[name].add(outfit.id)

    def remaining(self, question: AnyQuestion, losses: Counter[str]) -> tuple[str, ...]:
        """The items that are left; none if the question is left out. Either way it is counted."""
        left, changes = self._left(question.item_ids)
        if isinstance(question, FitbQuestion):
            reason = self._why_no_blank(question, left)
        else:
            reason = self._why_no_pair(question, left)
        losses.update([reason] if reason else changes)
        return () if reason else left

    def _why_no_pair(self, question: CompatibilityQuestion, left: Sequence[str]) -> str:
        if len(left) < MIN_ITEMS:
            return TOO_FEW
        if question.compatible:
            return TRAINED if self._is_trained(question.outfit_id, left) else ""
        return REAL if set.intersection(*(self._outfits_with[name] for name in left)) else ""

    def _why_no_blank(self, question: FitbQuestion, left: Sequence[str]) -> str:
        if question.answer == UNKNOWN_ANSWER:
            return NO_ANSWER
        if not all(name in self._items for name in question.candidates):
            return NO_CANDIDATE
        if len(left) + 1 < MIN_ITEMS:
            return TOO_FEW
        names = (*left, *question.candidates)
        if len(first_of_each_title(names, self._items)) < len(names):
            return SAME_TITLE_CANDIDATE
        is_trained = self._is_trained(question.outfit_id, (*left, question.candidates[question.answer]))
        return TRAINED if is_trained else ""

    def _left(self, names: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
        clean = [name for name in names if name in self._items]
        left = first_of_each_title(clean, self._items)
        changes = {
            UNKNOWN: any(name not in self._read for name in names),
            SHORTENED: any(name in self._read and name not in self._items for name in names),
            SAME_TITLE: len(left) < len(clean),
        }
        return left, [change for change, applies in changes.items() if applies]

    def _is_trained(self, outfit_id: str, names: Iterable[str]) -> bool:
        return outfit_id in self._training_ids or title_set(names, self._items) in self._training_titles
