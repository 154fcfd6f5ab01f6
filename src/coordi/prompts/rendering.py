"""Instructions as the tokens a model reads, shortened by a rule that never cuts the question or the answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from coordi.errors import ModelError, PromptError
from coordi.prompts.templates import Instruction

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

# The form of Stanford Alpaca (Taori et al., 2023), for models without a chat template.
ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Input:\n{body}\n\n### Response:\n"
)
_PLACE = "\u241fbody\u241f"
_FEWEST_WORDS = 2
_FEWEST_ITEMS = 1


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt as tokens.

    Attributes:
        prompt_ids: Everything up to the answer's position.
        answer_ids: The answer and the end of the turn; empty where the model is asked.
        words_cut: Words left out of items' texts to make it fit.
        items_dropped: Items left out altogether, from the end.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    words_cut: int = 0
    items_dropped: int = 0


class PromptRenderer:
    """Renders instructions with a tokenizer's chat template where it has one, else in the Alpaca form.

    Attributes:
        tokenizer: Of the base model.
        max_length: Tokens of prompt and answer together.
        shortened: How many prompts so far had words cut (``"words"``) or items dropped (``"items"``).
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.shortened: Counter[str] = Counter()
        self._shells: dict[str, tuple[str, str]] = {}
        self._end = str(tokenizer.eos_token or "")

    def render(self, instruction: Instruction) -> Rendered:
        """Tokens of an instruction, shortened to ``max_length``.

        First the longest texts lose words from their ends, evenly, down to two words each; only if that isn't enough
        are whole items dropped from the end. The question, the candidates' letters, the closing and the answer stay.

        Raises:
            PromptError: If it doesn't fit even then.
        """
        answer = self.answer_ids(instruction.answer, ends=True) if instruction.answer is not None else ()
        room = self.max_length - max(len(answer), 1)
        prompt = self._prompt_ids(instruction)
        if len(prompt) <= room:
            return Rendered(prompt, answer)
        return self._shortened(instruction, prompt, answer, room)

    def question_ids(self, instruction: Instruction) -> tuple[int, ...]:
        """Tokens of what stands before the items; a prompt's own may differ in the last one, where they meet."""
        before, _ = self._shell(instruction.question)
        return self._encode(before)

    def text(self, instruction: Instruction) -> str:
        """The prompt as text, not shortened, for people to read."""
        before, after = self._shell(instruction.question)
        return f"{before}{instruction.body()}{after}"

    def answer_ids(self, answer: str, *, ends: bool = False) -> tuple[int, ...]:
        """Tokens of an answer as they stand after a prompt, the end of the turn included if ``ends``.

        Raises:
            ModelError: If the tokenizer joins the answer to the prompt's end, so that it has no position of its own.
        """
        _, after = self._shell("")
        alone = self._encode(after)
        joined = self._encode(after + answer + (self._end if ends else ""))
        if joined[: len(alone)] != alone:
            raise ModelError(
                f"this base model's tokenizer joins the answer '{answer}' to the end of the prompt, so the answer has "
                "no position of its own; choose another base model"
            )
        return joined[len(alone) :]

    def _prompt_ids(self, instruction: Instruction) -> tuple[int, ...]:
        return self._encode(self.text(instruction))

    def _encode(self, text: str) -> tuple[int, ...]:
        ids: Sequence[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        bos = self.tokenizer.bos_token_id
        if self.tokenizer.chat_template is None and bos is not None and getattr(self.tokenizer, "add_bos_token", False):
            return (bos, *ids)
        return tuple(ids)

    def _shell(self, question: str) -> tuple[str, str]:
        """The text before and after an instruction's body, worked out once per question."""
        if question not in self._shells:
            self._shells[question] = self._new_shell(question)
        return self._shells[question]

    def _new_shell(self, question: str) -> tuple[str, str]:
        if self.tokenizer.chat_template is None:
            text = ALPACA.format(question=question, body=_PLACE)
        else:
            user = {"role": "user", "content": f"{question}\n{_PLACE}"}
            # Templates put in a system message of their own where there is none. It costs tokens in every prompt,
            # so an empty one is given where the template takes it and that is shorter.
            texts = [self._chat([user]), self._chat([{"role": "system", "content": ""}, user])]
            text = min((text for text in texts if text.count(_PLACE) == 1), key=len, default="")
            if not text:
                raise ModelError("this base model's chat template leaves out what the user says; choose another one")
        before, _, after = text.partition(_PLACE)
        return before, after

    def _chat(self, messages: list[dict[str, str]]) -> str:
        from jinja2 import TemplateError

        try:
            return str(self.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True))
        except TemplateError:  # a template that refuses a system message
            return ""

    def _shortened(
        self, instruction: Instruction, prompt: tuple[int, ...], answer: tuple[int, ...], room: int
    ) -> Rendered:
        texts = [text.split() for text in (*instruction.items, *instruction.options)]
        optional = len(instruction.options)
        words, dropped = sum(map(len, texts)), 0
        while len(prompt) > room:
            longest = max(range(len(texts)), key=lambda index: (len(texts[index]), index))
            if len(texts[longest]) > _FEWEST_WORDS:
                texts[longest].pop()
            elif len(texts) - optional > _FEWEST_ITEMS:
                texts.pop(len(texts) - optional - 1)
                dropped += 1
            else:
                raise PromptError(
                    f"this prompt takes {len(prompt)} tokens even with its items shortened, of {room} that are free; "
                    "set prompt.max_length higher"
                )
            lines = [" ".join(text) for text in texts]
            cut = len(lines) - optional
            instruction = replace(instruction, items=tuple(lines[:cut]), options=tuple(lines[cut:]))
            prompt = self._prompt_ids(instruction)
        self.shortened["items" if dropped else "words"] += 1
        return Rendered(prompt, answer, words - sum(map(len, texts)), dropped)


class ListRenderer(PromptRenderer):
    """Renders an outfit as its items' lines alone, without a question, for a head that isn't asked in words.

    The first token is the one that texts begin with, or else that they end with: models put what belongs nowhere on
    their first token, which is left out of what is read.
    """

    before = 1
    """Tokens that stand before the items."""

    def prompt(self, instruction: Instruction) -> tuple[int, ...]:
        """Tokens of an instruction's items, its question and answer left out, shortened to ``max_length``.

        Raises:
            PromptError: If it doesn't fit even with its items shortened.
        """
        return self.render(replace(instruction, answer=None)).prompt_ids

    def text(self, instruction: Instruction) -> str:
        """The items, a line each."""
        return "\n".join(instruction.items)

    def _encode(self, text: str) -> tuple[int, ...]:
        first = self.tokenizer.bos_token_id
        first = self.tokenizer.eos_token_id if first is None else first
        if first is None:
            raise ModelError("this base model's tokenizer has no token to begin or end a text with; choose another one")
        return (int(first), *self.tokenizer(text, add_special_tokens=False)["input_ids"])
