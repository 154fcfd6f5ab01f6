"""Wheels with only what a GPU machine needs: small, and still installable."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "dev" / "slim_wheels.py"
FILES = {
    "bitsandbytes/__init__.py": "VERSION = 1",
    "bitsandbytes/libbitsandbytes_cpu.so": "cpu",
    "bitsandbytes/libbitsandbytes_cuda130.so": "new",
    "bitsandbytes/libbitsandbytes_cuda118.so": "old" * 1000,
    "studio/page.js": "page" * 1000,
    "bitsandbytes-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "bitsandbytes-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: bitsandbytes\nVersion: 1.0\n",
}


@pytest.fixture
def wheel(tmp_path: Path) -> Path:
    path = tmp_path / "bitsandbytes-1.0-py3-none-any.whl"
    record = "bitsandbytes-1.0.dist-info/RECORD"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in FILES.items():
            file.writestr(name, text)
        file.writestr(record, "".join(f"{name},,\n" for name in (*FILES, record)))
    return path


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, text=True)


def test_what_other_machines_need_is_left_out(wheel: Path, tmp_path: Path) -> None:
    done = run("--cuda", 130, "--out", tmp_path / "small", wheel)
    assert done.returncode == 0, done.stderr
    small, site = tmp_path / "small" / wheel.name, tmp_path / "site"
    install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--target", str(site)]
    subprocess.run([*install, str(small)], check=True, capture_output=True)
    names = {path.name for path in site.rglob("*") if path.is_file()}
    assert {"__init__.py", "libbitsandbytes_cpu.so", "libbitsandbytes_cuda130.so"} <= names
    assert not {"libbitsandbytes_cuda118.so", "page.js"} & names


def test_a_version_of_cuda_that_is_not_there_is_named(wheel: Path, tmp_path: Path) -> None:
    done = run("--cuda", "12.8", "--out", tmp_path / "small", wheel)
    assert done.returncode == 2
    assert "bitsandbytes has no library for CUDA '12.8'; it has: 118, 130" in done.stderr
