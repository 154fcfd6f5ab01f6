"""Shelves of described items, and judges whose taste can be worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings, RecommendSettings
from coordi.encoders.complements import ComplementRecommender
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.model.features import GroupSums
from coordi.model.generation import NameRequest, Written
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import CatalogueInfo
from coordi.recommend.items import describe_items
from coordi.recommend.stylist import Stylist
from coordi.types import EmbeddingSort, GarmentCategory, Item

Taste = Callable[[Sequence[Item]], float]
ALL = RecommendSettings(candidates=1000, top_k=50, diversity=0.0)
VOCABULARY = load_vocabulary("fashion")


class Judge:
    """Scorers by a rule; ``asked`` holds the outfits that the scorer with the language model was called with."""

    def __init__(self, taste: Taste, quick: Taste | None = None, names: Mapping[str, str] | None = None) -> None:
        """``names`` are what is written for a category, by it."""
        self.model = _TasteScorer(taste)
        self.quick = _TasteScorer(quick or taste)
        self.explaining = self.model
        self._names = names or {}

    @property
    def calls(self) -> list[tuple[str, ...]]:
        return self.model.calls

    def for_catalogue(self, sums: GroupSums) -> Judge:
        return self

    def directions(self, outfit: Sequence[Item]) -> dict[EmbeddingSort, NDArray[np.float32]]:
        return {"text": np.asarray(sum(item.text_embedding for item in outfit), dtype=np.float32)}

    def write(self, requests: Sequence[NameRequest]) -> list[Written]:
        recommender = ComplementRecommender(EdgeEncoder.bundled(), VOCABULARY)
        queries = [recommender.query(request.context) for request in requests]
        return [
            Written("the prompt", self._names[request.want], recommender.labels(query, request.want), query[0])
            for request, query in zip(requests, queries, strict=True)
        ]


class _TasteScorer:
    name = "by-hand"
    gives_probabilities = True

    def __init__(self, taste: Taste) -> None:
        self._taste = taste
        self.calls: list[tuple[str, ...]] = []

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self.calls += [tuple(item.id for item in outfit) for outfit in outfits]
        return np.array([self._taste(outfit) for outfit in outfits], dtype=np.float64)


def longest_title(outfit: Sequence[Item]) -> float:
    """The last item's title decides: a hundredth for each letter."""
    return len(outfit[-1].title) / 100


def described(
    *items: tuple[str, str, GarmentCategory],
    prices: Mapping[str, float] | None = None,
    photos: Mapping[str, NDArray[np.float32]] | None = None,
) -> list[Item]:
    """Items of ids, titles and categories."""
    photos = photos or {}
    built = [
        Item(name, title, category, image=Path(f"{name}.jpg") if name in photos else None,
             price=(prices or {}).get(name))
        for name, title, category in items
    ]  # fmt: skip
    return describe_items(built, {}, photos, PromptSettings(), VOCABULARY, EdgeEncoder.bundled())


def index_of(items: Sequence[Item], dimension: int = 2) -> Catalogue:
    """A catalogue of them."""
    encoder = EdgeEncoder.bundled()
    info = CatalogueInfo(
        name="shelf", source="shelf", encoder=("edge", encoder.identity), text_encoder=encoder.text_identity,
        vocabulary="0" * 64, photo_dimension=dimension, text_dimension=encoder.dimension,
    )  # fmt: skip
    return Catalogue.in_memory(info, items)


def stylist_of(items: Sequence[Item], judge: Judge, settings: RecommendSettings = ALL) -> Stylist:
    """Who advises from them."""
    return Stylist(index_of(items), judge, settings, VOCABULARY, EdgeEncoder.bundled().encode_texts)
