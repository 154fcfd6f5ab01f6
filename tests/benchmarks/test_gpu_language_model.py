"""The GPU benchmark's code, on a toy model; its figures are of no use."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_language_model.py"


def test_every_part_runs_on_a_toy_model() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--tiny", "--times", "2"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *lines, last = done.stdout.splitlines()
    found = json.loads(last)
    assert found["shape"] == "tiny"
    for part, figure in (
        ("train-peft-prompts", "tokens_per_second"),
        ("train-peft-2048", "tokens_per_second"),
        ("score-peft", "pairs_per_second"),
    ):
        assert found[part][figure] > 0
        assert found[part]["peak_gib"] > 0
    assert len(lines) == 3


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_the_true_shape_is_not_begun_without_a_gpu() -> None:
    done = subprocess.run([sys.executable, SCRIPT], capture_output=True, text=True)
    assert done.returncode == 2
    assert "PyTorch sees no NVIDIA GPU; give --tiny" in done.stderr
