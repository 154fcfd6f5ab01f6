"""An adapter that goes on from another is neither chosen by nor measured on what the other was taught."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.errors import ModelError
from coordi.model.trained import FINETUNE
from coordi.pipeline import stages
from coordi.pipeline.workspace import Workspace, claim_folder
from coordi.types import Dataset, Split

from ..evaluate.conftest import make_wardrobe
from .test_workspace import quiet

pytest.importorskip("trl", reason="needs the train extra")


def prepared(dataset: Dataset) -> stages.PreparedData:
    return stages.PreparedData(dataset, ("edge", "0"))


def split_otherwise(dataset: Dataset) -> Dataset:
    """As another seed would split the same outfits: some for training before are for validation or testing now."""
    trained = dataset.outfits_of("train")
    now: dict[str, Split] = {one.id: "train" for one in trained}
    now[trained[0].id], now[trained[1].id] = "valid", "test"
    for one in dataset.outfits_of("valid")[:2]:
        now[one.id] = "test"
    return replace(dataset, outfits=tuple(replace(one, split=now.get(one.id, one.split)) for one in dataset.outfits))


def keys(dataset: Dataset, *splits: str) -> set[str]:
    return {stages.outfit_key(one.item_ids, dataset) for one in dataset.outfits if one.split in splits}


@pytest.mark.slow
def test_nothing_that_was_taught_before_is_watched_or_measured(tmp_path: Path, tiny_settings: RunSettings) -> None:
    first = make_wardrobe()
    short = tiny_settings.finetune.model_copy(
        update={"max_steps": 1, "evaluations": 1, "optimizer": "adamw", "tasks": {"compatibility": 1.0}}
    )
    settings = tiny_settings.model_copy(update={"finetune": short})
    work = Workspace(tmp_path, tmp_path / "first", settings, "coordi finetune", lambda _: None, quiet)
    taught = stages.finetune_model(work, prepared(first), {})
    assert stages.without_trained_on(prepared(first), taught).dataset == first

    second = split_otherwise(first)
    on = settings.model_copy(update={"finetune": short.model_copy(update={"start_from": str(tmp_path / "first")})})
    again = replace(work, out=tmp_path / "second", settings=on)
    adapter = stages.finetune_model(again, prepared(second), {})

    trained, chosen = (set(read_json(adapter / name)) for name in (stages.TRAINED_ON, stages.CHOSEN_ON))
    assert trained == keys(first, "train") | keys(second, "train")
    assert chosen == keys(first, "valid") | (keys(second, "valid") - keys(first, "train"))
    left = stages.without_trained_on(prepared(second), adapter).dataset
    assert keys(left, "valid") == keys(second, "valid") - keys(first, "train")
    assert keys(left, "test") == keys(second, "test") - keys(first, "train", "valid")
    assert keys(left, "test") < keys(second, "test")

    with claim_folder(replace(again, out=tmp_path / "third")) as before:
        pass
    with (taught / "adapter_model.safetensors").open("ab") as file:
        file.write(b"0")
    with claim_folder(replace(again, out=tmp_path / "third")) as after:
        pass
    assert before != after

    (taught / stages.TRAINED_ON).unlink()
    with pytest.raises(ModelError, match=r"has no trained_on\.json"):
        stages.finetune_model(replace(again, out=tmp_path / "fourth"), prepared(second), {})
    assert not (tmp_path / "fourth" / FINETUNE).exists()
