"""The cleaning funnel: every step says how many it left out, and the counts add up."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from coordi.domain import FunnelRow

Unit = Literal["items", "outfits"]
READ = "read"
_EXAMPLES = 5


class Funnel:
    """Collects funnel rows in the order in which steps are taken."""

    def __init__(self) -> None:
        self._left: dict[Unit, int] = {"items": 0, "outfits": 0}
        self._rows: list[FunnelRow] = []

    def read(self, unit: Unit, count: int) -> None:
        """Note that the source holds so many; the row's reason is ``"read"``."""
        self._left[unit] += count
        self._rows.append(FunnelRow(unit, READ, count, self._left[unit], dropped=False))

    def drop(self, unit: Unit, reason: str, count: int) -> None:
        """Note that so many were left out; a count of 0 leaves no row."""
        if count:
            self._left[unit] -= count
            self._rows.append(FunnelRow(unit, reason, count, self._left[unit]))

    def tell(self, unit: Unit, reason: str, count: int) -> None:
        """Note what was repaired, or is lacking, in things that are kept; a count of 0 leaves no row."""
        if count:
            self._rows.append(FunnelRow(unit, reason, count, self._left[unit], dropped=False))

    @property
    def rows(self) -> tuple[FunnelRow, ...]:
        """Everything noted so far."""
        return tuple(self._rows)


def biggest_reasons(rows: Sequence[FunnelRow], unit: Unit, most: int = 2) -> str:
    """The reasons that left out most, as ``"118 items: no photo; 4 items: no title"``; for error messages."""
    dropped = sorted((row for row in rows if row.dropped and row.unit == unit), key=lambda row: -row.count)
    return "; ".join(f"{row.count} {unit}: {row.reason}" for row in dropped[:most]) or f"there were no {unit}"


def with_examples(reason: str, examples: Iterable[str]) -> str:
    """A reason with the first few cases in brackets, so that they can be found and mended."""
    cases = list(examples)
    if not cases:
        return reason
    more = f" and {len(cases) - _EXAMPLES} more" if len(cases) > _EXAMPLES else ""
    return f"{reason} ({', '.join(cases[:_EXAMPLES])}{more})"
