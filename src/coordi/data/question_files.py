"""The releases' question files as they are written: names of items, before any item is known or judged.

Both releases name an item ``<set_id>_<index>`` and use the same two forms. Compatibility: lines of ``1`` (an outfit
that somebody made) or ``0`` (made up) and the items' names. Fill-in-the-blank: a JSON list of ``question`` (the rest
of an outfit) and ``answers``, of which the true one is of the outfit's own set. A copy of Polyvore Outfits on the hub
(``owj0421/polyvore-outfits``) has JSON lists for both, of ``items``, ``candidates`` and ``label``.

References:
    Han et al., Learning Fashion Compatibility with Bidirectional LSTMs, 2017;
    Vasileva et al., Learning Type-Aware Embeddings for Fashion Compatibility, 2018.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from coordi.data.files import read_json, read_text
from coordi.data.source import SourceBlank, SourceCompatibility
from coordi.domain import NO_EXTRA
from coordi.errors import DataError

_NAME = re.compile(r"[\w-]+_\d+")
_SHOWN = 60
_LEAST_FOLLOWED = 0.9


def read_compatibility_file(path: Path, item_ids: Mapping[str, str] = NO_EXTRA) -> tuple[SourceCompatibility, ...]:
    """Read a file of compatibility questions.

    Questions are grouped by the set that a positive is of. A negative joins the positive that it was made for where
    the file lets one know: where each negative directly follows a positive and nearly every positive is followed by one
    (Maryland), or where all negatives follow all positives with as many items, one for one (Polyvore Outfits).
    Elsewhere a negative is a group of its own.

    Args:
        path: The file.
        item_ids: Item id by name; a name that isn't in it is its own id.

    Raises:
        DataError: If it can't be read, or a line isn't a question, with its number.
    """
    place, asked = ("entry", _json_questions(path)) if path.suffix == ".json" else ("line", _text_questions(path))
    for number, label, names in asked:
        if label not in ("0", "1") or not names or not all(_NAME.fullmatch(name) for name in names):
            raise DataError(
                f"{path}, {place} {number} isn't a question: '{' '.join([label, *names])[:_SHOWN]}'; expected 1 or 0 "
                f"and then names such as 214272106_1; get the file again or mend that {place}"
            )
    groups = _groups([(label == "1", names, f"{place}-{number}") for number, label, names in asked])
    return tuple(
        SourceCompatibility(tuple(item_ids.get(name, name) for name in names), label == "1", group)
        for (_, label, names), group in zip(asked, groups, strict=True)
    )


def read_blanks_file(path: Path, item_ids: Mapping[str, str] = NO_EXTRA) -> tuple[SourceBlank, ...]:
    """Read a file of fill-in-the-blank questions.

    The true candidate is the one of the question's own set; if several are, the one whose index is the question's
    ``blank_position``. A ``label`` must say the same. In the Maryland release it stands first, which isn't relied on.

    Args:
        path: The file.
        item_ids: Item id by name; a name that isn't in it is its own id.

    Raises:
        DataError: If it can't be read, or an entry isn't a question, with its number.
    """
    entries = enumerate(_entries(path), start=1)
    return tuple(_blank(entry, f"{path}, entry {number}", item_ids) for number, entry in entries)


def _text_questions(path: Path) -> list[tuple[int, str, list[str]]]:
    lines = [(number, line.split()) for number, line in enumerate(read_text(path).splitlines(), start=1)]
    return [(number, words[0], words[1:]) for number, words in lines if words]


def _json_questions(path: Path) -> list[tuple[int, str, list[str]]]:
    return [
        (number, str(entry.get("label")), [str(name) for name in entry.get("items") or ()])
        if isinstance(entry, dict) and isinstance(entry.get("items"), list)
        else (number, str(entry), [])
        for number, entry in enumerate(_entries(path), start=1)
    ]


def _entries(path: Path) -> list[Any]:
    entries = read_json(path)
    if not isinstance(entries, list):
        raise DataError(f"{path} must hold a list of questions, got {type(entries).__name__}; get the release's file")
    return entries


def _blank(entry: Any, where: str, item_ids: Mapping[str, str]) -> SourceBlank:
    keys = ("items", "candidates") if isinstance(entry, dict) and "candidates" in entry else ("question", "answers")
    question, answers = (_names(entry, key, where) for key in keys)
    if len(answers) < 2:
        raise DataError(
            f"{where} leaves nothing to choose: its '{keys[1]}' is {answers}; expected two names or more; get the file "
            "again or mend that entry"
        )
    own = _set_of(question)
    true = [place for place, name in enumerate(answers) if own and _set_of([name]) == own]
    if len(true) > 1:
        true = [place for place in true if answers[place] == f"{own}_{entry.get('blank_position')}"]
    if "label" in entry:
        true = [place for place in true if str(place) == str(entry["label"])]
    return SourceBlank(
        item_ids=tuple(item_ids.get(name, name) for name in question),
        candidates=tuple(item_ids.get(name, name) for name in answers),
        answer=true[0] if len(true) == 1 else None,
        outfit_id=own or where.rsplit(", ", 1)[1].replace(" ", "-"),
    )


def _names(entry: Any, key: str, where: str) -> list[str]:
    names = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(names, list) or not names or not all(_NAME.fullmatch(str(name)) for name in names):
        raise DataError(
            f"{where} isn't a question: its '{key}' is {str(names)[:_SHOWN]}; expected a list of names such as "
            "214272106_1; get the file again or mend that entry"
        )
    return [str(name) for name in names]


def _set_of(names: Sequence[str]) -> str:
    """The set that all names are of; ``""`` if they are of several."""
    sets = {name.rsplit("_", 1)[0] for name in names}
    return sets.pop() if len(sets) == 1 else ""


def _groups(asked: Sequence[tuple[bool, Sequence[str], str]]) -> list[str]:
    """The group of each question, from its label, names and the name of a group of its own."""
    groups = [(_set_of(names) if label else "") or alone for label, names, alone in asked]
    labels = [label for label, _, _ in asked]
    positives = labels.count(True)
    # Few negatives among many positives stand apart in any order; that alone says nothing of what they were made for.
    one_each = len(labels) - positives >= _LEAST_FOLLOWED * positives
    if labels and labels[0] and one_each and all(before or label for before, label in pairwise(labels)):
        return [groups[place] if label else groups[place - 1] for place, label in enumerate(labels)]
    sizes = [len(names) for _, names, _ in asked]
    in_blocks = labels == [True] * positives + [False] * positives
    if in_blocks and sizes[:positives] == sizes[positives:]:
        return groups[:positives] * 2
    return groups
