"""The ensemble: a logistic regression on the language model's answer, category pairs, similarity and rules of facts. A
small language model knows rare pairs of categories less well than a count of them, and similarity less well than a
sentence encoder. A second regression, without the language model, shows what it contributes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import clear_write_errors, read_json, write_json
from coordi.config import PromptSettings, RunSettings, Settings
from coordi.data.loading import outfits_for
from coordi.data.questions import compatibility_questions, draw_compatibility
from coordi.encoders.base import sigmoid
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary
from coordi.errors import ArtifactError, EvaluationError, ModelError, require
from coordi.model.engines import COPY_ADAPTER
from coordi.model.features import (
    CATEGORY_PAIRS,
    PROJECTED_PHOTOS,
    PROJECTED_TEXTS,
    RULE_WEIGHTS,
    SIMILARITY,
    TITLE_SIMILARITY,
    CategoryCentering,
    CategoryPairs,
    Embed,
    EmbeddingSimilarity,
    EmbeddingSpace,
    GroupSums,
    TitleSimilarity,
    check_both_classes,
    group_sums,
    photo_embeddings,
    rule_values,
    text_embeddings,
)
from coordi.model.projection import learn_projection
from coordi.model.scoring import CachedScorer
from coordi.style.lexicon import default_lexicon
from coordi.style.words import style_tables, words_of
from coordi.types import CompatibilityQuestion, Dataset, EmbeddingSort, Item, Negatives, OutfitScorer

ENSEMBLE_FILE = "ensemble.json"
ARRAYS_FILE = "ensemble.safetensors"
LANGUAGE_MODEL = "language-model"
WITHOUT_LANGUAGE_MODEL = "without-language-model"
TRAINING_NEGATIVES: tuple[Negatives, ...] = ("random", "same-category")
"""Negatives that baselines and the ensemble learn from, half and half."""
TRAINING_EPOCHS = 4
"""Draws of negatives that category pairs are fitted on; several steady the weights of rare pairs."""

# Of a stylist's weights in RULE_WEIGHTS; chosen on validation and the pairs of common sense (dev/LOG.md).
RULES_FACTOR = 0.35

_FORMAT: Literal["coordi-ensemble-2"] = "coordi-ensemble-2"
_TEXTS, _PHOTOS = "texts", "photos"  # before the names of arrays
_ENOUGH_PHOTOS = 200  # comparisons of outfits with photos, to learn from photos
_MOST = 0.5  # share of outfits with photos, to weigh photos
_ENOUGH_QUESTIONS = 40  # to fit a regression of items without titles
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
    def fit(cls, values: Values, truth: NDArray[np.bool_], rules: float) -> LogisticModel:
        """Fit on features with mean 0 and deviation 1; the weights are for features as they are.

        Few outfits may reward what no stylist would, so a rule's weight isn't fitted, but ``rules`` times the one in
        ``RULE_WEIGHTS``, for any value.
        """
        learned = [name for name in values if name not in RULE_WEIGHTS]
        rows = np.stack([values[name] for name in learned], axis=1)  # (N, features)
        mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
        given = {name: rules * weight for name, weight in RULE_WEIGHTS.items() if name in values}
        fixed = sum((weight * values[name] for name, weight in given.items()), np.zeros(len(truth)))
        fitted = _fit_beside(fixed, (rows - mean) / deviation, truth)
        weights = fitted[:-1] / deviation
        return cls(
            weights=dict(zip(learned, weights.tolist(), strict=True)) | given,
            offset=float(fitted[-1] - (weights * mean).sum()),
            ranges={name: (float(values[name].min()), float(values[name].max())) for name in learned},
        )

    def logits(self, values: Values) -> NDArray[np.float64]:
        """Log odds of yes, shape ``(N,)``."""
        total: NDArray[np.float64] | float = self.offset
        for name, weight in self.weights.items():
            ends = self.ranges.get(name)
            total = total + weight * (values[name] if ends is None else np.clip(values[name], *ends))  # (N,)
        return np.asarray(total, dtype=np.float64)


def _fit_beside(fixed: NDArray[np.float64], rows: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights, and an offset after them, of a logistic regression on rows ``(N, features)`` beside given log odds
    ``(N,)``; it has the penalty of scikit-learn's, which takes none.
    """
    signs = np.where(truth, 1.0, -1.0)

    def loss(fitted: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        weights, margins = fitted[:-1], signs * (fixed + rows @ fitted[:-1] + fitted[-1])
        slopes = -_C * signs * sigmoid(-margins)  # (N,)
        gradient = np.append(weights + rows.T @ slopes, slopes.sum())
        return float(weights @ weights / 2 + _C * np.logaddexp(0, -margins).sum()), gradient

    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-6}
    minimize = require("scipy.optimize", "train").minimize
    fitted = minimize(loss, np.zeros(rows.shape[1] + 1), jac=True, method="L-BFGS-B", options=options)
    return np.asarray(fitted.x, dtype=np.float64)


