"""Leak baselines: what the number of items, or their order, tells about the answers of the questions themselves.

A leak baseline learns from the answers to other outfits' questions of the same set, which no model may read. It is no
rival of a model: it shows how much of a figure the way in which questions were made could explain. An AUC of 0.5 means
no leak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from coordi.errors import require
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scoring import RawScores, check_items, completed
from coordi.types import CompatibilityQuestion, FitbQuestion, Item, RandomStream

# Questions with the overall share of positives that each set size starts with.
_SIZE_PRIOR = 10
# Weak: a shuffled order holds nothing that many weights could fit, and a leak shows anyway.
_ORDER_C = 0.1
# Beyond these, log odds that are equal differ by how their sums were rounded.
_DECIMALS = 9

LogOdds = Callable[[Sequence[Sequence[str]]], NDArray[np.float64]]
"""Log odds of outfits by their item ids, shape ``(N,)``; 0 is no evidence."""
Fit = Callable[[Sequence[CompatibilityQuestion]], LogOdds]


class SizeBaseline:
    """Log odds of compatibility by the number of items alone, learned from the other half of the same questions.

    Constant where sizes tell nothing, as in all protocols that coordi draws: a negative has as many items as its
    outfit. A release's own questions may differ. It has no scores for fill-in-the-blank and retrieval, where all
    candidates complete an outfit to the same size.
    """

    name: ClassVar[str] = "size"

    def __init__(self, seed: int) -> None:
        """Use a seed for the halves."""
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds relative to the overall share of positives, rounded; 0 for a size that the other half lacks.

        None if the protocol has no compatibility questions to learn from.
        """
        if not part.test:
            return None
        valid, test = _fit_halves(part, _fit_size, self._seed)
        return RawScores(valid.of(part.valid), test.of(part.test))


