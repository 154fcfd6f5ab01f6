"""P(yes) of outfits: from the answer's logits or from a pooled head, loaded lazily and cached by the items' texts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.config import RunSettings
from coordi.encoders.base import sigmoid
from coordi.errors import ArtifactError, ModelError, require
from coordi.model.base import LAYERS, SHA256, Base, check_base, resolve_base
from coordi.model.engines import COPY_ADAPTER, Loaded, choose_engine
from coordi.model.prefix_cache import (
    PoolSpec,
    PromptRunner,
    backbone_and_head,
    check_logits,
    common_prefix_length,
    full_memory_named,
    middle_layer,
)
from coordi.prompts import (
    InstructionMaker,
    ListRenderer,
    PromptRenderer,
    answer_tokens,
    compatibility_instruction,
    text_in_prompts,
)
from coordi.types import Item, OutfitScorer

ORIGIN = "coordi.json"  # in an adapter's folder: which base it was made on
HEAD = "pooled_head.safetensors"
HEAD_SETTINGS = "pooled_head.json"
EPSILON = 1e-5  # PyTorch's default, added to a variance
CACHE_SIZE = 20_000  # answers of a language model, a few megabytes
_TENSORS = ("gain", "shift", "weight", "bias")

States = Callable[[Sequence[Sequence[int]]], NDArray[np.float32]]
"""Mean hidden states of prompts' items, ``(N, H)``, given their tokens."""
Texts = tuple[str, ...]
"""Texts of an outfit's items, in the order of the prompt."""
Key = Callable[[Sequence[Item]], Texts]
"""Gives what an outfit's score depends on."""