_UNFITTED = LogisticModel(weights={}, offset=0.0, ranges={})


class EnsembleFile(Settings):
    """Content of ``ensemble.json``."""

    format: Literal["coordi-ensemble-2"] = _FORMAT
    text_encoder: str  # EdgeEncoder.text_identity of the encoder behind the similarity
    photo_encoder: str | None  # setting describe.encoder of the photos that were learned from; None if there were few
    questions: int = 0  # number of validation questions that the regressions were fitted on
    with_language_model: LogisticModel = _UNFITTED
    without_language_model: LogisticModel = _UNFITTED
    # Of items without a title, which say less and in other words; None to use the former for all.
    untitled_with_language_model: LogisticModel | None = None
    untitled_without_language_model: LogisticModel | None = None
    pairs: dict[str, float]  # weights of CategoryPairs
    intercept: float  # of CategoryPairs
    idf: dict[str, float] | None  # of TitleSimilarity; None where training items have no titles


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What was learned beside an adapter: weights, and how embeddings of texts and of photos are compared."""

    file: EnsembleFile
    texts: EmbeddingSpace
    photos: EmbeddingSpace | None  # None if too few training outfits have photos

    @classmethod
    def learn(
        cls, language_model: OutfitScorer, dataset: Dataset, vocabulary: Vocabulary, settings: RunSettings
    ) -> Ensemble:
        """Learn the features from the training split of described items, and the regressions from its validation
        split.
        """
        return cls.learn_features([dataset], settings).fit(language_model, [dataset], vocabulary, settings)

    @classmethod
    def learn_features(cls, datasets: Sequence[Dataset], settings: RunSettings) -> Ensemble:
        """Learn the features from training splits of described items; the regressions aren't fitted."""
        items = [item for dataset in datasets for item in training_items(dataset)]
        drawn = [training_questions(dataset, settings.seed) for dataset in datasets]
        parts = [outfits_and_labels(*part) for part in zip(datasets, drawn, strict=True)]
        outfits = [outfit for part, _ in parts for outfit in part]
        pairs = CategoryPairs.fit(outfits, np.concatenate([labels for _, labels in parts]))
        try:
            idf: dict[str, float] | None = _of_style(TitleSimilarity.fit(items).idf)
        except EvaluationError:  # photos without titles
            idf = None
        comparisons = [pair for dataset in datasets for pair in training_comparisons(dataset, settings.seed)]
        photographed = [item for item in items if item.photo_embedding is not None]
        in_photos = [
            (right, wrong)
            for right, wrong in comparisons
            if all(item.photo_embedding is not None for item in (*right, *wrong))
        ]
        enough = len(in_photos) >= _ENOUGH_PHOTOS
        file = EnsembleFile(
            text_encoder=text_encoder().text_identity,
            photo_encoder=settings.describe.encoder if enough else None,
            pairs=dict(pairs.weights),
            intercept=pairs.intercept,
            idf=idf,
        )
        texts = _learn_space(items, comparisons, text_embeddings, settings.seed)
        photos = _learn_space(photographed, in_photos, photo_embeddings, settings.seed) if enough else None
        return cls(file, texts, photos)

    def fit(
        self,
        language_model: OutfitScorer,
        datasets: Sequence[Dataset],
        vocabulary: Vocabulary,
        settings: RunSettings,
        rules: float = RULES_FACTOR,
    ) -> Ensemble:
        """Fit the regressions on validation splits of described items; those of outfits without titles, where there
        are enough. See ``LogisticModel.fit`` for ``rules``.
        """
        cached = CachedScorer(LANGUAGE_MODEL, language_model)
        ready = self.with_photo_only(vocabulary, settings.prompt)
        columns: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
        truths, untitled = [], []
        for dataset in datasets:
            questions = [question for part in validation_questions(dataset, settings.seed) for question in part]
            outfits, truth = outfits_and_labels(dataset, questions)
            check_both_classes("an ensemble", truth)
            # Adapted as when the ensemble is used.
            adapted = ready.for_catalogue(group_sums(list(dataset.items.values())))
            for name, column in adapted.scorer(WITHOUT_LANGUAGE_MODEL, cached).features(outfits).items():
                columns[name].append(column)
            truths.append(truth)
            untitled.append(_share_untitled(outfits) > 0.5)
        values = {name: np.concatenate(parts) for name, parts in columns.items()}
        truth, bare = np.concatenate(truths), np.concatenate(untitled)
        parts = (~bare, bare) if _ENOUGH_QUESTIONS <= bare.sum() <= len(bare) - _ENOUGH_QUESTIONS else (bare | True,)
        none = dict.fromkeys(("untitled_with_language_model", "untitled_without_language_model"))
        update: dict[str, object] = {"questions": len(truth), **none}
        for prefix, chosen in zip(("", "untitled_"), parts, strict=False):
            of_part = {name: column[chosen] for name, column in values.items()}
            if np.mean(of_part[PROJECTED_PHOTOS] != 0) < _MOST:  # a few outfits in photos say nothing of all
                of_part[PROJECTED_PHOTOS] = np.zeros(int(chosen.sum()))
            quick = {name: column for name, column in of_part.items() if name != LANGUAGE_MODEL}
            update[f"{prefix}with_language_model"] = LogisticModel.fit(of_part, truth[chosen], rules)
            update[f"{prefix}without_language_model"] = LogisticModel.fit(quick, truth[chosen], rules)
        return replace(self, file=self.file.model_copy(update=update))

    def with_photo_only(self, vocabulary: Vocabulary, prompt: PromptSettings) -> Ensemble:
        """See ``CategoryCentering.with_photo_only``."""
        centering = self.texts.centering.with_photo_only(vocabulary, prompt, text_encoder())
        return replace(self, texts=replace(self.texts, centering=centering))

    def for_catalogue(self, sums: GroupSums) -> Ensemble:
        """See ``CategoryCentering.for_catalogue``."""
        texts, photos = self.texts, self.photos
        if photos is not None:
            photos = replace(photos, centering=photos.centering.for_catalogue(sums.photos))
        return replace(self, texts=replace(texts, centering=texts.centering.for_catalogue(sums.texts)), photos=photos)

    def scorer(self, name: str, language_model: OutfitScorer | None) -> EnsembleScorer:
        """P(yes) with a language model, or without."""
        return EnsembleScorer(name, self, language_model)

    def save(self, folder: Path) -> None:
        """Write it into an adapter's folder."""
        arrays = {f"{sort}: {name}": row for sort, space in self._spaces() for name, row in space.arrays().items()}
        with clear_write_errors(folder / ARRAYS_FILE):
            save_file({name: row.astype(np.float32) for name, row in arrays.items()}, str(folder / ARRAYS_FILE))
        write_json(folder / ENSEMBLE_FILE, self.file.model_dump(mode="json"))

    def _spaces(self) -> list[tuple[str, EmbeddingSpace]]:
        return [(_TEXTS, self.texts), *([] if self.photos is None else [(_PHOTOS, self.photos)])]

    @classmethod
    def load(cls, folder: Path) -> Ensemble | None:
        """Read it from an adapter's folder; None if there is none, a ``ModelError`` for damage or another encoder."""
        if not (folder / ENSEMBLE_FILE).exists() and not (folder / ARRAYS_FILE).exists():
            return None
        try:
            content = read_json(folder / ENSEMBLE_FILE)
            if content.get("format") != _FORMAT:
                raise ModelError(
                    f"the ensemble of the adapter '{folder}' was written by another version of coordi "
                    f"({content.get('format')}, accepted is {_FORMAT}); fine-tune again with this one"
                )
            file = EnsembleFile.model_validate(content)
            arrays = load_file(str(folder / ARRAYS_FILE))
            texts, photos = (
                EmbeddingSpace.of_arrays({
                    name.removeprefix(f"{sort}: "): row for name, row in arrays.items() if name.startswith(f"{sort}: ")
                })
                for sort in (_TEXTS, _PHOTOS)
            )  # fmt: skip
        except (ArtifactError, AttributeError, OSError, SafetensorError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"the ensemble of the adapter '{folder}' can't be read ({type(error).__name__}: {reason}); "
                f"{COPY_ADAPTER}"
            ) from error
        if not all(np.isfinite(row).all() for row in arrays.values()):
            raise ModelError(f"the ensemble in '{folder}' holds numbers that aren't finite; fine-tune again")
        if file.text_encoder != text_encoder().text_identity:
            raise ModelError(
                f"the ensemble in '{folder}' was made with the text encoder of another version of coordi "
                f"({file.text_encoder[:12]}); fine-tune again with this one"
            )
        return cls(file, texts, None if file.photo_encoder is None else photos)


