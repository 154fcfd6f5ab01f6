"""The frame of the command line: help with an example for every command, one line and the right code for errors."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer.main

from coordi.cli import console, main
from coordi.cli.main import build_app
from coordi.errors import EncoderError

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


@pytest.mark.parametrize("name", sorted(ALL))
def test_only_the_terminal_breaks_lines_of_help(name: str) -> None:
    assert all("\n" not in paragraph for paragraph in (ALL[name].help or "").split("\n\n"))


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


def run_with(limit: int, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[bytes]:
    """A command as a process with so many bytes of address space; 0: without a limit."""
    import resource

    def lower() -> None:
        if limit:
            resource.setrlimit(resource.RLIMIT_AS, (limit, limit))

    return subprocess.run(
        [sys.executable, "-m", "coordi", *arguments], capture_output=True, preexec_fn=lower,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment}, check=False,
    )  # fmt: skip


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits address space as Linux does")
@pytest.mark.parametrize("megabytes", [500, 750, 1000])
def test_too_little_memory_is_one_line_with_its_cause(megabytes: int) -> None:
    done = run_with(megabytes * 2**20, {}, "doctor")
    lines = done.stderr.decode().splitlines()
    assert (done.returncode, done.stdout) == (1, b"")
    assert len(lines) == 1
    assert "there isn't enough memory" in lines[0]


@pytest.mark.slow
@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_letter_that_the_terminal_cannot_print_is_written_out(encoding: str) -> None:
    done = run_with(0, {"PYTHONIOENCODING": encoding}, "score", "--quick", "กางเกง", "white shirt")
    assert done.returncode == 0, done.stderr.decode()
    assert rb"'\u0e01\u0e32\u0e07\u0e40\u0e01\u0e07' is no garment that coordi knows" in done.stderr


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            OSError(errno.ENOSPC, "No space left on device", "/data/x"),
            "no space left on the disk, writing /data/x; free",
        ),
        (OSError(errno.ENOMEM, "Cannot allocate memory"), r"there isn't enough memory \(.*Cannot allocate memory\)"),
        (EncoderError("the encoder's files can't be opened; install coordi again"), "^the encoder's .* coordi again$"),
    ],
)
def test_the_real_cause_of_an_error_is_named(error: Exception, message: str) -> None:
    assert re.search(message, main._message(error))


def test_an_error_of_a_file_whose_cause_is_memory_names_memory() -> None:
    error = EncoderError("the files can't be opened; install coordi again")
    error.__cause__ = MemoryError("Unable to allocate 20.2 MiB")
    assert main._message(error).startswith("there isn't enough memory (Unable to allocate 20.2 MiB); ")
    assert main._message(RuntimeError("a defect")) == ""


def test_the_commands_of_a_terminal_are_written_out(capsys: pytest.CaptureFixture[str]) -> None:
    console.echo("a\x1b]0;title\x07\x9b31m\u202eb\n\tc")
    console.echo_json({"brand": "a\x1b[31m\x9b\u202e"})
    console.note("a\x1b[2J")
    output = capsys.readouterr()
    assert output.out.startswith("a\\x1b]0;title\\x07\\x9b31m\\u202eb\n\tc\n")
    assert output.err == "a\\x1b[2J\n"
    assert json.loads(output.out.split("\tc\n")[1]) == {"brand": "a\x1b[31m\x9b\u202e"}
    assert not any(sign in output.out + output.err for sign in "\x1b\x07\x9b\u202e")


def test_every_request_is_logged_and_a_repeated_warning_once() -> None:
    """A server's log of requests may have the same line many times; so may errors of its routes."""
    code = (
        "import logging\n"
        "from coordi.cli import main\n"
        "main._be_offline_and_quiet()\n"
        "access = logging.getLogger('coordi.access')\n"
        "access.setLevel(logging.INFO)\n"
        "for _ in range(50):\n"
        "    access.info('GET /api/v1/health 200 1 ms')\n"
        "    logging.getLogger('coordi.serve').error('internal error')\n"
        "    logging.getLogger('coordi').warning('a few questions')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = [line.strip() for line in done.stderr.splitlines()]
    assert [lines.count(line) for line in ("GET /api/v1/health 200 1 ms", "internal error", "a few questions")] == [
        50,
        50,
        1,
    ]
