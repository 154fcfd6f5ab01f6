"""Finished runs read back from their folders, for tables and comparisons."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import MANIFEST, is_finished, read_json
from coordi.errors import ArtifactError
from coordi.evaluate.report import FORMAT, REPORT_JSON
from coordi.evaluate.score_files import SCORES_PARQUET

_CLAIM = "run.json"
_NEEDED = ("data", "model", "settings", "tasks", "questions", "command", "versions")


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """What a run left behind.

    Attributes:
        place: The folder, as it was given.
        report: Its ``report.json``.
        manifest: Its ``manifest.json``; empty where only a report was kept.
        scores: Its ``scores.parquet``; None where only a report was kept.
    """

    place: Path
    report: Mapping[str, Any]
    manifest: Mapping[str, Any]
    scores: Path | None

    @property
    def name(self) -> str:
        """The folder's name."""
        return (self.place.parent if self.place.is_file() else self.place).resolve().name

    @property
    def under_test(self) -> str:
        """The scorer that the model under test is."""
        return str(self.report["model"]["name"])

    @property
    def seed(self) -> int | None:
        """Of its questions and intervals."""
        seed = self.report["settings"].get("seed")
        return None if seed is None else int(seed)


def read_run(place: Path) -> RecordedRun:
    """Read a run from its folder, or from a ``report.json`` that was kept.

    Raises:
        ArtifactError: If there is no such place, it isn't a run's, the run isn't finished, or another version of
            coordi made the report.
    """
    path = place if place.is_file() else place / REPORT_JSON
    folder = path.parent
    if not path.is_file():
        raise ArtifactError(_no_report(place))
    if (folder / _CLAIM).is_file() and not is_finished(folder):
        raise ArtifactError(
            f"the run in {folder} isn't finished: it has no {MANIFEST}; run its command again to end it"
        )
    report = read_json(path)
    if not isinstance(report, dict) or "tasks" not in report:
        raise ArtifactError(f"{path} isn't a report of coordi; give the folder of a run, or its {REPORT_JSON}")
    found = report.get("format", 1)
    missing = [key for key in _NEEDED if key not in report]
    if found != FORMAT or missing:
        made_by = report.get("versions", {}).get("coordi", "an unknown version")
        what = f"is of format {found}" if found != FORMAT else f"has no '{missing[0]}'"
        raise ArtifactError(
            f"{path} {what}, made by coordi {made_by}; this one reads format {FORMAT}: measure the model again with "
            "coordi evaluate"
        )
    scores = folder / SCORES_PARQUET
    manifest = read_json(folder / MANIFEST) if is_finished(folder) else {}
    return RecordedRun(place, report, manifest, scores if scores.is_file() else None)


def _no_report(place: Path) -> str:
    if not place.exists():
        return f"no run at '{place}': no such folder; give the folder that coordi run or coordi evaluate wrote"
    if (place / _CLAIM).is_file():
        return f"the run in {place} isn't finished: it has no {REPORT_JSON} yet; run its command again to end it"
    return f"'{place}' isn't a run's folder: it has no {REPORT_JSON}; give the folder of coordi run or coordi evaluate"
