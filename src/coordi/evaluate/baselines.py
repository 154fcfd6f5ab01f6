"""The baselines that a model is compared with."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from itertools import combinations
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, hash_file, no_progress
from coordi.config import EvaluateSettings
from coordi.data.loading import outfits_for
from coordi.encoders.base import EDGE, ImageTextEncoder
from coordi.errors import DataError, EncoderError, EvaluationError, MissingDependencyError, require
from coordi.evaluate.features import (
    TRAINING_PROTOCOLS,
    CategoryPairs,
    TitleCosine,
    VectorCosine,
    centred,
    check_both_classes,
    check_known,
    epoch_questions,
    mean_auc,
    source_words,
    training_questions,
    validation_questions,
)
from coordi.evaluate.metrics import Resamples, percentile_interval, roc_auc
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scoring import OutfitScorer, RawScores, ScoreSource, completed
from coordi.evaluate.set_transformer import SetTransformer
from coordi.model.base import quiet_libraries
from coordi.types import CompatibilityQuestion, Dataset, FitbQuestion, Item, Outfit

_NEEDED = ("config.json", "model.safetensors", "tokenizer.json")
# Model types whose last hidden state, averaged over tokens, is a sentence's vector.
_TYPES = ("bert", "distilbert", "roberta", "xlm-roberta", "mpnet", "electra", "camembert")
# What all-MiniLM-L6-v2 and its kin are trained with; what is said of an item is far shorter.
_MOST_TOKENS = 256
_AT_ONCE = 64
_EXTRA = "train"


class SentenceEncoder(Protocol):
    """Texts as vectors whose cosine says how alike they are; every image and text encoder is one too."""

    @property
    def name(self) -> str: ...  # noqa: D102

    @property
    def identity(self) -> str: ...  # noqa: D102

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)`` of texts of any kind, in order; ``(0, D)`` for none."""
        ...


class TextEmbeddings(Mapping[str, NDArray[np.float32]]):
    """A unit vector ``(D,)`` for each item id; items with the same text share one.

    Attributes:
        encoder: Name of the encoder that made them.
    """

    def __init__(self, texts: Mapping[str, str], encoder: SentenceEncoder) -> None:
        """Encode what is said of each item, every text once.

        Args:
            texts: By item id.
            encoder: Of sentences, or of photos and texts.
        """
        places = {text: place for place, text in enumerate(dict.fromkeys(texts.values()))}
        self.encoder = encoder.name
        self._places = {item_id: places[text] for item_id, text in texts.items()}
        self._rows = encoder.encode_texts(list(places))  # (T, D)

    def __getitem__(self, item_id: str) -> NDArray[np.float32]:
        row: NDArray[np.float32] = self._rows[self._places[item_id]]
        return row

    def __iter__(self) -> Iterator[str]:
        return iter(self._places)

    def __len__(self) -> int:
        return len(self._places)


def load_sentence_encoder(name: str) -> SentenceEncoder:
    """Load a sentence encoder from this machine; nothing is ever fetched from a network.

    Args:
        name: ``edge`` (the bundled text tower), or the folder of a BERT-like encoder in the Hugging Face layout.

    Raises:
        EncoderError: If there is no such encoder, or its files are damaged or not what they claim to be.
        MissingDependencyError: If a folder is given without the ``train`` extra.
    """
    if name == EDGE:
        from coordi.encoders.edge import EdgeEncoder

        return EdgeEncoder.bundled()
    folder = Path(name)
    if not folder.is_dir():
        raise EncoderError(
            f"evaluate.sentence_encoder is '{name}', which is no folder; accepted are '{EDGE}' or the folder of a "
            f"BERT-like sentence encoder with {', '.join(_NEEDED)}, such as all-MiniLM-L6-v2"
        )
    return BertSentenceEncoder.from_folder(folder)


