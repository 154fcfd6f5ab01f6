"""Items and questions as text and tokens for a language model. No other module turns items into text."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache, cached_property
from typing import TYPE_CHECKING, Any

import psutil

from coordi.config import PromptForm, PromptSettings, RunSettings
from coordi.errors import ModelError, PromptError
from coordi.types import Description, Facts, GarmentCategory, Item

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from coordi.encoders.complements import ComplementRecommender


YES = "yes"
NO = "no"
LETTERS = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def answer_tokens(renderer: PromptRenderer, words: tuple[str, ...] = (YES, NO)) -> tuple[int, ...]:
    """First token of each answer after a prompt, in their order; a ``ModelError`` if one has none or two share it."""
    ids = []
    for word in words:
        tokens = renderer.answer_ids(word)
        if not tokens or tokens[0] == renderer.tokenizer.unk_token_id:
            raise ModelError(
                f"this base model has no token for the answer '{word}', so it can't answer; "
                "choose a base model whose tokenizer knows English"
            )
        ids.append(tokens[0])
    if len(set(ids)) != len(ids):
        raise ModelError(
            f"this base model begins the answers {', '.join(words)} with the same token ({ids}), so they can't be told "
            "apart at the answer's position; choose another base model"
        )
    return tuple(ids)


# One token each.
_SHORT_CODES = {"smart casual": "smart", "black tie": "formal", "ceremonial": "grand"}
_MOST_PURPOSES = 2

# The encoder's type of garment repeats what a title says, with less certainty.
_IN_TITLES = "category"


def item_text(item: Item, description: Description | None, settings: PromptSettings) -> str:
    """Text of an item in a prompt: one line in lower case, such as ``"bottom: lace midi skirt (black, floral)"``.

    The garment category comes first, since a small model can't infer it from every title (measured: dev/LOG.md). The
    title follows, cut to ``settings.max_title_words``, or else the source's subcategory; then, in brackets, the most
    probable label of each attribute, unless the text has its words already. The item's id, price, photo's path and
    extra columns are never read: they may leak the answer.
    """
    title = " ".join(item.title.split()[: settings.max_title_words]).lower()
    name = title or " ".join(item.subcategory.split()).lower()
    if item.category is None:
        text = name or "item"
    else:
        text = f"{item.category}: {name}" if name and name != item.category else item.category
    added: list[str] = []
    for attribute in settings.attributes:
        labels = description.attributes.get(attribute, ()) if description is not None else ()
        if not labels or (attribute == _IN_TITLES and title and not settings.kind_beside_title):
            continue
        label = " ".join(labels[0].text.split()).lower()
        if label and not _has_words(f"{text} {' '.join(added)}", label):
            added.append(label)
    return f"{text} ({', '.join(added)})" if added else text


def text_in_prompts(item: Item, *, facts: bool) -> str:
    """Text of a described item with its facts after it, such as ``"shoes: boots - casual/smart winter"``."""
    words = _words_of_facts(item.facts) if facts else ""
    return f"{item.text} - {words}" if words else item.text


def _words_of_facts(facts: Facts) -> str:
    """The facts that a small model can't infer from every title, in few tokens: dress codes, the season unless it is
    worn in all of them, purposes and tradition.
    """
    first = {name: rows[0].values for name, rows in facts.items()}
    words = ["/".join(dict.fromkeys(_SHORT_CODES.get(code, code) for code in first.get("formality", ())))]
    seasons = set(first.get("seasons", ()))
    for season, opposite in (("summer", "winter"), ("winter", "summer")):
        if season in seasons and opposite not in seasons:
            words.append(season)
    words += [*first.get("purposes", ())[:_MOST_PURPOSES], *first.get("tradition", ())]
    return " ".join(word for word in words if word)


def _has_words(text: str, words: str) -> bool:
    """Whether a text has all of some words, in singular or plural."""
    stems = {_stem(word) for word in text.replace(",", " ").replace(":", " ").split()}
    return all(_stem(word) in stems for word in words.split())


def _stem(word: str) -> str:
    for ending in ("ses", "xes", "shes", "ches"):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith("ss") else word


@dataclass(frozen=True, slots=True)
class Instruction:
    """A question about items, in training with its answer.

    The question comes first: all prompts of a task then begin with the same tokens, which a scorer computes once. Where
    a prompt is too long, ``recommended`` (what an encoder recommends, by category) is dropped from the end, ``items``
    are shortened, then dropped from the end, and ``options`` (lettered candidates) are shortened; ``question`` and
    ``closing`` (after the items) never are. ``answer`` is None in scoring.
    """

    question: str
    items: tuple[str, ...]
    options: tuple[str, ...] = ()
    closing: str = ""
    answer: str | None = None
    recommended: tuple[str, ...] = ()

    def body(self) -> str:
        """The items and options as lines, what is recommended, then the closing."""
        lines = [f"- {item}" for item in self.items]
        lines += [f"{letter}. {option}" for letter, option in zip(LETTERS, self.options, strict=False)]
        if self.recommended:
            lines.append(f"Recommended: {'; '.join(self.recommended)}")
        return "\n".join([*lines, self.closing] if self.closing else lines)


def compatibility_instruction(texts: Sequence[str], answer: bool | None = None) -> Instruction:
    """Question whether 2 or more items go together (else a ``PromptError``).

    The caller shuffles ``texts``, since the source's order leaks the answer.
    """
    if len(texts) < 2:
        raise PromptError(f"an outfit needs 2 items or more to ask whether they go together, got {len(texts)}")
    question = "Do these clothes go together? Answer yes or no."
    return Instruction(question, tuple(texts), answer=None if answer is None else (YES if answer else NO))


def choose_instruction(context: Sequence[str], candidates: Sequence[str], answer: int | None = None) -> Instruction:
    """Question which of 2 to 26 lettered candidates completes 1 item or more (else a ``PromptError``).

    The caller shuffles both, since release files have the right candidate first; ``answer`` is its position.
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
    )


