"""Completions for a whole catalogue as JSON lines, resumable."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import Progress, clear_write_errors, lock_folder, peak_memory_mib, read_json, versions, write_json
from coordi.errors import ArtifactError, RecommendationError
from coordi.recommend.answers import judge
from coordi.recommend.rules import Rules, check_colours
from coordi.recommend.stylist import Stylist, check_catalogue

_CLAIM, _LINES = "asked.json", "lines.jsonl"


@dataclass(frozen=True, slots=True)
class Batch:
    """Ids of the items to complete, in the order of the lines, and options as for ``Stylist.complete``."""

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
    """Number of lines in the file, of those that an interrupted run had written, and of items without suggestions."""

    lines: int
    resumed: int
    nothing: int


def complete_catalogue(batch: Batch, stylist: Stylist, model: str, out: Path, progress: Progress) -> Completed:
    """Write a line for each item: ``{"id", "suggestions": [{"id", "category", "score", ...}], "nothing", ...}``.

    Lines are written into ``<out>.work``; once all are there they become ``out``, with ``<out>.manifest.json`` beside
    it. The same command resumes. An ``ArtifactError`` if ``out`` exists or can't be written, or its folder belongs to
    another batch or process; a ``RecommendationError`` if the catalogue is empty or a rule can't be followed.
    """
    if out.exists():
        raise ArtifactError(f"{out} is there already, so nothing was computed; delete it or choose another --out")
    # Rules that fail for every item are refused before the first one.
    check_colours(batch.rules, stylist.vocabulary)
    check_catalogue(stylist.catalogue).items_of(batch.rules.pinned)
    work = out.with_name(f"{out.name}.work")
    with lock_folder(work):
        claim = batch.claim(stylist, model)
        _check_claim(work, claim)
        lines = work / _LINES
        resumed, nothing = _resume(lines, batch.ids)
        progress(resumed, len(batch.ids))
        with clear_write_errors(lines), lines.open("a", encoding="utf-8") as file:
            for number, item_id in enumerate(batch.ids[resumed:], resumed + 1):
                line = _line(stylist, batch, item_id)
                nothing += not line["suggestions"]
                file.write(json.dumps(line, ensure_ascii=False, allow_nan=False) + "\n")
                file.flush()
                os.fsync(file.fileno())
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
    line = {"id": item_id, "judge": judge(batch.language_model)}
    try:
        answer = stylist.complete(
            items, k=batch.k, rules=batch.rules, language_model=batch.language_model, reasons=batch.reasons
        )
    except RecommendationError as error:
        return {**line, "suggestions": [], "nothing": str(error)}
    suggestions = []
    for row in answer.suggestions:
        values = {"id": row.item.id, "category": row.item.category, "score": round(row.score, 4)}
        pinned = {"is_pinned": True} if row.is_pinned else {}
        reason = {} if row.reason is None else {"reason": row.reason.text}
        suggestions.append({**values, **pinned, **reason})
    return {**line, "suggestions": suggestions, "nothing": answer.nothing}


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
