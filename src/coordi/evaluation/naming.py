"""Does the item that a model names in words agree with the one that the outfit had?

The item was removed from its outfit before anything was read, recommended or written. A scorer says in words what it
would add, and gives the items of the wanted category in the test split scores, among which the removed one has a rank.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.evaluation.metrics import Resamples, mean_reciprocal_rank, percentile_interval, recall_at, true_ranks
from coordi.types import Dataset, GarmentCategory, Item, Label, RandomStream

RECALL_AT = 10
FIGURES = ("kind", "colour", "similarity", f"recall@{RECALL_AT}", "mrr")
"""Shares of questions whose named kind, and colour, is the removed item's; mean cosine of the texts; by rank."""
_LEAST_CANDIDATES = 5


@dataclass(frozen=True, slots=True)
class NameQuestion:
    """An outfit without an item, shuffled, and the items of that one's category in the split, the removed one first."""

    outfit_id: str
    context: tuple[str, ...]
    want: GarmentCategory
    candidates: tuple[str, ...]

    @property
    def removed(self) -> str:
        """The item that was removed."""
        return self.candidates[0]


@dataclass(frozen=True, slots=True)
class Answers:
    """What a scorer named for each question, as described items, and its scores of each question's candidates."""

    name: str
    items: tuple[Item, ...]
    scores: tuple[NDArray[np.float64], ...]


@dataclass(frozen=True, slots=True)
class NameExample:
    """Every step of a question, for the report: what the encoder recommends, types and item ids; the prompt, the text,
    P(yes) of the outfit without the removed item (None for a single item); and the item ids that the words find, each
    with P(yes) of the outfit with it.
    """

    outfit: tuple[str, ...]
    want: GarmentCategory
    removed: str
    recommended: tuple[Label, ...]
    shortlist: tuple[str, ...]
    prompt: str
    text: str
    score: float | None
    matched: tuple[tuple[str, float], ...]
    note: str = ""


@dataclass(frozen=True, slots=True)
class NamingResult:
    """Figures by scorer, the model first, and examples."""

    figures: Mapping[str, Any]
    examples: tuple[NameExample, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``report.json``."""
        examples = [
            {**asdict(example), "matched": [{"item": item_id, "score": score} for item_id, score in example.matched]}
            for example in self.examples
        ]
        return {**self.figures, "examples": examples}


def draw_name_questions(dataset: Dataset, seed: int, most: int) -> tuple[NameQuestion, ...]:
    """One question of each of ``most`` test outfits: an item with a known kind is removed, each as likely, of whose
    category the split has five items or more. Candidates are of other texts than the outfit's other items, and each
    text is there once.
    """
    rng = np.random.default_rng([seed, RandomStream.NAMES])
    outfits = dataset.outfits_of("test")
    by_category: dict[GarmentCategory, dict[str, str]] = {}
    for outfit in outfits:
        for item in dataset.items_of(outfit.item_ids):
            if item.category is not None:
                by_category.setdefault(item.category, {}).setdefault(item.text, item.id)
    questions: list[NameQuestion] = []
    for number in rng.permutation(len(outfits)):
        outfit = outfits[int(number)]
        for position in rng.permutation(len(outfit.item_ids)):
            removed = dataset.items[outfit.item_ids[int(position)]]
            others = [dataset.items[name] for name in outfit.item_ids if name != removed.id]
            if removed.category is None or removed.kind is None or not others:
                continue
            texts = {item.text for item in others}
            wrong = [
                name
                for text, name in by_category[removed.category].items()
                if text not in texts and text != removed.text
            ]
            # Beside an item of the same text, the prompt would hold the answer.
            if removed.text not in texts and len(wrong) + 1 >= _LEAST_CANDIDATES:
                context = tuple(others[int(row)].id for row in rng.permutation(len(others)))
                questions.append(NameQuestion(outfit.id, context, removed.category, (removed.id, *wrong)))
                break
        if len(questions) == most:
            break
    return tuple(questions)


def naming_figures(
    questions: Sequence[NameQuestion], answers: Sequence[Answers], items: Mapping[str, Item], seed: int, bootstrap: int
) -> dict[str, Any]:
    """Figures of each scorer with 95% bootstrap intervals by outfit, and by how much the first is ahead of each other
    on the same resamples. A tie counts against the scorer. Questions whose removed item has no known colour are left
    out of ``colour``; it is null if all are.
    """
    removed = [items[question.removed] for question in questions]
    rows = np.flatnonzero([bool(item.colours) for item in removed])
    rng = (np.random.default_rng([seed, RandomStream.BOOTSTRAP]) for _ in range(2))
    outfits = [question.outfit_id for question in questions]
    resamples = Resamples(outfits, next(rng), bootstrap)
    of_colours = Resamples([outfits[row] for row in rows], next(rng), bootstrap) if len(rows) else None
    table: dict[str, dict[str, tuple[float, NDArray[np.float64]]]] = {}
    for answer in answers:
        pairs = list(zip(answer.items, removed, strict=True))
        kinds = np.array([named.kind == item.kind for named, item in pairs])
        colours = np.array([bool(set(named.colours) & set(item.colours)) for named, item in pairs])[rows]
        cosines = np.array([float(named.text_embedding @ item.text_embedding) for named, item in pairs])
        ranks = np.concatenate([true_ranks(scores[None, :], np.zeros(1, dtype=int)) for scores in answer.scores])
        table[answer.name] = {
            "kind": (float(kinds.mean()), resamples.mean(kinds)),
            **({} if of_colours is None else {"colour": (float(colours.mean()), of_colours.mean(colours))}),
            "similarity": (float(cosines.mean()), resamples.mean(cosines)),
            f"recall@{RECALL_AT}": (recall_at(ranks, RECALL_AT), resamples.mean(ranks <= RECALL_AT)),
            "mrr": (mean_reciprocal_rank(ranks), resamples.mean_reciprocal_rank(ranks)),
        }
    first = table[answers[0].name]
    return {
        "n": len(questions),
        "n_colour": len(rows),
        "candidates": float(np.median([len(question.candidates) for question in questions])),
        "scorers": {name: _row(row, {} if row is first else first) for name, row in table.items()},
    }


def _row(
    row: Mapping[str, tuple[float, NDArray[np.float64]]], first: Mapping[str, tuple[float, NDArray[np.float64]]]
) -> dict[str, Any]:
    figures: dict[str, Any] = {name: row[name][0] if name in row else None for name in FIGURES}
    figures["ci95"] = {name: percentile_interval(draws) for name, (_, draws) in row.items()}
    if first:
        ahead = {name: (value - row[name][0], draws - row[name][1]) for name, (value, draws) in first.items()}
        figures["model_ahead"] = {name: value for name, (value, _) in ahead.items()}
        figures["model_ahead"]["ci95"] = {name: percentile_interval(draws) for name, (_, draws) in ahead.items()}
    return figures