class EnsembleScorer:
    """P(yes) of outfits by an ensemble, with a language model or, if it is None, without."""

    gives_probabilities = True

    def __init__(self, name: str, ensemble: Ensemble, language_model: OutfitScorer | None) -> None:
        self.name = name
        self._texts, self._photos = ensemble.texts, ensemble.photos
        self._language_model = language_model
        file = ensemble.file
        self._pairs = CategoryPairs(file.pairs, file.intercept)
        self._titles = None if file.idf is None else TitleSimilarity(file.idf)
        self._model = file.without_language_model if language_model is None else file.with_language_model
        of_untitled = (file.untitled_without_language_model, file.untitled_with_language_model)
        self._of_untitled = of_untitled[language_model is not None] or self._model

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``; between items with and without titles, by their shares."""
        if not outfits:
            return np.zeros(0)
        values = self.features(outfits)
        logits = self._model.logits(values)
        untitled = _share_untitled(outfits)
        if self._of_untitled is not self._model and untitled.any():
            logits = (1 - untitled) * logits + untitled * self._of_untitled.logits(values)
        return sigmoid(logits)

    def features(self, outfits: Sequence[Sequence[Item]]) -> dict[str, NDArray[np.float64]]:
        """Values of each feature that the regression weighs, ``(N,)``. Similarity is a mean over an outfit's pairs,
        times the square root of their number, because three similar pairs say more than one; rules of facts likewise.
        """
        texts = self._texts
        similarities: dict[str, Embed] = {
            SIMILARITY: lambda items: texts.centering.centre(items, text_embeddings(items)),
            PROJECTED_TEXTS: lambda items: texts.projected(items, text_embeddings(items)),
        }
        if self._photos is not None:
            similarities[PROJECTED_PHOTOS] = self._photos.projected_photos
        values = {PROJECTED_PHOTOS: np.zeros(len(outfits))}
        values |= {name: EmbeddingSimilarity(name, embed).score(outfits) for name, embed in similarities.items()}
        if self._titles is not None:
            values[TITLE_SIMILARITY] = self._titles.score(outfits)
        counts = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
        scale = np.sqrt(counts * (counts - 1) / 2)
        values = {name: scale * rows for name, rows in values.items()}
        values |= {CATEGORY_PAIRS: self._pairs.logits(outfits)} | rule_values(outfits)
        if self._language_model is not None:
            values[LANGUAGE_MODEL] = _answers(self._language_model, outfits)
        return values

    def directions(self, outfit: Sequence[Item]) -> dict[EmbeddingSort, NDArray[np.float32]]:
        """See ``recommend.answers.Scorers.directions``: sums of an outfit's embeddings, projected to and fro."""
        texts, photos = self._texts, self._photos
        centred = texts.centering.centre(outfit, text_embeddings(outfit))
        directions: dict[EmbeddingSort, NDArray[np.float32]] = {
            "text": centred.sum(axis=0) + texts.back(texts.project(centred))
        }
        if photos is not None and any(item.photo_embedding is not None for item in outfit):
            directions["photo"] = photos.back(photos.projected_photos(outfit))
        return directions


