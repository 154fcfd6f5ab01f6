"""The paper's flow on the bundled model at toy scale: photo, labels, recommendation, prompt, answer, named item.

Three steps teach nothing: what is tested is the way, on PEFT for training and writing, and in ONNX Runtime for scores.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coordi.api import load
from coordi.model.base import find_gguf
from coordi.serve.app import Service
from coordi.serve.schemas import ServeSettings

from ..commands import Command
from ..commands import coordi as coordi
from ..sample import write_small_sample
from ..serve.conftest import serving

pytestmark = pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")
SMALL = (
    "model.base=bundled", "model.engine=auto", "describe.encoder=edge", "prompt.max_length=320",
    "finetune.max_steps=2", "finetune.batch_size=4", "finetune.micro_batch_size=4", "finetune.evaluations=1",
    "finetune.valid_questions=4", "finetune.optimizer=adamw", "finetune.first_layer=28",
    "finetune.gradient_checkpointing=false", "finetune.negatives={random: 1.0}",
    "evaluate.protocols=[random]", "evaluate.bootstrap=100", "evaluate.retrieval_pool=0", "evaluate.choices=2",
    "evaluate.baselines=none", "evaluate.names=3", "evaluate.examples=2",
)  # fmt: skip


def test_from_photos_to_a_named_item(coordi: Command, tmp_path: Path) -> None:
    data, out = tmp_path / "data", tmp_path / "out"
    write_small_sample(data, {"train": 8, "valid": 4, "test": 8})
    done = coordi("run", "--preset", "paper", "--data", str(data), "--out", str(out), *SMALL)
    assert done.returncode == 0, done.stderr
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    assert report["tasks"]["compatibility"]["random"]["auc"] is not None
    naming = report["naming"]
    assert naming["n"] == 3
    assert set(naming["scorers"]) == {"fine-tuned", "zero-shot recommendation", "popularity"}
    for example in naming["examples"]:
        _check_steps(example, report)
    assert "Named in words" in (out / "report.html").read_text(encoding="utf-8")

    given = ["white silk blouse", "blue skinny jeans", "--want", "shoes", "--catalogue", str(out), "-k", "2"]
    answer = coordi("recommend", *given, "--generate", "--json")
    assert answer.returncode == 0, answer.stderr
    named = json.loads(answer.stdout)
    (generated,) = named["generated"]
    assert (generated["want"], named["shortlist"], len(named["suggestions"])) == ("shoes", "generated-words", 2)
    assert generated["prompt"].startswith("Below is an instruction")
    assert "- top: white silk blouse" in generated["prompt"]
    types = ", ".join(label["text"] for label in generated["recommended"])
    assert f"Recommended: shoes: {types}\nWanted: shoes" in generated["prompt"]
    _check_the_api_answers_alike(out, named)


def _check_steps(example: dict[str, Any], report: dict[str, Any]) -> None:
    """The prompt holds the items and what is recommended beside them, and not the item that was removed."""
    labels = ", ".join(label["text"] for label in example["recommended"])
    assert f"Recommended: {example['want']}: {labels}\nWanted: {example['want']}\n" in example["prompt"]
    assert example["prompt"].count("\n- ") == len(example["outfit"])
    assert example["removed"] not in example["outfit"]
    assert 0 < len(example["matched"]) <= 3
    assert all(0 <= row["score"] <= 1 for row in example["matched"])
    assert example["text"] or "named nothing" in example["note"]


def _check_the_api_answers_alike(out: Path, named: dict[str, Any]) -> None:
    service = Service(ServeSettings(port=0), lambda: load(catalogue=out))
    service.load(warm=False)
    with serving(service) as started:
        body = {
            "items": [{"text": "white silk blouse"}, {"text": "blue skinny jeans"}], "k": 2,
            "rules": {"want": ["shoes"]}, "generate": True,
        }  # fmt: skip
        response = started.client.post("/api/v1/complete", json=body, timeout=300).json()
    (own,), (other,) = response["generated"], named["generated"]
    assert {key: own[key] for key in ("want", "prompt", "text", "words", "note")} == {
        key: other[key] for key in ("want", "prompt", "text", "words", "note")
    }
    assert [row["item"]["id"] for row in response["suggestions"]] == [row["id"] for row in named["suggestions"]]
    assert [item["id"] for item in own["shortlist"]] == other["shortlist"]
