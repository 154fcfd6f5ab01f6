"""An API fuzzer made for OpenAPI, over the real application: nothing it thinks of is a server's error.

``docs/serving.md`` has the command and the figures of the long run.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import Start

HERE = Path(__file__).parent
LEAST = 300


@pytest.mark.slow
def test_nothing_a_fuzzer_thinks_of_breaks_the_api(start: Start, tmp_path: Path) -> None:
    address = f"http://127.0.0.1:{start().port}/api/v1/openapi.json"
    fuzzer = [sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"]
    settings = ["--config-file", str(HERE / "fuzzing.toml"), "run", address]
    what = ["--phases", "examples,fuzzing", "--checks", "all", "--exclude-checks", "positive_data_acceptance"]
    bounds = ["--max-examples", "40", "--seed", "6", "--no-color", "--continue-on-failure"]
    variables = {"SCHEMATHESIS_HOOKS": "fuzzing_hooks", "PYTHONPATH": os.pathsep.join([str(HERE), *sys.path])}
    done = subprocess.run(
        [*fuzzer, *settings, *what, *bounds],
        capture_output=True, text=True, cwd=tmp_path, env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    cases = re.search(r"(\d+) generated, (\d+) passed", done.stdout)
    assert done.returncode == 0, done.stdout[-6000:]
    assert cases is not None, done.stdout[-3000:]
    assert int(cases[1]) == int(cases[2]) >= LEAST
