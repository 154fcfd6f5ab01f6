"""Which baselines stand beside a model, how each is made, and which can't be made on this data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.data.loading import outfits_for
from coordi.describe.encoder import ImageTextEncoder
from coordi.domain import CompatibilityQuestion, Dataset, Item
from coordi.errors import DataError, EvaluationError, MissingDependencyError, require
from coordi.evaluate.baselines.alarms import OrderAlarm, SizeAlarm
from coordi.evaluate.baselines.categories import CategoryPairs
from coordi.evaluate.baselines.centring import centred
from coordi.evaluate.baselines.cosine import TitleCosine, VectorCosine
from coordi.evaluate.baselines.deferred import FittedWhenAsked
from coordi.evaluate.baselines.probe import FrozenProbe, States
from coordi.evaluate.baselines.set_transformer import SetTransformer
from coordi.evaluate.baselines.training import check_both_classes, training_questions, validation_questions
from coordi.evaluate.baselines.trivial import Chance, Popularity
from coordi.evaluate.scorer import OutfitScorer, ScoreSource
from coordi.evaluate.vectors import ItemVectors, load_sentence_encoder

Which = Literal["all", "quick", "none"]

# Negatives are drawn anew in each pass over the training outfits; a few passes steady the rare pairs' weights.
TRAINING_EPOCHS = 4
QUICK = ("chance", "category-pairs", "title-cosine", "encoder-similarity")
TRAINED = ("category-pairs", "set-transformer", "frozen-probe")
"""Whose figures grow with the training outfits."""


@dataclass(frozen=True, slots=True)
class BaselineInputs:
    """What baselines are made of.

    Attributes:
        dataset: Where items and training outfits come from.
        texts: What prompts say of each item, by item id.
        photos: Unit vectors of photos by item id; items without one are absent.
        encoder: What made them; it reads the titles of the other items.
        settings: ``sentence_encoder`` is read.
        seed: Of the training negatives, of drawn scores, of networks' first weights and of the alarms' halves.
        states: The language model's hidden states, which remembers what it was asked before; None if no language model
            is at hand.
        sentences: Unit vectors of the texts by item id, from ``sentence_vectors``; None has them made, each time anew.
    """

    dataset: Dataset
    texts: Mapping[str, str]
    photos: Mapping[str, NDArray[np.float32]]
    encoder: ImageTextEncoder
    settings: EvaluateSettings
    seed: int
    states: States | None = None
    sentences: Mapping[str, NDArray[np.float32]] | None = None


class Roster(NamedTuple):
    """Baselines, and those that can't be made.

    Attributes:
        scorers: In the order of ``NAMES``; the leak alarms among them look at the questions when they are asked.
        left_out: By name, why there is none: a clause that begins in lower case and ends without a full stop.
    """

    scorers: tuple[OutfitScorer | ScoreSource, ...]
    left_out: Mapping[str, str]


def baselines(inputs: BaselineInputs, which: Which = "all") -> Roster:
    """Make the baselines, fitted on the training split alone, and the leak alarms, which fit themselves when asked.

    Args:
        inputs: What they are made of.
        which: ``quick`` makes those that take seconds and need no language model.

    Raises:
        EncoderError: If the sentence encoder of the settings can't be loaded.
    """
    names = {"all": NAMES, "quick": QUICK, "none": ()}[which]
    workshop = _Workshop(inputs)
    scorers: list[OutfitScorer | ScoreSource] = []
    left_out: dict[str, str] = {}
    for name in names:
        try:
            scorers.append(_ALARMS[name](workshop) if name in _ALARMS else _MAKERS[name](workshop))
        except (DataError, EvaluationError, MissingDependencyError) as error:
            left_out[name] = str(error)
    return Roster(tuple(scorers), left_out)


def make_baseline(name: str, inputs: BaselineInputs) -> OutfitScorer:
    """Make one baseline that scores outfits; the leak alarms score questions alone and aren't among them.

    Raises:
        DataError: If the data has no training outfits, or too few for it.
        EncoderError: If the sentence encoder of the settings can't be loaded.
        EvaluationError: If it can't be made on this data, or there is no such baseline.
        MissingDependencyError: If the ``train`` extra isn't installed.
    """
    if name not in _MAKERS:
        raise EvaluationError(f"no baseline '{name}'; accepted are {', '.join(_MAKERS)}")
    return _MAKERS[name](_Workshop(inputs))


def sentence_vectors(texts: Mapping[str, str], settings: EvaluateSettings) -> ItemVectors:
    """What is said of each item as unit vectors, by the sentence encoder of the settings.

    Raises:
        EncoderError: If it can't be loaded.
    """
    return ItemVectors(texts, load_sentence_encoder(settings.sentence_encoder))


class _Workshop:
    """What several baselines share, made when the first of them needs it."""

    def __init__(self, inputs: BaselineInputs) -> None:
        self.inputs = inputs
        self.dataset = inputs.dataset
        self.items: Mapping[str, Item] = inputs.dataset.items

    @cached_property
    def questions(self) -> tuple[CompatibilityQuestion, ...]:
        return training_questions(self.dataset, self.inputs.seed, TRAINING_EPOCHS)

    def check_trainable(self, name: str, module: str) -> None:
        """Find out now what would keep a scorer from being fitted later."""
        require(module, "train")
        check_both_classes(name, self.questions)
        validation_questions(self.dataset, self.inputs.seed)

    @cached_property
    def learned(self) -> dict[str, None]:
        """Ids of the items of training outfits, in the outfits' order."""
        outfits = outfits_for(self.dataset, "train")
        return dict.fromkeys(item_id for outfit in outfits for item_id in outfit.item_ids)

    @cached_property
    def sentences(self) -> dict[str, NDArray[np.float32]]:
        """Centred vectors of what is said of each item."""
        learned = self.learned
        vectors = self.inputs.sentences or sentence_vectors(self.inputs.texts, self.inputs.settings)
        return centred(vectors, self.items, learned)

    @cached_property
    def photos(self) -> dict[str, NDArray[np.float32]]:
        """Centred vectors of photos, of the items that have one."""
        return centred(self.inputs.photos, self.items, self.learned)

    @property
    def mostly_photos(self) -> bool:
        """Whether at least half of the training items have a photo: else what has one tells more than what it shows."""
        return 2 * sum(item_id in self.photos for item_id in self.learned) >= len(self.learned)

    @cached_property
    def looks(self) -> dict[str, NDArray[np.float32]]:
        """Centred vectors of photos; of titles, as the same encoder reads them, where there is no photo."""
        named = {
            item.id: item.title or item.kind or item.category
            for item in self.items.values()
            if item.id not in self.inputs.photos
        }
        titles = centred(ItemVectors(named, self.inputs.encoder), self.items, self.learned)
        return {**titles, **self.photos}


