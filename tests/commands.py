"""A fixture that runs the command line in the process of the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable

import pytest

from coordi.cli import main

Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def coordi(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in this process, whose environment and logging it leaves alone."""
    monkeypatch.setattr(main, "_be_offline_and_quiet", lambda: None)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        monkeypatch.setattr(sys, "argv", ["coordi", *arguments])
        with pytest.raises(SystemExit) as ending:
            main.main()
        output = capsys.readouterr()
        code = ending.value.code
        return subprocess.CompletedProcess(arguments, code if isinstance(code, int) else 0, output.out, output.err)

    return run
