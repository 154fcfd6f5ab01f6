"""P(yes): how surely the model says that some items go together, read from the answer's position alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ArtifactError, ModelError
from coordi.model.base import Base, check_base
from coordi.model.engines import choose_engine, engine_for_head
from coordi.model.orders import orders_of, question_about
from coordi.model.passes import Heard
from coordi.model.pooled import PooledHead, PooledScorer
from coordi.model.reading import AnswerReader, check_reading, parts, probability_of_yes
from coordi.model.sharing import common_length
from coordi.prompts.answers import answer_tokens
from coordi.prompts.rendering import ListRenderer, PromptRenderer
from coordi.prompts.templates import compatibility_instruction

ORIGIN = "coordi.json"  # in an adapter's folder: which base it was made on


class LanguageModelScorer:
    """Scores outfits by what a language model answers when asked whether their items go together.

    Attributes:
        name: For reports.
        gives_probabilities: True.
        renderer: Counts the prompts that were shortened.
    """

    def __init__(
        self, name: str, model: Any, renderer: PromptRenderer, texts: Mapping[str, str], passes: int = 1, seed: int = 0
    ) -> None:
        """Take a loaded model.

        Args:
            name: For reports.
            model: In evaluation mode.
            renderer: With the model's tokenizer.
            texts: What prompts say of each item, by item id.
            passes: Orders of the items over which P(yes) is averaged: the given one, then shuffled ones.
            seed: Of the shuffled orders; the same outfit gets the same orders whatever is scored beside it.

        Raises:
            ModelError: If the model can't tell yes from no.
        """
        self.name = name
        self.gives_probabilities = True
        self.renderer = renderer
        self._texts = texts
        self._passes = passes
        self._seed = seed
        self._reader = AnswerReader(model, answer_tokens(renderer).ids)

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``.

        Args:
            outfits: Item ids, two or more each, in the order they are asked in.

        Raises:
            ModelError: If an item has no text.
            PromptError: If an outfit has fewer than two items, or can't be shortened enough.
        """
        return self.read(outfits)[0]

    @property
    def layers(self) -> int:
        """How many layers the model has."""
        return len(parts(self._reader.model)[0].layers)

    def read(
        self, outfits: Sequence[Sequence[str]], layer: int | None = None, *, answer: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """P(yes) of each outfit, shape ``(N,)``, and the mean hidden state of its items, shape ``(N, H)``.

        Args:
            outfits: As for ``score``.
            layer: Whose leaving states are averaged, from 1; None gives states of no columns.
            answer: Without it the layers above aren't run, and P(yes) is nan.

        Raises:
            ModelError: As ``score``, or if there is no such layer.
            PromptError: As ``score``.
        """
        prompts = [self._prompt(order) for outfit in outfits for order in orders_of(outfit, self._passes, self._seed)]
        heard = None if layer is None else Heard(layer, self._question_tokens(prompts))
        found = self._reader.read(prompts, heard, answer=answer)
        yes = probability_of_yes(found.logits) if answer else np.full(len(prompts), np.nan)
        shape = (len(outfits), self._passes)
        states = found.states.reshape(*shape, found.states.shape[1])
        return np.asarray(yes.reshape(shape).mean(axis=1)), np.asarray(states.mean(axis=1))  # (N,), (N, H)

    def _question_tokens(self, prompts: Sequence[Sequence[int]]) -> int:
        """Tokens before the items, which all prompts begin with."""
        asked = self.renderer.question_ids(compatibility_instruction(["", ""]))
        return min((common_length(asked, prompt) for prompt in prompts), default=0)

    def _prompt(self, outfit: Sequence[str]) -> tuple[int, ...]:
        return self.renderer.render(question_about(outfit, self._texts)).prompt_ids


def load_scorer(
    base: Base, adapter: Path | None, texts: Mapping[str, str], settings: RunSettings, passes: int = 1
) -> LanguageModelScorer | PooledScorer:
    """Load a base model, with a fine-tuned adapter unless it is None, to score outfits as the adapter was taught to.

    Raises:
        ModelError: If the files can't be loaded, the adapter was made on another base, or the model can't be asked.
    """
    if adapter is None or settings.finetune.head != "pooled":
        return load_answers(base, adapter, texts, settings, passes)
    check_origin(adapter, base)
    check_base(base, settings)
    head = PooledHead.load(adapter)
    loaded = engine_for_head(settings.model)[0].for_scoring(base, adapter, settings.model)
    renderer = ListRenderer(loaded.tokenizer, settings.prompt.max_length)
    return PooledScorer("fine-tuned", loaded.model, head, renderer, texts, passes, settings.seed)


def load_answers(
    base: Base, adapter: Path | None, texts: Mapping[str, str], settings: RunSettings, passes: int = 1
) -> LanguageModelScorer:
    """As ``load_scorer``, for a base model or an adapter that answers in words.

    Raises:
        ModelError: As ``load_scorer``.
    """
    if adapter is not None:
        check_origin(adapter, base)
    check_base(base, settings)
    # One engine in one process: Unsloth rewrites transformers under whatever is loaded already.
    choose = engine_for_head if settings.finetune.head == "pooled" else choose_engine
    loaded = choose(settings.model)[0].for_scoring(base, adapter, settings.model)
    check_reading(loaded.model, base.name)
    renderer = PromptRenderer(loaded.tokenizer, settings.prompt.max_length)
    name = "fine-tuned" if adapter is not None else "base"
    return LanguageModelScorer(name, loaded.model, renderer, texts, passes, settings.seed)


def check_origin(adapter: Path, base: Base) -> None:
    """Refuse an adapter that was made on another base model.

    Raises:
        ModelError: If it was, or if the folder isn't an adapter that coordi made.
    """
    if not (adapter / "adapter_model.safetensors").is_file():
        raise ModelError(f"'{adapter}' isn't an adapter: it has no adapter_model.safetensors; see: coordi finetune")
    try:
        origin = read_json(adapter / ORIGIN)
        made_on, identity = str(origin["base"]), str(origin["identity"])
    except (ArtifactError, KeyError, TypeError) as error:
        raise ModelError(f"'{adapter}' doesn't say which base model it was made on: no sound {ORIGIN} in it") from error
    if identity != base.identity:
        raise ModelError(
            f"the adapter '{adapter}' was made on the base '{made_on}' ({identity[:12]}), not on '{base.name}' "
            f"({base.identity[:12]}); set model.base={made_on} or fine-tune again"
        )
