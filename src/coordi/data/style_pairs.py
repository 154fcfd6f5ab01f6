"""Pairs of common sense: an outfit, an item that most stylists would take with it, and one that hardly any would.

A tab-separated table with a header, a row a pair: ``kind`` (what the pair is about), ``outfit`` (one item or more, in
words, divided by semicolons), ``good`` and ``bad``. Each row becomes a question with two candidates.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path

import numpy as np

from coordi.data.categories import NO_GARMENT, classify
from coordi.data.source import listed, shuffled
from coordi.data.tables import open_text
from coordi.errors import DataError
from coordi.types import Dataset, FitbQuestion, FunnelRow, Item, QuestionFile, RandomStream, ReleaseQuestions

STYLE_PAIRS = "style-pairs"
"""Layout of such a table, and name of its protocol."""
SUFFIX = ".tsv"
COLUMNS = ("kind", "outfit", "good", "bad")
KINDS = ("formality", "sport", "season", "occasion", "colour", "pattern", "culture", "style")
_NOT_WEARABLE = "an item in it names nothing that is worn"
_DIVIDER = ";"


def is_style_pairs(path: Path) -> bool:
    """Whether a table isn't a shop's feed: its header has a column of pairs, or isn't separated by tabs."""
    with open_text(path, "utf-8") as file:
        names = {name.strip().lower().removeprefix("\ufeff") for name in file.readline().split("\t")}
    return bool(names & {"outfit", "good", "bad"}) or len(names) < 2


def read_style_pairs(path: Path, seed: int) -> Dataset:
    """Read a table; raises ``DataError`` that lists the lines of all rows that aren't pairs.

    Items with equal words are one item. A pair that names what nobody wears isn't asked, and counted.
    """
    rows = rows_of_pairs(path)
    rng = np.random.default_rng([seed, RandomStream.FITB])
    items: dict[str, Item] = {}
    questions: list[FitbQuestion] = []
    unwearable = 0
    for number, (kind, outfit, good, bad) in enumerate(rows):
        words = (*outfit, good, bad)
        categories = {text: classify(text) for text in words}
        if NO_GARMENT in categories.values():
            unwearable += 1
            continue
        ids = []
        for text in words:
            category = categories[text] or None
            ids.append(items.setdefault(text.casefold(), Item(f"item-{len(items)}", text, category)).id)
        candidates = shuffled(ids[-2:], rng)
        context = shuffled(ids[:-2], rng)
        name = "; ".join(sorted(ids[:-2]))  # pairs about one outfit are drawn together
        questions.append(FitbQuestion(f"{kind}-{number:06d}", name, context, candidates, candidates.index(ids[-2])))
    if not questions:
        raise DataError(f"{path} has {len(rows)} pairs, none of which can be asked: {_NOT_WEARABLE}")
    losses = Counter({_NOT_WEARABLE: unwearable}) if unwearable else Counter()
    pairs = ReleaseQuestions(STYLE_PAIRS, "test", (), tuple(questions), blanks_file=QuestionFile(len(rows), losses))
    funnel = (FunnelRow("items", "in a pair", 0, len(items)),)
    return Dataset(path.name, STYLE_PAIRS, {item.id: item for item in items.values()}, (), funnel, True, (pairs,))


def kind_of_pair(question: FitbQuestion) -> str:
    """What the pair of a question is about."""
    return question.id.rpartition("-")[0]


def rows_of_pairs(path: Path) -> list[tuple[str, list[str], str, str]]:
    """Kind, items of the outfit, good and bad item of each row; errors as ``read_style_pairs``."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                raise DataError(
                    f"{path} has no column {', '.join(missing)}; a table of style pairs has the tab-separated columns "
                    f"{', '.join(COLUMNS)}"
                )
            numbered = [(reader.line_num, row) for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read as a table of style pairs: {error}") from error
    rows, problems = [], []
    for line, row in numbered:
        kind, outfit, good, bad = (" ".join((row[name] or "").split()) for name in COLUMNS)
        parts = [text for part in outfit.split(_DIVIDER) if (text := part.strip())]
        empty = [name for name, value in zip(COLUMNS, (kind, parts, good, bad), strict=True) if not value]
        if None in row:
            problems.append(f"line {line} has more than {len(COLUMNS)} columns")
        elif empty:
            problems.append(f"line {line} has no {', '.join(empty)}")
        elif kind not in KINDS:
            problems.append(f"line {line} is of the kind '{kind}' (accepted are {', '.join(KINDS)})")
        elif good.casefold() == bad.casefold():
            problems.append(f"line {line} has '{good}' as good and as bad")
        rows.append((kind, parts, good, bad))
    if problems:
        raise DataError(f"{path} isn't a table of style pairs: {listed(problems)}")
    if not rows:
        raise DataError(f"{path} has no pair below its header")
    return rows
