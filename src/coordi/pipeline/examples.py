"""From questions about outfits to the instructions a model learns from, drawn anew in each epoch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from coordi.config import RunSettings
from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.domain import BlankProtocol, CompatibilityQuestion, Dataset, FillInTheBlankQuestion, Protocol
from coordi.prompts.templates import (
    Instruction,
    choose_instruction,
    compatibility_instruction,
    complement_instruction,
)

_Name = TypeVar("_Name", bound=str)
_STREAM = 501  # of the run's seed


def training_examples(
    dataset: Dataset, texts: Mapping[str, str], settings: RunSettings
) -> Callable[[int], tuple[Instruction, ...]]:
    """How to draw the examples of an epoch, each with its answer.

    Every training outfit, in shuffled order, gives one task's examples in an epoch: it and one negative for
    ``compatibility``, one for ``choose`` or ``complement``. The task and where negatives come from are drawn by their
    shares in the settings. An outfit and its negative follow each other, so that they share an optimizer step and what
    is common to both cancels out of it. For a pooled head an outfit is followed by a negative of every protocol.

    Args:
        dataset: With a training split.
        texts: What prompts say of each item, by item id.
        settings: ``finetune.tasks``, ``finetune.negatives``, ``evaluate.choices`` and ``seed`` count here.
    """

    def draw(epoch: int) -> tuple[Instruction, ...]:
        rng = np.random.default_rng([settings.seed, _STREAM, epoch])
        epoch_questions = _Epoch(dataset, settings, epoch)
        tasks, task_shares = _shares(settings.finetune.tasks)
        protocols, protocol_shares = _shares(settings.finetune.negatives)
        outfits = dataset.outfits_of("train")
        drawn: list[Instruction] = []
        if settings.finetune.head == "pooled":
            used = [protocol for protocol, share in zip(protocols, protocol_shares, strict=True) if share]
            for place in rng.permutation(len(outfits)):
                drawn += _with_negatives(epoch_questions, outfits[place].id, used, texts)
            return tuple(drawn)
        for outfit in (outfits[place] for place in rng.permutation(len(outfits))):
            task = tasks[rng.choice(len(tasks), p=task_shares)]
            protocol = protocols[rng.choice(len(protocols), p=protocol_shares)]
            if task == "compatibility":
                drawn += [_yes_or_no(one, texts) for one in epoch_questions.compatibility(protocol).get(outfit.id, ())]
            else:
                wrong: BlankProtocol = "random" if protocol == "random" else "same-category"
                blanks = epoch_questions.blanks(wrong).get(outfit.id, ())
                drawn += [_choose(one, texts) if task == "choose" else _name(one, dataset, texts) for one in blanks]
        return tuple(drawn)

    return draw


def validation_examples(dataset: Dataset, texts: Mapping[str, str], settings: RunSettings) -> tuple[Instruction, ...]:
    """Compatibility questions of the validation split with their answers, of every protocol that is trained on."""
    return tuple(
        _yes_or_no(question, texts)
        for protocol, share in settings.finetune.negatives.items()
        if share
        for question in compatibility_questions(dataset, "valid", protocol, settings.seed)
    )


@dataclass
class _Epoch:
    """Questions of one epoch by outfit, drawn when they are first asked for."""

    dataset: Dataset
    settings: RunSettings
    epoch: int
    _compatibility: dict[Protocol, dict[str, list[CompatibilityQuestion]]] = field(default_factory=dict)
    _blanks: dict[BlankProtocol, dict[str, list[FillInTheBlankQuestion]]] = field(default_factory=dict)

    def compatibility(self, protocol: Protocol) -> dict[str, list[CompatibilityQuestion]]:
        if protocol not in self._compatibility:
            by_outfit = self._compatibility[protocol] = {}
            for one in compatibility_questions(self.dataset, "train", protocol, self.settings.seed, self.epoch):
                by_outfit.setdefault(one.outfit_id, []).append(one)
        return self._compatibility[protocol]

    def blanks(self, protocol: BlankProtocol) -> dict[str, list[FillInTheBlankQuestion]]:
        if protocol not in self._blanks:
            by_outfit = self._blanks[protocol] = {}
            choices = self.settings.evaluate.choices
            # A seed of its own for each epoch, far from the run's other seeds.
            seed = self.settings.seed + 1_000_003 * (self.epoch + 1)
            for one in fill_in_the_blank_questions(self.dataset, "train", protocol, seed, choices):
                by_outfit.setdefault(one.outfit_id, []).append(one)
        return self._blanks[protocol]


def _with_negatives(
    questions: _Epoch, outfit_id: str, protocols: Sequence[Protocol], texts: Mapping[str, str]
) -> list[Instruction]:
    """An outfit and a negative of each protocol; nothing if one of them can't be made."""
    asked = [questions.compatibility(protocol).get(outfit_id, ()) for protocol in protocols]
    if not all(asked):
        return []
    positive = next(one for one in asked[0] if one.compatible)
    negatives = [one for part in asked for one in part if not one.compatible]
    return [_yes_or_no(one, texts) for one in (positive, *negatives)]


def _shares(shares: Mapping[_Name, float]) -> tuple[list[_Name], NDArray[np.float64]]:
    weights = np.array(list(shares.values()), dtype=np.float64)
    return list(shares), weights / weights.sum()


def _yes_or_no(question: CompatibilityQuestion, texts: Mapping[str, str]) -> Instruction:
    return compatibility_instruction([texts[item] for item in question.item_ids], question.compatible)


def _choose(blank: FillInTheBlankQuestion, texts: Mapping[str, str]) -> Instruction:
    candidates = [texts[item] for item in blank.candidates]
    return choose_instruction([texts[item] for item in blank.item_ids], candidates, blank.answer)


def _name(blank: FillInTheBlankQuestion, dataset: Dataset, texts: Mapping[str, str]) -> Instruction:
    answer = blank.candidates[blank.answer]
    context = [texts[item] for item in blank.item_ids]
    wrong = blank.candidates[(blank.answer + 1) % len(blank.candidates)]
    return complement_instruction(context, dataset.items[answer].category, texts[answer], texts[wrong])
