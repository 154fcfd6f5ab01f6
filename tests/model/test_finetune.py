from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import TrainingError
from coordi.model.training import CURVE, CurvePoint, best_point, draw_questions, finetune, validation_steps
from coordi.prompts import compatibility_instruction

from .conftest import epoch


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def changed(settings: RunSettings, **values: object) -> RunSettings:
    return settings.model_copy(update={"finetune": settings.finetune.model_copy(update=values)})


def weights(adapter: Path) -> dict[str, np.ndarray]:
    return dict(load_file(adapter / "adapter_model.safetensors"))


@pytest.mark.slow
def test_learns_watches_and_keeps_the_best(tmp_path: Path, tiny_settings: RunSettings) -> None:
    calls: list[tuple[int, int]] = []
    result = finetune(
        epoch, epoch(99), changed(tiny_settings, epochs=6.0), tmp_path, lambda done, total: calls.append((done, total))
    )
    assert result.curve[-1].train_loss < result.curve[0].train_loss
    assert best_point(result.curve).valid_auc > 0.9
    assert [point.step for point in result.curve] == [12, 24, 36]
    assert [point.examples for point in result.curve] == [96, 192, 288]
    assert calls[-1] == (36, 36)
    assert (result.adapter / "adapter_config.json").is_file()
    assert read_json(result.adapter / "coordi.json")["base"] == tiny_settings.model.base
    assert [point["step"] for point in read_json(tmp_path / CURVE)] == [12, 24, 36]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["adapter", CURVE, "started.json"]


@pytest.mark.slow
def test_an_interrupted_training_ends_like_an_undisturbed_one(tmp_path: Path, tiny_settings: RunSettings) -> None:
    full = finetune(epoch, epoch(99), changed(tiny_settings, lora_dropout=0.1), tmp_path / "whole")

    def stop(done: int, total: int) -> None:
        if done == 8:
            raise StoppedError

    stopped = changed(tiny_settings, lora_dropout=0.1)
    with pytest.raises(StoppedError):
        finetune(epoch, epoch(99), stopped, tmp_path / "parts", stop)
    steps: list[int] = []
    parts = finetune(epoch, epoch(99), stopped, tmp_path / "parts", lambda done, total: steps.append(done))
    assert steps[:2] == [6, 7]  # it goes on from the look before
    assert parts.curve == full.curve
    for name, values in weights(full.adapter).items():
        np.testing.assert_array_equal(weights(parts.adapter)[name], values)


@pytest.mark.slow
def test_other_examples_start_anew_and_finished_work_is_not_done_again(
    tmp_path: Path, tiny_settings: RunSettings
) -> None:
    short = changed(tiny_settings, epochs=1.0, evaluations=1)
    first = finetune(epoch, epoch(99), short, tmp_path)
    steps: list[int] = []
    again = finetune(epoch, epoch(99), short, tmp_path, lambda done, total: steps.append(done))
    assert steps == [6]
    assert again.curve == first.curve
    other = finetune(lambda number: epoch(number + 50), epoch(99), short, tmp_path)
    assert other.curve != first.curve


@pytest.mark.slow
def test_a_loss_that_is_no_number_keeps_the_last_good_adapter(tmp_path: Path, tiny_settings: RunSettings) -> None:
    wild = changed(tiny_settings, learning_rate=1e30, epochs=2.0, evaluations=12, warmup_ratio=0.0, schedule="constant")
    with pytest.raises(TrainingError, match=r"loss is (nan|inf) at step \d+.*lower finetune\.learning_rate"):
        finetune(epoch, epoch(99), wild, tmp_path)
    if (tmp_path / CURVE).is_file():
        assert all(math.isfinite(value) for values in weights(tmp_path / "adapter").values() for value in values.flat)


def test_a_validation_split_of_one_answer_is_refused(tmp_path: Path, tiny_settings: RunSettings) -> None:
    with pytest.raises(TrainingError, match="got 1 and 0 of 1"):
        finetune(epoch, [compatibility_instruction(["a", "b"], True)], tiny_settings, tmp_path)


def test_looks_are_spread_evenly_with_the_last_step_among_them() -> None:
    assert validation_steps(10, 4) == {2, 5, 8, 10}
    assert validation_steps(2, 5) == {1, 2}


def test_the_best_is_the_highest_auc_then_the_lowest_loss_then_the_earliest() -> None:
    points = [CurvePoint(1, 1, 1.0, 0.6, 0.7), CurvePoint(2, 2, 1.0, 0.5, 0.7), CurvePoint(3, 3, 1.0, 0.5, 0.7)]
    assert best_point(points).step == 2
    assert best_point([*points, CurvePoint(4, 4, 1.0, 0.9, 0.8)]).step == 4


def test_draw_questions_hold_as_many_of_both_answers() -> None:
    questions = [compatibility_instruction([f"a{i}", "b"], i < 30) for i in range(40)]
    drawn = draw_questions(questions, 12, 3)
    assert [entry.answer for entry in drawn].count("yes") == 6
    assert len(drawn) == 12
    assert drawn == draw_questions(questions, 12, 3)
    assert drawn != draw_questions(questions, 12, 4)
    few = draw_questions(questions, 30, 3)
    assert [entry.answer for entry in few].count("no") == 10
    assert len(few) == 30
    assert draw_questions(questions, None, 3) == questions
