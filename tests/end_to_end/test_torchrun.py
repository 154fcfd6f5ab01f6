"""``coordi finetune`` under ``torchrun`` with two processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from coordi.artifacts import is_finished, read_json

SETTINGS = [
    "data.train_outfits=16", "data.valid_outfits=8", "finetune.max_steps=2", "finetune.evaluations=1",
    "finetune.batch_size=4", "finetune.micro_batch_size=2", "finetune.valid_questions=8", "finetune.ensemble=false",
]  # fmt: skip


def test_two_processes_fine_tune_one_adapter(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    command = ["-m", "coordi", "finetune", "--data", "sample", "--out", "tuned", "--preset", "demo", *SETTINGS]
    done = subprocess.run(
        [*torchrun, *command], cwd=tmp_path, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"}
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"The adapter is at {tmp_path / 'tuned' / 'finetune' / 'adapter'}\n"
    assert is_finished(tmp_path / "tuned" / "finetune")
    assert [point["step"] for point in read_json(tmp_path / "tuned" / "finetune" / "curve.json")][-1] == 2
