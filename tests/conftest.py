"""Which tests are slow, and how long a test may take before it is stopped."""

from __future__ import annotations

import os
import sys
from pathlib import Path

# Before torch is imported, and for the processes that tests start: on small models threads cost more than they gain,
# and far more where tests run side by side.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

sys.path.insert(0, str(Path(__file__).parents[1]))  # training/ has the program that drew the sample

# Every test there runs whole commands, a browser, or a measurement.
SLOW_FOLDERS = tuple(Path(__file__).parent / name for name in ("benchmarks", "end_to_end", "page"))
SLOW_SECONDS = 900


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests in slow folders as slow, and give slow tests more time than pyproject.toml gives the others."""
    for item in items:
        if any(folder in item.path.parents for folder in SLOW_FOLDERS):
            item.add_marker(pytest.mark.slow)
        if item.get_closest_marker("slow") and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(SLOW_SECONDS))
