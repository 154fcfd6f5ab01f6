"""The words a model may answer with, and which tokens they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from coordi.errors import ModelError

if TYPE_CHECKING:
    from coordi.prompts.rendering import PromptRenderer

YES = "yes"
NO = "no"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


@dataclass(frozen=True, slots=True)
class AnswerTokens:
    """First token of each answer, as the model would write it after a prompt.

    Attributes:
        words: The answers.
        ids: Their first tokens, all different, in the same order.
    """

    words: tuple[str, ...]
    ids: tuple[int, ...]


def answer_tokens(renderer: PromptRenderer, words: tuple[str, ...] = (YES, NO)) -> AnswerTokens:
    """The tokens by which answers are told apart at the answer's position alone.

    Raises:
        ModelError: If a word has no token of its own, or two words begin with the same token.
    """
    ids = []
    for word in words:
        tokens = renderer.answer_ids(word)
        if not tokens or tokens[0] == renderer.tokenizer.unk_token_id:
            raise ModelError(
                f"this base model has no token for the answer '{word}', so it can't be asked; "
                "choose a base model whose tokenizer knows English"
            )
        ids.append(tokens[0])
    if len(set(ids)) != len(ids):
        raise ModelError(
            f"this base model begins the answers {', '.join(words)} with the same token ({ids}), so they can't be told "
            "apart at the answer's position; choose another base model"
        )
    return AnswerTokens(words, tuple(ids))
