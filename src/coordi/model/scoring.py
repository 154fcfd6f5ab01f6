"""P(yes) of outfits: by the answer's logits or by a pooled head, over one or several orders of the items."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.config import RunSettings
from coordi.errors import ArtifactError, ModelError, require
from coordi.model.base import Base, check_base
from coordi.model.engines import choose_engine, engine_for_head
from coordi.model.prefix_cache import (
    PoolSpec,
    PromptRunner,
    backbone_and_head,
    check_logits,
    common_prefix_length,
    middle_layer,
    probability_of_yes,
)
from coordi.prompts import Instruction, ListRenderer, PromptRenderer, answer_tokens, compatibility_instruction

_STREAM = 71  # of the run's seed


def item_orders(outfit: Sequence[str], passes: int, seed: int) -> list[Sequence[str]]:
    """So many orders of an outfit's items: the given one, then shuffled ones, the same whatever else is asked."""
    rng = np.random.default_rng([seed, _STREAM, len(outfit)])
    orders: list[Sequence[str]] = [outfit]
    for _ in range(passes - 1):
        orders.append([outfit[position] for position in rng.permutation(len(outfit))])
    return orders


def compatibility_prompt(outfit: Sequence[str], texts: Mapping[str, str]) -> Instruction:
    """Whether an outfit's items go together, told by their texts.

    Raises:
        ModelError: If an item has no text.
        PromptError: If there are fewer than two items.
    """
    missing = [item for item in outfit if item not in texts]
    if missing:
        raise ModelError(f"no text for item '{missing[0]}': it isn't among the {len(texts)} items given")
    return compatibility_instruction([texts[item] for item in outfit])


