"""Leak alarms: what the number of items, or their order, tells of the answers of the very questions that are asked.

An alarm learns from the answers to other outfits' questions of the same set, which no model may see. It is no rival to
one: it shows how much of a figure the way in which questions were made could account for. 0.5 AUC is silence.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from coordi.domain import CompatibilityQuestion, FillInTheBlankQuestion, Item
from coordi.errors import require
from coordi.evaluate.asking import complete
from coordi.evaluate.baselines.lookup import check_known
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scorer import RawScores

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


class SizeAlarm:
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


class OrderAlarm:
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

    def of_candidates(self, questions: Sequence[FillInTheBlankQuestion]) -> NDArray[np.float64]:
        """Log odds of each candidate, shape ``(Q, C)``."""
        if not questions:
            return np.zeros((0, 0))
        asked = [(one.outfit_id, complete(one.item_ids, choice)) for one in questions for choice in one.candidates]
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
    for name, words in (("worn", [item.category for item in worn]), ("kind", [item.kind for item in worn])):
        for first, second in combinations(words, 2):
            if first and second and first != second:
                low, high = sorted((first, second))
                sums[f"{name}: {low} before {high}"] += 1 if first == low else -1
    return {pair: total for pair, total in sorted(sums.items()) if total}