class OrderBaseline:
    """Logistic regression on the order of the items alone, learned from the other half of the same questions.

    For each pair of items of different categories, by garment category and by subcategory, the feature is +1 or -1 by
    which of the two comes first; that both occur is no feature. On shuffled questions its AUC is 0.5. The Maryland
    release lists top, bottom, shoes, ..., so questions in that order are answered by it.

    Args:
        items: By id.
        seed: Of the halves.

    Raises:
        MissingDependencyError: If scikit-learn isn't installed.
    """

    name: ClassVar[str] = "order"

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        require("sklearn.linear_model", "train")
        self._items = items
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds; 0 where all categories are equal, or the other half has one order or one class only.

        Candidates of fill-in-the-blank and retrieval come last. They are scored by what was learned from the test
        compatibility questions: of the half without their outfit, or of all where their outfit has none. None if the
        protocol has no such questions.

        Raises:
            EvaluationError: If an item id is unknown.
        """
        if not part.test:
            return None
        choices = (*part.blanks, *part.retrieval)
        check_items([question.item_ids for question in (*part.valid, *part.test)], self._items)
        check_items([(*question.item_ids, *question.candidates) for question in choices], self._items)
        valid, test = _fit_halves(part, self._fit, self._seed)
        return RawScores(
            valid.of(part.valid),
            test.of(part.test),
            test.of_candidates(part.blanks),
            test.of_candidates(part.retrieval),
        )

    def _fit(self, questions: Sequence[CompatibilityQuestion]) -> LogOdds:
        labels = np.array([question.compatible for question in questions], dtype=bool)
        features = [self._features(question.item_ids) for question in questions]
        if labels.all() or not labels.any() or not any(features):
            return _no_evidence
        vectorizer = require("sklearn.feature_extraction", "train").DictVectorizer()
        model = require("sklearn.linear_model", "train").LogisticRegression(
            C=_ORDER_C, fit_intercept=False, class_weight="balanced", max_iter=2000, tol=1e-6
        )
        model.fit(vectorizer.fit_transform(features), labels)

        def log_odds(outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
            rows = vectorizer.transform([self._features(outfit) for outfit in outfits])
            return np.asarray(model.decision_function(rows), dtype=np.float64)

        return log_odds

    def _features(self, outfit: Sequence[str]) -> dict[str, int]:
        items = [self._items[item_id] for item_id in outfit]
        sums: Counter[str] = Counter()
        for level, names in (
            ("category", [item.category or "" for item in items]),
            ("subcategory", [item.subcategory for item in items]),
        ):
            for first, second in combinations(names, 2):
                if first and second and first != second:
                    low, high = sorted((first, second))
                    sums[f"{level}: {low} before {high}"] += 1 if first == low else -1
        return {pair: total for pair, total in sorted(sums.items()) if total}


class _Halves:
    """Two models, each fitted on the questions of half of the outfits and applied to the others.

    Two halves and not more: what one predicts is then independent of the answers in the other, and sizes that tell
    nothing are right as often as wrong. With more folds nearly the same questions are learned from each time, less
    those that are scored, so that chance correlations come back with the other sign. For 200 questions of sizes drawn
    alike, the mean AUC of 300 sets was 0.502 with two folds, 0.486 with five and 0.471 with ten.

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
    def _model_of_all(self) -> LogOdds:
        return self._fit(self._questions)

    def of(self, questions: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        """Log odds, shape ``(N,)``."""
        return self._scores([(question.outfit_id, question.item_ids) for question in questions])

    def of_candidates(self, questions: Sequence[FitbQuestion]) -> NDArray[np.float64]:
        """Log odds of each candidate, shape ``(Q, C)``."""
        if not questions:
            return np.zeros((0, 0))
        rows = [
            (question.outfit_id, completed(question.item_ids, candidate))
            for question in questions
            for candidate in question.candidates
        ]
        return self._scores(rows).reshape(len(questions), -1)

    def _scores(self, rows: Sequence[tuple[str, Sequence[str]]]) -> NDArray[np.float64]:
        scores = np.zeros(len(rows))
        for half in (0, 1, None):
            numbers = [n for n, (outfit_id, _) in enumerate(rows) if self._half.get(outfit_id) == half]
            if numbers:
                model = self._model_of_all if half is None else self._models[half]
                scores[numbers] = model([rows[n][1] for n in numbers])
        return np.round(scores, _DECIMALS)


def _fit_halves(part: ProtocolQuestions, fit: Fit, seed: int) -> tuple[_Halves, _Halves]:
    """Models of the validation and of the test questions, separate because they may be drawn differently."""
    valid, test = (
        _Halves(questions, fit, np.random.default_rng([seed, RandomStream.LEAK_BASELINE, number]))
        for number, questions in enumerate((part.valid, part.test))
    )
    return valid, test


def _halves(questions: Sequence[CompatibilityQuestion], rng: np.random.Generator) -> dict[str, int]:
    """The half of each outfit, drawn so that both have as many questions of each class, or nearly.

    A half with more positives would leave fewer of them to the model that is applied to it.
    """
    answers: dict[str, list[bool]] = {}
    for question in questions:
        answers.setdefault(question.outfit_id, []).append(question.compatible)
    outfit_ids = list(answers)
    drawn = [outfit_ids[int(n)] for n in rng.permutation(len(outfit_ids))]
    by_answers = sorted(drawn, key=lambda outfit_id: sorted(answers[outfit_id]))
    return {outfit_id: n % 2 for n, outfit_id in enumerate(by_answers)}


def _no_evidence(outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
    return np.zeros(len(outfits))


def _fit_size(questions: Sequence[CompatibilityQuestion]) -> LogOdds:
    counts = Counter((len(question.item_ids), question.compatible) for question in questions)
    compatible = sum(question.compatible for question in questions)
    if compatible in (0, len(questions)):
        return _no_evidence
    share = compatible / len(questions)
    overall = np.log(share / (1 - share))
    log_odds = {
        size: np.log((counts[size, True] + _SIZE_PRIOR * share) / (counts[size, False] + _SIZE_PRIOR * (1 - share)))
        - overall
        for size, _ in counts
    }
    return lambda outfits: np.array([log_odds.get(len(outfit), 0.0) for outfit in outfits], dtype=np.float64)
