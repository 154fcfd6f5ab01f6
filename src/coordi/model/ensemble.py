"""The ensemble: a logistic regression on the language model's answer, category pairs, similarity and rules of facts. A
small language model knows rare pairs of categories less well than a count of them, and similarity less well than a
sentence encoder. A second regression, without the language model, shows what it contributes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import clear_write_errors, read_json, write_json
from coordi.config import RunSettings, Settings
from coordi.data.loading import outfits_for
from coordi.data.questions import compatibility_questions, draw_compatibility
from coordi.encoders.base import sigmoid
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary
from coordi.errors import ArtifactError, EvaluationError, ModelError, require
from coordi.model.features import (
    CATEGORY_PAIRS,
    RULE_WEIGHTS,
    SIMILARITY,
    TITLE_SIMILARITY,
    CategoryCentering,
    CategoryPairs,
    EmbeddingSimilarity,
    TitleSimilarity,
    check_both_classes,
    group_sums,
    rule_values,
    text_embeddings,
)
from coordi.model.scoring import CachedScorer
from coordi.types import CompatibilityQuestion, Dataset, GarmentCategory, Item, Negatives, OutfitScorer

ENSEMBLE_FILE = "ensemble.json"
MEANS_FILE = "ensemble.safetensors"
LANGUAGE_MODEL = "language-model"
WITHOUT_LANGUAGE_MODEL = "without-language-model"
TRAINING_NEGATIVES: tuple[Negatives, ...] = ("random", "same-category")
"""Negatives that baselines and the ensemble learn from, half and half."""
TRAINING_EPOCHS = 4
"""Draws of negatives that category pairs are fitted on; several steady the weights of rare pairs."""

_OVERALL = "all"  # in the means file; no garment category has this name
_C = 1.0  # of the logistic regression, on standardised features
_EPSILON = 1e-6  # keeps the log odds of a probability of 0 or 1 finite

Values = Mapping[str, NDArray[np.float64]]
"""Values of each feature by its name, ``(N,)``."""


class LogisticModel(Settings):
    """A fitted logistic regression; values are clipped to the range of each feature in the fit."""

    weights: dict[str, float]
    offset: float
    ranges: dict[str, tuple[float, float]]

    @classmethod
    def fit(cls, values: Values, truth: NDArray[np.bool_], rules: float | None = None) -> LogisticModel:
        """Fit on features with mean 0 and deviation 1; the weights are for features as they are.

        Few outfits may reward what no stylist would, so the weight of a rule has its sign in ``RULE_WEIGHTS`` or is 0;
        with ``rules`` it isn't fitted, but so many times the one there.
        """
        rows = np.stack(list(values.values()), axis=1)  # (N, features)
        mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        bounds = [
            _bounds(RULE_WEIGHTS.get(name, 0.0), scale, rules) for name, scale in zip(values, deviation, strict=True)
        ]
        fitted = _fit_within(bounds, (rows - mean) / deviation, truth)
        weights = fitted[:-1] / deviation
        return cls(
            weights=dict(zip(values, weights.tolist(), strict=True)),
            offset=float(fitted[-1] - (weights * mean).sum()),
            ranges={name: (float(column.min()), float(column.max())) for name, column in values.items()},
        )

    def logits(self, values: Values) -> NDArray[np.float64]:
        """Log odds of yes, shape ``(N,)``."""
        total = sum(weight * np.clip(values[name], *self.ranges[name]) for name, weight in self.weights.items())  # (N,)
        return np.asarray(total + self.offset, dtype=np.float64)

    def probabilities(self, values: Values) -> NDArray[np.float64]:
        """P(yes), shape ``(N,)``."""
        return sigmoid(self.logits(values))


def _bounds(weight: float, scale: float, rules: float | None) -> tuple[float | None, float | None]:
    """Bounds of the weight of a standardised feature, given a stylist's weight: 0 for one that is no rule."""
    if weight and rules is not None:
        return (rules * weight * scale,) * 2
    return (0.0 if weight > 0 else None, 0.0 if weight < 0 else None)


