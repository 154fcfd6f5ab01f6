"""The way through has one direction: a layer imports only from layers before it, and heavy parts come late."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "coordi"

ORDER = (
    "errors", "types", "config", "artifacts", "style", "data", "encoders", "prompts", "model", "evaluation",
    "recommend", "pipeline", "api", "serve", "cli",
)  # fmt: skip
ON_TOP = {"__init__", "__main__"}  # the few public names, and the command
HEAVY = {
    "torch", "transformers", "trl", "peft", "datasets", "accelerate", "bitsandbytes", "sklearn", "unsloth", "pyarrow",
    "onnx",
}  # fmt: skip


def imports_of(path: Path) -> set[tuple[str, bool]]:
    """Every module a file imports, each with whether that happens when the file itself is imported."""
    found: set[tuple[str, bool]] = set()

    def visit(node: ast.AST, at_import: bool) -> None:
        if isinstance(node, ast.Import):
            found.update((alias.name, at_import) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                raise ValueError(f"{path}:{node.lineno}: relative import; write it in full")
            module = node.module or ""
            found.update((f"{module}.{alias.name}", at_import) for alias in node.names)
        elif isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                visit(statement, False)
            return
        for child in ast.iter_child_nodes(node):
            visit(child, at_import and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))

    visit(ast.parse(path.read_text(encoding="utf-8")), True)
    return found


def forbidden_imports(source: Path) -> list[str]:
    """What breaks the direction, or loads a heavy library at import time, one line each."""
    broken = []
    for path in sorted(source.rglob("*.py")):
        layer = path.relative_to(source).parts[0].removesuffix(".py")
        for module, at_import in sorted(imports_of(path)):
            root, *rest = module.split(".")
            if root in HEAVY and at_import:
                broken.append(f"{path.relative_to(source)} loads {module} when it is imported")
            if root != "coordi" or not rest or rest[0] not in ORDER or rest[0] == layer or layer in ON_TOP:
                continue
            if layer not in ORDER:
                broken.append(f"{path.relative_to(source)} imports {module}: '{layer}' has no place in the order")
            elif ORDER.index(rest[0]) >= ORDER.index(layer):
                broken.append(f"{path.relative_to(source)} imports {module}, which comes after '{layer}'")
    return broken


def test_every_layer_imports_only_from_layers_before_it() -> None:
    assert forbidden_imports(SOURCE) == []


def test_every_layer_has_a_place_in_the_order() -> None:
    layers = {entry.name.removesuffix(".py") for entry in SOURCE.iterdir() if not entry.name.startswith(("_", "py."))}
    assert layers - {"presets", "web"} <= set(ORDER)


@pytest.mark.slow
def test_a_planted_forbidden_import_is_found(tmp_path: Path) -> None:
    copy = tmp_path / "coordi"
    shutil.copytree(SOURCE, copy, ignore=shutil.ignore_patterns("*.onnx", "*.safetensors", "__pycache__"))
    for planted, told in (
        ("from coordi.evaluation import metrics\n", "coordi.evaluation.metrics, which comes after 'data'"),
        ("import torch\n", "loads torch when it is imported"),
        ("def late() -> None:\n    from coordi.cli import main\n", "coordi.cli.main, which comes after 'data'"),
    ):
        (copy / "data" / "planted.py").write_text(planted, encoding="utf-8")
        found = forbidden_imports(copy)
        assert len(found) == 1
        assert told in found[0]


def test_scoring_words_loads_nothing_of_shops_evaluation_and_photos() -> None:
    code = (
        "import sys, coordi.cli.main\n"
        "from coordi.api import load\n"
        "model = load()\n"
        "model.score(['navy wool blazer', 'white leather sneakers'])\n"
        "assert '_session' not in vars(model.encoder)\n"
        "print(' '.join(sorted(sys.modules)))"
    )
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not (HEAVY | {"ftfy", "coordi.pipeline.stages", "coordi.evaluation.benchmark"}) & set(loaded)


def test_importing_coordi_loads_nothing_heavy() -> None:
    code = "import sys, coordi; print(' '.join(sorted(sys.modules)))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not (HEAVY | {"numpy", "PIL", "onnxruntime", "pydantic"}) & set(loaded)