def complement_instruction(context: Sequence[str], want: GarmentCategory, answer: str | None = None) -> Instruction:
    """Question what of the category ``want`` completes 1 or more shuffled items; ``answer`` is the text of one."""
    if not context:
        raise PromptError("naming what to add needs 1 item or more, got 0")
    return Instruction(
        "Name what would complete this outfit.", tuple(context), closing=f"Wanted: {want}", answer=answer
    )


def name_of(item: Item) -> str:
    """Words that name a described item where its category is said already: its text without the category."""
    return item.text.removeprefix(f"{item.category}: ")


@dataclass(frozen=True, slots=True)
class InstructionMaker:
    """Instructions about described items, as the prompts of a model have them: with their facts or without, and with
    the garment types that an image encoder recommends zero-shot, so many of a category.

    A recommendation is made from the other items alone: in a question whether items go together, for the place of each
    of them; where an item is to be named, for the wanted category. A ``ModelError`` if an item has no text.
    """

    facts: bool = False
    recommender: ComplementRecommender | None = None
    recommended: int = 0

    @classmethod
    def of(cls, settings: RunSettings) -> InstructionMaker:
        """As the settings have them; loads the encoder if something is to be recommended, with its errors."""
        from coordi.encoders.complements import recommender_of

        prompt = settings.prompt
        recommender = recommender_of(settings.describe) if prompt.recommended else None
        return cls(prompt.facts, recommender, prompt.recommended)

    def texts(self, items: Sequence[Item]) -> list[str]:
        """The items' texts, in their order."""
        for item in items:
            if not item.text:
                raise ModelError(f"item '{item.id}' has no text; describe it first (recommend.items.describe_items)")
        return [text_in_prompts(item, facts=self.facts) for item in items]

    def compatibility(self, items: Sequence[Item], answer: bool | None = None) -> Instruction:
        """Question whether items go together; see ``compatibility_instruction``."""
        instruction = compatibility_instruction(self.texts(items), answer)
        return replace(instruction, recommended=self.beside_the_others(items))

    def choose(self, context: Sequence[Item], candidates: Sequence[Item], answer: int | None = None) -> Instruction:
        """Question which candidate completes some items; see ``choose_instruction``. Nothing is recommended."""
        return choose_instruction(self.texts(context), self.texts(candidates), answer)

    def complement(self, context: Sequence[Item], want: GarmentCategory, answer: Item | None = None) -> Instruction:
        """Question what of a category would complete some items; see ``complement_instruction``."""
        name = None if answer is None else name_of(answer)
        instruction = complement_instruction(self.texts(context), want, name)
        if self.recommender is None:
            return instruction
        words = self.recommender.in_words(context, want, self.recommended)
        return replace(instruction, recommended=(words,) if words else ())

    def beside_the_others(self, items: Sequence[Item]) -> tuple[str, ...]:
        """What is recommended for the place of each item, such as ``"shoes: boots, heels"``."""
        return () if self.recommender is None else self.recommender.beside_the_others(items, self.recommended)