def _share_untitled(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
    """Share of each outfit's items that have no title, ``(N,)``."""
    return np.array([sum(not item.title for item in outfit) / max(len(outfit), 1) for outfit in outfits])


def _of_style(idf: Mapping[str, float]) -> dict[str, float]:
    """Words of kinds, materials, patterns and purposes. A name of a brand or a seller tells which items were listed
    together, and rules judge colours and people.
    """
    table = style_tables()
    describing = table.describing.values()
    groups = (default_lexicon().kinds.values(), table.materials.values(), table.patterns.values())
    style = {phrase for group in groups for row in group for phrase in (row.name, *row.words)}
    style |= {phrase for row in describing if not row.audience for phrase in (row.name, *row.words)}
    judged = {word for row in table.colours.values() for word in (row.name, *row.words)}
    judged |= {word for row in describing if row.audience for word in (row.name, *row.words)}
    words = {word for phrase in style for word in words_of(phrase)} - judged
    return {word: value for word, value in idf.items() if word in words}


def _learn_space(
    items: Sequence[Item],
    comparisons: Sequence[tuple[Sequence[Item], Sequence[Item]]],
    embed: Embed,
    seed: int,
) -> EmbeddingSpace:
    """Means of the embeddings of items, each once, and a projection learned from comparisons of outfits."""
    centering = CategoryCentering.learn(items, embed(items))
    unique = list({id(item): item for pair in comparisons for outfit in pair for item in outfit}.values())
    row_of = {id(item): row for row, item in enumerate(unique)}
    rows = [
        ([row_of[id(item)] for item in right], [row_of[id(item)] for item in wrong]) for right, wrong in comparisons
    ]
    return EmbeddingSpace(centering, learn_projection(centering.centre(unique, embed(unique)), rows, seed))


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


def training_comparisons(dataset: Dataset, seed: int) -> list[tuple[tuple[Item, ...], tuple[Item, ...]]]:
    """Items of training outfits, each beside those of its negatives."""
    right: dict[str, tuple[Item, ...]] = {}
    wrong: list[tuple[str, tuple[Item, ...]]] = []
    for question in training_questions(dataset, seed):
        items = dataset.items_of(question.item_ids)
        if question.compatible:
            right[question.outfit_id] = items
        else:
            wrong.append((question.outfit_id, items))
    return [(right[outfit_id], items) for outfit_id, items in wrong if outfit_id in right]


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