class LanguageModelScorer:
    """Scores outfits by a language model's answer to the question whether their items go together."""

    gives_probabilities = True

    def __init__(
        self,
        name: str,
        model: Any,
        renderer: PromptRenderer,
        instructions: InstructionMaker | None = None,
        batch_tokens: int | None = None,
    ) -> None:
        self.name = name
        self.renderer = renderer
        self.instructions = instructions or InstructionMaker()
        self._runner = PromptRunner(model, answer_tokens(renderer), batch_tokens)

    @property
    def model(self) -> Any:
        """The language model, with its adapter if it has one."""
        return self._runner.model

    @property
    def layers(self) -> int:
        """Number of layers of the model."""
        return len(backbone_and_head(self._runner.model)[0].layers)

    def without_adapter(self) -> LanguageModelScorer | None:
        """The base model as a scorer that shares these weights; None if the adapter is merged into them."""
        model = self._runner.model
        if not hasattr(model, "disable_adapter"):
            return None
        return _WithoutAdapter("base", model, self.renderer, self.instructions, self._runner.batch_tokens)

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``; the prompt lists its items in their order. A ``ModelError`` if an item
        has no text, a ``PromptError`` if an outfit has fewer than two items, or can't be shortened enough.
        """
        return self.read(outfits)[0]

    def read(
        self, outfits: Sequence[Sequence[Item]], layer: int | None = None, *, answer: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """P(yes) of each outfit, ``(N,)``, and mean hidden states of its items at a layer, from 1, ``(N, H)``, without
        columns for None. ``answer=False`` skips the layers above, and P(yes) is NaN. Errors as ``score``.
        """
        prompts = [self.renderer.render(self.instructions.compatibility(outfit)).prompt_ids for outfit in outfits]
        pool = None if layer is None else PoolSpec(layer, self._question_tokens(prompts))
        runner = self._runner if answer else replace(self._runner, answers=())
        with full_memory_named():
            logits, states = runner.read(prompts, pool)
        yes = sigmoid(logits[:, 0] - logits[:, 1]) if answer else np.full(len(prompts), np.nan)
        return yes, states

    def _question_tokens(self, prompts: Sequence[Sequence[int]]) -> int:
        """Number of tokens before the items, which are the same in all prompts."""
        question = self.renderer.question_ids(compatibility_instruction(["", ""]))
        return common_prefix_length(question, *prompts)


class _WithoutAdapter(LanguageModelScorer):
    def read(
        self, outfits: Sequence[Sequence[Item]], layer: int | None = None, *, answer: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        with self._runner.model.disable_adapter():
            return super().read(outfits, layer, answer=answer)


@dataclass(frozen=True, slots=True)
class PooledHead:
    """Layer norm and one linear unit on the mean state of an outfit's items after ``layer``, from 1, with Platt
    scaling: ``P(yes) = sigmoid(slope * logit + offset)`` (Platt, Probabilistic Outputs for Support Vector Machines,
    1999). ``gain``, ``shift`` and ``weight`` have shape ``(H,)``, ``bias`` ``(1,)``.
    """

    layer: int
    gain: NDArray[np.float32]
    shift: NDArray[np.float32]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    slope: float = 1.0
    offset: float = 0.0

    def logits(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """Logits ``(N,)`` of mean hidden states ``(N, H)``, before Platt scaling."""
        rows = states.astype(np.float64)
        centred = rows - rows.mean(axis=1, keepdims=True)
        normed = centred / np.sqrt(centred.var(axis=1, keepdims=True) + EPSILON) * self.gain + self.shift
        return np.asarray(normed @ self.weight + self.bias[0], dtype=np.float64)

    def probabilities(self, states: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(yes), shape ``(N,)``, of mean hidden states ``(N, H)``."""
        return sigmoid(self.slope * self.logits(states) + self.offset)

    def save(self, folder: Path) -> None:
        """Write the head into an adapter's folder."""
        save_file({name: np.ascontiguousarray(getattr(self, name)) for name in _TENSORS}, str(folder / HEAD))
        write_json(folder / HEAD_SETTINGS, {"layer": self.layer, "slope": self.slope, "offset": self.offset})

    @classmethod
    def load(cls, folder: Path) -> PooledHead:
        """Read the head from an adapter's folder; raises a ``ModelError`` if a file is missing or damaged."""
        try:
            tensors, settings = load_file(str(folder / HEAD)), read_json(folder / HEAD_SETTINGS)
            layer, slope, offset = int(settings["layer"]), float(settings["slope"]), float(settings["offset"])
            head = cls(layer, slope=slope, offset=offset, **{name: tensors[name] for name in _TENSORS})
        except (ArtifactError, OSError, KeyError, TypeError, ValueError, OverflowError, SafetensorError) as error:
            raise ModelError(
                f"the head of the adapter '{folder}' can't be read ({type(error).__name__}: {error}); {COPY_ADAPTER}"
            ) from error
        numbers = np.concatenate([[head.slope, head.offset], *(tensors[name].ravel() for name in _TENSORS)])
        if not np.isfinite(numbers).all() or head.bias.shape != (1,):
            raise ModelError(f"the head in '{folder}' holds numbers that aren't finite; fine-tune again")
        if layer < 1:
            raise ModelError(f"the head in '{folder}' reads layer {layer}, layers are counted from 1; fine-tune again")
        if len({head.gain.shape, head.shift.shape, head.weight.shape}) > 1 or head.gain.ndim != 1:
            raise ModelError(f"'{folder / HEAD}' holds vectors of different sizes; fine-tune again")
        return head


@dataclass(frozen=True, slots=True)
class AnswerHead:
    """P(yes) from the logits of the answers yes and no, after the bundled model's last layer."""

    layer: int = LAYERS

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float64]:
        """P(yes), shape ``(N,)``, of logits ``(N, 2)``."""
        return sigmoid((logits[:, 0] - logits[:, 1]).astype(np.float64))


