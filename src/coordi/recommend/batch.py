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
"""Items between two times that lines are surely on the disk: what a loss of power costs at most."""


@dataclass(frozen=True, slots=True)
class Batch:
    """What is asked for each item.

    Attributes:
        ids: Items of the catalogue to complete, in the order of the lines.
        k: Suggestions for each at most.
        rules: What may be suggested.
        language_model: False asks what needs none.
        reasons: Ask what moved each score, which takes about as long again.
    """

    ids: Sequence[str]
    k: int
    rules: Rules
    language_model: bool = True
    reasons: bool = False

    def claim(self, stylist: Stylist, model: str) -> dict[str, Any]:
        """All that the lines depend on, so that a beginning of something else isn't gone on with."""
        return {
            "catalogue": check_catalogue(stylist.catalogue).info.model_dump(mode="json"),
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
    """What a batch came to.

    Attributes:
        lines: In the file.
        known: Of these, how many an earlier, interrupted run had written.
        nothing: Items that nothing completes; their lines say why.
    """

    lines: int
    known: int
    nothing: int


def complete_catalogue(batch: Batch, stylist: Stylist, model: str, out: Path, progress: Progress) -> Completed:
    """Write a line for each item: ``{"id", "suggestions": [{"id", "category", "score", ...}], "nothing", ...}``.

    Lines are gathered in the folder ``<out>.work``; once all are there they become ``out``, with
    ``<out>.manifest.json`` beside it. The same command goes on from what is gathered, whatever ended the run before.

    Args:
        batch: What is asked.
        stylist: With a catalogue.
        model: ``TrainedModel.identity`` of the stylist's model.
        out: A ``.jsonl`` file that isn't there yet.
        progress: Told of items.

    Raises:
        ArtifactError: If ``out`` is there, what is gathered is of another batch, another process is at it, or it can't
            be written.
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
        known, nothing = _known(lines, batch.ids)
        progress(known, len(batch.ids))
        with _appending(lines) as file:
            for place, item_id in enumerate(batch.ids[known:], known + 1):
                line = _line(stylist, batch, item_id)
                nothing += not line["suggestions"]
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                file.flush()
                if place % _SAVE_EVERY == 0:
                    _save(file)
                progress(place, len(batch.ids))
        manifest = {"asked": claim, "lines": len(batch.ids), "peak_memory_mib": peak_memory_mib()}
        write_json(out.with_name(f"{out.name}.manifest.json"), {**manifest, "versions": versions()})
        with clear_write_errors(out):
            lines.replace(out)
    shutil.rmtree(work, ignore_errors=True)
    return Completed(len(batch.ids), known, nothing)


def _line(stylist: Stylist, batch: Batch, item_id: str) -> dict[str, Any]:
    """What completes an item, or why nothing does; a pinned item that can't be worn with this one is such a reason."""
    items = check_catalogue(stylist.catalogue).items_of([item_id])
    try:
        found = stylist.complete(
            items, k=batch.k, rules=batch.rules, language_model=batch.language_model, reasons=batch.reasons
        )
    except RecommendationError as error:
        return {"id": item_id, "judge": judge(batch.language_model), "suggestions": [], "nothing": str(error)}
    return line_of(item_id, found)


def _check_rules(stylist: Stylist, rules: Rules) -> None:
    """Refuse what no item could follow, before the first is asked."""
    check_colours(rules, stylist.vocabulary)
    check_catalogue(stylist.catalogue).items_of(rules.pinned)


def line_of(item_id: str, found: Completion) -> dict[str, Any]:
    """One line of the file."""
    suggestions = []
    for one in found.suggestions:
        row: dict[str, Any] = {"id": one.item.id, "category": one.item.category, "score": round(one.score, 4)}
        if one.is_pinned:
            row["is_pinned"] = True
        if one.reason is not None:
            row["reason"] = one.reason.text
        suggestions.append(row)
    return {"id": item_id, "judge": found.judge, "suggestions": suggestions, "nothing": found.nothing}


def _check_claim(work: Path, claim: dict[str, Any]) -> None:
    path = work / _CLAIM
    if not path.exists():
        write_json(path, claim)
        return
    begun, asked = read_json(path), json.loads(json.dumps(claim))
    changed = [name for name in asked if begun.get(name) != asked[name]]
    if changed:
        raise ArtifactError(
            f"{work} holds a part of another batch: {', '.join(changed)} changed since; delete it, or choose another "
            "--out"
        )


def _known(lines: Path, ids: Sequence[str]) -> tuple[int, int]:
    """How many whole lines there are, and how many of them have no suggestion; half a line at the end is cut off."""
    if not lines.exists():
        return 0, 0
    known, nothing, whole = 0, 0, 0
    with clear_write_errors(lines), lines.open("rb+") as file:
        for line in file:
            try:
                told = json.loads(line) if line.endswith(b"\n") else None
            except ValueError:
                told = None
            if told is None or known >= len(ids) or told.get("id") != ids[known]:
                break
            known, nothing, whole = known + 1, nothing + (not told["suggestions"]), whole + len(line)
        file.truncate(whole)
    return known, nothing


@contextmanager
def _appending(lines: Path) -> Iterator[TextIO]:
    with clear_write_errors(lines), lines.open("a", encoding="utf-8") as file:
        yield file
        _save(file)


def _save(file: TextIO) -> None:
    file.flush()
    os.fsync(file.fileno())
