"""The base model without fine-tuning: its zero-shot answers, and its hidden states for a probe, from one pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.model.passes import middle_layer
from coordi.model.score import LanguageModelScorer


class FrozenModel:
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
