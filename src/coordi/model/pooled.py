"""A linear head on the mean hidden state of an outfit's items, which tells more than a small model's last word."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json
from coordi.errors import ArtifactError, ModelError, require
from coordi.model.orders import orders_of, question_about
from coordi.model.passes import Heard
from coordi.model.reading import AnswerReader, parts
from coordi.prompts.rendering import ListRenderer

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
        backbone, _ = parts(model)
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
        self._reader = AnswerReader(model, _NO_ANSWERS)

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
        orders = [order for outfit in outfits for order in orders_of(outfit, self._passes, self._seed)]
        heard = Heard(self._head.layer, self.renderer.before)
        states = self._reader.read([self._prompt(order) for order in orders], heard, answer=False).states
        yes = self._head.probabilities(states)
        return np.asarray(yes.reshape(len(outfits), self._passes).mean(axis=1))

    def _prompt(self, outfit: Sequence[str]) -> tuple[int, ...]:
        return self.renderer.prompt(question_about(outfit, self._texts))


def fit_line(logits: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
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
