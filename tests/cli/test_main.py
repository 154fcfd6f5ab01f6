"""The frame of the command line: help with an example for every command, one line and the right code for errors."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from coordi.cli.main import build_app

from ..commands import Command, coordi

__all__ = ["coordi"]


def commands(command: Any, name: str = "") -> dict[str, Any]:
    if not hasattr(command, "commands"):
        return {name: command}
    found: dict[str, Any] = {}
    for child, inner in command.commands.items():
        found |= commands(inner, f"{name} {child}".strip())
    return found


ALL = commands(typer.main.get_command(build_app()))


def test_the_commands_of_the_design_are_there() -> None:
    assert {
        "run", "data info", "describe", "finetune", "evaluate", "score", "recommend", "encoder evaluate",
        "presets list", "presets show", "presets check", "doctor",
    } <= set(ALL)  # fmt: skip


@pytest.mark.parametrize("name", sorted(ALL))
def test_every_command_has_help_with_an_example(name: str) -> None:
    text = ALL[name].help
    assert text is not None
    assert f"Example: coordi {name}" in text or name == "presets check"


def test_version_and_no_arguments(coordi: Command) -> None:
    assert coordi("--version").stdout.startswith("coordi 0.")
    assert "Usage" in coordi("--help").stdout


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--data", "nowhere", "--out", "{tmp}/out"], "no data at 'nowhere'"),
        (["run", "--data", "{tmp}", "--out", "{tmp}/out", "--preset", "egde"], "no preset 'egde': accepted are demo"),
        (["run", "--data", "{tmp}", "--out", "{tmp}/o", "finetune.epoch=1"], "unknown key 'finetune.epoch'"),
        (["score", "red shirt", "blue jeans", "--model", "nowhere"], "no model at 'nowhere': no such folder"),
        (["score", "red shirt", "--model", "base"], "scoring needs 2 items or more, got 1"),
        (["score", "red shirt", "a purple sofa", "--model", "base"], "'a purple sofa' names nothing that is worn"),
        (["score", "red shirt", "{tmp}/none.jpg", "--model", "base"], "none.jpg"),
        (["finetune", "--data", "{tmp}", "--out", "{tmp}/none", "--resume"], "nothing to resume"),
    ],
)
@pytest.mark.slow
def test_an_error_is_one_line_and_exit_code_1(coordi: Command, arguments: list[str], told: str, tmp_path: Path) -> None:
    done = coordi(*(argument.format(tmp=tmp_path) for argument in arguments))
    assert done.returncode == 1, done.stderr
    assert told in done.stderr
    assert done.stderr.startswith("coordi: ")
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""


@pytest.mark.parametrize("module", ["sklearn", "pandas", "matplotlib"])
def test_an_evaluation_without_its_extra_is_refused_before_its_folder_is_made(
    coordi: Command, module: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)
    done = coordi("evaluate", "--data", "sample", "--out", str(tmp_path / "out"))
    expected = f"coordi: this needs '{module}', which isn't installed; run: pip install 'coordi[train]'\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert not (tmp_path / "out").exists()


def test_wrong_usage_is_exit_code_2(coordi: Command) -> None:
    assert coordi("run", "--data", "sample").returncode == 2
    assert coordi("paint").returncode == 2


def test_ctrl_c_while_it_is_still_imported_is_one_line() -> None:
    program = """
import os, signal, sys
class AtTheImport:
    def find_spec(self, name, path=None, target=None):
        if name == "coordi.cli.main":
            os.kill(os.getpid(), signal.SIGINT)
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.meta_path.insert(0, AtTheImport())
from coordi.cli import start
start()
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (130, "coordi: interrupted before it began\n")


def test_the_package_is_the_command() -> None:
    done = subprocess.run([sys.executable, "-m", "coordi", "--version"], capture_output=True, text=True, check=False)
    assert done.stdout.startswith("coordi ")


@pytest.mark.slow
def test_presets_are_listed_shown_and_checked(coordi: Command, tmp_path: Path) -> None:
    assert "paper" in coordi("presets", "list").stdout
    assert "learning_rate" in coordi("presets", "show", "paper").stdout
    assert json.loads(coordi("presets", "show", "edge", "--json").stdout)["name"] == "edge"
    wrong = tmp_path / "mine.yaml"
    wrong.write_text("speed: high\n", encoding="utf-8")
    done = coordi("presets", "check", str(wrong))
    assert done.returncode == 1
    assert "unknown key 'speed'" in done.stderr


@pytest.mark.slow
def test_doctor_says_what_the_machine_can_do(coordi: Command) -> None:
    findings = {finding["part"]: finding for finding in json.loads(coordi("doctor", "--json").stdout)}
    assert findings["coordi[train]"]["state"] == "installed"
    assert findings["edge encoder"]["fix"] == ""
