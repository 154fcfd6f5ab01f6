"""One score of several: what a language model says, joined with what counting and likeness say.

A small model that has seen a few hundred outfits learns which styles meet, but knows rare pairs of categories less
well than a count of them, and likeness less well than a sentence encoder. A logistic regression on the validation split
weighs the parts; what it would weigh without the language model is kept too, so that anyone can see what that is worth.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import read_json, write_json, writing
from coordi.config import Settings
from coordi.data.loading import outfits_for
from coordi.domain import Dataset, Item
from coordi.errors import ArtifactError, EvaluationError, ModelError, require
from coordi.evaluate.baselines.categories import CategoryPairs
from coordi.evaluate.baselines.centring import CategoryMeans, Vectors
from coordi.evaluate.baselines.cosine import TitleCosine, VectorCosine
from coordi.evaluate.baselines.roster import TRAINING_EPOCHS
from coordi.evaluate.baselines.training import check_both_classes, training_questions, validation_questions
from coordi.evaluate.scorer import OutfitScorer
from coordi.evaluate.vectors import ItemVectors
from coordi.model.pooled import sigmoid
from coordi.pipeline.plain_parts import LIKENESS, Centred, PlainParts, TextVectors, text_encoder

JOINED = "joined.json"
MEANS = "joined.safetensors"
ALONE = "language-model"
WITHOUT = "without-language-model"
_OVERALL = "all"  # no worn category is called so
_STRENGTH = 1.0  # of the regression, scikit-learn's C on standardised values
_LEAST = 1e-6  # keeps the log odds of a language model that is sure finite


class Line(Settings):
    """A logistic regression on what the parts say.

    Attributes:
        weights: Of each part's value, by its name.
        offset: Added to their sum.
        seen: Lowest and highest value of each part that it was fitted on; what lies beyond counts as these, since
            nothing was learned of it.
    """

    weights: dict[str, float]
    offset: float
    seen: dict[str, tuple[float, float]]

    def probabilities(self, values: Mapping[str, NDArray[np.float64]]) -> NDArray[np.float64]:
        """P(yes), shape ``(N,)``, of each part's values ``(N,)``."""
        total = sum(w * np.clip(values[name], *self.seen[name]) for name, w in self.weights.items()) + self.offset
        return sigmoid(np.asarray(total, dtype=np.float64))


