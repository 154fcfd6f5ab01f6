"""The baselines that a model is compared with."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.data.loading import outfits_for
from coordi.data.questions import draw_compatibility
from coordi.data.style_pairs import STYLE_PAIRS
from coordi.encoders.base import ImageTextEncoder
from coordi.errors import DataError, EvaluationError, MissingDependencyError, require
from coordi.evaluation.leak_baselines import OrderBaseline, SizeBaseline
from coordi.evaluation.scoring import ScoreSource
from coordi.evaluation.set_transformer import SetTransformer, mean_auc
from coordi.model import ensemble, features
from coordi.model.scoring import LazyScorer
from coordi.types import CompatibilityQuestion, Dataset, Item, OutfitScorer, RandomStream

BaselineSet = Literal["all", "quick", "none"]
States = Callable[[Sequence[Sequence[Item]]], NDArray[np.float32]]
"""Hidden states of outfits, ``(N, H)``."""
Embed = Callable[[Sequence[Item]], NDArray[np.float32]]

OF_STYLE_PAIRS = ("chance", "shared-words")
QUICK = ("chance", "category-pairs", "title-cosine", "encoder-similarity")
# Each costs three prompts, and a linear model of some hundred weights learns little from more.
MOST_PROBE_OUTFITS = 2000
_PROBE_C = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)


@dataclass(frozen=True, slots=True)
class BaselineInputs:
    """Inputs of the baselines: described items with training outfits; ``states`` is None without a language model."""

    dataset: Dataset
    encoder: ImageTextEncoder
    settings: EvaluateSettings
    seed: int
    states: States | None = None


def build_baselines(
    inputs: BaselineInputs, which: BaselineSet = "all"
) -> tuple[tuple[OutfitScorer | ScoreSource, ...], dict[str, str]]:
    """Baselines in the order of ``NAMES``, and why others can't be built, by name; ``quick`` ones take seconds."""
    builder = _Builder(inputs)
    scorers: list[OutfitScorer | ScoreSource] = []
    left_out: dict[str, str] = {}
    names = {"all": NAMES, "quick": QUICK, "none": ()}[which]
    if inputs.dataset.layout == STYLE_PAIRS and names:  # a table without outfits to train on
        names = OF_STYLE_PAIRS
    for name in names:
        try:
            scorers.append(_LEAK_BASELINES[name](builder) if name in _LEAK_BASELINES else _MAKERS[name](builder))
        except (DataError, EvaluationError, MissingDependencyError) as error:
            left_out[name] = str(error)
    return tuple(scorers), left_out


class Chance:
    """A random score per outfit, from a hash of its items' words and the seed: AUC 0.5, accuracy 1 / C.

    The order of items and their ids don't matter. Items with equal words also use their position: ties count as misses.
    """

    name = "chance"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        words_of = {item_id: _source_words(item) for item_id, item in items.items()}
        counts = Counter(words_of.values())
        self._keys = {
            item_id: (*words, n if counts[words] > 1 else -1) for n, (item_id, words) in enumerate(words_of.items())
        }
        self._seed = seed

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Scores in ``[0, 1)``, shape ``(N,)``."""
        return np.array([self._draw(outfit) for outfit in outfits], dtype=np.float64)

    def _draw(self, outfit: Sequence[Item]) -> float:
        keys = sorted(self._keys.get(item.id, (*_source_words(item), -1)) for item in outfit)
        return int.from_bytes(hashlib.sha256(repr((self._seed, keys)).encode()).digest()[:6], "big") / 2**48


class SharedWords:
    """Share of the last item's words that another item has too; the choice of whoever knows nothing of clothes."""

    name = "shared-words"
    gives_probabilities = False

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Shares in ``[0, 1]``, shape ``(N,)``; 0 for fewer than two items, or without words."""
        return np.array([self._share(outfit) for outfit in outfits], dtype=np.float64)

    def _share(self, outfit: Sequence[Item]) -> float:
        *others, last = (set(item.title.casefold().split()) for item in outfit)
        return len(last & set().union(*others)) / len(last) if last else 0.0


class Popularity:
    """How often an outfit's items and their subcategories occur in training outfits.

    Mean over items of ``log(1 + outfits with the item) + log(1 + outfits with its subcategory)``. Two items are the
    same if they share the id or the title; the subcategory is the category where the source has no finer one.
    """

    name = "popularity"
    gives_probabilities = False

    def __init__(self, counts: Mapping[tuple[str, str], int]) -> None:
        self._counts = counts

    @classmethod
    def fit(cls, outfits: Sequence[Sequence[Item]]) -> Popularity:
        """Count the training outfits of each item, title and subcategory."""
        if not outfits:
            raise EvaluationError(f"{cls.name} needs training outfits, got 0; use a data set with training outfits")
        return cls(Counter(key for outfit in outfits for key in {key for item in outfit for key in _item_keys(item)}))

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Mean popularity, 0 or more, shape ``(N,)``; 0 for an outfit without items."""
        rows = [sorted(self._popularity(item) for item in outfit) for outfit in outfits]
        return np.array([sum(values) / max(len(values), 1) for values in rows], dtype=np.float64)

    def _popularity(self, item: Item) -> float:
        *same, subcategory = (self._counts.get(key, 0) for key in _item_keys(item))
        return float(np.log1p(max(same)) + np.log1p(subcategory))