HEAD = "pooled_head.safetensors"
HEAD_SETTINGS = "pooled_head.json"
EPSILON = 1e-5  # PyTorch's own, added to a variance
_TENSORS = ("gain", "shift", "weight", "bias")
_NO_ANSWERS: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class PooledHead:
    """Layer norm, one linear unit, and Platt's line that makes a probability of it.

    Attributes:
        layer: The hidden states are those that leave this layer, from 1.
        gain: Of the norm, shape ``(H,)``.
        shift: Of the norm, shape ``(H,)``.
        weight: Of the unit, shape ``(H,)``.
        bias: Of the unit, shape ``(1,)``.
        slope: ``P(yes) = sigmoid(slope * logit + offset)``, fitted on the validation split.
        offset: See ``slope``.

    References:
        Platt, Probabilistic Outputs for Support Vector Machines, 1999.
    """

    layer: int
    gain: NDArray[np.float32]
    shift: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """How surely items go together, of their mean states ``(N, H)``; shape ``(N,)``, before Platt's line."""
        rows = states.astype(np.float64)
        centred = rows - rows.mean(axis=1, keepdims=True)
        normed = centred / np.sqrt(centred.var(axis=1, keepdims=True) + EPSILON) * self.gain + self.shift
        return np.asarray(normed @ self.weight + self.bias[0], dtype=np.float64)

    def probabilities(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(yes), shape ``(N,)``, of mean states ``(N, H)``."""
        return sigmoid(self.slope * self.logits(states) + self.offset)

    def save(self, folder: Path) -> None:
        """Write the head beside an adapter."""
        save_file({name: np.ascontiguousarray(getattr(self, name)) for name in _TENSORS}, str(folder / HEAD))
        write_json(folder / HEAD_SETTINGS, {"layer": self.layer, "slope": self.slope, "offset": self.offset})

    @classmethod
    def load(cls, folder: Path) -> PooledHead:
        """Read the head beside an adapter.

        Raises:
            ModelError: If a file is missing or damaged.
        """
        try:
            tensors = load_file(str(folder / HEAD))
            told = read_json(folder / HEAD_SETTINGS)
            head = cls(int(told["layer"]), **{name: tensors[name] for name in _TENSORS},
                       slope=float(told["slope"]), offset=float(told["offset"]))  # fmt: skip
        except (ArtifactError, OSError, KeyError, TypeError, ValueError, SafetensorError) as error:
            raise ModelError(
                f"the head of the adapter '{folder}' can't be read ({type(error).__name__}: {error}); take the whole "
                "folder that coordi finetune made"
            ) from error
        if not np.isfinite([head.slope, head.offset]).all() or head.bias.shape != (1,):
            raise ModelError(f"the head in '{folder}' holds numbers that can't be: fine-tune again")
        if len({getattr(head, name).shape for name in _TENSORS[:3]}) > 1 or head.gain.ndim != 1:
            raise ModelError(f"'{folder / HEAD}' holds vectors of different sizes; fine-tune again")
        return head


class PooledScorer:
    """P(yes) of outfits from a head on the mean hidden state of their items.

    Attributes:
        name: For reports.
        gives_probabilities: True.
        renderer: Counts the prompts that were shortened.
    """

    def __init__(  # noqa: PLR0913  the last two are what a caller may leave out
        self,
        name: str,
        model: Any,
        head: PooledHead,
        renderer: ListRenderer,
        texts: Mapping[str, str],
        passes: int = 1,
        seed: int = 0,
    ) -> None:
        """Take a loaded model; layers above the head's are dropped from it.

        Args:
            name: For reports.
            model: In evaluation mode, with its adapter.
            head: Made with the adapter.
            renderer: With the model's tokenizer.
            texts: What prompts say of each item, by item id.
            passes: Orders of the items over which P(yes) is averaged: the given one, then shuffled ones.
            seed: Of the shuffled orders.

        Raises:
            ModelError: If the head is of another size than the model's states, or of a layer that it lacks.
        """
        backbone, _ = backbone_and_head(model)
        size, layers = int(backbone.config.hidden_size), len(backbone.layers)
        if head.gain.shape != (size,) or head.layer > layers:
            raise ModelError(
                f"the adapter's head reads {head.gain.shape[0]} numbers of layer {head.layer}, the base model has "
                f"{size} in each of {layers} layers; fine-tune again on this base"
            )
        backbone.layers = backbone.layers[: head.layer]
        self.name = name
        self.gives_probabilities = True
        self.renderer = renderer
        self._head = head
        self._texts = texts
        self._passes = passes
        self._seed = seed
        self._reader = PromptRunner(model, _NO_ANSWERS)

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``.

        Args:
            outfits: Item ids, two or more each, in the order they are asked in.

        Raises:
            ModelError: If an item has no text.
            PromptError: If an outfit has fewer than two items, or can't be shortened enough.
        """
        if not outfits:
            return np.zeros(0)
        orders = [order for outfit in outfits for order in item_orders(outfit, self._passes, self._seed)]
        heard = PoolSpec(self._head.layer, self.renderer.before)
        states = self._reader.read([self._prompt(order) for order in orders], heard, answer=False).states
        yes = self._head.probabilities(states)
        return np.asarray(yes.reshape(len(outfits), self._passes).mean(axis=1))

    def _prompt(self, outfit: Sequence[str]) -> tuple[int, ...]:
        return self.renderer.prompt(compatibility_prompt(outfit, self._texts))


def fit_platt_line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Platt's slope and offset: logistic regression of the truth ``(N,)`` on the logits ``(N,)``.

    Each answer counts for the other by ``1 / (n + 2)``, as Platt has it, so that the slope stays finite where the
    logits tell the answers apart. A slope that isn't above 0 would turn the ranking round: the line then stays
    ``(1, 0)``.
    """
    rows = np.concatenate([logits, logits])[:, None]
    yes, no = int(truth.sum()), int((~truth).sum())
    sure = np.where(truth, (yes + 1) / (yes + 2), (no + 1) / (no + 2))
    answers = np.concatenate([truth, ~truth])
    regression = require("sklearn.linear_model", "train").LogisticRegression(C=np.inf, max_iter=1000)
    fitted = regression.fit(rows, answers, sample_weight=np.concatenate([sure, 1 - sure]))
    slope, offset = float(fitted.coef_[0, 0]), float(fitted.intercept_[0])
    return (slope, offset) if slope > 0 else (1.0, 0.0)


def sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    """``1 / (1 + exp(-x))``, kept from overflowing."""
    return np.asarray(1.0 / (1.0 + np.exp(-np.clip(logits, -500, 500))))


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
        self._reader = PromptRunner(model, answer_tokens(renderer).ids)

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
        return len(backbone_and_head(self._reader.model)[0].layers)

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
        prompts = [self._prompt(order) for outfit in outfits for order in item_orders(outfit, self._passes, self._seed)]
        heard = None if layer is None else PoolSpec(layer, self._question_tokens(prompts))
        found = self._reader.read(prompts, heard, answer=answer)
        yes = probability_of_yes(found.logits) if answer else np.full(len(prompts), np.nan)
        shape = (len(outfits), self._passes)
        states = found.states.reshape(*shape, found.states.shape[1])
        return np.asarray(yes.reshape(shape).mean(axis=1)), np.asarray(states.mean(axis=1))  # (N,), (N, H)

    def _question_tokens(self, prompts: Sequence[Sequence[int]]) -> int:
        """Tokens before the items, which all prompts begin with."""
        asked = self.renderer.question_ids(compatibility_instruction(["", ""]))
        return min((common_prefix_length(asked, prompt) for prompt in prompts), default=0)

    def _prompt(self, outfit: Sequence[str]) -> tuple[int, ...]:
        return self.renderer.render(compatibility_prompt(outfit, self._texts)).prompt_ids


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
    check_logits(loaded.model, base.name)
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


class BaseModelScorer:
    """Answers and hidden states of outfits; a list of outfits is read once.

    A number's last bits depend on what was read beside it, so states are kept by the list that they were asked for in:
    an interrupted evaluation then ends as an undisturbed one would.

    The model is loaded when it is first asked.

    Attributes:
        name: For reports.
        gives_probabilities: True.
    """

    name = "base"
    gives_probabilities = True

    def __init__(self, load: Callable[[], LanguageModelScorer]) -> None:
        self._load = load
        self._scorer: LanguageModelScorer | None = None
        self._yes: dict[tuple[str, ...], float] = {}
        self._states: dict[tuple[tuple[str, ...], ...], NDArray[np.float32]] = {}

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Zero-shot P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``; the list's states are kept for ``states``.

        Raises:
            ModelError: If an item has no text, or the model can't be loaded.
            PromptError: If an outfit has fewer than two items, or can't be shortened enough.
        """
        asked = [tuple(outfit) for outfit in outfits]
        fresh = list(dict.fromkeys(outfit for outfit in asked if outfit not in self._yes))
        if fresh:
            yes, states = self._model().read(fresh, self._layer())
            self._yes.update(zip(fresh, yes.tolist(), strict=True))
            self._states[tuple(fresh)] = states
        return np.array([self._yes[outfit] for outfit in asked], dtype=np.float64)

    def states(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float32]:
        """Mean hidden state of each outfit's items at two thirds of the layers, shape ``(N, H)``.

        Layers above aren't run for outfits that ``score`` hasn't seen.

        Raises:
            ModelError: As ``score``.
            PromptError: As ``score``.
        """
        asked = tuple(tuple(outfit) for outfit in outfits)
        if asked not in self._states:
            self._states[asked] = self._model().read(asked, self._layer(), answer=False)[1]
        return self._states[asked]

    def _model(self) -> LanguageModelScorer:
        if self._scorer is None:
            self._scorer = self._load()
        return self._scorer

    def _layer(self) -> int:
        return middle_layer(self._model().layers)