class Told(Settings):
    """What ``joined.json`` holds.

    Attributes:
        format: Of the file.
        texts: ``EdgeEncoder.text_identity`` of the encoder that likeness is measured by.
        questions: How many validation questions the lines were fitted on.
        joined: With the language model.
        without: Without it.
        pairs: Weight of each pair of categories.
        intercept: Of the pairs.
        rarity: Inverse document frequency of each word; None where training items have no titles.
    """

    format: Literal["coordi-joined-1"] = "coordi-joined-1"
    texts: str
    questions: int
    joined: Line
    without: Line
    pairs: dict[str, float]
    intercept: float
    rarity: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Joined:
    """What was learned; ``scorers`` makes scorers of it.

    Attributes:
        told: The numbers.
        means: What is usual for a category, which likeness leaves out.
    """

    told: Told
    means: CategoryMeans

    @classmethod
    def learn(cls, language_model: OutfitScorer, dataset: Dataset, texts: Mapping[str, str], seed: int) -> Joined:
        """Learn the plain parts on the training split and weigh all parts on the validation split.

        Args:
            language_model: Gives P(yes).
            dataset: With a training and a validation split.
            texts: What prompts say of each item, by item id.
            seed: Of the questions that are drawn.

        Raises:
            DataError: If a split has too few outfits to ask about.
            EvaluationError: If validation questions have one answer only.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        items, encoder = dataset.items, text_encoder()
        learned = dict.fromkeys(item_id for one in outfits_for(dataset, "train") for item_id in one.item_ids)
        pairs = CategoryPairs.fit(items, training_questions(dataset, seed, TRAINING_EPOCHS))
        try:
            rarity: dict[str, float] | None = TitleCosine.fit(items, [items[item_id] for item_id in learned]).rarity
        except EvaluationError:  # items of photos alone
            rarity = None
        means = CategoryMeans.learn(ItemVectors(texts, encoder), items, learned)
        nothing = Line(weights={}, offset=0.0, seen={})
        told = Told(
            texts=encoder.text_identity, questions=0, joined=nothing, without=nothing, pairs=dict(pairs.weights),
            intercept=pairs.intercept, rarity=rarity,
        )  # fmt: skip
        unweighed = cls(told, means)
        questions = [question for part in validation_questions(dataset, seed) for question in part]
        check_both_classes("a joined score", questions)
        values = unweighed.plain(items, TextVectors(texts)).values([one.item_ids for one in questions])
        values[ALONE] = log_odds(Remembered(language_model).score([one.item_ids for one in questions]))
        truth = np.array([question.compatible for question in questions])
        plain = {name: part for name, part in values.items() if name != ALONE}
        lines = {"joined": _fitted(values, truth), "without": _fitted(plain, truth), "questions": len(questions)}
        return cls(told.model_copy(update=lines), means)

    def scorers(
        self, language_model: OutfitScorer, items: Mapping[str, Item], texts: Mapping[str, str]
    ) -> tuple[JoinedScorer, OutfitScorer, JoinedScorer]:
        """The joined score, the language model alone, and the others without it; the model is asked once for both.

        Args:
            language_model: Gives P(yes).
            items: Everything that may be asked about, by id.
            texts: What prompts say of each.
        """
        plain, alone = self.plain(items, TextVectors(texts)), Remembered(language_model)
        return (
            JoinedScorer(language_model.name, self.told.joined, plain, alone),
            alone,
            JoinedScorer(WITHOUT, self.told.without, plain, None),
        )

    def save(self, folder: Path) -> None:
        """Write it beside an adapter.

        Raises:
            ArtifactError: If it can't be written.
        """
        rows = {} if self.means.overall is None else {_OVERALL: self.means.overall, **self.means.by_category}
        with writing(folder / MEANS):
            save_file({name: row.astype(np.float32) for name, row in rows.items()}, str(folder / MEANS))
        write_json(folder / JOINED, self.told.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Joined | None:
        """Read what stands beside an adapter; None if it was never joined with anything.

        Raises:
            ModelError: If a file is missing or damaged, or likeness was measured by another text encoder.
        """
        if not (folder / JOINED).exists() and not (folder / MEANS).exists():
            return None
        try:
            told = Told.model_validate(read_json(folder / JOINED))
            rows = {name: row.astype(np.float64) for name, row in load_file(str(folder / MEANS)).items()}
        except (ArtifactError, OSError, SafetensorError, ValidationError) as error:
            reason = " ".join(str(error).split())[:200]
            raise ModelError(
                f"what the adapter '{folder}' is joined with can't be read ({type(error).__name__}: {reason}); take "
                "the whole folder that coordi finetune made"
            ) from error
        if told.texts != text_encoder().text_identity:
            raise ModelError(
                f"'{folder}' was joined with the text encoder of another version of coordi ({told.texts[:12]}); "
                "fine-tune again with this one"
            )
        return cls(told, CategoryMeans(rows.pop(_OVERALL, None), rows))

    def plain(self, items: Mapping[str, Item], vectors: Vectors, *, are_centred: bool = False) -> PlainParts:
        """The parts that need no language model.

        Args:
            items: Everything that may be asked about, by id.
            vectors: Of what prompts say of each, by the bundled text encoder; each is looked up when it is first asked.
            are_centred: What is usual has been taken off them.
        """
        told = self.told
        means = CategoryMeans(None, {}) if are_centred else self.means
        return PlainParts(
            CategoryPairs(items, told.pairs, told.intercept),
            VectorCosine(LIKENESS, Centred(means, items, vectors)),
            None if told.rarity is None else TitleCosine.of(items, told.rarity),
        )


class JoinedScorer:
    """P(yes) of outfits by several parts together.

    Attributes:
        name: For reports.
        gives_probabilities: True.
    """

    gives_probabilities = True

    def __init__(self, name: str, line: Line, plain: PlainParts, language_model: OutfitScorer | None) -> None:
        self.name = name
        self._line = line
        self._plain = plain
        self._language_model = language_model

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``.

        Raises:
            CoordiError: What the parts raise.
        """
        if not outfits:
            return np.zeros(0)
        values = self._plain.values(outfits)
        if self._language_model is not None:
            values[ALONE] = log_odds(self._language_model.score(outfits))
        return self._line.probabilities(values)


class Remembered:
    """A language model that isn't asked the same twice."""

    name = ALONE
    gives_probabilities = True

    def __init__(self, scorer: OutfitScorer) -> None:
        self._scorer = scorer
        self._known: dict[tuple[str, ...], float] = {}

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``."""
        asked = [tuple(outfit) for outfit in outfits]
        new = [outfit for outfit in dict.fromkeys(asked) if outfit not in self._known]
        if new:
            self._known.update(zip(new, self._scorer.score(new).tolist(), strict=True))
        return np.array([self._known[outfit] for outfit in asked], dtype=np.float64)


def log_odds(yes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Log odds of probabilities, finite for those of 0 and 1 too."""
    kept = np.clip(yes, _LEAST, 1 - _LEAST)
    return np.asarray(np.log(kept / (1 - kept)))


def _fitted(values: Mapping[str, NDArray[np.float64]], truth: NDArray[np.bool_]) -> Line:
    """Weights for values as they are, of a regression on them with mean 0 and deviation 1."""
    rows = np.stack(list(values.values()), axis=1)  # (N, parts)
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    regression: Any = require("sklearn.linear_model", "train").LogisticRegression(C=_STRENGTH, max_iter=1000)
    fitted = regression.fit((rows - mean) / deviation, truth)
    weights = fitted.coef_[0] / deviation
    offset = float(fitted.intercept_[0] - (weights * mean).sum())
    seen = {name: (float(part.min()), float(part.max())) for name, part in values.items()}
    return Line(weights=dict(zip(values, weights.tolist(), strict=True)), offset=offset, seen=seen)