class PooledScorer:
    """Scores outfits by a head on the mean hidden state of their items, or on the answers' logits."""

    gives_probabilities = True

    def __init__(
        self, name: str, states: States, head: PooledHead | AnswerHead, renderer: PromptRenderer,
        instructions: InstructionMaker,
    ) -> None:  # fmt: skip
        self.name = name
        self.renderer = renderer
        self._states = states
        self._head = head
        self._instructions = instructions

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``; see ``LanguageModelScorer.score``."""
        if not outfits:
            return np.zeros(0)
        prompts = [self.renderer.render(self._instructions.compatibility(outfit)).prompt_ids for outfit in outfits]
        return self._head.probabilities(self._states(prompts))


class LazyScorer:
    """A scorer that is loaded or fitted by the first outfits that it scores."""

    gives_probabilities = True

    def __init__(self, name: str, load: Callable[[], OutfitScorer]) -> None:
        self.name = name
        self._load = load
        self._scorer: OutfitScorer | None = None
        self._lock = Lock()

    def load(self) -> OutfitScorer:
        """Load the scorer now, once."""
        with self._lock:
            if self._scorer is None:
                self._scorer = self._load()
            return self._scorer

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``; an empty list loads nothing."""
        return self.load().score(outfits) if outfits else np.zeros(0)


class CachedScorer:
    """Scores cached by what a prompt of an outfit depends on, by default its texts in their order, the ``size`` last
    used ones; safe for several threads.
    """

    gives_probabilities = True

    def __init__(
        self,
        name: str,
        scorer: OutfitScorer,
        size: int = CACHE_SIZE,
        key: Key | None = None,
        lock: Lock | None = None,
    ) -> None:
        self.name = name
        self._scorer = scorer
        self._size = size
        self._key = key or texts_of
        self._scores: OrderedDict[Texts, float] = OrderedDict()
        self._lock = lock or Lock()  # of the model, if others call it too

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``."""
        keys = [self._key(outfit) for outfit in outfits]
        by_key = dict(zip(keys, outfits, strict=True))
        with self._lock:
            new = {key: outfit for key, outfit in by_key.items() if key not in self._scores}
            if new:
                self._scores |= zip(new, self._scorer.score(list(new.values())).tolist(), strict=True)
            for key in by_key:
                self._scores.move_to_end(key)
            scores = np.array([self._scores[key] for key in keys], dtype=np.float64)
            while len(self._scores) > self._size:
                self._scores.popitem(last=False)
        return scores


class BaseModelScorer:
    """The base model without fine-tuning. The last bits of a number depend on what shares its batch, so states are
    cached by list of outfits: an interrupted evaluation then ends like an undisturbed one.
    """

    name = "base"
    gives_probabilities = True

    def __init__(self, load: Callable[[], LanguageModelScorer], key: Key | None = None) -> None:
        self._load = cache(load)
        self._key = key or texts_of
        self._yes: dict[Texts, float] = {}
        self._states: dict[tuple[Texts, ...], NDArray[np.float32]] = {}

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Zero-shot P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``; caches the states of new outfits."""
        keys = [self._key(outfit) for outfit in outfits]
        new = {key: outfit for key, outfit in zip(keys, outfits, strict=True) if key not in self._yes}
        if new:
            yes, self._states[tuple(new)] = self._read(list(new.values()))
            self._yes.update(zip(new, yes.tolist(), strict=True))
        return np.array([self._yes[key] for key in keys], dtype=np.float64)

    def states(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float32]:
        """Mean hidden state of each outfit's items at two thirds of the layers, shape ``(N, H)``."""
        keys = tuple(map(self._key, outfits))
        if keys not in self._states:
            self._states[keys] = self._read(outfits, answer=False)[1]
        return self._states[keys]

    def _read(self, outfits: Sequence[Sequence[Item]], answer: bool = True) -> tuple[Any, NDArray[np.float32]]:
        scorer = self._load()
        return scorer.read(outfits, middle_layer(scorer.layers), answer=answer)


def texts_of(outfit: Sequence[Item]) -> Texts:
    """Texts of an outfit's items, with their facts, in their order."""
    return tuple(text_in_prompts(item, facts=True) for item in outfit)


