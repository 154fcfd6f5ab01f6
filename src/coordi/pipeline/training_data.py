"""Training examples: instructions from questions about outfits, drawn anew in each epoch."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.config import RunSettings
from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.prompts import Instruction, InstructionMaker, name_of
from coordi.types import CompatibilityQuestion, Dataset, FitbNegatives, FitbQuestion, Negatives, RandomStream

_Name = TypeVar("_Name", bound=str)
_Question = TypeVar("_Question", CompatibilityQuestion, FitbQuestion)
_log = logging.getLogger(__name__)
_EPOCH_SEED = 1_000_003  # separates the seeds of an epoch's fill-in-the-blank questions from all others


def training_examples(dataset: Dataset, settings: RunSettings) -> Callable[[int], tuple[Instruction, ...]]:
    """Function that draws the examples of an epoch, each with its answer.

    In an epoch every training outfit, in shuffled order, gives the examples of one task: it and one negative for
    ``compatibility``, one example for ``choose`` or ``complement``. Task and negatives are drawn by their shares in the
    settings. An outfit and its negative follow each other, so that they share an optimizer step and their common
    features cancel out. For a pooled head an outfit is followed by one negative of every kind. All of a share of the
    outfits are without their items' facts; see ``finetune.without_facts``.
    """
    with_facts = InstructionMaker.of(settings)
    without_facts = replace(with_facts, facts=False)

    def maker(rng: np.random.Generator) -> InstructionMaker:
        if not settings.prompt.facts or rng.random() < settings.finetune.without_facts:
            return without_facts
        return with_facts

    def draw(epoch: int) -> tuple[Instruction, ...]:
        rng = np.random.default_rng([settings.seed, RandomStream.TRAINING_ORDER, epoch])
        questions = _EpochQuestions(dataset, settings, epoch)
        outfits = dataset.outfits_of("train")
        order = [outfits[n].id for n in rng.permutation(len(outfits))]
        if settings.finetune.head == "pooled":
            kinds = [kind for kind, share in settings.finetune.negatives.items() if share]
            return tuple(example for outfit in order for example in questions.with_negatives(outfit, kinds, maker(rng)))
        tasks, task_shares = _shares(settings.finetune.tasks)
        negatives, negative_shares = _shares(settings.finetune.negatives)
        examples: list[Instruction] = []
        for outfit in order:
            task = tasks[rng.choice(len(tasks), p=task_shares)]
            kind = negatives[rng.choice(len(negatives), p=negative_shares)]
            examples += questions.examples(outfit, task, kind, maker(rng))
        if questions.revealed:
            _log.warning(
                "%d outfits of epoch %d teach no name: another item of theirs has the words of the one to name",
                questions.revealed, epoch,
            )  # fmt: skip
        return tuple(examples)

    return draw


def validation_examples(dataset: Dataset, settings: RunSettings) -> tuple[Instruction, ...]:
    """Compatibility questions of the validation split with their answers, with all negatives of the training."""
    maker = InstructionMaker.of(settings)
    return tuple(
        _yes_or_no(question, dataset, maker)
        for negatives, share in settings.finetune.negatives.items()
        if share
        for question in compatibility_questions(dataset, "valid", negatives, settings.seed)
    )


class _EpochQuestions:
    def __init__(self, dataset: Dataset, settings: RunSettings, epoch: int) -> None:
        self._dataset = dataset
        blanks_seed, choices = settings.seed + _EPOCH_SEED * (epoch + 1), settings.evaluate.choices

        @cache
        def compatibility(negatives: Negatives) -> dict[str, list[CompatibilityQuestion]]:
            return _by_outfit(compatibility_questions(dataset, "train", negatives, settings.seed, epoch))

        @cache
        def blanks(negatives: FitbNegatives) -> dict[str, list[FitbQuestion]]:
            return _by_outfit(fill_in_the_blank_questions(dataset, "train", negatives, blanks_seed, choices))

        self._compatibility, self._blanks = compatibility, blanks
        self.revealed = 0  # questions for a name that stands in the prompt, which were left out

    def examples(self, outfit_id: str, task: str, negatives: Negatives, maker: InstructionMaker) -> list[Instruction]:
        """Examples of one task; none if no question of it could be drawn, or its answer stands in the prompt."""
        if task == "compatibility":
            drawn = self._compatibility(negatives).get(outfit_id, [])
            return [_yes_or_no(question, self._dataset, maker) for question in drawn]
        questions = self._blanks("random" if negatives == "random" else "same-category").get(outfit_id, [])
        if task == "choose":
            return [_choose(question, self._dataset, maker) for question in questions]
        hidden = [question for question in questions if not _reveals_name(question, self._dataset)]
        self.revealed += len(questions) - len(hidden)
        return [_complement(question, self._dataset, maker) for question in hidden]

    def with_negatives(self, outfit_id: str, kinds: Sequence[Negatives], maker: InstructionMaker) -> list[Instruction]:
        """An outfit and one negative of each kind; nothing if one of them couldn't be drawn."""
        parts = [self._compatibility(kind).get(outfit_id, []) for kind in kinds]
        if not all(parts):
            return []
        positive = next(question for question in parts[0] if question.compatible)
        negatives = [question for part in parts for question in part if not question.compatible]
        return [_yes_or_no(question, self._dataset, maker) for question in (positive, *negatives)]


def _by_outfit(questions: Iterable[_Question]) -> dict[str, list[_Question]]:
    by_outfit: dict[str, list[_Question]] = {}
    for question in questions:
        by_outfit.setdefault(question.outfit_id, []).append(question)
    return by_outfit


def _shares(shares: Mapping[_Name, float]) -> tuple[list[_Name], NDArray[np.float64]]:
    weights = np.array(list(shares.values()), dtype=np.float64)
    return list(shares), weights / weights.sum()


def _yes_or_no(question: CompatibilityQuestion, dataset: Dataset, maker: InstructionMaker) -> Instruction:
    return maker.compatibility(dataset.items_of(question.item_ids), question.compatible)


def _choose(question: FitbQuestion, dataset: Dataset, maker: InstructionMaker) -> Instruction:
    context, candidates = (dataset.items_of(names) for names in (question.item_ids, question.candidates))
    return maker.choose(context, candidates, question.answer)


def _reveals_name(question: FitbQuestion, dataset: Dataset) -> bool:
    """Whether another item of the outfit has the same words as the one to name, which the prompt would hold."""
    answer = dataset.items[question.candidates[question.answer]]
    return name_of(answer) in map(name_of, dataset.items_of(question.item_ids))


def _complement(question: FitbQuestion, dataset: Dataset, maker: InstructionMaker) -> Instruction:
    answer = dataset.items[question.candidates[question.answer]]
    return maker.complement(dataset.items_of(question.item_ids), answer.category or "accessory", answer)
