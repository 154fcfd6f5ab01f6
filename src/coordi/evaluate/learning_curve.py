"""What more training outfits are worth: the trained baselines, fitted on ever larger shares of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from coordi.data.loading import outfits_for
from coordi.domain import Dataset
from coordi.errors import DataError, EvaluationError, MissingDependencyError
from coordi.evaluate.baselines.probe import FrozenProbe
from coordi.evaluate.baselines.roster import TRAINED, BaselineInputs, make_baseline, sentence_vectors
from coordi.evaluate.baselines.training import TRAINING_PROTOCOLS
from coordi.evaluate.metrics import roc_auc
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.resampling import Resamples, percentile_interval
from coordi.evaluate.scorer import OutfitScorer
from coordi.progress import Progress, silent

_STREAM = 425  # of the run's seed, for the order in which outfits are added
_BOOTSTRAP_STREAM = 426


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


class Curve(NamedTuple):
    """Points of learning curves, and those that couldn't be measured.

    Attributes:
        rows: By baseline, then by training outfits, then by protocol.
        left_out: Why there is no such point: a clause that begins in lower case and ends without a full stop. By
            baseline and training outfits, such as ``category-pairs on 1 training outfits``, or by baseline alone where
            there are no training outfits.
    """

    rows: tuple[CurveRow, ...]
    left_out: Mapping[str, str]


def learning_curve(
    inputs: BaselineInputs, questions: Sequence[ProtocolQuestions], progress: Progress = silent
) -> Curve:
    """Fit the trained baselines on the shares of the settings and measure each on the same questions.

    The outfits of a share hold those of every smaller one; they are drawn with the seed. Negatives come from the
    share's own outfits, the frozen probe's alone from all of them: a language model is asked about each only once.
    Validation stays whole. A baseline that a share is too small for is left out there; without training outfits all
    are.

    Args:
        inputs: As for ``baselines``; ``settings.learning_curve`` and ``settings.bootstrap`` are read. Without
            ``states`` there is no probe.
        questions: Those of the protocols that baselines are trained on, or of all if none of them is there.
        progress: Counts baselines fitted.

    Raises:
        EncoderError: If the sentence encoder of the settings can't be loaded.
    """
    names = [name for name in TRAINED if name != FrozenProbe.name or inputs.states is not None]
    try:
        shares = _shares(inputs)
    except DataError as error:
        return Curve((), dict.fromkeys(names, str(error)))
    if inputs.sentences is None:
        inputs = replace(inputs, sentences=sentence_vectors(inputs.texts, inputs.settings))
    asked = [part for part in questions if part.test]
    asked = [part for part in asked if part.protocol in TRAINING_PROTOCOLS] or asked
    rows: list[CurveRow] = []
    left_out: dict[str, str] = {}
    for done, (name, outfits) in enumerate((name, outfits) for name in names for outfits in shares):
        progress(done, len(shares) * len(names))
        try:
            scorer = _fitted(name, inputs, shares[outfits])
            rows += [_row(scorer, part, outfits, inputs) for part in asked]
        except (DataError, EvaluationError, MissingDependencyError) as error:
            left_out[f"{name} on {outfits} training outfits"] = str(error)
    progress(len(shares) * len(names), len(shares) * len(names))
    return Curve(tuple(rows), left_out)


def _fitted(name: str, inputs: BaselineInputs, share: Dataset) -> OutfitScorer:
    if name == FrozenProbe.name and inputs.states is not None:
        among = {outfit.id for outfit in share.outfits_of("train")}
        return FrozenProbe.fit(inputs.dataset, inputs.states, inputs.seed, among)
    return make_baseline(name, replace(inputs, dataset=share))


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


def _shares(inputs: BaselineInputs) -> dict[int, Dataset]:
    """The data set with each share of the settings, by number of training outfits, smallest first."""
    shares = sorted(inputs.settings.learning_curve)
    smaller = [training_share(inputs.dataset, share, inputs.seed) for share in shares]
    return {len(one.outfits_of("train")): one for one in smaller}


def _row(scorer: OutfitScorer, part: ProtocolQuestions, outfits: int, inputs: BaselineInputs) -> CurveRow:
    scores = scorer.score([question.item_ids for question in part.test])
    rng = np.random.default_rng([inputs.seed, _BOOTSTRAP_STREAM])
    resamples = Resamples([question.outfit_id for question in part.test], rng, inputs.settings.bootstrap)
    interval = percentile_interval(resamples.auc(scores, part.labels))
    return CurveRow(scorer.name, part.protocol, outfits, roc_auc(scores, part.labels), interval)