class FrozenProbe:
    """Logistic regression on the mean hidden state of an outfit's prompt in the base model."""

    name = "frozen-probe"
    gives_probabilities = True

    def __init__(self, states: States, model: Any) -> None:
        self._states = states
        self._model = model

    @classmethod
    def fit(cls, dataset: Dataset, states: States, seed: int) -> FrozenProbe:
        """Learn from the training questions of one epoch, with the regularisation that is best on the validation split.

        At most ``MOST_PROBE_OUTFITS`` outfits are used, each once as a positive and once as a negative of each kind.
        """
        questions = _probe_questions(dataset, seed)
        outfits, labels = ensemble.outfits_and_labels(dataset, questions)
        features.check_both_classes(cls.name, labels)
        rows = _states_of(states, outfits)  # (N, H)
        pipeline, linear = require("sklearn.pipeline", "train"), require("sklearn.linear_model", "train")
        scaler = require("sklearn.preprocessing", "train").StandardScaler
        # Two negatives for each outfit have the weight of one positive.
        models = [linear.LogisticRegression(C=c, class_weight="balanced", max_iter=2000) for c in _PROBE_C]
        probes = [cls(states, pipeline.make_pipeline(scaler(), model).fit(rows, labels)) for model in models]
        parts = [ensemble.outfits_and_labels(dataset, part) for part in ensemble.validation_questions(dataset, seed)]
        return max(probes, key=lambda probe: mean_auc(probe, parts))

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """Probability that the items are compatible, shape ``(N,)``."""
        if not outfits:
            return np.zeros(0)
        return np.asarray(self._model.predict_proba(_states_of(self._states, outfits))[:, 1], dtype=np.float64)


class _Builder:
    """Inputs that several baselines share, computed when first needed."""

    def __init__(self, inputs: BaselineInputs) -> None:
        self.inputs = inputs
        self.dataset = inputs.dataset

    @cached_property
    def questions(self) -> tuple[list[tuple[Item, ...]], NDArray[np.bool_]]:
        return ensemble.outfits_and_labels(self.dataset, ensemble.training_questions(self.dataset, self.inputs.seed))

    @cached_property
    def items(self) -> tuple[Item, ...]:
        return ensemble.training_items(self.dataset)

    @cached_property
    def texts(self) -> Embed:
        return _centred(features.text_embeddings, self.items)

    def photos(self, titles: bool) -> Embed:
        """Centred embeddings of photos; for items without one, of titles by the same encoder, or zeros."""
        encoder = self.inputs.encoder
        cache: dict[str, NDArray[np.float32]] = {}

        def title_embeddings(items: Sequence[Item]) -> NDArray[np.float32]:
            words = [item.title or item.subcategory or item.category or "" for item in items]
            new = list(dict.fromkeys(text for text in words if text not in cache))
            cache.update(zip(new, encoder.encode_texts(new), strict=True) if new else ())
            return np.stack([cache[text] for text in words])

        photographed = [item for item in self.items if item.photo_embedding is not None]
        sources = {True: _centred(features.photo_embeddings, photographed)}
        if titles:
            sources[False] = _centred(title_embeddings, [item for item in self.items if item.photo_embedding is None])

        def embed(items: Sequence[Item]) -> NDArray[np.float32]:
            rows = np.zeros((len(items), encoder.dimension), dtype=np.float32)
            for has_photo, source in sources.items():
                numbers = [n for n, item in enumerate(items) if (item.photo_embedding is not None) is has_photo]
                if numbers:
                    rows[numbers] = source([items[n] for n in numbers])
            return rows

        return embed

    def check_trainable(self, name: str, module: str) -> None:
        """Raise now the errors of a scorer that is fitted later."""
        require(module, "train")
        features.check_both_classes(name, self.questions[1])
        ensemble.validation_questions(self.dataset, self.inputs.seed)

    def set_transformer(self) -> OutfitScorer:
        self.check_trainable(SetTransformer.name, "torch")
        # With photos of fewer than half of the items, their presence would matter more than the photo.
        has_photos = 2 * sum(item.photo_embedding is not None for item in self.items) >= len(self.items)
        sources = (self.texts, self.photos(titles=False)) if has_photos else (self.texts,)
        return LazyScorer(SetTransformer.name, lambda: SetTransformer.fit(self.dataset, sources, self.inputs.seed))

    def frozen_probe(self) -> OutfitScorer:
        states = self.inputs.states
        if states is None:
            raise EvaluationError("it needs the states of a language model; give a base model")
        self.check_trainable(FrozenProbe.name, "sklearn.linear_model")
        return LazyScorer(FrozenProbe.name, lambda: FrozenProbe.fit(self.dataset, states, self.inputs.seed))

    def popularity(self) -> OutfitScorer:
        return Popularity.fit([self.dataset.items_of(outfit.item_ids) for outfit in outfits_for(self.dataset, "train")])


