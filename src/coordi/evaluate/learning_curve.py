"""What more training outfits are worth: the trained baselines, fitted on ever larger shares of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from coordi.data.loading import outfits_for
from coordi.domain import Dataset
from coordi.errors import DataError, EvaluationError, MissingDependencyError
from coordi.evaluate.baselines.probe import FrozenProbe
from coordi.evaluate.baselines.roster import TRAINED, BaselineInputs, make_baseline, sentence_vectors
from coordi.evaluate.metrics import roc_auc
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.resampling import Resamples, percentile_interval
from coordi.evaluate.scorer import OutfitScorer
from coordi.progress import Progress, silent

_STREAM = 425  # of the run's seed, for the order in which outfits are added
_BOOTSTRAP_STREAM = 426
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class CurveRow:
    """One point of a learning curve.

    Attributes:
        scorer: The baseline's name.
        protocol: Of the questions it is measured on.
        outfits: Training outfits it was fitted on.
        auc: On the test questions.
        ci95: 95% percentile bootstrap over test outfits; None if the AUC has a value on too few resamples. It tells
            nothing of which outfits happened to be drawn for training.
    """

    scorer: str
    protocol: str
    outfits: int
    auc: float
    ci95: tuple[float, float] | None


def learning_curve(
    inputs: BaselineInputs, questions: Sequence[ProtocolQuestions], progress: Progress = silent
) -> tuple[CurveRow, ...]:
    """Fit the trained baselines on the shares of the settings and measure each on the same questions.

    The outfits of a share hold those of every smaller one; they are drawn with the seed. Negatives come from the
    share's own outfits. Validation stays whole. A baseline that a share is too small for is left out there, with a
    warning in the log.

    Args:
        inputs: As for ``baselines``; ``settings.learning_curve`` and ``settings.bootstrap`` are read. Without
            ``states`` there is no probe.
        questions: Protocols without test questions are passed over.
        progress: Counts baselines fitted.

    Raises:
        DataError: If there are no training outfits.
        EncoderError: If the sentence encoder of the settings can't be loaded.
    """
    names = [name for name in TRAINED if name != FrozenProbe.name or inputs.states is not None]
    if inputs.sentences is None:
        inputs = replace(inputs, sentences=sentence_vectors(inputs.texts, inputs.settings))
    shares = {
        len(smaller.outfits_of("train")): smaller
        for share in sorted(inputs.settings.learning_curve)
        for smaller in [training_share(inputs.dataset, share, inputs.seed)]
    }
    rows: list[CurveRow] = []
    for done, (name, outfits) in enumerate((name, outfits) for name in names for outfits in shares):
        progress(done, len(shares) * len(names))
        try:
            scorer = make_baseline(name, replace(inputs, dataset=shares[outfits]))
            rows += [_row(scorer, part, outfits, inputs) for part in questions if part.test]
        except (DataError, EvaluationError, MissingDependencyError) as error:
            _log.warning("no %s for %d training outfits in the learning curve: %s", name, outfits, error)
    progress(len(shares) * len(names), len(shares) * len(names))
    return tuple(rows)


def training_share(dataset: Dataset, share: float, seed: int) -> Dataset:
    """The data set with a share of its training outfits, one at least; a larger share holds a smaller one.

    Args:
        dataset: Its items and other splits stay as they are.
        share: Above 0, at most 1.
        seed: Of the draw.

    Raises:
        DataError: If there are no training outfits.
    """
    train = outfits_for(dataset, "train")
    order = np.random.default_rng([seed, _STREAM]).permutation(len(train))
    kept = {train[int(place)].id for place in order[: max(1, round(share * len(train)))]}
    return replace(dataset, outfits=tuple(one for one in dataset.outfits if one.split != "train" or one.id in kept))


def _row(scorer: OutfitScorer, part: ProtocolQuestions, outfits: int, inputs: BaselineInputs) -> CurveRow:
    scores = scorer.score([question.item_ids for question in part.test])
    rng = np.random.default_rng([inputs.seed, _BOOTSTRAP_STREAM])
    resamples = Resamples([question.outfit_id for question in part.test], rng, inputs.settings.bootstrap)
    interval = percentile_interval(resamples.auc(scores, part.labels))
    return CurveRow(scorer.name, part.protocol, outfits, roc_auc(scores, part.labels), interval)
