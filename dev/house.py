"""Print the size of the code, and check the ways through it that docs/architecture.md lists.

    python dev/house.py

A way is a section of docs/architecture.md whose heading ends with "(at most N files)" and whose numbered list names
files of ``src/coordi``. It is right if every file exists and is imported by a file above it in the list.
"""

from __future__ import annotations

import ast
import re
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "coordi"
ARCHITECTURE = ROOT / "docs" / "architecture.md"
MOST_MODULES, MOST_LINES, LONGEST_FUNCTION = 114, 32_000, 40

HEADING = re.compile(r"^#+ (?P<name>.+) \(at most (?P<limit>\d+) files\)$")
STEP = re.compile(r"^\d+\. `(?P<file>[\w/.]+)`")


@dataclass(frozen=True, slots=True)
class Way:
    """The files that a reader opens to follow one command."""

    name: str
    limit: int
    files: tuple[str, ...]


def modules() -> list[Path]:
    """Modules of the package, ``__init__.py`` not counted."""
    return sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")


def lines() -> int:
    """Lines of Python in ``src``."""
    return sum(len(path.read_text(encoding="utf-8").splitlines()) for path in PACKAGE.rglob("*.py"))


def functions() -> list[tuple[int, str]]:
    """Lines and place of every function's body, its docstring not counted; the longest first."""
    sizes = []
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1:2] if ast.get_docstring(node) is not None else node.body
                size = (node.end_lineno or 0) - first[0].lineno + 1 if first else 0
                sizes.append((size, f"{path.relative_to(PACKAGE)}: {node.name}"))
    return sorted(sizes, reverse=True)


def ways(text: str) -> list[Way]:
    """The ways that a document lists."""
    listed: list[Way] = []
    for line in text.splitlines():
        heading, step = HEADING.match(line), STEP.match(line)
        if heading:
            listed.append(Way(heading["name"], int(heading["limit"]), ()))
        elif line.startswith("#"):
            listed.append(Way("", 0, ()))
        elif step and listed and listed[-1].name:
            listed[-1] = Way(listed[-1].name, listed[-1].limit, (*listed[-1].files, step["file"]))
    return [way for way in listed if way.name]


def imports(path: Path) -> set[str]:
    """Files of the package that a module imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("coordi"):
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value.startswith("coordi."):
            names.add(node.value)  # a module that is imported by its name
    files = {name.removeprefix("coordi.").replace(".", "/") for name in names if name.startswith("coordi.")}
    return {f"{name}.py" for name in files} | {f"{name}/__init__.py" for name in files}


def faults(way: Way) -> list[str]:
    """What is wrong with a way; nothing if it is right."""
    wrong = [f"{name} doesn't exist" for name in way.files if not (PACKAGE / name).is_file()]
    if wrong:
        return wrong
    if len(way.files) > way.limit:
        wrong.append(f"{len(way.files)} files, at most {way.limit}")
    reached: set[str] = set()
    for number, name in enumerate(way.files):
        if number and name not in reached:
            wrong.append(f"{name} is imported by none of the files before it")
        reached |= imports(PACKAGE / name)
    return wrong


def main() -> int:
    """Print the counts; 1 if one of them is over its limit or a way is wrong."""
    longest = functions()[0]
    counts = [
        ("modules", len(modules()), MOST_MODULES),
        ("lines", lines(), MOST_LINES),
        (f"longest function ({longest[1]})", longest[0], LONGEST_FUNCTION),
    ]
    wrong = [f"{name}: {value}, at most {limit}" for name, value, limit in counts if value > limit]
    for name, value, limit in counts:
        print(f"{name}: {value:,} (at most {limit:,})")
    for way in ways(ARCHITECTURE.read_text(encoding="utf-8")):
        print(f"{way.name}: {len(way.files)} files (at most {way.limit})")
        wrong += [f"{way.name}: {fault}" for fault in faults(way)]
    for line in wrong:
        print(f"WRONG {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