# The form of Stanford Alpaca (Taori et al., 2023), which the paper's Figure 2 follows.
ALPACA = (
    "Below is an instruction that describes a task, paired with an input that provides further context. "
    "Write a response that appropriately completes the request.\n\n"
    "### Instruction:\n{question}\n\n### Input:\n{body}\n\n### Response:\n"
)
_BODY = "\u241fbody\u241f"
_REPLY = "\u241freply\u241f"
# Llama 3's templates put today's date into a prompt, which must not change from day to day: this is the templates' own
# default.
_PROMPT_DATE = datetime(2024, 7, 26)
_MIN_WORDS = 2
# Of an item's text; a long number or a word in a rare script may take dozens of tokens.
_MIN_TOKENS = 8
_CUT_TO = 0.75  # share of letters that stay each time a text is cut
_MIN_ITEMS = 1


@dataclass(frozen=True, slots=True)
class Rendered:
    """A prompt and its answer as tokens; ``answer_ids`` include the end of the turn, and are empty in scoring.

    ``words_cut`` counts words removed from items' texts, not shortened ones.
    """

    prompt_ids: tuple[int, ...]
    answer_ids: tuple[int, ...]
    words_cut: int = 0
    items_dropped: int = 0


_TEMPLATE_LETTERS = 200_000  # the longest published ones have a tenth
_TEMPLATE_SECONDS = 1.0
_TEMPLATE_MEMORY = 256 * 2**20
# They take a width, and one call could fill all memory.
_WIDE = frozenset({"center", "ljust", "rjust", "zfill", "expandtabs", "format", "format_map", "indent", "wordwrap"})
_OF_TEMPLATES = (
    TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RecursionError, MemoryError, SyntaxError,
)  # fmt: skip


def render_chat(template: str, messages: Sequence[Mapping[str, str]], **variables: Any) -> str:
    """A conversation in a base model's chat template, as transformers renders it.

    A template is a program that came with the model: it runs in jinja2's sandbox, and a ``ModelError`` ends it after a
    second, or with 256 MiB more memory. A ``TemplateError`` is the template's own, for messages that it refuses.
    """
    from jinja2.exceptions import SecurityError, TemplateSyntaxError

    try:
        if len(template) > _TEMPLATE_LETTERS:
            raise ValueError(f"it has {len(template):,} letters, at most {_TEMPLATE_LETTERS:,} are read")
        compiled = _compile_template(template)
        with _limited():
            return str(compiled.render(messages=messages, tools=None, documents=None, **variables))
    except (SecurityError, TemplateSyntaxError, *_OF_TEMPLATES) as error:
        reason = str(error) or type(error).__name__
        raise ModelError(
            f"this base model's chat template can't be used: {reason}; choose another base model, or set "
            "prompt.form=instruction"
        ) from error