_LEAK_BASELINES: Mapping[str, Callable[[_Builder], ScoreSource]] = {
    SizeBaseline.name: lambda builder: SizeBaseline(builder.inputs.seed),
    OrderBaseline.name: lambda builder: OrderBaseline(builder.dataset.items, builder.inputs.seed),
}
_MAKERS: Mapping[str, Callable[[_Builder], OutfitScorer]] = {
    "chance": lambda builder: Chance(builder.dataset.items, builder.inputs.seed),
    "shared-words": lambda builder: SharedWords(),
    "popularity": _Builder.popularity,
    "category-pairs": lambda builder: features.CategoryPairs.fit(*builder.questions),
    "title-cosine": lambda builder: features.TitleSimilarity.fit(builder.items),
    "sentence-cosine": lambda builder: features.EmbeddingSimilarity("sentence-cosine", builder.texts),
    "encoder-similarity": lambda builder: features.EmbeddingSimilarity(
        "encoder-similarity", builder.photos(titles=True)
    ),
    "set-transformer": _Builder.set_transformer,
    "frozen-probe": _Builder.frozen_probe,
}
NAMES = ("chance", *_LEAK_BASELINES, *(name for name in _MAKERS if name not in OF_STYLE_PAIRS))


def _centred(embed: Embed, items: Sequence[Item]) -> Embed:
    """Embeddings less the mean of their category in training outfits."""
    centering = features.CategoryCentering.learn(items, embed(items)) if items else features.CategoryCentering()
    return lambda items: centering.centre(items, embed(items))


def _source_words(item: Item) -> tuple[str, str, str]:
    return item.category or "", item.subcategory, item.title.casefold()


def _item_keys(item: Item) -> tuple[tuple[str, str], ...]:
    """Keys that an item is counted by, its subcategory last."""
    title = (("title", item.title.casefold()),) if item.title else ()
    return (("id", item.id), *title, ("subcategory", item.subcategory or item.category or ""))


def _probe_questions(dataset: Dataset, seed: int) -> list[CompatibilityQuestion]:
    """One positive of each outfit, and one negative of each kind."""
    outfits = dataset.outfits_of("train")
    chosen = {outfit.id for outfit in outfits}
    if len(outfits) > MOST_PROBE_OUTFITS:
        drawn = np.random.default_rng([seed, RandomStream.PROBE]).permutation(len(outfits))[:MOST_PROBE_OUTFITS]
        chosen = {outfits[int(n)].id for n in drawn}
    return [
        question
        for negatives in ensemble.TRAINING_NEGATIVES
        for question in draw_compatibility(dataset, "train", negatives, seed, 0).questions
        if question.outfit_id in chosen and (negatives == ensemble.TRAINING_NEGATIVES[0] or not question.compatible)
    ]


def _states_of(states: States, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
    rows = np.asarray(states(outfits), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(outfits) or not np.isfinite(rows).all():
        raise EvaluationError(
            f"the language model returned states of shape {rows.shape} for {len(outfits)} outfits; expected (N, H), "
            "all finite: check the base model"
        )
    return rows
