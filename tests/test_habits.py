"""Habits that hold for every test."""

from __future__ import annotations

import ast
from pathlib import Path

TESTS = sorted(Path(__file__).parent.rglob("*.py"))
# Raised without a message of our own.
SILENT = {"KeyboardInterrupt", "SystemExit", "ClientGoneError", "StoppedError"}


def raises_without_match(source: str) -> list[int]:
    """Lines of ``pytest.raises`` that check neither the message (``match``) nor the error (``as error``)."""
    lines = []
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.With):
            continue
        for item in node.items:
            call = item.context_expr
            if not (isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.raises"):
                continue
            has_match = any(keyword.arg == "match" for keyword in call.keywords) or item.optional_vars is not None
            if not has_match and ast.unparse(call.args[0]).split(".")[-1] not in SILENT:
                lines.append(call.lineno)
    return lines


def test_every_raises_checks_the_message() -> None:
    offenders = {str(path): raises_without_match(path.read_text(encoding="utf-8")) for path in TESTS}
    assert {path: lines for path, lines in offenders.items() if lines} == {}


def test_an_unchecked_error_is_an_offence() -> None:
    assert raises_without_match("with pytest.raises(ValueError):\n    f()") == [1]
    assert raises_without_match("with pytest.raises(ValueError, match='x'):\n    f()") == []
    assert raises_without_match("with pytest.raises(ValueError) as caught:\n    f()") == []
    assert raises_without_match("with pytest.raises(KeyboardInterrupt):\n    f()") == []
