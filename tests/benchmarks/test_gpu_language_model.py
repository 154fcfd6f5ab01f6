"""The GPU benchmark's code, on a toy model; its figures are of no use."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")
SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu_language_model.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *arguments], capture_output=True, text=True)


def test_every_part_runs_on_a_toy_model() -> None:
    done = run("--tiny", "--times", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    *lines, last = done.stdout.splitlines()
    results = json.loads(last)
    assert results["shape"] == "tiny"
    figures = {
        "score-peft": "pairs_per_second", "train-peft-prompts": "tokens_per_second",
        "train-peft-2048": "tokens_per_second", "photos": "photos_per_second",
    }  # fmt: skip
    if importlib.util.find_spec("trl"):
        figures |= {"train-sfttrainer-prompts": "tokens_per_second", "train-sfttrainer-2048": "tokens_per_second"}
    for part, figure in figures.items():
        assert results[part][figure] > 0
        assert results[part]["peak_gib"] > 0
    assert len(lines) == len(results) - 2


def test_a_part_that_takes_too_long_is_named_and_the_others_run() -> None:
    done = run("--tiny", "--times", "2", "--only", "score", "--limit", "0.1")
    assert done.returncode == 1
    line, last = done.stdout.splitlines()
    assert line == "score-peft               failed: longer than 0.1 seconds"
    assert json.loads(last)["score-peft"] == {"failed": "longer than 0.1 seconds"}


def test_a_part_that_fails_says_why() -> None:
    done = run("--tiny", "--times", "0", "--only", "train-peft")  # no step to divide by
    assert done.returncode == 1
    assert "failed: " in done.stdout.splitlines()[0]
    assert set(json.loads(done.stdout.splitlines()[-1])) == {"shape", "device", "train-peft-prompts", "train-peft-2048"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="says what happens without a GPU")
def test_the_true_shape_is_not_begun_without_a_gpu() -> None:
    done = run()
    assert done.returncode == 2
    assert "PyTorch sees no NVIDIA GPU; give --tiny" in done.stderr