class BertSentenceEncoder:
    """A BERT-like encoder: the mean of its last hidden states over the tokens, made unit length.

    A text longer than 256 tokens is cut.

    References:
        Reimers and Gurevych, Sentence-BERT: Sentence Embeddings using Siamese BERT-Networks, 2019.
    """

    def __init__(self, name: str, identity: str, model: Any, tokenizer: Any) -> None:
        self.name = name
        self.identity = identity
        self.dimension = int(model.config.hidden_size)
        self._model = model
        self._tokenizer = tokenizer

    @classmethod
    def from_folder(cls, folder: Path) -> BertSentenceEncoder:
        """Load a checkpoint in the Hugging Face layout; only safetensors, no code from the folder, no network.

        Raises:
            EncoderError: If a file is missing or damaged, weights are missing, or it is another kind of model.
            MissingDependencyError: If torch or transformers isn't installed.
        """
        files = [folder / name for name in _NEEDED]
        missing = [path.name for path in files if not path.is_file()]
        if missing:
            raise EncoderError(
                f"{folder} isn't a sentence encoder: it lacks {', '.join(missing)}; give a folder in the Hugging Face "
                f"layout with {', '.join(_NEEDED)}"
            )
        try:
            model = _load_model(folder)
            tokenizer = _load_tokenizer(folder / "tokenizer.json", model)
        # transformers, tokenizers and safetensors raise types of their own for broken files, some bare Exception.
        except Exception as error:
            reason = " ".join(str(error).split())[:300]
            raise EncoderError(
                f"{folder} can't be loaded as a sentence encoder: {reason}; accepted is a BERT-like model "
                f"({', '.join(_TYPES)}) with {', '.join(_NEEDED)}"
            ) from error
        identity = hashlib.sha256("".join(hash_file(path) for path in files).encode()).hexdigest()
        return cls(str(folder), identity, model, tokenizer)

    def encode_texts(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors ``(N, D)``, in order."""
        torch = require("torch", _EXTRA)
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        vectors = np.zeros((len(texts), self.dimension), dtype=np.float32)
        # Texts of one length share a batch, so that nothing is padded.
        order = sorted(range(len(texts)), key=lambda place: len(tokens[place]))
        for batch in _batches(order, tokens):
            with torch.inference_mode():
                ids = torch.tensor([tokens[place] for place in batch])
                hidden = self._model(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state  # (B, T, H)
            vectors[batch] = torch.nn.functional.normalize(hidden.mean(dim=1), dim=-1).numpy()
        return vectors


def _batches(order: Sequence[int], tokens: Sequence[Sequence[int]]) -> list[list[int]]:
    batches: list[list[int]] = []
    for place in order:
        same = batches and len(tokens[batches[-1][0]]) == len(tokens[place]) and len(batches[-1]) < _AT_ONCE
        if same:
            batches[-1].append(place)
        else:
            batches.append([place])
    return batches


def _load_model(folder: Path) -> Any:
    torch = require("torch", _EXTRA)
    transformers = require("transformers", _EXTRA)
    found = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")
    if found not in _TYPES:
        raise ValueError(f"its model_type is {found!r}")
    with quiet_libraries():
        model, said = transformers.AutoModel.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
    # The pooler over the first token isn't used.
    missing = sorted(name for name in said["missing_keys"] if not name.startswith("pooler."))
    if missing:
        raise ValueError(f"model.safetensors lacks {len(missing)} weights, such as {missing[0]}")
    return model.eval()


def _load_tokenizer(path: Path, model: Any) -> Any:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(path))
    known = model.get_input_embeddings().num_embeddings
    if tokenizer.get_vocab_size() > known:
        raise ValueError(f"tokenizer.json has {tokenizer.get_vocab_size()} tokens, the model {known}")
    if not tokenizer.encode("").ids:
        raise ValueError("tokenizer.json puts no token at the ends of a text")
    tokenizer.no_padding()
    # RoBERTa and its kin keep two positions for themselves.
    tokenizer.enable_truncation(min(_MOST_TOKENS, model.config.max_position_embeddings - 2))
    return tokenizer


class LazyScorer:
    """Stands for a scorer that isn't fitted yet; an empty list of outfits asks nothing."""

    gives_probabilities = True

    def __init__(self, name: str, fit: Callable[[], OutfitScorer]) -> None:
        self.name = name
        self._fit = fit
        self._fitted: OutfitScorer | None = None

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``.

        Raises:
            CoordiError: Whatever fitting and scoring raise.
        """
        if not outfits:
            return np.zeros(0)
        if self._fitted is None:
            self._fitted = self._fit()
        return self._fitted.score(outfits)


class Chance:
    """A draw per outfit, from what its items are called and the seed: 0.5 AUC and 1 / C accuracy, whatever is asked.

    The same items get the same draw in any order and under any ids. Items of which the same is said, such as those
    without a title, are told apart by their places among all items: equal draws would be ties, which are misses.
    """

    name = "chance"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        said_of = {item_id: source_words(item) for item_id, item in items.items()}
        often = Counter(said_of.values())
        self._told = {
            item_id: (*words, place if often[words] > 1 else -1)
            for place, (item_id, words) in enumerate(said_of.items())
        }
        self._seed = seed

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Draws in ``[0, 1)``, shape ``(N,)``.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._told)
        return np.array([self._draw(outfit) for outfit in outfits], dtype=np.float64)

    def _draw(self, outfit: Sequence[str]) -> float:
        words = repr((self._seed, sorted(self._told[item_id] for item_id in outfit)))
        return int.from_bytes(hashlib.sha256(words.encode()).digest()[:6], "big") / 2**48


class Popularity:
    """How often the items, and their kinds, are worn in training outfits.

    The mean over items of ``log(1 + outfits with the item) + log(1 + outfits with its kind)``. An item is one that
    has the same id or the same title; its kind is its worn category where the source has no finer one.
    """

    name = "popularity"
    gives_probabilities = False

    def __init__(self, items: Mapping[str, Item], worn: Mapping[tuple[str, str], int]) -> None:
        self._items = items
        self._worn = worn

    @classmethod
    def fit(cls, items: Mapping[str, Item], outfits: Sequence[Outfit]) -> Popularity:
        """Count in how many training outfits each item, title and kind is.

        Raises:
            EvaluationError: If there are no outfits.
        """
        if not outfits:
            raise EvaluationError(f"{cls.name} needs training outfits, got 0; use a data set with training outfits")
        worn = Counter(
            key for outfit in outfits for key in {key for name in outfit.item_ids for key in _keys(items[name])}
        )
        return cls(items, worn)

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Mean popularity, 0 or more, shape ``(N,)``; 0 for an outfit without items.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        check_known(outfits, self._items)
        values = [sorted(self._popularity(self._items[item_id]) for item_id in outfit) for outfit in outfits]
        return np.array([sum(one) / max(len(one), 1) for one in values], dtype=np.float64)

    def _popularity(self, item: Item) -> float:
        *same, kind = (self._worn.get(key, 0) for key in _keys(item))
        return float(np.log1p(max(same)) + np.log1p(kind))


def _keys(item: Item) -> tuple[tuple[str, str], ...]:
    """What an item is counted under, its kind last."""
    title = (("title", item.title.casefold()),) if item.title else ()
    return (("id", item.id), *title, ("kind", item.subcategory or item.category))


_STREAM = 427  # of the run's seed, for the halves
# Questions of the common share of answers that each number of items is taken to have had already.
_SIZE_PRIOR = 10
# Weak: a shuffled order has nothing in it that many weights could fit, and a leak shows all the same.
_ORDER_C = 0.1
# Beyond this, log odds that are equal differ by how their sums were rounded.
_DECIMALS = 9

LogOdds = Callable[[Sequence[Sequence[str]]], NDArray[np.float64]]
"""Gives what a model says of outfits, shape ``(N,)``; 0 says nothing."""
Fit = Callable[[Sequence[CompatibilityQuestion]], LogOdds]


class SizeBaseline:
    """Log odds of "goes together" by number of items alone, learned from the other half of the same questions.

    Constant where sizes tell nothing, as in all protocols that coordi draws: a negative has as many items as its
    outfit. A release's own questions may be drawn otherwise. It has no say in fill-in-the-blank and retrieval, where
    all candidates complete an outfit to one size.
    """

    name: ClassVar[str] = "size"

    def __init__(self, seed: int) -> None:
        """Take the seed of the halves."""
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds against the common share of answers, rounded; 0 for a size that the other half hasn't.

        None if the protocol has no compatibility questions to learn from.
        """
        if not part.test:
            return None
        valid, test = _in_halves(part, _fit_size, self._seed)
        return RawScores(valid.of(part.valid), test.of(part.test))


class OrderBaseline:
    """Logistic regression on the order alone in which items are asked, learned from the other half of the questions.

    For each pair of items of different categories, by worn category and by the source's own kind, the feature says
    which of the two stands first, as +1 or -1; that both are there says nothing by itself. On shuffled questions it is
    at chance. The release lists top, bottom, shoes, ..., so questions that keep that order are answered by it.
    """

    name: ClassVar[str] = "order"

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        """Take what categories are read from.

        Args:
            items: By id.
            seed: Of the halves.

        Raises:
            MissingDependencyError: If scikit-learn isn't installed.
        """
        require("sklearn.linear_model", "train")
        self._items = items
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds; 0 where no two categories differ, or the other half has no order or one class to learn from.

        Candidates of fill-in-the-blank and retrieval stand last. They are scored by what was learned from the test
        compatibility questions: of the half without their outfit, or of all where their outfit has none. None if the
        protocol has no such questions.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        if not part.test:
            return None
        choices = (*part.blanks, *part.retrieval)
        check_known([question.item_ids for question in (*part.valid, *part.test)], self._items)
        check_known([(*one.item_ids, *one.candidates) for one in choices], self._items)
        valid, test = _in_halves(part, partial(_fit_order, self._items), self._seed)
        return RawScores(
            valid.of(part.valid),
            test.of(part.test),
            test.of_candidates(part.blanks),
            test.of_candidates(part.retrieval),
        )


class _Halves:
    """Two models, each fitted on the questions of half of the outfits and asked about the others.

    Two halves and not more: what one says is then independent of the answers in the other, and sizes that tell nothing
    are as often right as wrong. With more folds nearly the same questions are learned from each time, less those that
    are asked, so that chance leanings come back with the other sign. For 200 questions of sizes drawn alike, the mean
    AUC of 300 sets was 0.502 with two folds, 0.486 with five and 0.471 with ten.

    References:
        Airola et al., A Comparison of AUC Estimators in Small-Sample Studies, 2009.
    """

    def __init__(self, questions: Sequence[CompatibilityQuestion], fit: Fit, rng: np.random.Generator) -> None:
        self._questions = questions
        self._fit = fit
        self._half = _halves(questions, rng)
        self._models = tuple(
            fit([question for question in questions if self._half[question.outfit_id] != half]) for half in (0, 1)
        )

    @cached_property
    def _whole(self) -> LogOdds:
        return self._fit(self._questions)

    def of(self, questions: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        """Log odds, shape ``(N,)``."""
        return self._scores([question.outfit_id for question in questions], [one.item_ids for one in questions])

    def of_candidates(self, questions: Sequence[FitbQuestion]) -> NDArray[np.float64]:
        """Log odds of each candidate, shape ``(Q, C)``."""
        if not questions:
            return np.zeros((0, 0))
        asked = [(one.outfit_id, completed(one.item_ids, choice)) for one in questions for choice in one.candidates]
        scores = self._scores([outfit_id for outfit_id, _ in asked], [item_ids for _, item_ids in asked])
        return scores.reshape(len(questions), -1)

    def _scores(self, outfit_ids: Sequence[str], outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        scores = np.zeros(len(outfits))
        for half in (0, 1, None):
            places = [place for place, outfit_id in enumerate(outfit_ids) if self._half.get(outfit_id) == half]
            if places:
                model = self._whole if half is None else self._models[half]
                scores[places] = model([outfits[place] for place in places])
        return np.round(scores, _DECIMALS)


def _in_halves(part: ProtocolQuestions, fit: Fit, seed: int) -> tuple[_Halves, _Halves]:
    """Models of the validation questions and of the test questions, each of their own: they may be drawn unlike."""
    valid, test = (
        _Halves(questions, fit, np.random.default_rng([seed, _STREAM, number]))
        for number, questions in enumerate((part.valid, part.test))
    )
    return valid, test


def _halves(questions: Sequence[CompatibilityQuestion], rng: np.random.Generator) -> dict[str, int]:
    """Which half each outfit is in, drawn so that both have as many questions of each class, or nearly.

    A half with more compatible questions would leave fewer of them to the model that is asked about it.
    """
    answers: dict[str, list[bool]] = {}
    for question in questions:
        answers.setdefault(question.outfit_id, []).append(question.compatible)
    outfit_ids = list(answers)
    drawn = [outfit_ids[int(place)] for place in rng.permutation(len(outfit_ids))]
    alike = sorted(drawn, key=lambda outfit_id: sorted(answers[outfit_id]))
    return {outfit_id: place % 2 for place, outfit_id in enumerate(alike)}


def _nothing(outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    return np.zeros(len(outfits))


def _fit_size(questions: Sequence[CompatibilityQuestion]) -> LogOdds:
    counts = Counter((len(question.item_ids), question.compatible) for question in questions)
    compatible = sum(question.compatible for question in questions)
    if compatible in (0, len(questions)):
        return _nothing
    share = compatible / len(questions)
    common = np.log(share / (1 - share))
    log_odds = {
        size: np.log((counts[size, True] + _SIZE_PRIOR * share) / (counts[size, False] + _SIZE_PRIOR * (1 - share)))
        - common
        for size, _ in counts
    }
    return lambda outfits: np.array([log_odds.get(len(outfit), 0.0) for outfit in outfits], dtype=np.float64)


def _fit_order(items: Mapping[str, Item], questions: Sequence[CompatibilityQuestion]) -> LogOdds:
    labels = np.array([question.compatible for question in questions], dtype=bool)
    features = [_order_features(question.item_ids, items) for question in questions]
    if labels.all() or not labels.any() or not any(features):
        return _nothing
    vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
    model = require("sklearn.linear_model", "train").LogisticRegression(
        C=_ORDER_C, fit_intercept=False, class_weight="balanced", max_iter=2000, tol=1e-6
    )
    model.fit(vectorizer.fit_transform(features), labels)

    def log_odds(outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        rows = vectorizer.transform([_order_features(outfit, items) for outfit in outfits])
        return np.asarray(model.decision_function(rows), dtype=np.float64)

    return log_odds


def _order_features(outfit: Sequence[str], items: Mapping[str, Item]) -> dict[str, int]:
    worn = [items[item_id] for item_id in outfit]
    sums: Counter[str] = Counter()
    for name, words in (("worn", [item.category for item in worn]), ("kind", [item.subcategory for item in worn])):
        for first, second in combinations(words, 2):
            if first and second and first != second:
                low, high = sorted((first, second))
                sums[f"{name}: {low} before {high}"] += 1 if first == low else -1
    return {pair: total for pair, total in sorted(sums.items()) if total}


States = Callable[[Sequence[Sequence[str]]], NDArray[np.float32]]
"""Gives the states ``(N, H)`` of outfits, by item ids in the order they are asked in."""

_PROBE_STREAM = 423  # of the run's seed, for the outfits that are learned from
# Each costs the language model three prompts; a linear model of some hundred weights learns little from more.
MOST_OUTFITS = 2000
_STRENGTHS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1)


class FrozenProbe:
    """Logistic regression on the standardised mean hidden state of an outfit's prompt.

    Like the model it reads, it is asked in an order and may answer otherwise in another.
    """

    name = "frozen-probe"
    gives_probabilities = True

    def __init__(self, states: States, scale: tuple[NDArray[np.float64], NDArray[np.float64]], model: Any) -> None:
        self._states = states
        self._mean, self._deviation = scale
        self._model = model

    @classmethod
    def fit(cls, dataset: Dataset, states: States, seed: int, among: Collection[str] | None = None) -> FrozenProbe:
        """Learn from the training questions of one epoch, regularised as is best on the validation split.

        At most ``MOST_OUTFITS`` training outfits are asked about, each once for itself and once for a negative of each
        training protocol.

        Args:
            dataset: With a training and a validation split.
            states: Of the language model.
            seed: Of the negatives and of the outfits, where there are more than that.
            among: Ids of the training outfits that are learned from; the model is asked about all of them all the same,
                so that it is asked once for every share. None learns from all.

        Raises:
            DataError: If a split has no outfits, or too few to make any negative.
            EvaluationError: If the questions don't hold both classes, or a state isn't finite.
            MissingDependencyError: If scikit-learn isn't installed.
        """
        questions = _to_learn_from(dataset, seed)
        check_both_classes(cls.name, questions)
        rows = _states_of(states, [question.item_ids for question in questions])  # (N, H)
        labels = np.array([question.compatible for question in questions])
        if among is not None:
            kept = np.array([question.outfit_id in among for question in questions])
            rows, labels = rows[kept], labels[kept]
            check_both_classes(cls.name, [question for question, keep in zip(questions, kept, strict=True) if keep])
        # A state that never changes would be divided by nothing.
        scale = (rows.mean(axis=0), np.maximum(rows.std(axis=0), 1e-6))
        standard = (rows - scale[0]) / scale[1]
        regression = require("sklearn.linear_model", "train").LogisticRegression
        # Two negatives for each outfit, which weigh as much as it does.
        probes = [
            cls(states, scale, regression(C=strength, class_weight="balanced", max_iter=2000).fit(standard, labels))
            for strength in _STRENGTHS
        ]
        parts = validation_questions(dataset, seed)
        return max(probes, key=lambda probe: mean_auc(probe, parts))

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Probability of "goes together", shape ``(N,)``.

        Raises:
            CoordiError: Whatever the language model raises for an outfit that it can't read.
            EvaluationError: If a state isn't finite.
        """
        if not outfits:
            return np.zeros(0)
        rows = _states_of(self._states, outfits)
        return np.asarray(self._model.predict_proba((rows - self._mean) / self._deviation)[:, 1], dtype=np.float64)


def _to_learn_from(dataset: Dataset, seed: int) -> list[CompatibilityQuestion]:
    """One positive of each outfit, and one negative of each protocol."""
    outfits = dataset.outfits_of("train")
    kept = {outfit.id for outfit in outfits}
    if len(outfits) > MOST_OUTFITS:
        drawn = np.random.default_rng([seed, _PROBE_STREAM]).permutation(len(outfits))[:MOST_OUTFITS]
        kept = {outfits[int(place)].id for place in drawn}
    by_protocol = epoch_questions(dataset, seed, 0)
    first = TRAINING_PROTOCOLS[0]
    return [
        question
        for protocol, questions in by_protocol.items()
        for question in questions
        if question.outfit_id in kept and (protocol == first or not question.compatible)
    ]


def _states_of(states: States, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    rows = np.asarray(states(outfits), dtype=np.float64)
    if rows.ndim != 2 or len(rows) != len(outfits) or not np.isfinite(rows).all():
        raise EvaluationError(
            f"the language model gave states of shape {rows.shape} for {len(outfits)} outfits; expected (N, H), all "
            "finite: check the base model"
        )
    return rows


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


class Baselines(NamedTuple):
    """Baselines, and those that can't be made.

    Attributes:
        scorers: In the order of ``NAMES``; the leak alarms among them look at the questions when they are asked.
        left_out: By name, why there is none: a clause that begins in lower case and ends without a full stop.
    """

    scorers: tuple[OutfitScorer | ScoreSource, ...]
    left_out: Mapping[str, str]


def build_baselines(inputs: BaselineInputs, which: Which = "all") -> Baselines:
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
    return Baselines(tuple(scorers), left_out)


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


def sentence_vectors(texts: Mapping[str, str], settings: EvaluateSettings) -> TextEmbeddings:
    """What is said of each item as unit vectors, by the sentence encoder of the settings.

    Raises:
        EncoderError: If it can't be loaded.
    """
    return TextEmbeddings(texts, load_sentence_encoder(settings.sentence_encoder))


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
            item.id: item.title or item.subcategory or item.category or ""
            for item in self.items.values()
            if item.id not in self.inputs.photos
        }
        titles = centred(TextEmbeddings(named, self.inputs.encoder), self.items, self.learned)
        return {**titles, **self.photos}


def _popularity(workshop: _Workshop) -> OutfitScorer:
    return Popularity.fit(workshop.items, outfits_for(workshop.dataset, "train"))


def _title_cosine(workshop: _Workshop) -> OutfitScorer:
    return TitleCosine.fit(workshop.items, [workshop.items[item_id] for item_id in workshop.learned])


def _set_transformer(workshop: _Workshop) -> OutfitScorer:
    workshop.check_trainable(SetTransformer.name, "torch")
    sources = (workshop.sentences, workshop.photos) if workshop.mostly_photos else (workshop.sentences,)
    dataset, seed = workshop.dataset, workshop.inputs.seed
    return LazyScorer(SetTransformer.name, lambda: SetTransformer.fit(dataset, sources, seed))


def _frozen_probe(workshop: _Workshop) -> OutfitScorer:
    dataset, seed, states = workshop.dataset, workshop.inputs.seed, workshop.inputs.states
    if states is None:
        raise EvaluationError("no language model is at hand whose states it could read; give a base model")
    workshop.check_trainable(FrozenProbe.name, "sklearn.linear_model")
    return LazyScorer(FrozenProbe.name, lambda: FrozenProbe.fit(dataset, states, seed))


_ALARMS: Mapping[str, Callable[[_Workshop], ScoreSource]] = {
    SizeBaseline.name: lambda workshop: SizeBaseline(workshop.inputs.seed),
    OrderBaseline.name: lambda workshop: OrderBaseline(workshop.items, workshop.inputs.seed),
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


_LEARNING_CURVE_STREAM = 425  # of the run's seed, for the order in which outfits are added
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
    inputs: BaselineInputs, questions: Sequence[ProtocolQuestions], progress: Progress = no_progress
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
    order = np.random.default_rng([seed, _LEARNING_CURVE_STREAM]).permutation(len(train))
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
