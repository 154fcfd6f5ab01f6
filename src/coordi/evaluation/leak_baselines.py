"""Leak baselines: how well the number of items, or their order, predicts the answers of the questions themselves.

They learn from answers to other outfits' questions of the same set, which no model may use: they measure how much of a
figure the construction of the questions could explain. An AUC of 0.5 means no leak.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import combinations
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from coordi.errors import require
from coordi.evaluation.question_sets import ProtocolQuestions, labels_of
from coordi.evaluation.scoring import RawScores, check_items, completed
from coordi.types import CompatibilityQuestion, FitbQuestion, Item, RandomStream

# Questions with the overall share of positives that each set size starts with.
_SIZE_PRIOR = 10
# Strong regularisation: many weights would fit noise in a shuffled order, and a leak shows anyway.
_ORDER_C = 0.1
# Equal log odds differ by rounding beyond these.
_DECIMALS = 9

LogOdds = Callable[[Sequence[Sequence[str]]], NDArray[np.float64]]
"""Log odds of outfits by their item ids, shape ``(N,)``; 0 is no evidence."""
Fit = Callable[[Sequence[CompatibilityQuestion]], LogOdds]


class SizeBaseline:
    """Log odds of compatibility by the number of items alone, learned from the other half of the same questions.

    Relative to the overall share of positives; 0 for a size that isn't in the other half. Constant on questions that
    coordi draws: a negative has as many items as its outfit. Tasks with candidates, all of one size, get no scores.
    """

    name: ClassVar[str] = "size"

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds; None if the protocol has no compatibility questions to learn from."""
        return _cross_fitted(replace(part, blanks=(), retrieval=()), _fit_size, self._seed)


class OrderBaseline:
    """Logistic regression on the order of the items alone, learned from the other half of the same questions.

    For each pair of items of different categories, by garment category and by subcategory, the feature is +1 or -1 by
    which of the two comes first; their presence is no feature. On shuffled questions its AUC is 0.5. The Maryland
    release lists top, bottom, shoes, ..., so this baseline answers questions in that order.
    """

    name: ClassVar[str] = "order"

    def __init__(self, items: Mapping[str, Item], seed: int) -> None:
        require("sklearn.linear_model", "train")
        self._items = items
        self._seed = seed

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        """Log odds, 0 if categories, orders or classes are all equal; None without compatibility questions."""
        choices = (*part.blanks, *part.retrieval)
        check_items([question.item_ids for question in (*part.valid, *part.test)], self._items)
        check_items([(*question.item_ids, *question.candidates) for question in choices], self._items)
        return _cross_fitted(part, self._fit, self._seed)

    def _fit(self, questions: Sequence[CompatibilityQuestion]) -> LogOdds:
        labels = labels_of(questions)
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

    With two halves, the predictions for one are independent of its answers. With more folds, the training sets are
    nearly all questions less those that are scored, so that chance correlations return with the opposite sign (Airola
    et al., 2009): for 200 questions of random sizes, the mean AUC of 300 sets was 0.502 with two folds, 0.486 with five
    and 0.471 with ten. Outfits without a question are scored by a model of all questions.
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

    def scores_of(self, questions: Sequence[CompatibilityQuestion]) -> NDArray[np.float64]:
        return self._scores([(question.outfit_id, question.item_ids) for question in questions])

    def candidate_scores_of(self, questions: Sequence[FitbQuestion]) -> NDArray[np.float64]:
        """Log odds of each candidate, shape ``(Q, C)``."""
        rows = [
            (question.outfit_id, completed(question.item_ids, candidate))
            for question in questions
            for candidate in question.candidates
        ]
        return self._scores(rows).reshape(len(questions), -1) if rows else np.zeros((0, 0))

    def _scores(self, rows: Sequence[tuple[str, Sequence[str]]]) -> NDArray[np.float64]:
        scores = np.zeros(len(rows))
        for half in (0, 1, None):
            numbers = [n for n, (outfit_id, _) in enumerate(rows) if self._half.get(outfit_id) == half]
            if numbers:
                model = self._model_of_all if half is None else self._models[half]
                scores[numbers] = model([rows[n][1] for n in numbers])
        return np.round(scores, _DECIMALS)


def _cross_fitted(part: ProtocolQuestions, fit: Fit, seed: int) -> RawScores | None:
    """Scores by models of the validation and of the test questions, which may be drawn differently."""
    if not part.test:
        return None
    valid, test = (
        _Halves(questions, fit, np.random.default_rng([seed, RandomStream.LEAK_BASELINE, number]))
        for number, questions in enumerate((part.valid, part.test))
    )
    candidates = test.candidate_scores_of(part.blanks), test.candidate_scores_of(part.retrieval)
    return RawScores(valid.scores_of(part.valid), test.scores_of(part.test), *candidates)


def _halves(questions: Sequence[CompatibilityQuestion], rng: np.random.Generator) -> dict[str, int]:
    """The half of each outfit, 0 or 1, balanced by class: a half with more positives leaves its model fewer."""
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
