"""The audit: every check, on all questions and between all splits, and the verdict on what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from coordi.data.leaks.candidates import candidate_cheats
from coordi.data.leaks.chance import Cheat, beyond_chance
from coordi.data.leaks.copies import (
    duplicate_outfits,
    pairs_of_splits,
    shared_items,
    shared_photos,
    shared_titles,
    trained_questions,
)
from coordi.data.leaks.facts import Facts, flatten, flatten_blanks
from coordi.data.leaks.ids import ids_in_texts, item_id_cheats, question_id_cheats
from coordi.data.leaks.leak import Leak
from coordi.data.leaks.order import order_cheats
from coordi.data.leaks.surface import repeated_questions, surface_cheats
from coordi.domain import CompatibilityQuestion, Dataset, FillInTheBlankQuestion
from coordi.progress import Progress, silent

FEWEST = 20
"""Questions of a name that are enough to measure a cheat on."""

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
            cheat is measured.
        texts: What a prompt says of each item, by item id; ids are looked for in it.
        blanks: Fill-in-the-blank questions, or retrieval queries, by any name.
        photos: Whether photos are compared, which opens each once: about 2 ms for one of 224 x 224 pixels.
        progress: Told of each photo that was opened.

    Returns:
        What was found, leaks that a model can read first; nothing for clean data.

    Raises:
        DataError: If a question names an item that the data set doesn't have.
    """
    facts = Facts(dataset)
    asked = [flatten(name, part, facts) for name, part in questions.items() if part]
    cheats: list[Cheat] = []
    found: list[Leak] = []
    for part in asked:
        if len(part.questions) >= FEWEST and 0 < part.compatible.sum() < len(part.questions):
            cheats += [*order_cheats(part, facts), *surface_cheats(part, facts)]
            cheats += [*question_id_cheats(part), *item_id_cheats(part, facts)]
        found += repeated_questions(part)
    for name, some in blanks.items():
        if len(some) >= FEWEST:
            cheats += candidate_cheats(flatten_blanks(name, some, facts), facts)
    pairs = pairs_of_splits(dataset, asked)
    for splits in pairs:
        found += duplicate_outfits(splits)
    learned = [splits for splits in pairs if splits.one == "train"]
    for splits in learned:
        found += [*trained_questions(splits), *shared_items(splits), *shared_titles(splits)]
    found += ids_in_texts(dataset, texts)
    if photos:
        found += shared_photos(learned, progress)
    return tuple(sorted([*beyond_chance(cheats), *found], key=lambda leak: not leak.shown))