def _popularity(workshop: _Workshop) -> OutfitScorer:
    return Popularity.fit(workshop.items, outfits_for(workshop.dataset, "train"))


def _title_cosine(workshop: _Workshop) -> OutfitScorer:
    return TitleCosine.fit(workshop.items, [workshop.items[item_id] for item_id in workshop.learned])


def _set_transformer(workshop: _Workshop) -> OutfitScorer:
    workshop.check_trainable(SetTransformer.name, "torch")
    sources = (workshop.sentences, workshop.photos) if workshop.mostly_photos else (workshop.sentences,)
    dataset, seed = workshop.dataset, workshop.inputs.seed
    return FittedWhenAsked(SetTransformer.name, lambda: SetTransformer.fit(dataset, sources, seed))


def _frozen_probe(workshop: _Workshop) -> OutfitScorer:
    dataset, seed, states = workshop.dataset, workshop.inputs.seed, workshop.inputs.states
    if states is None:
        raise EvaluationError("no language model is at hand whose states it could read; give a base model")
    workshop.check_trainable(FrozenProbe.name, "sklearn.linear_model")
    return FittedWhenAsked(FrozenProbe.name, lambda: FrozenProbe.fit(dataset, states, seed))


_ALARMS: Mapping[str, Callable[[_Workshop], ScoreSource]] = {
    SizeAlarm.name: lambda workshop: SizeAlarm(workshop.inputs.seed),
    OrderAlarm.name: lambda workshop: OrderAlarm(workshop.items, workshop.inputs.seed),
}
_MAKERS: Mapping[str, Callable[[_Workshop], OutfitScorer]] = {
    "chance": lambda workshop: Chance(workshop.items, workshop.inputs.seed),
    "popularity": _popularity,
    "category-pairs": lambda workshop: CategoryPairs.fit(workshop.items, workshop.questions),
    "title-cosine": _title_cosine,
    "sentence-cosine": lambda workshop: VectorCosine("sentence-cosine", workshop.sentences),
    "encoder-similarity": lambda workshop: VectorCosine("encoder-similarity", workshop.looks),
    "set-transformer": _set_transformer,
    "frozen-probe": _frozen_probe,
}
_FIRST, *_REST = _MAKERS
NAMES = (_FIRST, *_ALARMS, *_REST)
"""Of all baselines, in the order in which reports show them."""
