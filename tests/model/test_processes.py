"""Two processes under ``torchrun`` train what one process trains, and only the first one writes."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordi.config import RunSettings
from coordi.errors import MissingDependencyError
from coordi.model.training import LOGS, finetune, new_accelerator

from . import test_pooled
from .conftest import epoch

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def settings(tiny_settings: RunSettings) -> RunSettings:
    values = tiny_settings.model_dump(mode="json")
    values["model"]["quantization"] = "none"
    values["finetune"] |= {"max_steps": 6, "evaluations": 2, "optimizer": "adamw", "micro_batch_size": 2}
    return RunSettings.model_validate(values)


@pytest.mark.slow
def test_two_processes_train_like_one_and_the_first_one_writes(settings: RunSettings, tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    script = ["-m", "tests.model.train_in_processes", str(tmp_path / "two"), settings.model_dump_json(), str(tmp_path)]
    done = subprocess.run([*torchrun, *script], cwd=ROOT, capture_output=True, text=True, check=False,
                          env={**os.environ, "HF_HUB_OFFLINE": "1"})  # fmt: skip
    assert done.returncode == 0, done.stderr
    first, second = (json.loads((tmp_path / f"{rank}.json").read_text(encoding="utf-8")) for rank in (0, 1))
    assert first["written"]
    assert second["written"] == []
    assert first["interrupted"] == second["interrupted"] == ["step-000003"]
    for head, draw in (("answer", epoch), ("pooled", test_pooled.epoch)):
        changed = settings.model_copy(update={"finetune": settings.finetune.model_copy(update={"head": head})})
        alone = finetune(draw, draw(99), changed, tmp_path / "one" / head)
        assert first[head] == second[head]
        for point, expected in zip(first[head], alone.curve, strict=True):
            np.testing.assert_allclose(list(point.values()), list(asdict(expected).values()), atol=2e-3)


@pytest.mark.slow
def test_losses_are_logged_where_the_settings_say(settings: RunSettings, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tracked = settings.model_copy(update={"finetune": settings.finetune.model_copy(update={"track": "tensorboard"})})
    result = finetune(epoch, epoch(99), tracked, tmp_path)
    events: Any = EventAccumulator(str(next((tmp_path / LOGS).rglob("events.*")).parent))
    events.Reload()
    losses = [event.value for event in events.Scalars("loss")]
    assert [event.step for event in events.Scalars("loss")] == [1, 2, 3, 4, 5, 6]
    assert np.mean(losses[:3]) == pytest.approx(result.curve[0].train_loss, rel=1e-4)
    assert [event.value for event in events.Scalars("valid_auc")] == pytest.approx(
        [point.valid_auc for point in result.curve]
    )
    assert {"learning_rate", "gradient_norm"} <= set(events.Tags()["scalars"])


@pytest.mark.slow
def test_every_so_many_steps_a_mean_loss_is_logged(settings: RunSettings, tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    logged = {}
    for steps in (1, 2):
        changes = {"track": "tensorboard", "track_steps": steps}
        tracked = settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})
        finetune(epoch, epoch(99), tracked, tmp_path / str(steps))
        events: Any = EventAccumulator(str(next((tmp_path / str(steps) / LOGS).rglob("events.*")).parent))
        events.Reload()
        logged[steps] = {event.step: event.value for event in events.Scalars("loss")}
    assert list(logged[2]) == [2, 4, 6]
    assert logged[2][4] == pytest.approx((logged[1][3] + logged[1][4]) / 2, rel=1e-4)


@pytest.mark.skipif(importlib.util.find_spec("wandb") is not None, reason="says what happens without wandb")
def test_a_tracker_that_is_not_installed_is_named(settings: RunSettings, tmp_path: Path) -> None:
    tracked = settings.finetune.model_copy(update={"track": "wandb"})
    with pytest.raises(
        MissingDependencyError, match=r"track is 'wandb', which isn't installed; run: pip install wandb"
    ):
        new_accelerator(tracked, tmp_path)


@pytest.mark.slow
def test_wandb_logs_offline_beside_the_adapter(
    settings: RunSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb", reason="needs wandb")
    for name in ("WANDB_MODE", "WANDB_DIR"):
        monkeypatch.delenv(name, raising=False)
    changes = {"track": "wandb", "max_steps": 1, "evaluations": 1}
    tracked = settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})
    finetune(epoch, epoch(99), tracked, tmp_path)
    assert list((tmp_path / "wandb").glob("offline-run-*"))
