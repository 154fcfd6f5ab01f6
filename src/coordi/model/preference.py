"""Direct preference optimisation: a right answer is made likelier than a wrong one, near to where training began.

Of an outfit ``yes`` is preferred to ``no``; of its corrupted twin, in the same step, ``no`` to ``yes``. Choosing
prefers the right letter to a wrong one, naming the right text to another item's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from coordi.config import FinetuneSettings
from coordi.errors import TrainingError, require
from coordi.model.engines import Loaded
from coordi.model.lessons import drawn_examples, sorted_in_steps, without_end
from coordi.model.reading import as_told, parts
from coordi.model.trainer import InOrder, Steps, padded, quiet_arguments, without_printing
from coordi.prompts.rendering import PromptRenderer
from coordi.prompts.templates import Instruction

_WIDTHS = 16  # few different lengths: memory that was freed at one length is of use at the next
Spot = tuple[int, int]
Pick = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with a right and a wrong answer.

    Two answers of one token each are told apart at one place: the prompt is then read once.

    Attributes:
        texts: What is read: the prompt, or the prompt with either answer but its last token.
        spots: Places that an answer's tokens are told at, as (number of the text, position).
        picks: Tokens of both answers, as (number of the spot, token, 1 for the right answer and -1 for the wrong one).
    """

    texts: tuple[tuple[int, ...], ...]
    spots: tuple[Spot, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class Preferences:
    """Everything that is seen in training, in order.

    Attributes:
        pairs: Of each example its two answers.
        steps: Optimizer steps; there are ``steps * batch_size`` pairs.
    """

    pairs: list[Preference]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all pairs."""
        return hashlib.sha256(repr(self.pairs).encode()).hexdigest()

    def tokens(self, pairs: int) -> int:
        """Tokens of the first so many pairs, as they are read."""
        return sum(len(text) for pair in self.pairs[:pairs] for text in pair.texts)


def make_preferences(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: PromptRenderer, settings: FinetuneSettings
) -> Preferences:
    """Draw epochs until there is enough for every step; see ``coordi.model.lessons.make_lessons``.

    Raises:
        TrainingError: If an epoch is empty, all answers are the same word, or an example lacks one of the answers.
        PromptError: If an example can't be shortened enough.
    """
    examples, steps = drawn_examples(examples_for_epoch, settings)
    pairs = [_pair(example, renderer) for example in examples]
    return Preferences(sorted_in_steps(pairs, settings.batch_size, lambda pair: len(pair.texts[0])), steps)


def _pair(example: Instruction, renderer: PromptRenderer) -> Preference:
    if example.answer is None or example.rejected is None:
        raise TrainingError(
            f"finetune.objective is dpo, but a training example has the right answer {example.answer!r} and the wrong "
            f"one {example.rejected!r}: '{example.question}' about {len(example.items)} items"
        )
    # The prompt is shortened for the longer answer, so that both stand after the same one.
    longer = max(example.answer, example.rejected, key=lambda word: len(renderer.answer_ids(word, ends=True)))
    prompt = renderer.render(_with_answer(example, longer)).prompt_ids
    right, wrong = (without_end(renderer.answer_ids(word, ends=True)) for word in (example.answer, example.rejected))
    last = len(prompt) - 1
    if len(right) == len(wrong) == 1:
        return Preference((prompt,), ((0, last),), ((0, right[0], 1), (0, wrong[0], -1)))
    texts = tuple((*prompt, *answer[:-1]) for answer in (right, wrong))
    spots = tuple(
        (number, last + place) for number, answer in enumerate((right, wrong)) for place in range(len(answer))
    )
    tokens = [(token, sign) for answer, sign in ((right, 1), (wrong, -1)) for token in answer]
    return Preference(texts, spots, tuple((spot, token, sign) for spot, (token, sign) in enumerate(tokens)))


def _with_answer(example: Instruction, answer: str) -> Instruction:
    return replace(example, answer=answer)


def preference_loss(margins: Any, reference: Any, beta: float) -> Any:
    """Mean of ``-log sigmoid(beta * (margin - reference))``, a scalar tensor.

    Args:
        margins: ``log P(right) - log P(wrong)`` of each pair by the model that learns, ``(N,)``.
        reference: The same by the model as training began, ``(N,)``.
        beta: How tightly the one is held to the other.

    References:
        Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023, eq. 7.
    """
    return require("torch", "train").nn.functional.softplus(-beta * (margins - reference)).mean()


def margins(model: Any, batch: dict[str, Any]) -> Any:
    """``log P(right) - log P(wrong)`` of each pair of a batch, ``(N,)``; the head is run on the spots alone."""
    torch = require("torch", "train")
    backbone, head = parts(model)
    states = backbone(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).last_hidden_state  # (R, T, H)
    at = states[batch["spot_rows"], batch["spot_places"]]  # (S, H)
    logs = as_told(model, head(at).float()).log_softmax(dim=-1)  # (S, V)
    picked = logs[batch["pick_spots"], batch["pick_tokens"]] * batch["pick_signs"]  # (K,)
    return torch.zeros(int(batch["pairs"]), device=picked.device).index_add(0, batch["pick_pairs"], picked)


def collate(pairs: Sequence[Preference]) -> dict[str, Any]:
    """Texts of all pairs one after the other, right-padded, and where in them both answers are told."""
    torch = require("torch", "train")
    texts: list[tuple[int, ...]] = []
    spots: list[Spot] = []
    picks: list[tuple[int, int, int, int]] = []
    for number, pair in enumerate(pairs):
        picks += [(len(spots) + spot, token, sign, number) for spot, token, sign in pair.picks]
        spots += [(len(texts) + text, place) for text, place in pair.spots]
        texts += pair.texts
    rows, places = torch.tensor(spots).T
    where, tokens, signs, whose = torch.tensor(picks).T
    return {
        **padded(texts, _WIDTHS), "spot_rows": rows, "spot_places": places, "pick_spots": where,
        "pick_tokens": tokens, "pick_signs": signs, "pick_pairs": whose, "pairs": torch.tensor(len(pairs)),
    }  # fmt: skip


def new_preference_trainer(
    loaded: Loaded, preferences: Preferences, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
) -> Any:
    """A trainer that sees the pairs once, in their order; call ``train`` on it.

    The reference is the model as it is handed over: an adapter that is new, or one that training goes on from.
    """
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    require("accelerate", "train")
    gpu = bool(torch.cuda.is_available())
    bf16 = gpu and bool(torch.cuda.is_bf16_supported())
    for weight in _trained(loaded.model):
        weight.data = weight.data.float()
    arguments = quiet_arguments(settings, preferences.steps, seed, folder) | {"bf16": bf16, "fp16": gpu and not bf16}
    trainer = _preference_trainer(transformers.Trainer)(
        model=loaded.model,
        args=transformers.TrainingArguments(**arguments),
        train_dataset=[{"pair": pair} for pair in preferences.pairs],
        data_collator=lambda rows: collate([row["pair"] for row in rows]),
    )
    trainer.model_accepts_loss_kwargs = False  # each micro-batch weighs the same, as all are of one size
    trainer.beta = settings.dpo_beta
    trainer.began = [weight.data.clone() for weight in _trained(loaded.model)]
    return without_printing(trainer, steps)


def _trained(model: Any) -> list[Any]:
    return [weight for weight in model.parameters() if weight.requires_grad]


@contextmanager
def as_it_began(model: Any, began: Sequence[Any]) -> Iterator[None]:
    """Give a model the trained weights that it began with, without dropout, and its own back."""
    weights = _trained(model)
    own = [weight.data for weight in weights]
    was_training = model.training
    model.eval()
    for weight, first in zip(weights, began, strict=True):
        weight.data = first
    try:
        yield
    finally:
        for weight, data in zip(weights, own, strict=True):
            weight.data = data
        model.train(was_training)


def _preference_trainer(parent: Any) -> Any:
    """A subclass of transformers' ``Trainer``; made here because it is imported late."""

    class PreferenceTrainer(InOrder, parent):  # type: ignore[misc]
        """Prefers right answers to wrong ones."""

        beta = 0.1
        began: Sequence[Any] = ()

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean over pairs; see ``preference_loss``."""
            import torch

            model = self.accelerator.unwrap_model(model)
            with torch.no_grad(), as_it_began(model, self.began):
                reference = margins(model, inputs)
            loss = preference_loss(margins(model, inputs), reference, self.beta)
            self.count_loss(loss.item(), 1)
            return (loss, {}) if return_outputs else loss

    return PreferenceTrainer
