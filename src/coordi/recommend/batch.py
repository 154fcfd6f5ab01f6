"""Completions for a whole catalogue as JSON lines, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from coordi.artifacts import Progress, clear_write_errors, lock_folder, peak_memory_mib, read_json, versions, write_json
from coordi.errors import ArtifactError, RecommendationError
from coordi.recommend.answers import Completion
from coordi.recommend.rules import Rules, check_colours
from coordi.recommend.stylist import Stylist, check_catalogue, judge

_CLAIM, _LINES = "asked.json", "lines.jsonl"
_SAVE_EVERY = 20
"""Items between two syncs to the disk: what a power failure loses at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Items to complete, and how.

    Attributes:
        ids: Items of the catalogue to complete, in the order of the lines.
        k: Suggestions for each item at most.
        rules: Which items may be suggested.
        language_model: False ranks without it.
        reasons: Also compute what moved each score, which takes about as long again.
    """

    ids: Sequence[str]
    k: int
    rules: Rules
    language_model: bool = True
    reasons: bool = False

    def claim(self, stylist: Stylist, model: str) -> dict[str, Any]:
        """Everything that the lines depend on, so that another batch isn't resumed."""
        return {
            "catalogue": check_catalogue(stylist.catalogue).info.model_dump(mode="json", by_alias=True),
            "items": hashlib.sha256("\0".join(self.ids).encode()).hexdigest(),
            "model": model,
            "settings": stylist.settings.model_dump(mode="json"),
            "k": self.k,
            "rules": self.rules.model_dump(mode="json"),
            "language_model": self.language_model,
            "reasons": self.reasons,
            "coordi": versions()["coordi"],
        }


@dataclass(frozen=True, slots=True)
class Completed:
    """Result of a batch.

    Attributes:
        lines: In the file.
        resumed: How many of them an interrupted run had written.
        nothing: Items without suggestions; their lines say why.
    """

    lines: int
    resumed: int
    nothing: int


def complete_catalogue(batch: Batch, stylist: Stylist, model: str, out: Path, progress: Progress) -> Completed:
    """Write a line for each item: ``{"id", "suggestions": [{"id", "category", "score", ...}], "nothing", ...}``.

    Lines are written into the folder ``<out>.work``; once all are there they become ``out``, with
    ``<out>.manifest.json`` beside it. The same command resumes an interrupted run.

    Args:
        batch: Items and options.
        stylist: With a catalogue.
        model: ``TrainedModel.identity`` of the stylist's model.
        out: A ``.jsonl`` file that doesn't exist yet.
        progress: Called with the number of items.

    Raises:
        ArtifactError: If ``out`` exists, its folder belongs to another batch, another process writes it, or it can't be
            written.
        RecommendationError: If the catalogue is empty or a rule can't be followed.
    """
    if out.exists():
        raise ArtifactError(f"{out} is there already: nothing was asked again; delete it or choose another --out")
    _check_rules(stylist, batch.rules)
    work = out.with_name(f"{out.name}.work")
    with lock_folder(work):
        claim = batch.claim(stylist, model)
        _check_claim(work, claim)
        lines = work / _LINES
        resumed, nothing = _resume(lines, batch.ids)
        progress(resumed, len(batch.ids))
        with _appending(lines) as file:
            for number, item_id in enumerate(batch.ids[resumed:], resumed + 1):
                line = _line(stylist, batch, item_id)
                nothing += not line["suggestions"]
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                file.flush()
                if number % _SAVE_EVERY == 0:
                    _save(file)
                progress(number, len(batch.ids))
        manifest = {"asked": claim, "lines": len(batch.ids), "peak_memory_mib": peak_memory_mib()}
        write_json(out.with_name(f"{out.name}.manifest.json"), {**manifest, "versions": versions()})
        with clear_write_errors(out):
            lines.replace(out)
    shutil.rmtree(work, ignore_errors=True)
    return Completed(len(batch.ids), resumed, nothing)


def _line(stylist: Stylist, batch: Batch, item_id: str) -> dict[str, Any]:
    """The line of an item. A pinned item that can't be worn with it is a reason for no suggestions, not an error."""
    items = check_catalogue(stylist.catalogue).items_of([item_id])
    try:
        answer = stylist.complete(
            items, k=batch.k, rules=batch.rules, language_model=batch.language_model, reasons=batch.reasons
        )
    except RecommendationError as error:
        return {"id": item_id, "judge": judge(batch.language_model), "suggestions": [], "nothing": str(error)}
    return line_of(item_id, answer)


def _check_rules(stylist: Stylist, rules: Rules) -> None:
    """Refuse rules that fail for every item, before the first is completed."""
    check_colours(rules, stylist.vocabulary)
    check_catalogue(stylist.catalogue).items_of(rules.pinned)


def line_of(item_id: str, answer: Completion) -> dict[str, Any]:
    """One line of the file."""
    suggestions = []
    for suggestion in answer.suggestions:
        row: dict[str, Any] = {
            "id": suggestion.item.id,
            "category": suggestion.item.category,
            "score": round(suggestion.score, 4),
        }
        if suggestion.is_pinned:
            row["is_pinned"] = True
        if suggestion.reason is not None:
            row["reason"] = suggestion.reason.text
        suggestions.append(row)
    return {"id": item_id, "judge": answer.judge, "suggestions": suggestions, "nothing": answer.nothing}


def _check_claim(work: Path, claim: dict[str, Any]) -> None:
    path = work / _CLAIM
    if not path.exists():
        write_json(path, claim)
        return
    begun, wanted = read_json(path), json.loads(json.dumps(claim))
    changed = [name for name in wanted if begun.get(name) != wanted[name]]
    if changed:
        raise ArtifactError(
            f"{work} holds a part of another batch: {', '.join(changed)} changed since; delete it, or choose another "
            "--out"
        )


def _resume(lines: Path, ids: Sequence[str]) -> tuple[int, int]:
    """Number of complete lines, and of those without suggestions; an incomplete last line is cut off."""
    if not lines.exists():
        return 0, 0
    count, nothing, size = 0, 0, 0
    with clear_write_errors(lines), lines.open("rb+") as file:
        for line in file:
            try:
                row = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                row = None
            if row is None or count >= len(ids) or row.get("id") != ids[count]:
                break
            count, nothing, size = count + 1, nothing + (not row["suggestions"]), size + len(line)
        file.truncate(size)
    return count, nothing


@contextmanager
def _appending(lines: Path) -> Iterator[TextIO]:
    with clear_write_errors(lines), lines.open("a", encoding="utf-8") as file:
        yield file
        _save(file)


def _save(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
