"""The ensemble: language model, category pairs and similarity weighted by a logistic regression."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

from coordi.artifacts import clear_write_errors, read_json, write_json
from coordi.config import PromptSettings, Settings
from coordi.data.loading import outfits_for
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary
from coordi.errors import ArtifactError, EvaluationError, ModelError, require
from coordi.evaluate.baselines import TRAINING_EPOCHS, TextEmbeddings
from coordi.evaluate.features import (
    CategoryMeans,
    CategoryPairs,
    TitleCosine,
    VectorCosine,
    Vectors,
    check_both_classes,
    training_questions,
    validation_questions,
)
from coordi.evaluate.scoring import OutfitScorer
from coordi.model.scoring import sigmoid
from coordi.prompts import item_text
from coordi.types import GARMENT_CATEGORIES, Dataset, Description, GarmentCategory, Item, Label

PAIRS, SIMILARITY, WORDS = "category-pairs", "sentence-cosine", "title-cosine"


@cache
def text_encoder() -> EdgeEncoder:
    """The encoder that likeness of texts is measured by, whatever encoder sees the photos."""
    return EdgeEncoder.bundled()


class TextVectors(Mapping[str, NDArray[np.float32]]):
    """Vectors of what is said of items, each made when it is asked for."""

    def __init__(self, texts: Mapping[str, str]) -> None:
        self._texts = texts

    def __getitem__(self, item_id: str) -> NDArray[np.float32]:
        vector: NDArray[np.float32] = text_encoder().encode_texts([self._texts[item_id]])[0]
        return vector

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._texts

    def __iter__(self) -> Iterator[str]:
        return iter(self._texts)

    def __len__(self) -> int:
        return len(self._texts)


class Centred(Mapping[str, NDArray[np.float32]]):
    """Vectors less what is usual for their category; each is made once, when it is first asked for."""

    def __init__(self, means: CategoryMeans, items: Mapping[str, Item], vectors: Vectors) -> None:
        self._means = means
        self._items = items
        self._vectors = vectors
        self._made: dict[str, NDArray[np.float32]] = {}

    def __getitem__(self, item_id: str) -> NDArray[np.float32]:
        if item_id not in self._made:
            self._made |= self._means.centred({item_id: self._vectors[item_id]}, self._items)
        return self._made[item_id]

    def __contains__(self, item_id: object) -> bool:
        return item_id in self._vectors

    def __iter__(self) -> Iterator[str]:
        return iter(self._vectors)

    def __len__(self) -> int:
        return len(self._vectors)


@dataclass(frozen=True, slots=True)
class Features:
    """The parts of a joined score that need no language model.

    Likeness is a mean over an outfit's pairs. Three pairs that are alike say more than one, so it is multiplied by the
    square root of their number: the sum's size in units of what it varies by, were the pairs independent.
    """

    pairs: CategoryPairs
    likeness: VectorCosine
    words: TitleCosine | None

    def values(self, outfits: Sequence[Sequence[str]]) -> dict[str, NDArray[np.float64]]:
        """What each part says, ``(N,)``."""
        counts = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
        scale = np.sqrt(counts * (counts - 1) / 2)
        found = {PAIRS: self.pairs.logits(outfits), SIMILARITY: scale * self.likeness.score(outfits)}
        return found if self.words is None else {**found, WORDS: scale * self.words.score(outfits)}


Group = tuple[GarmentCategory, bool]
"""A category, and whether its items have a title."""
Means = Mapping[Group, NDArray[np.float64]]

_SHRINKAGE = 10
"""How many items of a catalogue weigh as much as what is usual elsewhere, as in ``CategoryMeans``."""
_SAID = ("colour", "pattern", "material")

# A language model that was taught titles finds what is told by labels alone too alike: random outfits of 2, 3, 4 and 5
# product photos got median log odds of 0.85, 1.38, 1.79 and 2.63, where the random negatives that it was measured on
# get -0.6 to -2.2 and those of the same categories about -0.2. A line through the first, but for -0.5, is taken off
# (dev/LOG.md).
_LM_PER_ITEM, _LM_OFFSET = 0.58, 0.15


class CategoryCentering:
    """Mean text vectors by category and way of telling.

    Titles were learned with the adapter. What is told by photos alone has the words of the vocabulary and brackets in
    common, so its mean is another: that of every kind of the category in every colour, pattern and material. A
    catalogue's own items shift both.
    """

    def __init__(self, means: Means) -> None:
        """Take the means of all groups; none leaves vectors as they are."""
        self._means = means

    @classmethod
    def of(cls, titled: CategoryMeans, vocabulary: Vocabulary, prompt: PromptSettings) -> CategoryCentering:
        """What is usual where no catalogue is open.

        Args:
            titled: Learned with the adapter.
            vocabulary: Whose labels are said of photos.
            prompt: How they are said.
        """
        if titled.overall is None:
            return cls({})
        means: dict[Group, NDArray[np.float64]] = {}
        for category in GARMENT_CATEGORIES:
            means[category, True] = titled.by_category.get(category, titled.overall)
            texts = _told_by_photos(category, vocabulary, prompt)
            means[category, False] = np.asarray(text_encoder().encode_texts(texts).mean(axis=0), dtype=np.float64)
        return cls(means)

    def in_catalogue(self, sums: Mapping[Group, tuple[int, NDArray[np.float64]]]) -> CategoryCentering:
        """The same, shifted by a catalogue's items.

        Args:
            sums: How many items there are of each group, and the sum of their text vectors.
        """
        if not self._means:
            return self
        means = dict(self._means)
        for titled in (True, False):
            own = {group: sums[group] for group in sums if group[1] is titled}
            everything = sum(count for count, _ in own.values())
            if not everything:
                continue
            # What all of its items have more of than is usual, as far as their number shows it, then each category.
            more = sum(total - count * self._means[group] for group, (count, total) in own.items())
            shift = more / (everything + _SHRINKAGE)
            means |= {group: mean + shift for group, mean in self._means.items() if group[1] is titled}
            for group, (count, total) in own.items():
                means[group] = (total + _SHRINKAGE * means[group]) / (count + _SHRINKAGE)
        return CategoryCentering(means)

    def centred(self, item: Item) -> NDArray[np.float32]:
        """The item's text vector less what is usual, unit length, ``(T,)``; zeros if nothing is left."""
        if not self._means:
            return item.text_embedding
        left = item.text_embedding - self._means[item.category or "accessory", bool(item.title)]
        length = float(np.linalg.norm(left))
        return np.asarray(left / length if length > 1e-6 else np.zeros_like(left), dtype=np.float32)


