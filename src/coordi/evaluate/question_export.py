"""The questions as files for a scorer outside coordi, without their answers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import atomic_path, write_text
from coordi.domain import CompatibilityQuestion, Dataset, FillInTheBlankQuestion, Split
from coordi.evaluate.baselines.lookup import check_known
from coordi.evaluate.question_sets import ProtocolQuestions

QUESTIONS = "questions.jsonl"
TEMPLATE = "scores-template.csv"
RULES = "how-to-score.md"
TASKS = ("compatibility", "fill_in_the_blank", "retrieval")
"""As ``report.json`` calls them."""
COLUMNS = ("question_id", "candidate", "score")
_RULES_TEXT = f"""# How to score these questions

`{QUESTIONS}` has a question per line: `task`, `protocol`, `split`, `question_id`, `items` and, where one of several
items is to be chosen, `candidates`.

- `compatibility`: how well do the `items` go together? One score, `candidate` left empty. Questions of the split
  `valid` choose your threshold and calibrate your scores, those of `test` are measured.
- `fill_in_the_blank` and `retrieval`: how well does each candidate complete the `items`? One score per candidate,
  `candidate` being its position from 0.

Write the scores into `{TEMPLATE}` and save it as UTF-8 under the name that the report shall show, such as
`my-model.csv`. Higher is better, on any scale. A task of a protocol is answered whole, or all its rows are taken out.

An item's `id` and `image` are there to look the item up. They may name the outfit it is from, so nothing may be
learned from them or from the order of the questions.
"""

Question = CompatibilityQuestion | FillInTheBlankQuestion
Key = tuple[str, int | None]  # question id as exported, position of the candidate


@dataclass(frozen=True, slots=True)
class Asked:
    """A question with its task and split."""

    task: str
    split: Split
    question: Question

    @property
    def candidates(self) -> tuple[str, ...]:
        """Item ids to choose from; empty for compatibility."""
        return self.question.candidates if isinstance(self.question, FillInTheBlankQuestion) else ()

    @property
    def keys(self) -> list[Key]:
        """The rows that this question needs."""
        positions: Sequence[int | None] = range(len(self.candidates)) if self.candidates else (None,)
        return [(exported_id(self.question), position) for position in positions]


def exported_id(question: Question) -> str:
    """The ``question_id`` of the files: the question's own, and a digest of what it asks.

    Another seed or other data ask other questions under the same numbers; the digest keeps scores from being taken for
    answers to questions that they weren't made for. It doesn't depend on the answer.
    """
    candidates = question.candidates if isinstance(question, FillInTheBlankQuestion) else ()
    digest = hashlib.sha256(json.dumps([question.item_ids, candidates]).encode()).hexdigest()
    return f"{question.id}.{digest[:8]}"


def write_questions_to_score(
    folder: Path, protocols: Sequence[ProtocolQuestions], dataset: Dataset, texts: Mapping[str, str]
) -> None:
    """Write every question without its answer, the table of scores to fill in, and the rules.

    ``questions.jsonl`` holds ``task``, ``protocol``, ``split``, ``question_id``, ``items`` and ``candidates``, each
    item with ``id``, ``title``, ``category``, ``text`` (what prompts say of it) and ``image`` (path or null).
    ``scores-template.csv`` has a row per score. A question that two protocols ask is written once, under the first.

    Raises:
        ArtifactError: If the folder can't be written.
        EvaluationError: If an item of a question isn't in the data set or has no text.
    """
    seen: dict[str, None] = {}
    rows: list[Key] = []
    with atomic_path(folder / QUESTIONS) as temporary, temporary.open("w", encoding="utf-8") as file:
        for part in protocols:
            for asked in all_asked(part):
                question_id = exported_id(asked.question)
                if question_id not in seen:
                    seen[question_id] = None
                    rows += asked.keys
                    line = _line(part.protocol, asked, dataset, texts)
                    file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
    table = io.StringIO()
    writer = csv.writer(table, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows((question_id, "" if position is None else position, "") for question_id, position in rows)
    write_text(folder / TEMPLATE, table.getvalue())
    write_text(folder / RULES, _RULES_TEXT)


def all_asked(part: ProtocolQuestions) -> Iterator[Asked]:
    """Every question of a protocol: compatibility of both splits, blanks, retrieval, each in its own order."""
    groups: tuple[tuple[str, Split, Sequence[Question]], ...] = (
        (TASKS[0], "valid", part.valid),
        (TASKS[0], "test", part.test),
        (TASKS[1], "test", part.blanks),
        (TASKS[2], "test", part.retrieval),
    )
    for task, split, questions in groups:
        for question in questions:
            yield Asked(task, split, question)


def _line(protocol: str, asked: Asked, dataset: Dataset, texts: Mapping[str, str]) -> dict[str, Any]:
    shown = [asked.question.item_ids, asked.candidates]
    check_known(shown, dataset.items)
    check_known(shown, texts)
    items, candidates = ([_item(dataset, texts, item_id) for item_id in ids] for ids in shown)
    return {
        "task": asked.task,
        "protocol": protocol,
        "split": asked.split,
        "question_id": exported_id(asked.question),
        "items": items,
        "candidates": candidates,
    }


def _item(dataset: Dataset, texts: Mapping[str, str], item_id: str) -> dict[str, Any]:
    item = dataset.items[item_id]
    return {
        "id": item_id,
        "title": item.title,
        "category": item.category,
        "text": texts[item_id],
        "image": None if item.image is None else str(item.image),
    }
