"""How long work tells what it has done, so that layers needn't know who shows it."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called from time to time with the work done and the whole; ``done == total`` ends it."""

    def __call__(self, done: int, total: int) -> None:
        """Take note that ``done`` of ``total`` units are finished."""
        ...


def silent(done: int, total: int) -> None:
    """A progress that shows nothing."""