def prompt_key(settings: RunSettings) -> Key:
    """What a prompt depends on: the items' texts, and what is recommended by their photos where that is in it."""
    if not settings.prompt.recommended:
        return texts_of
    instructions = InstructionMaker.of(settings)
    return lambda outfit: (*texts_of(outfit), *instructions.beside_the_others(outfit))


def load_scorer(base: Base, adapter: Path | None, settings: RunSettings) -> LanguageModelScorer | PooledScorer:
    """Load a base model with an adapter (None: without one) as a scorer; a ``ModelError`` if they don't fit."""
    if adapter is None or settings.finetune.head != "pooled":
        return load_answers(base, adapter, settings)
    check_origin(adapter, base)
    head = PooledHead.load(adapter)
    loaded = _load(base, adapter, settings)
    renderer = ListRenderer(loaded.tokenizer, settings.prompt.max_length)
    states = _states_of(loaded.model, head, settings.model.batch_tokens)
    return PooledScorer("fine-tuned", states, head, renderer, InstructionMaker.of(settings))


def _states_of(model: Any, head: PooledHead, batch_tokens: int | None) -> States:
    """Drop the layers above the head's; raises a ``ModelError`` if the head doesn't fit the model's layers."""
    backbone, _ = backbone_and_head(model)
    _check_head(head, int(backbone.config.hidden_size), len(backbone.layers))
    backbone.layers = backbone.layers[: head.layer]
    runner, pool = PromptRunner(model, (), batch_tokens), PoolSpec(head.layer, ListRenderer.before)

    def states(prompts: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        with full_memory_named():
            return runner.read(prompts, pool).states

    return states


def _check_head(head: PooledHead, size: int, layers: int) -> None:
    if head.gain.shape != (size,) or head.layer > layers:
        raise ModelError(
            f"the adapter's head reads {head.gain.shape[0]} numbers of layer {head.layer}, the base model has "
            f"{size} in each of {layers} layers; fine-tune again on this base"
        )


def runs_without_torch(settings: RunSettings) -> bool:
    """Whether an adapter's scorer is that of ``load_light_scorer``: the base is the bundled model, unless the settings
    ask for another engine, or for its arithmetic or attention.
    """
    model = settings.model
    return model.base == "bundled" and model.engine == model.arithmetic == model.attention == "auto"


def load_any_scorer(adapter: Path | None, settings: RunSettings) -> LanguageModelScorer | PooledScorer:
    """Load a model as a scorer, in ONNX Runtime where that can be done, else by ``load_scorer``."""
    if adapter is not None and runs_without_torch(settings):
        return load_light_scorer(adapter, settings)
    return load_scorer(resolve_base(settings.model), adapter, settings)


def load_light_scorer(adapter: Path, settings: RunSettings) -> PooledScorer:
    """Load the bundled model with an adapter and its head in ONNX Runtime; a ``ModelError`` if they don't fit."""
    from coordi.model.decoder import Decoder, decoder_folder, multiplies_bytes

    check_origin(adapter, Base("bundled", Path(), SHA256))
    head = load_light_head(adapter, settings)
    decoder = Decoder(decoder_folder(adapter, head.layer, in_bytes=multiplies_bytes()), settings.model.batch_tokens)
    renderer: PromptRenderer
    if isinstance(head, AnswerHead):
        renderer = PromptRenderer(decoder.tokenizer, settings.prompt.max_length, settings.prompt.form)
        read = partial(decoder.answers, tokens=answer_tokens(renderer))
    else:
        _check_head(head, decoder.shape.hidden, decoder.shape.layers)
        renderer = ListRenderer(decoder.tokenizer, settings.prompt.max_length)
        read = partial(decoder.states, skip=ListRenderer.before)
    return PooledScorer("fine-tuned", read, head, renderer, InstructionMaker.of(settings))


def load_light_head(adapter: Path, settings: RunSettings) -> PooledHead | AnswerHead:
    """The head of an adapter on the bundled model; ``layer`` is how many layers its decoder needs."""
    return AnswerHead() if settings.finetune.head == "answer" else PooledHead.load(adapter)


def fill_cache(adapter: Path) -> None:
    """Build in the cache what ``load_light_scorer`` reads of an adapter with a pooled head, for processors with and
    without VNNI, so that a read-only copy of the cache is complete on each.
    """
    from coordi.model.decoder import decoder_folder

    layer = PooledHead.load(adapter).layer
    for in_bytes in (False, True):
        decoder_folder(adapter, layer, in_bytes=in_bytes)


def load_answers(base: Base, adapter: Path | None, settings: RunSettings) -> LanguageModelScorer:
    """Load a base model, or an adapter with an answer head, as a scorer; see ``load_scorer``."""
    if adapter is not None:
        check_origin(adapter, base)
    loaded = _load(base, adapter, settings)
    check_logits(loaded.model, base.name)
    name = "base" if adapter is None else "fine-tuned"
    renderer = PromptRenderer(loaded.tokenizer, settings.prompt.max_length, settings.prompt.form)
    batch_tokens = settings.model.batch_tokens
    return LanguageModelScorer(name, loaded.model, renderer, InstructionMaker.of(settings), batch_tokens)


def _load(base: Base, adapter: Path | None, settings: RunSettings) -> Loaded:
    check_base(base, settings)
    # One engine per process: Unsloth patches the transformers library for every model in it.
    engine, _ = choose_engine(settings.model, settings.finetune.head, settings.prompt.max_length)
    return engine.for_scoring(base, adapter, settings.model)


def check_origin(adapter: Path, base: Base) -> None:
    """Raise a ``ModelError`` if an adapter was trained on another base model, or the folder isn't an adapter."""
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        if not (adapter / name).is_file():
            raise ModelError(f"'{adapter}' isn't an adapter: it has no {name}; see: coordi finetune")
    try:
        origin = read_json(adapter / ORIGIN)
        name, identity = str(origin["base"]), str(origin["identity"])
    except (ArtifactError, KeyError, TypeError) as error:
        raise ModelError(f"'{adapter}' doesn't name its base model: no valid {ORIGIN} in it") from error
    if identity != base.identity:
        raise ModelError(
            f"the adapter '{adapter}' was trained on the base '{name}' ({identity[:12]}), not on '{base.name}' "
            f"({base.identity[:12]}); set model.base={name} or fine-tune again"
        )


def fit_platt_line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of Platt scaling; ``(1, 0)`` if the fitted slope would reverse the ranking."""
    slope, offset = platt_regression(logits, truth)
    return (slope, offset) if slope > 0 else (1.0, 0.0)


def platt_regression(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """Slope and offset of the logistic regression of the truth ``(N,)`` on scores ``(N,)`` that vary. Targets are
    smoothed by ``1 / (n + 2)`` as in Platt's paper, so that the slope stays finite; the root of the gradient has more
    digits than scikit-learn's minimum.
    """
    yes, no = int(truth.sum()), int((~truth).sum())
    targets = np.where(truth, (yes + 1) / (yes + 2), 1 / (no + 2))
    rows = np.column_stack([scores, np.ones(len(scores))])  # (N, 2)

    def gradient(line: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(rows.T @ (sigmoid(rows @ line) - targets) / len(rows))

    def curvature(line: NDArray[np.float64]) -> NDArray[np.float64]:
        shares = sigmoid(rows @ line)
        return np.asarray((rows.T * (shares * (1 - shares))) @ rows / len(rows))

    start = np.array([0.0, np.log((yes + 1) / (no + 1))])
    fitted = require("scipy.optimize", "train").root(gradient, start, jac=curvature, tol=1e-13)
    return float(fitted.x[0]), float(fitted.x[1])