@cache
def _compile_template(template: str) -> Any:
    from jinja2 import TemplateError
    from jinja2.exceptions import SecurityError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """Marks an answer in training, and changes no text."""

        tags = {"generation"}  # noqa: RUF012 - as jinja2 has it

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    class Sandbox(ImmutableSandboxedEnvironment):
        intercepted_binops = frozenset({"*", "**", "%"})

        def call_binop(self, context: Any, operator: str, left: Any, right: Any) -> Any:
            if operator == "**" or not all(
                isinstance(side, int | float) and abs(side) < 10**9 for side in (left, right)
            ):
                raise SecurityError(f"it multiplies text, or large numbers ({operator})")
            return super().call_binop(context, operator, left, right)

        def is_safe_attribute(self, obj: Any, attr: str, value: Any) -> bool:
            return attr not in _WIDE and super().is_safe_attribute(obj, attr, value)

        def wrap_str_format(self, value: Any) -> None:
            """Leave ``str.format`` to ``is_safe_attribute``."""

    def refuse(message: str) -> None:
        raise TemplateError(message)

    environment = Sandbox(trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols])
    environment.filters = {name: call for name, call in environment.filters.items() if name not in _WIDE}
    environment.filters["tojson"] = lambda value, **_: json.dumps(value, ensure_ascii=False)
    environment.globals["raise_exception"] = refuse
    return environment.from_string(template)


@contextmanager
def _limited() -> Iterator[None]:
    """Limit the time and memory of a template's code, which is Python's, line by line."""
    process, before = psutil.Process(), sys.gettrace()
    end, most = time.monotonic() + _TEMPLATE_SECONDS, process.memory_info().rss + _TEMPLATE_MEMORY

    def trace(frame: Any, event: str, argument: Any) -> Any:
        if time.monotonic() > end:
            raise ValueError(f"it ran for more than {_TEMPLATE_SECONDS:g} s")
        if process.memory_info().rss > most:
            raise ValueError(f"it took more than {_TEMPLATE_MEMORY // 2**20} MiB of memory")
        return trace

    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)


