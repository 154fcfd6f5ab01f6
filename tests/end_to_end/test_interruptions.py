"""Interrupting ``coordi run`` in each stage and running it again ends with the report of an undisturbed run."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from ..sample import write_small_sample

# What the command says when a stage begins, and the signal that ends it there.
STAGES = (
    ("reading and cleaning the data", signal.SIGINT),
    ("describing photos", signal.SIGKILL),
    ("fine-tuning the language model", signal.SIGINT),
    ("measuring fine-tuned", signal.SIGKILL),
    ("writing the report", signal.SIGINT),
)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    return write_small_sample(folder, {"train": 24, "valid": 8, "test": 12})


def command(data: Path, out: Path, base: Path) -> list[str]:
    return [
        sys.executable, "-m", "coordi.cli.main", "run", "--data", str(data), "--out", str(out), "--preset", "demo",
        f"model.base={base}", "finetune.start=null", "finetune.first_layer=0", "finetune.last_layer=2",
        "finetune.epochs=1", "finetune.batch_size=8", "finetune.micro_batch_size=8", "finetune.evaluations=2",
        "evaluate.bootstrap=100", "evaluate.examples=2",
    ]  # fmt: skip


def finish(arguments: Sequence[str]) -> str:
    done = subprocess.run(arguments, capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 0, done.stderr
    return done.stderr


def interrupt(arguments: Sequence[str], begins: str, with_signal: signal.Signals) -> tuple[int, str]:
    """Run until the command says that a stage begins, then send a signal."""
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True,
                               env=environment())  # fmt: skip
    assert process.stderr is not None
    lines = ""
    for line in process.stderr:
        lines += line
        if line.startswith(begins):
            process.send_signal(with_signal)
            break
    lines += process.stderr.read()
    process.stderr.close()
    return process.wait(), lines


def environment() -> dict[str, str]:
    return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}


def test_a_run_interrupted_in_every_stage_ends_with_the_same_report(
    sample: Path, tiny_folder: Path, tmp_path: Path
) -> None:
    undisturbed, disturbed = tmp_path / "undisturbed" / "out", tmp_path / "disturbed" / "out"
    finish(command(sample, undisturbed, tiny_folder))
    for begins, with_signal in STAGES:
        for _ in range(5):
            code, lines = interrupt(command(sample, disturbed, tiny_folder), begins, with_signal)
            if not (disturbed / "manifest.json").exists():
                break
            # On a busy machine the last stage may be over before the signal comes: as if it hadn't been done.
            for name in ("manifest.json", "report.json", "report.html"):
                (disturbed / name).unlink()
        assert begins in lines, lines
        assert not (disturbed / "manifest.json").exists()
        if with_signal == signal.SIGINT:
            assert code == 130, lines
            assert lines.splitlines()[-1].startswith("coordi: interrupted; finished stages are kept")
        else:
            assert code == -signal.SIGKILL
    lines = finish(command(sample, disturbed, tiny_folder))
    assert lines.count("finished before") == 3, lines  # scores are read again, not asked
    for name in ("report.json", "report.html"):
        first = (undisturbed / name).read_text(encoding="utf-8").replace(str(undisturbed), "OUT")
        second = (disturbed / name).read_text(encoding="utf-8").replace(str(disturbed), "OUT")
        assert first == second
    tasks = json.loads((disturbed / "report.json").read_text(encoding="utf-8"))["tasks"]
    assert set(tasks["compatibility"]) == {"random", "same-category"}
    assert "finished before" in finish(command(sample, disturbed, tiny_folder))


def test_other_settings_in_the_same_folder_are_one_clear_line(sample: Path, tiny_folder: Path, tmp_path: Path) -> None:
    arguments = command(sample, tmp_path / "out", tiny_folder)
    interrupt(arguments, "describing photos", signal.SIGINT)
    done = subprocess.run([*arguments, "seed=99"], capture_output=True, text=True, check=False, env=environment())
    assert done.returncode == 1
    assert done.stderr.startswith("coordi: ")
    assert "settings.seed was 17, now 99" in done.stderr
    assert done.stdout == ""
