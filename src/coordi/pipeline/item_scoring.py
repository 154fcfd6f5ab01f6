"""The model that was measured, loaded once and asked about items of any catalogue."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from coordi.describe.vocabulary import load_vocabulary
from coordi.evaluate.scorer import OutfitScorer
from coordi.model.orders import orders_of
from coordi.pipeline.joining import ALONE, Joined, Line, log_odds
from coordi.pipeline.models import BUNDLED
from coordi.pipeline.scorers import MeasuredModel
from coordi.pipeline.usual import Usual, too_sure
from coordi.recommend.catalogue_index import CatalogueIndex
from coordi.recommend.described_item import DescribedItem

_REMEMBERED = 20_000
"""Answers of the language model that are kept: some megabytes."""

Texts = tuple[str, ...]


class LoadedModel:
    """Scores outfits of described items; see ``recommend.item_scorer.ItemScorer``.

    The language model is loaded by the first question that needs it, or by ``load``. It is asked by what is said of the
    items and nothing else, so what it answered holds whatever catalogue an item is from. Questions from several threads
    wait for each other.

    Attributes:
        name: ``fine-tuned`` or ``base``.
    """

    def __init__(self, model: MeasuredModel) -> None:
        """Take the model that ``find_model`` found.

        Raises:
            ModelError: If what it is joined with can't be read.
        """
        self.name = model.name
        self._model = model
        own = None if model.adapter is None else Joined.load(model.adapter)
        # A model that isn't joined answers alone; for who wants no language model the bundled adapter's parts speak.
        bundled = own or Joined.load(BUNDLED)
        if bundled is None:
            raise ValueError(f"the bundled adapter in {BUNDLED} isn't joined with anything")
        self._parts = bundled
        self._line: Line | None = None if own is None else own.told.joined
        self._asked = _Asked(model)
        settings = model.settings
        self._usual_elsewhere = Usual.of(bundled.means, load_vocabulary(settings.describe.vocabulary), settings.prompt)
        self._usual = self._usual_elsewhere

    def in_catalogue(self, index: CatalogueIndex) -> LoadedModel:
        """The same model, that likens items by what is unusual in this catalogue alone; both share what is loaded."""
        other = copy(self)
        other._usual = self._usual_elsewhere.in_catalogue(index.text_sums())
        return other

    def load(self) -> None:
        """Load the language model now.

        Raises:
            CoordiError: If it can't be loaded.
        """
        self._asked.load()

    def score(
        self, outfits: Sequence[Sequence[DescribedItem]], *, language_model: bool = True, orders: int = 1
    ) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``; see ``ItemScorer``."""
        if not outfits:
            return np.zeros(0)
        if not language_model:
            return self._parts.told.without.probabilities(self._plain(outfits))
        yes = self._asked.score([tuple(item.text for item in outfit) for outfit in outfits], orders)
        if self._line is None:
            return yes
        return self._line.probabilities({**self._plain(outfits), ALONE: log_odds(yes) - too_sure(outfits)})

    def direction(self, outfit: Sequence[DescribedItem]) -> NDArray[np.float32]:
        """Sum of the items' vectors less what is usual for their categories, shape ``(T,)``; see ``ItemScorer``."""
        return np.asarray(sum(self._usual.centred(one) for one in outfit), dtype=np.float32)

    def _plain(self, outfits: Sequence[Sequence[DescribedItem]]) -> Mapping[str, NDArray[np.float64]]:
        # Numbers stand for the items: two catalogues may use one id for different things.
        places: dict[int, str] = {}
        items: dict[str, DescribedItem] = {}
        asked: list[list[str]] = []
        for outfit in outfits:
            names = [places.setdefault(id(one), str(len(places))) for one in outfit]
            items.update(zip(names, outfit, strict=True))
            asked.append(names)
        parts = self._parts.plain(
            {name: one.item for name, one in items.items()},
            {name: self._usual.centred(one) for name, one in items.items()},
            are_centred=True,
        )
        return parts.values(asked)


class _Asked:
    """The language model, asked by texts; the last answers are remembered."""

    def __init__(self, model: MeasuredModel) -> None:
        self._model = model
        self._scorer: OutfitScorer | None = None
        self._known: OrderedDict[Texts, float] = OrderedDict()
        self._lock = Lock()

    def load(self) -> None:
        with self._lock:
            self._loaded()

    def score(self, outfits: Sequence[Texts], orders: int) -> NDArray[np.float64]:
        seed = self._model.settings.seed
        asked = [tuple(order) for outfit in outfits for order in orders_of(outfit, orders, seed)]
        with self._lock:
            new = [texts for texts in dict.fromkeys(asked) if texts not in self._known]
            answers = dict(zip(new, self._loaded().score(new).tolist(), strict=True)) if new else {}
            for texts in asked:
                self._known[texts] = answers[texts] = answers[texts] if texts in answers else self._known[texts]
                self._known.move_to_end(texts)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        yes = np.array([answers[texts] for texts in asked], dtype=np.float64)
        return np.asarray(yes.reshape(len(outfits), orders).mean(axis=1))

    def _loaded(self) -> OutfitScorer:
        if self._scorer is None:
            from coordi.model.base import resolve_base
            from coordi.model.score import load_scorer

            settings, adapter = self._model.settings, self._model.adapter
            self._scorer = load_scorer(resolve_base(settings.model), adapter, _Themselves(), settings)
        return self._scorer


class _Themselves(Mapping[str, str]):
    """Texts by themselves: the language model's items are what is said of them."""

    def __getitem__(self, text: str) -> str:
        return text

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
