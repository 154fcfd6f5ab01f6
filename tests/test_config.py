"""Presets, overrides, and every problem of a preset at once."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from coordi.config import RunSettings, load_settings, preset_names
from coordi.errors import ConfigError


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_is_sound_and_says_its_purpose_first(name: str) -> None:
    settings = load_settings(name)
    assert settings.name == name


def test_the_paper_preset_holds_table_1() -> None:
    settings = load_settings("paper").finetune
    assert settings.batch_size == 32
    assert settings.lora_dropout == 0.2
    assert settings.optimizer == "adamw_8bit"
    assert settings.learning_rate == 2e-4
    assert settings.weight_decay == 0.01
    assert load_settings("paper").prompt.max_length == 2048
    assert load_settings("paper").model.quantization == "nf4"


def test_presets_of_other_bases_are_the_papers_but_for_the_model() -> None:
    paper = load_settings("paper")
    others = [name for name in preset_names() if "-" in name]
    assert len(others) == 7
    for name in others:
        settings = load_settings(name)
        assert settings.model.engine == "auto"
        assert settings.model.base != paper.model.base
        assert not settings.model.allow_download
        changes = {"name": "paper", "model": paper.model}
        assert settings.model_copy(update=changes) == paper


def test_a_preset_that_extends_another_says_only_what_differs(tmp_path: Path) -> None:
    mine = tmp_path / "mine.yaml"
    mine.write_text("extends: edge\nname: mine\nfinetune: {epochs: 7, negatives: {random: 1.0}}\n", encoding="utf-8")
    edge, settings = load_settings("edge"), load_settings(str(mine))
    changes = {"epochs": 7.0, "negatives": {"random": 1.0}}
    assert settings.finetune == edge.finetune.model_copy(update=changes)
    assert settings.model == edge.model
    assert load_settings(str(mine), ["finetune.epochs=1"]).finetune.epochs == 1


@pytest.mark.parametrize(
    ("extended", "told"),
    [
        ("nothing", "no preset 'nothing': accepted are demo, edge"),
        ("[edge]", r"extends \['edge'\]; accepted are demo"),
        ("mine.yaml", "extends 'mine.yaml'; accepted are .* another YAML file that doesn't extend mine.yaml"),
    ],
)
def test_a_preset_that_extends_what_it_cannot(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, extended: str, told: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(f"extends: {extended}\n", encoding="utf-8")
    with pytest.raises(ConfigError, match=told):
        load_settings("mine.yaml")


def test_overrides_win_over_the_preset() -> None:
    settings = load_settings("edge", ["finetune.epochs=2", "finetune.learning_rate=2e-4", "data.photos=required"])
    assert settings.finetune.epochs == 2
    assert settings.finetune.learning_rate == 2e-4
    assert settings.data.photos == "required"


def test_all_problems_are_reported_at_once(tmp_path: Path) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text("finetune:\n  epochz: 2\n  lora_rank: -1\nspeed: high\n", encoding="utf-8")
    with pytest.raises(ConfigError) as raised:
        load_settings(str(preset))
    message = str(raised.value)
    assert "unknown key 'finetune.epochz' (accepted are start, epochs," in message
    assert "finetune.lora_rank: must be greater than or equal to 1, got -1" in message
    assert "unknown key 'speed' (accepted are name, seed, data," in message


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (["epochs"], "'epochs' isn't an override: write key=value"),
        (["finetune.epochs=[1"], "the value of 'finetune.epochs=[1' can't be read"),
        (["seed.more=1"], "'seed' is a value, not a group of settings"),
        (["finetune.micro_batch_size=5"], "micro_batch_size 5 doesn't divide batch_size"),
        (["finetune.negatives={random: 0}"], "negatives needs shares of 0 or more with at least one above 0"),
    ],
)
def test_a_wrong_override_is_told(overrides: list[str], told: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_settings("edge", ["seed=1", *overrides])
    assert told in str(raised.value)


def test_an_unknown_preset_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match=r"no preset 'egde': accepted are .*edge.*paper"):
        load_settings("egde")


@pytest.mark.parametrize("text", ["a: [", "- 1\n- 2\n"])
def test_a_preset_that_is_no_mapping_is_refused(tmp_path: Path, text: str) -> None:
    preset = tmp_path / "mine.yaml"
    preset.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"mine\.yaml"):
        load_settings(str(preset))


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        setattr(RunSettings(), "seed", 3)  # noqa: B010, mypy would refuse the plain form


def test_a_pooled_head_reads_neither_a_form_nor_a_recommendation() -> None:
    for override, value in (("prompt.recommended=3", "recommended is 3"), ("prompt.form=chat", "form is 'chat'")):
        with pytest.raises(ConfigError, match=rf"finetune\.head is 'pooled'.*{value}; set finetune\.head=answer, or "):
            load_settings("edge", [override])
    pooled = ["finetune.head=pooled"]
    with pytest.raises(ConfigError, match=r"finetune\.head is 'pooled'.*'unsloth' and finetune\.tasks is") as refused:
        load_settings("paper", pooled)
    advice = str(refused.value).partition("or model.engine")[2].partition("; see")[0]
    overrides = [*pooled, *shlex.split(f"model.engine{advice}")]
    assert load_settings("paper", overrides).finetune.head == "pooled"  # all problems at once, and how to solve them
    answer = ["finetune.head=answer", "finetune.last_layer=null", "prompt.recommended=3", "prompt.form=instruction"]
    assert load_settings("edge", answer).prompt.recommended == 3


def test_the_paper_preset_has_the_papers_flow() -> None:
    paper = load_settings("paper")
    assert (paper.prompt.form, paper.prompt.kind_beside_title) == ("instruction", True)
    assert paper.prompt.recommended > 0
    assert paper.finetune.tasks["complement"] > 0
    assert RunSettings().prompt.recommended == 0
