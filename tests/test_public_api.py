"""``import coordi`` is a small library: these names, nothing loaded, nothing set in the process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import coordi

NAMES = {
    "Catalogue", "CoordiError", "Item", "Model", "Outfit", "Rules", "__version__", "evaluate", "load", "read_dataset",
}  # fmt: skip

LOOKS = """
import json, logging, os, sys, threading, warnings
def state():
    return [dict(os.environ), [str(item) for item in warnings.filters], len(logging.root.handlers), logging.root.level]
before = state()
import coordi
print(json.dumps({"same": state() == before, "threads": threading.active_count(), "modules": sorted(sys.modules)}))
"""

WITHOUT_UNIX = """
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name in ("fcntl", "resource"):
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
sys.meta_path.insert(0, Hidden())
for name in ("fcntl", "resource"):
    sys.modules.pop(name, None)
from coordi.cli import start
sys.argv = ["coordi", *sys.argv[1:]]
start()
"""


def test_the_exported_names() -> None:
    assert set(coordi.__all__) == NAMES
    assert set(dir(coordi)) >= NAMES
    for name in NAMES:
        assert getattr(coordi, name) is not None


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'coordi' has no attribute 'laod'"):
        getattr(coordi, "laod")  # noqa: B009


def test_importing_loads_nothing_and_sets_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", LOOKS], check=True, capture_output=True, text=True)
    result = json.loads(done.stdout)
    assert result["same"]
    assert result["threads"] == 1
    loaded = {name.split(".")[0] for name in result["modules"]}
    assert not loaded & {
        "numpy",
        "pydantic",
        "torch",
        "onnxruntime",
        "transformers",
        "duckdb",
        "pyarrow",
        "typer",
        "PIL",
    }
    assert {name for name in result["modules"] if name.startswith("coordi")} == {"coordi"}


@pytest.mark.slow
def test_the_base_commands_work_where_fcntl_and_resource_do_not_exist(tmp_path: Path) -> None:
    rows = "id,title,category\na,navy wool blazer,jackets\nb,white leather sneakers,shoes\n"
    (tmp_path / "shop.csv").write_text(rows, encoding="utf-8")

    def command(*arguments: str) -> str:
        line = [sys.executable, "-c", WITHOUT_UNIX, *arguments]
        done = subprocess.run(line, capture_output=True, text=True, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert command("--version").startswith("coordi ")
    assert "edge" in command("presets", "list")
    assert json.loads(command("data", "info", "shop.csv", "--json"))["items"]
    described = json.loads(command("describe", "--data", "sample", "--out", "out", "--json"))
    assert described["photos"] > 0
    assert json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))["peak_memory_mib"] is None
