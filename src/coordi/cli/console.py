"""Output of commands: JSON and results on standard output, progress and notes on standard error."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from coordi.artifacts import Progress as ProgressCallback

errors = Console(stderr=True, highlight=False)
_PLAIN_EVERY_SECONDS = 15.0


# Control characters, among them those that begin a terminal's commands, and those that reverse text.
_UNSEEN = [*range(9), *range(11, 32), *range(127, 160), *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
_VISIBLE = {code: f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" for code in _UNSEEN}


def visible(text: str) -> str:
    """Text with its control characters written out: a catalogue's may come from anyone."""
    return text.translate(_VISIBLE)


def echo(text: str, *, nl: bool = True) -> None:
    """Print text on standard output, with a new line after it unless ``nl`` is False."""
    typer.echo(visible(text), nl=nl)


def note(text: str) -> None:
    """Print one line on standard error."""
    errors.print(visible(text), markup=False, soft_wrap=True)


def echo_json(value: Any) -> None:
    """Print JSON on standard output."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    text = text.translate({code: f"\\u{code:04x}" for code in _UNSEEN})
    typer.echo(text.encode("utf-8", "backslashreplace"))  # a path may hold bytes that aren't UTF-8


@contextmanager
def progress_bar(label: str) -> Iterator[ProgressCallback]:
    """Yield a callback that shows progress on standard error: a bar on a terminal, else a line every 15 seconds."""
    if not errors.is_terminal:
        yield _PlainProgress(label)
        return
    columns = (
        TextColumn("{task.description:<28}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        _RateColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=errors, transient=False) as bars:
        task = bars.add_task(label, total=None)
        yield lambda done, total: bars.update(task, completed=done, total=total)


class _RateColumn(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.1f}/s")


class _PlainProgress:
    def __init__(self, label: str) -> None:
        self._label = label
        self._started = self._last_time = time.monotonic()
        self._last_done = 0
        self._ended = False

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        ends = done >= total and not self._ended
        if not total or (not ends and now - self._last_time < _PLAIN_EVERY_SECONDS):
            return
        # The rate since the last line, because resumed work is counted at once; the overall rate at the end.
        since, before = (self._started, 0) if done >= total else (self._last_time, self._last_done)
        self._last_time, self._last_done, self._ended = now, done, done >= total
        rate = (done - before) / max(now - since, 1e-9)
        left = f", about {round((total - done) / rate)} s left" if rate and done < total else ""
        note(f"  {self._label}: {done}/{total}, {rate:,.1f}/s{left}")
