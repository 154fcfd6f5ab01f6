"""The three questions coordi asks a language model, in parts, so that a long one is shortened in the right place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from coordi.domain import WornCategory
from coordi.errors import PromptError
from coordi.prompts.answers import LETTERS, NO, YES


@dataclass(frozen=True, slots=True)
class Instruction:
    """A question about items, with its answer where it is known.

    The question comes first: all prompts of a task then begin with the same tokens, which a scorer computes once.

    Attributes:
        question: What is asked; never shortened.
        items: Texts of the outfit's items, one line each; shortened and dropped from the end where a prompt is too
            long.
        options: Texts of lettered candidates; shortened, but never dropped.
        closing: Said after the items; never shortened.
        answer: The right answer; None where the model is asked.
        rejected: A wrong answer that the right one is preferred to; None where the model is asked, or none is known.
    """

    question: str
    items: tuple[str, ...]
    options: tuple[str, ...] = ()
    closing: str = ""
    answer: str | None = None
    rejected: str | None = None

    def body(self) -> str:
        """The items and options as lines, then the closing."""
        lines = [f"- {item}" for item in self.items]
        lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=False)]
        return "\n".join([*lines, self.closing] if self.closing else lines)


def compatibility_instruction(texts: Sequence[str], answer: bool | None = None) -> Instruction:
    """Ask whether items go together.

    Args:
        texts: Items' texts, shuffled by the caller: the source's order gives the answer away.
        answer: The truth; None where the model is asked.

    Raises:
        PromptError: If there are fewer than two items.
    """
    if len(texts) < 2:
        raise PromptError(f"an outfit needs 2 items or more to ask whether they go together, got {len(texts)}")
    question = "Do these clothes go together? Answer yes or no."
    if answer is None:
        return Instruction(question, tuple(texts))
    right, wrong = (YES, NO) if answer else (NO, YES)
    return Instruction(question, tuple(texts), answer=right, rejected=wrong)


def choose_instruction(context: Sequence[str], candidates: Sequence[str], answer: int | None = None) -> Instruction:
    """Ask which of the lettered candidates completes an outfit.

    Args:
        context: Texts of the outfit's items, shuffled.
        candidates: Texts of the candidates, shuffled: release files have the right one first.
        answer: Position of the right candidate; None where the model is asked. The one after it is the rejected one.

    Raises:
        PromptError: If there is no item, there aren't 2 to 26 candidates, or the answer is none of them.
    """
    if not context or not 2 <= len(candidates) <= len(LETTERS):
        raise PromptError(
            f"choosing needs 1 item or more and 2 to {len(LETTERS)} candidates, got {len(context)} and "
            f"{len(candidates)}"
        )
    if answer is not None and not 0 <= answer < len(candidates):
        raise PromptError(f"the answer must be a position among {len(candidates)} candidates, got {answer}")
    return Instruction(
        "Which one completes this outfit? Answer with its letter.",
        tuple(context),
        tuple(candidates),
        answer=None if answer is None else LETTERS[answer],
        rejected=None if answer is None else LETTERS[(answer + 1) % len(candidates)],
    )


def complement_instruction(
    context: Sequence[str], want: WornCategory, answer: str | None = None, rejected: str | None = None
) -> Instruction:
    """Ask what would complete an outfit, named in words.

    Args:
        context: Texts of the outfit's items, shuffled.
        want: The worn category to name something of.
        answer: Text of the item that completes it; None where the model is asked.
        rejected: Text of an item that doesn't; None if none is known.

    Raises:
        PromptError: If there is no item.
    """
    if not context:
        raise PromptError("naming what to add needs 1 item or more, got 0")
    return Instruction(
        "Name what would complete this outfit.",
        tuple(context),
        closing=f"Wanted: {want}",
        answer=answer,
        rejected=rejected,
    )
