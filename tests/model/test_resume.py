"""Killed, interrupted or out of space, a fine-tuning goes on and ends as if nothing had happened."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from coordi.artifacts import MANIFEST, read_json
from coordi.config import RunSettings
from coordi.errors import TrainingError
from coordi.model.scoring import HEAD
from coordi.model.training import CHECKPOINTS, CURVE, Validation, finetune

from .conftest import epoch
from .test_finetune import StoppedError, changed, weights

ROOT = Path(__file__).parents[2]
HEADS: dict[str, dict[str, Any]] = {
    # Of rank 128, so that matrices are large enough to be kept in 8 bits by the optimizer of that name.
    "answer": {"optimizer": "adamw_8bit", "lora_rank": 128, "lora_dropout": 0.1, "checkpoint_minutes": 0.0},
    "pooled": {
        "head": "pooled", "last_layer": 2, "epochs": 6.0, "optimizer": "adamw", "lora_dropout": 0.1,
        "checkpoint_minutes": 0.0,
    },
}  # fmt: skip


class Trainings:
    """A process that forks one for every training; see ``training_process``."""

    def __init__(self, small: Path, tiny_settings: dict[str, Any]) -> None:
        arguments = [sys.executable, "-m", "tests.model.training_process"]
        mount = ["unshare", "--mount", "--map-root-user", "sh", "-c",
                 'mount -t tmpfs -o size=4m none "$0" && exec "$@"', str(small)]  # fmt: skip
        self.small = (
            small if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode == 0 else None
        )
        self.process = subprocess.Popen(
            [*mount, *arguments] if self.small else arguments,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"},
        )  # fmt: skip
        self._settings = tiny_settings
        assert self._hear() == "ready"

    def train(self, out: Path, head: str, changes: dict[str, Any] | None = None, **accident: Any) -> dict[str, Any]:
        settings = {**self._settings, "finetune": {**self._settings["finetune"], **HEADS[head], **(changes or {})}}
        assert self.process.stdin is not None
        request = {"out": str(out), "head": head, "settings": settings, **accident}
        self.process.stdin.write(json.dumps(request, default=str) + "\n")
        self.process.stdin.flush()
        answer = self._hear()
        assert isinstance(answer, dict)
        return answer

    def _hear(self) -> Any:
        assert self.process.stdout is not None
        return json.loads(self.process.stdout.readline())

    def end(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


@pytest.fixture(scope="module")
def trainings(tiny_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    settings = {
        "model": {"base": str(tiny_folder), "engine": "peft", "arithmetic": "float32", "quantization": "none"},
        "prompt": {"max_length": 128},
        "finetune": {"epochs": 3.0, "batch_size": 8, "micro_batch_size": 4, "learning_rate": 0.01, "lora_rank": 4,
                     "lora_alpha": 8, "evaluations": 3},
    }  # fmt: skip
    trainings = Trainings(tmp_path_factory.mktemp("small"), settings)
    yield trainings
    trainings.end()


def assert_same_curve(result: dict[str, Any], expected: dict[str, Any]) -> None:
    assert [point["step"] for point in result["curve"]] == [point["step"] for point in expected["curve"]]
    for point, other in zip(result["curve"], expected["curve"], strict=True):
        np.testing.assert_allclose(list(point.values()), list(other.values()), rtol=0, atol=1e-6)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.slow
def test_killed_in_steps_and_in_saves_it_ends_like_an_undisturbed_one(
    trainings: Trainings, tmp_path: Path, head: str
) -> None:
    undisturbed, out = trainings.train(tmp_path / "whole", head), tmp_path / "parts"
    assert [point["step"] for point in undisturbed["curve"]] == [6, 12, 18]
    # After which step it is killed at what, and the newest whole checkpoint that this leaves.
    kills: tuple[tuple[int, int | str, int], ...] = (
        (3, "step", 3), (4, 1, 3), (4, 9, 3), (5, "rename", 4), (6, "renamed", 6), (7, "adapter", 12),
        (18, "rename", 17), (18, "adapter", 18),
    )  # fmt: skip
    before = 0
    for step, at, left in kills:
        assert trainings.train(out, head, step=step, at=at) == {"code": -signal.SIGKILL}
        present = sorted(path.name for path in (out / CHECKPOINTS).iterdir())
        assert [name for name in present if not name.startswith(".")][-1] == f"step-{left:06}"
        is_cut = at in (9, "rename")
        assert (f".step-{step:06}.new" in present) == is_cut, present
        assert len(present) == (3 if is_cut or at == "renamed" else 2), present
        before = left
    again = trainings.train(out, head)
    assert again["said"] == [f"fine-tuning is resumed after step {before}"]
    assert again["code"] == 0
    assert_same_curve(again, undisturbed)
    for file in ("adapter_model.safetensors", *([HEAD] if head == "pooled" else [])):
        first, second = (load_file(folder / "adapter" / file) for folder in (tmp_path / "whole", out))
        for name, values in first.items():
            np.testing.assert_allclose(second[name], values, rtol=0, atol=1e-6)
    assert again["files"] == undisturbed["files"]
    assert not any(name.startswith(("checkpoints", ".")) for name in again["files"])


@pytest.mark.slow
def test_ctrl_c_keeps_the_step_and_says_how_to_go_on(trainings: Trainings, tmp_path: Path) -> None:
    seldom = {"checkpoint_minutes": 60.0}
    stopped = trainings.train(tmp_path, "answer", seldom, step=5, at="interrupt")
    assert stopped["interrupted"]
    assert stopped["said"][0].startswith("stopping after this step")
    assert stopped["said"][1] == "step 5 of 18 is saved: the same command resumes after it"
    again = trainings.train(tmp_path, "answer", seldom)
    assert again["said"] == ["fine-tuning is resumed after step 5"]
    assert [point["step"] for point in again["curve"]] == [6, 12, 18]


@pytest.mark.parametrize(("step", "at", "left"), [(8, "", 7), (12, "adapter", 12)])
@pytest.mark.slow
def test_a_full_disk_is_one_clear_line_and_the_last_checkpoint_stays(
    trainings: Trainings, tmp_path: Path, step: int, at: str, left: int
) -> None:
    if trainings.small is None:
        pytest.skip("this system lets an ordinary user mount no small disk")
    undisturbed, out = trainings.train(tmp_path / "whole", "pooled"), trainings.small / f"out-{step}"
    full = trainings.train(out, "pooled", step=step, at=at, disk=trainings.small)
    assert "no space left on the disk while writing" in full["error"]
    assert "free some space and run the same command again" in full["error"]
    assert str(out) in full["error"]
    assert f"checkpoints/step-{left:06}/{MANIFEST}" in full["files"]
    assert not any(Path(name).name.startswith(".") for name in full["files"]), full["files"]
    assert f"adapter/{HEAD}" in full["files"]
    assert "no space left on the disk" in trainings.train(out, "pooled")["error"]  # as nothing was freed
    again = trainings.train(out, "pooled", free=trainings.small)
    assert again["said"] == [f"fine-tuning is resumed after step {left}"]
    assert_same_curve(again, undisturbed)


@pytest.mark.slow
def test_ctrl_c_in_the_look_that_it_goes_on_with_ends_it_at_once(
    tmp_path: Path, tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The checkpoint of the last step is there: no step comes after it at which the word could be heard."""
    short = changed(tiny_settings, max_steps=2, evaluations=1)
    logits = Validation.logits

    def stop(validation: Validation, *arguments: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return logits(validation, *arguments)

    monkeypatch.setattr(Validation, "logits", stop)
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            finetune(epoch, epoch(99), short, tmp_path)
    monkeypatch.undo()
    lines: list[str] = []
    assert finetune(epoch, epoch(99), short, tmp_path, say=lines.append).steps == 2
    assert lines == ["fine-tuning is resumed after step 2"]


def ruin(checkpoint: Path, how: str) -> None:
    if how == "no manifest":
        (checkpoint / MANIFEST).unlink()
    elif how == "cut":
        os.truncate(checkpoint / "tensors.safetensors", 1000)
    elif how == "bit":
        with (checkpoint / "tensors.safetensors").open("r+b") as file:
            file.seek(-5, os.SEEK_END)
            last = file.read(1)
            file.seek(-1, os.SEEK_CUR)
            file.write(bytes([last[0] ^ 1]))
    else:
        (checkpoint / "state.json").unlink()


@pytest.mark.parametrize("how", ["no manifest", "cut", "bit", "no state"])
@pytest.mark.slow
def test_a_damaged_newest_checkpoint_is_said_and_the_one_before_it_used(
    tmp_path: Path, tiny_settings: RunSettings, how: str
) -> None:
    often = changed(tiny_settings, checkpoint_minutes=0, epochs=1.0, evaluations=2)

    def stop(done: int, total: int) -> None:
        if done == 5:
            raise StoppedError

    with pytest.raises(StoppedError):
        finetune(epoch, epoch(99), often, tmp_path, stop)
    newest = tmp_path / CHECKPOINTS / "step-000004"
    ruin(newest, how)
    lines: list[str] = []
    steps: list[int] = []
    again = finetune(epoch, epoch(99), often, tmp_path, lambda done, total: steps.append(done), lines.append)
    assert lines[0].startswith(f"the checkpoint {newest} is damaged and is not used: ")
    assert lines[1] == "fine-tuning is resumed after step 3"
    assert steps == [3, 4, 5, 6, 6]
    assert [point.step for point in again.curve] == [3, 6]


def poison_gradients() -> Any:
    from torch.nn.modules.module import register_module_forward_hook

    def poison(module: Any, given: Any, out: Any) -> None:
        if module.training and getattr(out, "requires_grad", False):
            out.register_hook(lambda gradient: gradient * math.nan)

    return register_module_forward_hook(poison)


def poison_weights() -> Any:
    from torch.optim.optimizer import register_optimizer_step_post_hook

    def poison(optimizer: Any, given: Any, named: Any) -> None:
        optimizer.param_groups[0]["params"][0].data[0, 0] = math.inf

    return register_optimizer_step_post_hook(poison)


@pytest.mark.parametrize(("what", "poison"), [("gradients", poison_gradients), ("weights", poison_weights)])
@pytest.mark.slow
def test_numbers_that_run_away_after_a_finite_loss_are_not_kept(
    tmp_path: Path, tiny_settings: RunSettings, what: str, poison: Callable[[], Any]
) -> None:
    hooks: list[Any] = []

    def progress(done: int, total: int) -> None:
        if done == 3:
            hooks.append(poison())

    often = changed(tiny_settings, checkpoint_minutes=0, evaluations=6)
    try:
        with pytest.raises(
            TrainingError,
            match=rf"{what} stopped being finite numbers in step 4; the best adapter and the last checkpoint so far "
            r"are kept, .*another --out, and set a lower finetune\.learning_rate",
        ):
            finetune(epoch, epoch(99), often, tmp_path, progress)
    finally:
        for hook in hooks:
            hook.remove()
    assert sorted(path.name for path in (tmp_path / CHECKPOINTS).iterdir()) == ["step-000002", "step-000003"]
    assert [point["step"] for point in read_json(tmp_path / CURVE)] == [3]
    assert all(np.isfinite(values).all() for values in weights(tmp_path / "adapter").values())
