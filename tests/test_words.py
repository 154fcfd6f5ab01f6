"""Names are the field's own: words that a reader would have to look up aren't names of anything in ``src``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "coordi"

_WORDS = """
told said asked found seen shown known kept held taken made one place whole rest worn usual eyes lanes together wire
passes lessons watch turn heard reading sharing findings chapters verdict roster alarms suspect cheat sieve twins
likeness lacks
"""
BANNED = frozenset(_WORDS.split())

# Names that hold a banned word and mean it, each with its reason.
ALLOWED = {
    "held_out": "the field's word for data that isn't trained on",
    "--held-out": "likewise",
    "connection_made": "the name that asyncio's protocols have",
}

OPTION = re.compile(r"""["'](--[a-z][a-z-]*)["']""")


def words_of(name: str) -> set[str]:
    """``_CamelCase`` and ``snake_case`` names as lower-case words."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)}


def names_of(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Names that a module gives to something: definitions, parameters, variables and attributes."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                yield node.lineno, name
            case ast.arg(arg=name):
                yield node.lineno, name
            case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()):
                yield node.lineno, name
            case ast.alias(asname=str(name)):
                yield node.lineno, name
            case _:
                pass


def banned_names(source: str) -> list[tuple[int, str]]:
    """Line and name of every banned name in a module's source, its command-line options included."""
    names = [*names_of(ast.parse(source))]
    names += [(number, option) for number, line in enumerate(source.splitlines(), 1) for option in OPTION.findall(line)]
    return sorted({(line, name) for line, name in names if words_of(name) & BANNED and name not in ALLOWED})


MODULES = sorted(path for path in PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_name_is_banned(path: Path) -> None:
    found = banned_names(path.read_text(encoding="utf-8"))
    assert not found, "\n".join(f"{path.relative_to(ROOT)}:{line}: {name}" for line, name in found)


def test_no_file_name_is_banned() -> None:
    files = [path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if "vendor" not in path.parts]
    assert len(files) > 100
    assert not [str(path) for path in files if any(words_of(part) & BANNED for part in path.parts)]


@pytest.mark.parametrize(
    "source",
    ["def f(told): ...", "class Whole: ...", "found = 1", "for one in []: ...", "def f(): self.seen = 1",
     "import numpy as rest", "option = '--together'", "def words_said(): ..."],
)  # fmt: skip
def test_a_banned_name_is_found(source: str) -> None:
    assert banned_names(source)


def test_every_exception_is_needed() -> None:
    sources = [path.read_text(encoding="utf-8") for path in MODULES]
    names = {name for source in sources for _, name in names_of(ast.parse(source))}
    options = {option for source in sources for option in OPTION.findall(source)}
    assert set(ALLOWED) <= names | options