Bounds = Sequence[tuple[float | None, float | None]]


def _fit_within(bounds: Bounds, rows: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights within bounds, and an offset after them, of a logistic regression on rows ``(N, features)``; it has the
    penalty of scikit-learn's, which knows no bounds.
    """
    signs = np.where(truth, 1.0, -1.0)

    def loss(fitted: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, margins = fitted[:-1], signs * (rows @ fitted[:-1] + fitted[-1])
        slopes = -_C * signs * sigmoid(-margins)  # (N,)
        gradient = np.append(weights + rows.T @ slopes, slopes.sum())
        return float(weights @ weights / 2 + _C * np.logaddexp(0, -margins).sum()), gradient

    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6}
    start = np.array([*(low if low == high and low is not None else 0.0 for low, high in bounds), 0.0])
    minimize = require("scipy.optimize", "train").minimize
    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[*bounds, (None, None)], options=options)
    return np.asarray(fitted.x, dtype=np.float64)


class EnsembleFile(Settings):
    """Content of ``ensemble.json``."""

    format: Literal["coordi-ensemble-1"] = "coordi-ensemble-1"
    text_encoder: str  # EdgeEncoder.text_identity of the encoder behind the similarity
    questions: int  # number of validation questions that the regressions were fitted on
    with_language_model: LogisticModel
    without_language_model: LogisticModel
    # Of items without a title, which say less and in other words; None to use the former for all.
    untitled_with_language_model: LogisticModel | None = None
    untitled_without_language_model: LogisticModel | None = None
    pairs: dict[str, float]  # weights of CategoryPairs
    intercept: float  # of CategoryPairs
    idf: dict[str, float] | None  # of TitleSimilarity; None where training items have no titles


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What was learned beside an adapter: weights, and means that are subtracted before similarity is computed."""

    file: EnsembleFile
    centering: CategoryCentering

    @classmethod
    def learn(
        cls, language_model: OutfitScorer, dataset: Dataset, vocabulary: Vocabulary, settings: RunSettings
    ) -> Ensemble:
        """Fit the features on the training split of described items, and the regressions on its validation split."""
        items = training_items(dataset)
        pairs = CategoryPairs.fit(*outfits_and_labels(dataset, training_questions(dataset, settings.seed)))
        try:
            idf: dict[str, float] | None = TitleSimilarity.fit(items).idf
        except EvaluationError:  # photos without titles
            idf = None
        unfitted = LogisticModel(weights={}, offset=0.0, ranges={})
        file = EnsembleFile(
            text_encoder=text_encoder().text_identity,
            questions=0,
            with_language_model=unfitted,
            without_language_model=unfitted,
            pairs=dict(pairs.weights),
            intercept=pairs.intercept,
            idf=idf,
        )
        features = cls(file, CategoryCentering.learn(items, text_embeddings(items)))
        return features.refit(language_model, dataset, vocabulary, settings)

    def refit(
        self,
        language_model: OutfitScorer,
        dataset: Dataset,
        vocabulary: Vocabulary,
        settings: RunSettings,
        *,
        untitled: Dataset | None = None,
        rules: float | None = None,
    ) -> Ensemble:
        """Fit the regressions anew on the validation split of described items; the features stay as they were learned.
        ``untitled`` is a data set of photos without titles, for regressions of their own. See ``LogisticModel.fit`` for
        ``rules``, which are fitted for photos.
        """
        centering = self.centering.with_photo_only(vocabulary, settings.prompt, text_encoder())
        cached = CachedScorer(LANGUAGE_MODEL, language_model)

        def fitted(of: Dataset, rules: float | None) -> tuple[LogisticModel, LogisticModel, int]:
            questions = [question for part in validation_questions(of, settings.seed) for question in part]
            outfits, truth = outfits_and_labels(of, questions)
            check_both_classes("an ensemble", truth)
            # Adapted as when the ensemble is used.
            adapted = centering.for_catalogue(group_sums(list(of.items.values())))
            values = self.scorer(WITHOUT_LANGUAGE_MODEL, adapted, cached).features(outfits)
            quick = {name: rows for name, rows in values.items() if name != LANGUAGE_MODEL}
            return LogisticModel.fit(values, truth, rules), LogisticModel.fit(quick, truth, rules), len(truth)

        with_model, without_model, questions = fitted(dataset, rules)
        update: dict[str, Any] = {"with_language_model": with_model, "without_language_model": without_model}
        if untitled is not None:
            with_model, without_model, of_untitled = fitted(untitled, None)
            update |= {"untitled_with_language_model": with_model, "untitled_without_language_model": without_model}
            questions += of_untitled
        return Ensemble(self.file.model_copy(update={**update, "questions": questions}), self.centering)

    def scorer(self, name: str, centering: CategoryCentering, language_model: OutfitScorer | None) -> EnsembleScorer:
        """Scorer of the ensemble, with its centering adapted to photos and to a catalogue."""
        return EnsembleScorer(name, self.file, centering, language_model)

    def save(self, folder: Path) -> None:
        """Write it into an adapter's folder."""
        means = {} if self.centering.overall is None else {_OVERALL: self.centering.overall}
        means |= {str(category): mean for (category, titled), mean in self.centering.by_group.items() if titled}
        with clear_write_errors(folder / MEANS_FILE):
            save_file({name: mean.astype(np.float32) for name, mean in means.items()}, str(folder / MEANS_FILE))
        write_json(folder / ENSEMBLE_FILE, self.file.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Ensemble | None:
        """Read it from an adapter's folder; None if there is none, a ``ModelError`` for damage or another encoder."""
        if not (folder / ENSEMBLE_FILE).exists() and not (folder / MEANS_FILE).exists():
            return None
        try:
            file = EnsembleFile.model_validate(read_json(folder / ENSEMBLE_FILE))
            means = {name: row.astype(np.float64) for name, row in load_file(str(folder / MEANS_FILE)).items()}
        except (ArtifactError, OSError, SafetensorError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the ensemble of the adapter '{folder}' can't be read ({type(error).__name__}: {reason}); copy the "
                "whole folder that coordi finetune wrote"
            ) from error
        if file.text_encoder != text_encoder().text_identity:
            raise ModelError(
                f"the ensemble in '{folder}' was made with the text encoder of another version of coordi "
                f"({file.text_encoder[:12]}); fine-tune again with this one"
            )
        overall = means.pop(_OVERALL, None)
        by_category = cast("Mapping[GarmentCategory | None, NDArray[np.float64]]", means)
        return cls(file, CategoryCentering.by_category(overall, by_category))


class EnsembleScorer:
    """P(yes) of outfits by an ensemble, with a language model or, if it is None, without."""

    gives_probabilities = True

    def __init__(
        self, name: str, file: EnsembleFile, centering: CategoryCentering, language_model: OutfitScorer | None
    ) -> None:
        self.name = name
        self._centering = centering
        self._language_model = language_model
        self._pairs = CategoryPairs(file.pairs, file.intercept)
        self._idf = file.idf
        self._model = file.without_language_model if language_model is None else file.with_language_model
        of_untitled = (file.untitled_without_language_model, file.untitled_with_language_model)
        self._of_untitled = of_untitled[language_model is not None] or self._model

    @cached_property
    def _titles(self) -> TitleSimilarity | None:
        """Made when it is needed: scikit-learn isn't in the light base, which describes items and scores none."""
        return None if self._idf is None else TitleSimilarity.from_idf(self._idf)

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``; between items with and without titles, by their shares."""
        if not outfits:
            return np.zeros(0)
        values = self.features(outfits)
        logits = self._model.logits(values)
        untitled = np.array([sum(not item.title for item in outfit) / max(len(outfit), 1) for outfit in outfits])
        if self._of_untitled is not self._model and untitled.any():
            logits = (1 - untitled) * logits + untitled * self._of_untitled.logits(values)
        return sigmoid(logits)

    def features(self, outfits: Sequence[Sequence[Item]]) -> dict[str, NDArray[np.float64]]:
        """Values of each feature that the regression weighs, ``(N,)``."""
        values = plain_features(outfits, self._pairs, self._centering, self._titles)
        if self._language_model is not None:
            values[LANGUAGE_MODEL] = _answers(self._language_model, outfits)
        return values

    def direction(self, outfit: Sequence[Item]) -> NDArray[np.float32]:
        """Sum of an outfit's centred text embeddings, ``(T,)``; see ``recommend.answers.Scorers.direction``."""
        return np.asarray(self._centering.centre(outfit, text_embeddings(outfit)).sum(axis=0), dtype=np.float32)


def plain_features(
    outfits: Sequence[Sequence[Item]],
    pairs: CategoryPairs,
    centering: CategoryCentering,
    titles: TitleSimilarity | None,
) -> dict[str, NDArray[np.float64]]:
    """Values ``(N,)`` of each feature that needs no language model. Similarity is a mean over an outfit's pairs, times
    the square root of their number, because three similar pairs say more than one; rules of facts likewise.
    """
    counts = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
    scale = np.sqrt(counts * (counts - 1) / 2)
    similarity = EmbeddingSimilarity(SIMILARITY, lambda items: centering.centre(items, text_embeddings(items)))
    values = {CATEGORY_PAIRS: pairs.logits(outfits), SIMILARITY: scale * similarity.score(outfits)}
    if titles is not None:
        values[TITLE_SIMILARITY] = scale * titles.score(outfits)
    return values | rule_values(outfits)


@cache
def text_encoder() -> EdgeEncoder:
    """Text encoder behind the similarity, whatever encoder describes the photos."""
    return EdgeEncoder.bundled()


def training_items(dataset: Dataset) -> tuple[Item, ...]:
    """Items of training outfits, each once, in the outfits' order."""
    outfits = outfits_for(dataset, "train")
    return dataset.items_of(tuple(dict.fromkeys(item_id for outfit in outfits for item_id in outfit.item_ids)))


def training_questions(dataset: Dataset, seed: int, epochs: int = TRAINING_EPOCHS) -> list[CompatibilityQuestion]:
    """Training questions of the first epochs, of all training negatives."""
    return [
        question
        for epoch in range(epochs)
        for negatives in TRAINING_NEGATIVES
        for question in compatibility_questions(dataset, "train", negatives, seed, epoch)
    ]


def validation_questions(dataset: Dataset, seed: int, draws: int = 1) -> tuple[tuple[CompatibilityQuestion, ...], ...]:
    """Validation questions of each kind of training negatives; the first draw is that of an evaluation."""
    return tuple(
        tuple(
            question
            for epoch in range(draws)
            for question in draw_compatibility(dataset, "valid", negatives, seed, epoch).questions
        )
        for negatives in TRAINING_NEGATIVES
    )


def outfits_and_labels(
    dataset: Dataset, questions: Sequence[CompatibilityQuestion]
) -> tuple[list[tuple[Item, ...]], NDArray[np.bool_]]:
    """Items of each question, and the truth ``(N,)``."""
    outfits = [dataset.items_of(question.item_ids) for question in questions]
    return outfits, np.array([question.compatible for question in questions], dtype=bool)


def _answers(language_model: OutfitScorer, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
    """Log odds of a language model's P(yes), ``(N,)``."""
    clipped = np.clip(language_model.score(outfits), _EPSILON, 1 - _EPSILON)
    return np.asarray(np.log(clipped / (1 - clipped)))
