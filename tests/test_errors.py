"""Optional parts name the command that adds them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from coordi.errors import MissingDependencyError, require


def test_an_installed_module_is_given() -> None:
    assert require("json", "train").loads("1") == 1


def test_a_missing_module_names_the_command_that_adds_it() -> None:
    with pytest.raises(MissingDependencyError, match=r"needs 'not_there\.at_all'.* pip install 'coordi\[train\]'"):
        require("not_there.at_all", "train")


def test_a_module_that_misses_its_own_part_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_there.py").write_text("import not_there_either\n", encoding="utf-8")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    with pytest.raises(MissingDependencyError, match="'half_there' is installed but needs 'not_there_either'"):
        require("half_there", "train")
