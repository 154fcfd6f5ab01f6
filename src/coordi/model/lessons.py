"""Training examples as tokens, with the label on the answer alone, in the order they will be seen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from coordi.config import FinetuneSettings
from coordi.errors import TrainingError
from coordi.prompts.answers import NO, YES
from coordi.prompts.rendering import PromptRenderer
from coordi.prompts.templates import Instruction

IGNORED = -100  # PyTorch's label for a position without loss
# A word and the end of the turn. Such an answer is read from the word's position and never written out, and the end,
# learned within a few steps, would be half of the loss from then on.
_WORD_AND_END = 2
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class Lessons:
    """Everything that is seen in training, in order.

    Attributes:
        input_ids: Prompt and answer of each example.
        labels: The answer's tokens at the answer's positions, ``IGNORED`` elsewhere; of an answer of one word, the word
            without the end of the turn.
        steps: Optimizer steps; there are ``steps * batch_size`` examples.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all examples, to know again what an interrupted training had begun with."""
        return hashlib.sha256(repr((self.input_ids, self.labels)).encode()).hexdigest()

    def tokens(self, examples: int) -> int:
        """Tokens of the first so many examples."""
        return sum(map(len, self.input_ids[:examples]))


def make_lessons(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: PromptRenderer, settings: FinetuneSettings
) -> Lessons:
    """Draw epochs until there is enough for every step.

    The examples of one step are sorted by length, so that micro-batches hold little padding; which examples share a
    step is left as drawn.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ...; each with its answer.
        renderer: With the model's tokenizer.
        settings: Epochs, the limit on steps, the batch size.

    Raises:
        TrainingError: If an epoch is empty, all answers are the same word, or an example has no answer.
        PromptError: If an example can't be shortened enough.
    """
    examples, steps = drawn_examples(examples_for_epoch, settings)
    encoded = [_encode(example, renderer) for example in examples]
    ordered = sorted_in_steps(encoded, settings.batch_size, lambda pair: len(pair[0]))
    return Lessons([ids for ids, _ in ordered], [labels for _, labels in ordered], steps)


def sorted_in_steps(rows: Sequence[_Row], batch_size: int, length: Callable[[_Row], int]) -> list[_Row]:
    """The rows of each step by their length, so that micro-batches hold little padding; steps stay as they are."""
    return [
        row for start in range(0, len(rows), batch_size) for row in sorted(rows[start : start + batch_size], key=length)
    ]


def drawn_examples(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], settings: FinetuneSettings
) -> tuple[list[Instruction], int]:
    """Examples of as many epochs as all steps need, ``steps * batch_size`` of them, and the steps.

    Raises:
        TrainingError: If an epoch is empty, or all answers of the first one are the same word.
    """
    first = examples_for_epoch(0)
    if not first:
        raise TrainingError("there is nothing to train on: the training split gives 0 examples; see: coordi data info")
    answers = {example.answer for example in first}
    if len(first) > 1 and len(answers) == 1 and answers <= {YES, NO}:
        raise TrainingError(
            f"all {len(first)} training examples are answered '{answers.pop()}', so there is nothing to tell apart; "
            "see: coordi data info"
        )
    steps = max(1, round(settings.epochs * len(first) / settings.batch_size))
    steps = min(steps, settings.max_steps or steps)
    examples, epoch = list(first), 0
    while len(examples) < steps * settings.batch_size:
        epoch += 1
        drawn = examples_for_epoch(epoch)
        if not drawn:
            raise TrainingError(f"epoch {epoch} gives 0 examples, the first one gave {len(first)}")
        examples += drawn
    return examples[: steps * settings.batch_size], steps


def _encode(example: Instruction, renderer: PromptRenderer) -> tuple[list[int], list[int]]:
    rendered = renderer.render(example)
    if not rendered.answer_ids:
        raise TrainingError(f"a training example has no answer: '{example.question}' about {len(example.items)} items")
    answer = list(without_end(rendered.answer_ids))
    return [*rendered.prompt_ids, *answer], [IGNORED] * len(rendered.prompt_ids) + answer


def without_end(answer: Sequence[int]) -> tuple[int, ...]:
    """An answer's tokens as they are learned: one word without the end of the turn, several with it."""
    return tuple(answer[:1] if len(answer) == _WORD_AND_END else answer)