class PromptRenderer:
    """Renders instructions in a form: ``auto`` is a tokenizer's chat template where it has one, else the Alpaca form.

    Raises a ``ModelError`` if ``chat`` is demanded of a tokenizer without a template.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, max_length: int, form: PromptForm = "auto") -> None:
        if form == "chat" and tokenizer.chat_template is None:
            raise ModelError("prompt.form is 'chat', but this base model has no chat template; set prompt.form=auto")
        self.tokenizer = tokenizer
        self.max_length = max_length
        self.form = form
        self.is_chat = form != "instruction" and tokenizer.chat_template is not None
        self._shell = cache(self._new_shell)

    def render(self, instruction: Instruction) -> Rendered:
        """Tokens of an instruction, prompt and answer shortened to ``max_length``; a ``PromptError`` if they can't be.

        First recommendations go, from the end. Then the longest texts lose words from their ends, evenly, down to two
        words each; then the texts with the most tokens lose letters, down to eight tokens each; then items are dropped
        from the end. The question, the candidates' letters, the closing and the answer stay.
        """
        return self._fitted(instruction)[1]

    def text_read(self, instruction: Instruction) -> str:
        """The prompt as text, shortened as ``render`` does."""
        return self.text(self._fitted(instruction)[0])

    def _fitted(self, instruction: Instruction) -> tuple[Instruction, Rendered]:
        answer = self.answer_ids(instruction.answer, ends=True) if instruction.answer is not None else ()
        room = self.max_length - max(len(answer), 1)
        prompt = self._prompt_ids(instruction)
        if len(prompt) <= room:
            return instruction, Rendered(prompt, answer)
        return self._shortened(instruction, prompt, answer, room)

    def question_ids(self, instruction: Instruction) -> tuple[int, ...]:
        """Tokens before the items; in a prompt the last of them may merge with the first item's text."""
        before, _ = self._shell(instruction.question)
        return self._encode(before)

    def text(self, instruction: Instruction) -> str:
        """The prompt as text, not shortened."""
        before, after = self._shell(instruction.question)
        return f"{before}{self._plain(instruction.body())}{after}"

    def answer_ids(self, answer: str, *, ends: bool = False) -> tuple[int, ...]:
        """Tokens of an answer, with the turn's end if ``ends``; a ``ModelError`` if it merges with the prompt's end."""
        _, after = self._shell("")
        gap, end = self._around_answer
        alone = self._encode(after)
        joined = self._encode(after + gap + self._plain(answer) + (end if ends else ""))
        if joined[: len(alone)] != alone:
            raise ModelError(
                f"this base model's tokenizer joins the answer '{answer}' to the end of the prompt, so the answer has "
                "no position of its own; choose another base model"
            )
        return joined[len(alone) :]

    def end_ids(self) -> tuple[int, ...]:
        """Tokens that end an answer: the template's end of turn, and the end of text."""
        _, end = self._around_answer
        ids: Sequence[int] = self.tokenizer(end, add_special_tokens=False)["input_ids"]
        ends = ids[:1] if end else ()
        eos = self.tokenizer.eos_token_id
        return tuple(dict.fromkeys([*ends, *([] if eos is None else [eos])]))

    @cached_property
    def _around_answer(self) -> tuple[str, str]:
        """Text that the chat template puts before and after an answer (Mistral: a space; Gemma: an end of turn)."""
        end = str(self.tokenizer.eos_token or "")
        if not self.is_chat:
            return "", end
        user = {"role": "user", "content": _BODY}
        conversation = self._chat([user, {"role": "assistant", "content": _REPLY}], ask=False)
        if conversation.count(_REPLY) != 1:
            return "", end
        before, _, after = conversation.partition(_REPLY)
        prompt = self._chat([user])
        gap = before[len(prompt) :] if before.startswith(prompt) else ""
        special = {str(token) for token in self.tokenizer.added_tokens_decoder.values()} | {end}
        ends = [token for token in special if token and after.lstrip().startswith(token)]
        return (gap if gap == " " else ""), max(ends, key=len, default=end)

    @cached_property
    def _control(self) -> re.Pattern[str]:
        """The beginnings of control tokens, such as ``<|im_end|>``."""
        tokens = [str(token) for token in self.tokenizer.added_tokens_decoder.values() if token.special]
        return re.compile(f"(?=(?:{'|'.join(map(re.escape, filter(None, tokens))) or '(?!)'}))(.)", re.DOTALL)

    def _plain(self, text: str) -> str:
        """Text of items in which a control token is a few letters: a title could end the turn, or begin one."""
        return self._control.sub(r"\1 ", text)

    def _prompt_ids(self, instruction: Instruction) -> tuple[int, ...]:
        return self._encode(self.text(instruction))

    def _encode(self, text: str) -> tuple[int, ...]:
        ids: Sequence[int] = self.tokenizer(text, add_special_tokens=False)["input_ids"]
        return (*self.beginning, *ids)

    @cached_property
    def beginning(self) -> tuple[int, ...]:
        """The token that the tokenizer begins a text with; a chat template writes it itself."""
        bos = self.tokenizer.bos_token_id
        if self.is_chat or bos is None:
            return ()
        ids: Sequence[int] = self.tokenizer("a", add_special_tokens=True)["input_ids"]
        return (bos,) if ids[0] == bos else ()

    @property
    def template(self) -> str:
        """A chat template (Jinja) that writes these prompts in other programs: the base's own, or the instruction
        form, whose instruction is the system message (without one whether clothes go together), whose input the last.
        """
        if self.is_chat:
            return str(self.tokenizer.chat_template)
        default = compatibility_instruction(["", ""]).question
        system = f"messages[0]['content'] if messages[0]['role'] == 'system' else {json.dumps(default)}"
        beginning = str(self.tokenizer.decode(list(self.beginning)))
        parts = ALPACA.replace("{body}", "{question}").split("{question}")
        literals = [json.dumps(text, ensure_ascii=False) for text in (beginning + parts[0], *parts[1:])]
        return f"{{{{ {literals[0]} + ({system}) + {literals[1]} + messages[-1]['content'] + {literals[2]} }}}}"

    def _new_shell(self, question: str) -> tuple[str, str]:
        """The text before and after an instruction's body."""
        if not self.is_chat:
            text = ALPACA.format(question=question, body=_BODY)
        else:
            user = {"role": "user", "content": f"{question}\n{_BODY}"}
            # Templates add a system message where there is none, which costs tokens in every prompt: an empty one is
            # given where the template accepts it and the result is shorter.
            texts = [self._chat([user]), self._chat([{"role": "system", "content": ""}, user])]
            text = min((text for text in texts if text.count(_BODY) == 1), key=len, default="")
            if not text:
                raise ModelError("this base model's chat template drops the user's message; choose another base model")
        before, _, after = text.partition(_BODY)
        return before, after

    def _chat(self, messages: list[dict[str, str]], *, ask: bool = True) -> str:
        """A conversation in the chat template, up to the start of the answer if ``ask``."""
        from jinja2 import TemplateError

        # Templates ignore variables that they don't use. Qwen's writes its reasoning before the answer unless that is
        # switched off, and then the answer has no fixed position.
        variables: dict[str, Any] = {
            "enable_thinking": False,
            "date_string": _PROMPT_DATE.strftime("%d %b %Y"),
            "strftime_now": _PROMPT_DATE.strftime,
        }
        template: Any = self.tokenizer.chat_template
        if isinstance(template, dict):  # several, by name
            template = template.get("default", "")
        variables |= self.tokenizer.special_tokens_map
        try:
            return render_chat(template, messages, add_generation_prompt=ask, **variables)
        except TemplateError:  # a template that refuses a system message
            return ""

    def _shortened(
        self, instruction: Instruction, prompt: tuple[int, ...], answer: tuple[int, ...], room: int
    ) -> tuple[Instruction, Rendered]:
        texts = [text.split() for text in (*instruction.items, *instruction.options)]
        optional = len(instruction.options)
        words, dropped = sum(map(len, texts)), 0
        while instruction.recommended and len(prompt) > room:
            instruction = replace(instruction, recommended=instruction.recommended[:-1])
            prompt = self._prompt_ids(instruction)
        while len(prompt) > room:
            longest = max(range(len(texts)), key=lambda index: (len(texts[index]), index))
            if len(texts[longest]) > _MIN_WORDS:
                texts[longest].pop()
            elif (heaviest := self._heaviest(texts)) is not None:
                text = " ".join(texts[heaviest])
                texts[heaviest] = text[: int(_CUT_TO * len(text))].split()
            elif len(texts) - optional > _MIN_ITEMS:
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
        return instruction, Rendered(prompt, answer, words - sum(map(len, texts)), dropped)

    def _heaviest(self, texts: Sequence[Sequence[str]]) -> int | None:
        """Position of the text with the most tokens; None if none has more than the minimum."""
        tokens = [len(self.tokenizer(" ".join(text), add_special_tokens=False)["input_ids"]) for text in texts]
        longest = max(range(len(texts)), key=lambda index: (tokens[index], index))
        return longest if tokens[longest] > _MIN_TOKENS else None


class ListRenderer(PromptRenderer):
    """Renders an outfit as its items' lines, without a question, for a pooled head.

    Models use their first token (beginning or end of text) as an attention sink, so it isn't pooled.
    """

    before = 1
    """Number of tokens before the items."""

    def render(self, instruction: Instruction) -> Rendered:
        """As ``PromptRenderer.render``, of the items alone, without an answer."""
        return super().render(replace(instruction, answer=None))

    def text(self, instruction: Instruction) -> str:
        """The items, one per line."""
        return self._plain("\n".join(instruction.items))

    def _encode(self, text: str) -> tuple[int, ...]:
        first = self.tokenizer.bos_token_id
        first = self.tokenizer.eos_token_id if first is None else first
        if first is None:
            raise ModelError("this base model's tokenizer has no token to begin or end a text with; choose another one")
        return (int(first), *self.tokenizer(text, add_special_tokens=False)["input_ids"])
