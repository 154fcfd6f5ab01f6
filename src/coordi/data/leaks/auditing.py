"""The audit: every check, on all questions and between all splits, and the verdict on what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from coordi.data.leaks.candidates import candidate_cheats
from coordi.data.leaks.chance import Cheat, Suspect, beyond_chance, by_score, by_wins, can_be_found
from coordi.data.leaks.copies import (
    TwoSplits,
    duplicate_outfits,
    pairs_of_splits,
    shared_items,
    shared_photos,
    shared_titles,
    trained_questions,
)
from coordi.data.leaks.facts import Asked, Facts, flatten, flatten_blanks
from coordi.data.leaks.ids import ids_in_texts, item_id_cheats, question_id_cheats
from coordi.data.leaks.leak import Leak
from coordi.data.leaks.order import order_cheats
from coordi.data.leaks.surface import repeated_questions, surface_cheats
from coordi.domain import CompatibilityQuestion, Dataset, FillInTheBlankQuestion
from coordi.progress import Progress, silent

FEWEST = 20
"""Questions of a name that are enough to measure a cheat on."""

_NOBODY = Suspect("unaudited", "", "", "")
_NO_TEXTS: Mapping[str, str] = {}
_NO_BLANKS: Mapping[str, Sequence[FillInTheBlankQuestion]] = {}


def audit(
    dataset: Dataset,
    questions: Mapping[str, Sequence[CompatibilityQuestion]],
    texts: Mapping[str, str] = _NO_TEXTS,
    *,
    blanks: Mapping[str, Sequence[FillInTheBlankQuestion]] = _NO_BLANKS,
    photos: bool = True,
    progress: Progress = silent,
) -> tuple[Leak, ...]:
    """Look for every leak that coordi knows, and say what each is worth.

    A cheat on questions is told only if chance doesn't explain it, given all that was looked for in the same questions;
    ``chance`` has the rule. What is told of one set doesn't depend on which others are given. What two splits share
    is told from the first one on, with what a model would gain that remembers it.

    Args:
        dataset: Whose outfits are compared across splits.
        questions: Compatibility questions by any name, such as ``"random"``; of fewer than 20, or of one answer, no
            cheat is measured, and of fewer than some 30 none is beyond chance: ``unaudited`` names such sets.
        texts: What a prompt says of each item, by item id; ids are looked for in it.
        blanks: Fill-in-the-blank questions, or retrieval queries, by any name.
        photos: Whether photos are compared, which opens each once: about 2 ms for one of 224 x 224 pixels.
        progress: Told of each photo that was opened.

    Returns:
        What was found, leaks that a model can read first; nothing for clean data with enough questions.

    Raises:
        DataError: If a question names an item that the data set doesn't have.
    """
    facts = Facts(dataset)
    asked = [flatten(name, part, facts) for name, part in questions.items() if part]
    cheats: list[Cheat] = []
    found: list[Leak] = []
    small: dict[str, int] = {}
    for part in asked:
        made = _cheats(part, facts)
        cheats += made
        if not made or not can_be_found(by_score(_NOBODY, part.compatible.astype(np.float64), part), len(made)):
            small[part.name] = len(part.questions)
        found += repeated_questions(part)
    for blank in (flatten_blanks(name, some, facts) for name, some in blanks.items() if some):
        made = candidate_cheats(blank, facts) if len(blank.questions) >= FEWEST else []
        cheats += made
        count = len(blank.questions)
        if not made or not can_be_found(by_wins(_NOBODY, 1.0, count, blank.chance), len(made)):
            small[f"{blank.name} blanks"] = count
    found += _between_splits(pairs_of_splits(dataset, asked), photos, progress)
    found += ids_in_texts(dataset, texts)
    return tuple(sorted([*beyond_chance(cheats), *found, *_unaudited(small)], key=lambda leak: not leak.shown))


def _cheats(asked: Asked, facts: Facts) -> list[Cheat]:
    if len(asked.questions) < FEWEST or not 0 < asked.compatible.sum() < len(asked.questions):
        return []
    return [
        *order_cheats(asked, facts),
        *surface_cheats(asked, facts),
        *question_id_cheats(asked),
        *item_id_cheats(asked, facts),
    ]


def _between_splits(pairs: Sequence[TwoSplits], photos: bool, progress: Progress) -> list[Leak]:
    found: list[Leak] = []
    for splits in pairs:
        found += duplicate_outfits(splits)
    learned = [splits for splits in pairs if splits.one == "train"]
    for splits in learned:
        found += [*trained_questions(splits), *shared_items(splits), *shared_titles(splits)]
    return found + shared_photos(learned, progress) if photos else found


def _unaudited(small: Mapping[str, int]) -> list[Leak]:
    """One note of all sets in which no leak can be found: silence about them would pass for a clean bill."""
    if not small:
        return []
    sizes = ", ".join(f"{count} of {name}" for name, count in small.items())
    detail = (
        f"too few questions, or of one answer only, to tell even a cheat that is always right from chance ({sizes}); "
        "that nothing was found in them shows nothing: ask about more outfits"
    )
    return [Leak("unaudited", ", ".join(small), detail, count=len(small), shown=False)]
