"""Fine-tuning, resuming, scoring, generating on Unsloth's own GPU code, which ``make unsloth-tests`` runs on a CPU."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ..model.conftest import tiny_base, tiny_folder, tiny_settings

torch = pytest.importorskip("torch", reason="needs the train extra")

from safetensors.numpy import load_file  # noqa: E402

from coordi.artifacts import read_json  # noqa: E402
from coordi.config import RunSettings  # noqa: E402
from coordi.encoders.complements import recommender_of  # noqa: E402
from coordi.model.base import resolve_base  # noqa: E402
from coordi.model.engines import choose_engine  # noqa: E402
from coordi.model.generation import ComplementWriter, NameRequest  # noqa: E402
from coordi.model.heads import AnswerHead, Example  # noqa: E402
from coordi.model.scoring import load_answers, load_scorer  # noqa: E402
from coordi.model.training import FinetuneResult, finetune  # noqa: E402
from coordi.prompts import Instruction  # noqa: E402

from ..model.conftest import epoch, items_of  # noqa: E402

__all__ = ["tiny_base", "tiny_folder", "tiny_settings"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("unsloth") is None
        or not (torch.cuda.is_available() or os.environ.get("UNSLOTH_ALLOW_CPU") == "1"),
        reason="Unsloth needs an NVIDIA GPU and the package unsloth; on a CPU: make unsloth-tests",
    ),
]
OUTFITS = [items_of("red skirt", "navy boots"), items_of("pink skirt", "navy boots", "green coat")]


class StoppedError(Exception):
    """Stands for Ctrl-C."""


def settings_for(tiny_settings: RunSettings, engine: str) -> RunSettings:
    values = tiny_settings.model_dump(mode="json")
    values["model"]["engine"] = engine
    values["finetune"] |= {
        "max_steps": 2, "batch_size": 2, "micro_batch_size": 1, "evaluations": 2, "gradient_checkpointing": True,
        "lora_dropout": 0.2, "learning_rate": 1e-3, "warmup_ratio": 0.0,
    }  # fmt: skip
    return RunSettings.model_validate(values)


def few(number: int) -> Sequence[Instruction]:
    return epoch(number)[:4]


def train(settings: RunSettings, out: Path, progress: Callable[[int, int], None] = lambda *_: None) -> FinetuneResult:
    return finetune(few, epoch(99)[:8], settings, out, progress)


def test_a_training_is_resumed_and_scored(tmp_path: Path, tiny_settings: RunSettings) -> None:
    settings = settings_for(tiny_settings, "unsloth")

    def stop(done: int, total: int) -> None:
        if done == 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(settings, tmp_path / "stopped", stop)
    resumed, undisturbed = train(settings, tmp_path / "stopped"), train(settings, tmp_path / "undisturbed")
    assert [point.step for point in resumed.curve] == [1, 2]
    assert resumed.curve == undisturbed.curve
    weights = [load_file(result.adapter / "adapter_model.safetensors") for result in (resumed, undisturbed)]
    assert all(np.array_equal(value, weights[1][name]) for name, value in weights[0].items())
    assert any(value.any() for name, value in weights[0].items() if "lora_B" in name)
    assert read_json(resumed.adapter / "adapter_config.json")["task_type"] == "CAUSAL_LM"

    base = resolve_base(settings.model)
    tuned = load_scorer(base, resumed.adapter, settings)
    scores = tuned.score(OUTFITS)
    by_peft = load_scorer(base, resumed.adapter, settings_for(tiny_settings, "peft")).score(OUTFITS)
    np.testing.assert_allclose(scores, by_peft, atol=0.06)  # Unsloth packs and computes in float16
    shared = tuned.without_adapter()  # type: ignore[union-attr]
    assert shared is not None
    np.testing.assert_allclose(shared.score(OUTFITS), load_scorer(base, None, settings).score(OUTFITS), atol=1e-3)


def test_names_in_words_are_the_same_in_a_batch(tiny_settings: RunSettings) -> None:
    model = tiny_settings.model.model_copy(update={"engine": "unsloth"})
    settings = tiny_settings.model_copy(update={"model": model})
    scorer = load_answers(resolve_base(model), None, settings)
    writer = ComplementWriter(scorer, recommender_of(settings.describe), 4)
    requests = [NameRequest(tuple(items_of(*words)), "shoes") for words in (["red skirt"], ["navy coat", "green hat"])]
    texts = [row.text for row in writer.write(requests)]
    assert texts == [writer.write([request])[0].text for request in requests]


def test_a_base_whose_folder_ends_like_another_kind_of_model(tmp_path: Path, tiny_settings: RunSettings) -> None:
    """Unsloth reads names: it would load this one in 16 bits."""
    folder = tmp_path / "tiny-bf16"
    shutil.copytree(tiny_settings.model.base, folder)
    settings = tiny_settings.model.model_copy(update={"base": str(folder), "engine": "unsloth"})
    loaded = choose_engine(settings)[0].for_scoring(resolve_base(settings), None, settings)
    assert sum(value.dtype == torch.uint8 for value in loaded.model.parameters()) == 7 * 3


def test_the_longest_prompts_are_padded_beyond_their_limit(tiny_settings: RunSettings) -> None:
    """Unsloth cuts what is longer than it was told."""
    model, length = tiny_settings.model.model_copy(update={"engine": "unsloth"}), 100
    loaded = choose_engine(model, "answer", length)[0].for_training(
        resolve_base(model), model, settings_for(tiny_settings, "unsloth").finetune, 3
    )
    head = AnswerHead(loaded.tokenizer, length)
    batch = head.batch([Example((tuple(range(100, 100 + length)),), answer_length=1)])
    assert batch["input_ids"].shape[1] > length
    with torch.no_grad():
        assert head.network(loaded.model)(**batch) > 0


def test_positions_are_those_of_the_base(tiny_settings: RunSettings) -> None:
    """A base with fewer positions than prompts may have would get scaled ones, and be another model."""
    model = tiny_settings.model.model_copy(update={"engine": "unsloth"})
    loaded = choose_engine(model, "answer", 4096)[0].for_scoring(resolve_base(model), None, model)
    config: Any = loaded.model.config
    assert config.max_position_embeddings == 512
    assert (config.rope_parameters or {}).get("rope_type", "default") == "default"