def photo_only_correction(outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
    """By how much the language model's log odds are too high for items told by photos alone, ``(N,)``."""
    shares = [sum(not item.title for item in outfit) / len(outfit) for outfit in outfits]
    lengths = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
    return np.asarray(np.array(shares) * (_LM_PER_ITEM * lengths + _LM_OFFSET), dtype=np.float64)


def _told_by_photos(category: GarmentCategory, vocabulary: Vocabulary, prompt: PromptSettings) -> list[str]:
    """What would be said of a photo of each kind of a category with each other label."""
    kinds = [
        (name, entry.text)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        if entry.worn == category
    ]
    others = [
        (name, entry.text) for name in _SAID if name in vocabulary.attributes
        for entry in vocabulary.attributes[name].labels
    ]  # fmt: skip
    item = Item("", "", category)
    pairs = [(kind, other) for kind in kinds or [("", "")] for other in others or [("", "")]]
    told = [{name: (Label(label, 1.0),) for name, label in pair if name} for pair in pairs]
    return [item_text(item, Description("", one), prompt) for one in told]


ENSEMBLE_FILE = "joined.json"
MEANS_FILE = "joined.safetensors"
LANGUAGE_MODEL = "language-model"
WITHOUT_LANGUAGE_MODEL = "without-language-model"
_OVERALL = "all"  # no worn category is called so
_STRENGTH = 1.0  # of the regression, scikit-learn's C on standardised values
_LEAST = 1e-6  # keeps the log odds of a language model that is sure finite


class LogisticModel(Settings):
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


class EnsembleFile(Settings):
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
    joined: LogisticModel
    without: LogisticModel
    pairs: dict[str, float]
    intercept: float
    rarity: dict[str, float] | None


@dataclass(frozen=True, slots=True)
class Ensemble:
    """What was learned; ``scorers`` makes scorers of it.

    Attributes:
        told: The numbers.
        means: What is usual for a category, which likeness leaves out.
    """

    told: EnsembleFile
    means: CategoryMeans

    @classmethod
    def learn(cls, language_model: OutfitScorer, dataset: Dataset, texts: Mapping[str, str], seed: int) -> Ensemble:
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
        means = CategoryMeans.learn(TextEmbeddings(texts, encoder), items, learned)
        nothing = LogisticModel(weights={}, offset=0.0, seen={})
        told = EnsembleFile(
            texts=encoder.text_identity, questions=0, joined=nothing, without=nothing, pairs=dict(pairs.weights),
            intercept=pairs.intercept, rarity=rarity,
        )  # fmt: skip
        unweighed = cls(told, means)
        questions = [question for part in validation_questions(dataset, seed) for question in part]
        check_both_classes("a joined score", questions)
        values = unweighed.plain(items, TextVectors(texts)).values([one.item_ids for one in questions])
        values[LANGUAGE_MODEL] = log_odds(CachedScorer(language_model).score([one.item_ids for one in questions]))
        truth = np.array([question.compatible for question in questions])
        plain = {name: part for name, part in values.items() if name != LANGUAGE_MODEL}
        lines = {"joined": _fitted(values, truth), "without": _fitted(plain, truth), "questions": len(questions)}
        return cls(told.model_copy(update=lines), means)

    def scorers(
        self, language_model: OutfitScorer, items: Mapping[str, Item], texts: Mapping[str, str]
    ) -> tuple[EnsembleScorer, OutfitScorer, EnsembleScorer]:
        """The joined score, the language model alone, and the others without it; the model is asked once for both.

        Args:
            language_model: Gives P(yes).
            items: Everything that may be asked about, by id.
            texts: What prompts say of each.
        """
        plain, alone = self.plain(items, TextVectors(texts)), CachedScorer(language_model)
        return (
            EnsembleScorer(language_model.name, self.told.joined, plain, alone),
            alone,
            EnsembleScorer(WITHOUT_LANGUAGE_MODEL, self.told.without, plain, None),
        )

    def save(self, folder: Path) -> None:
        """Write it beside an adapter.

        Raises:
            ArtifactError: If it can't be written.
        """
        rows = {} if self.means.overall is None else {_OVERALL: self.means.overall, **self.means.by_category}
        with clear_write_errors(folder / MEANS_FILE):
            save_file({name: row.astype(np.float32) for name, row in rows.items()}, str(folder / MEANS_FILE))
        write_json(folder / ENSEMBLE_FILE, self.told.model_dump(mode="json"))

    @classmethod
    def load(cls, folder: Path) -> Ensemble | None:
        """Read what stands beside an adapter; None if it was never joined with anything.

        Raises:
            ModelError: If a file is missing or damaged, or likeness was measured by another text encoder.
        """
        if not (folder / ENSEMBLE_FILE).exists() and not (folder / MEANS_FILE).exists():
            return None
        try:
            told = EnsembleFile.model_validate(read_json(folder / ENSEMBLE_FILE))
            rows = {name: row.astype(np.float64) for name, row in load_file(str(folder / MEANS_FILE)).items()}
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

    def plain(self, items: Mapping[str, Item], vectors: Vectors, *, are_centred: bool = False) -> Features:
        """The parts that need no language model.

        Args:
            items: Everything that may be asked about, by id.
            vectors: Of what prompts say of each, by the bundled text encoder; each is looked up when it is first asked.
            are_centred: What is usual has been taken off them.
        """
        told = self.told
        means = CategoryMeans(None, {}) if are_centred else self.means
        return Features(
            CategoryPairs(items, told.pairs, told.intercept),
            VectorCosine(SIMILARITY, Centred(means, items, vectors)),
            None if told.rarity is None else TitleCosine.of(items, told.rarity),
        )


class EnsembleScorer:
    """P(yes) of outfits by several parts together.

    Attributes:
        name: For reports.
        gives_probabilities: True.
    """

    gives_probabilities = True

    def __init__(self, name: str, line: LogisticModel, plain: Features, language_model: OutfitScorer | None) -> None:
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
            values[LANGUAGE_MODEL] = log_odds(self._language_model.score(outfits))
        return self._line.probabilities(values)


class CachedScorer:
    """A language model that isn't asked the same twice."""

    name = LANGUAGE_MODEL
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


def _fitted(values: Mapping[str, NDArray[np.float64]], truth: NDArray[np.bool_]) -> LogisticModel:
    """Weights for values as they are, of a regression on them with mean 0 and deviation 1."""
    rows = np.stack(list(values.values()), axis=1)  # (N, parts)
    mean, deviation = rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-9)
    regression: Any = require("sklearn.linear_model", "train").LogisticRegression(C=_STRENGTH, max_iter=1000)
    fitted = regression.fit((rows - mean) / deviation, truth)
    weights = fitted.coef_[0] / deviation
    offset = float(fitted.intercept_[0] - (weights * mean).sum())
    seen = {name: (float(part.min()), float(part.max())) for name, part in values.items()}
    return LogisticModel(weights=dict(zip(values, weights.tolist(), strict=True)), offset=offset, seen=seen)
