"""How long a test may take before it is said to hang."""

from __future__ import annotations

from pathlib import Path

import pytest

# Whole runs, real models and browsers take minutes on a slow machine that has other work.
LONG_FOLDERS = tuple(Path(__file__).parent / name for name in ("end_to_end", "model", "page"))
LONG_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give the tests that may take long more than pyproject.toml gives the others."""
    for item in items:
        is_long = item.get_closest_marker("slow") or any(folder in item.path.parents for folder in LONG_FOLDERS)
        if is_long and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONG_SECONDS))
