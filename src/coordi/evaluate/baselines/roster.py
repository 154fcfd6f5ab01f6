"""Which baselines stand beside a model, and which can't be made on this data."""

from __future__ import annotations

import logging

from coordi.domain import Dataset
from coordi.errors import EvaluationError
from coordi.evaluate.baselines.categories import CategoryPairs
from coordi.evaluate.baselines.cosine import TitleCosine
from coordi.evaluate.baselines.training import training_questions
from coordi.evaluate.scorer import OutfitScorer

_log = logging.getLogger(__name__)

# Negatives are drawn anew in each pass over the training outfits; a few passes steady the rare pairs' weights.
TRAINING_EPOCHS = 4


def plain_baselines(dataset: Dataset, seed: int) -> tuple[OutfitScorer, ...]:
    """The plain baselines, fitted on the training split alone.

    Where no item has a title, the one by titles is left out, which is logged.

    Args:
        dataset: Where items and training outfits come from.
        seed: Of the training negatives.

    Raises:
        EvaluationError: If the training split has no questions.
        MissingDependencyError: If scikit-learn isn't installed.
    """
    train_ids = sorted({item_id for outfit in dataset.outfits_of("train") for item_id in outfit.item_ids})
    questions = training_questions(dataset, seed, TRAINING_EPOCHS)
    scorers: list[OutfitScorer] = [CategoryPairs.fit(dataset.items, questions)]
    try:
        scorers.append(TitleCosine.fit(dataset.items, [dataset.items[item_id] for item_id in train_ids]))
    except EvaluationError as error:
        _log.warning("no baseline by titles: %s", error)
    return tuple(scorers)
