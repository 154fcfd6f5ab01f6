"""Make small wheels of what fine-tuning on a GPU needs beside torch, to carry to a machine without a network.

    python dev/slim_wheels.py --cuda 130 --out wheels       fetches the locked versions, then makes them smaller
    python dev/slim_wheels.py --cuda 130 --out wheels FILE.whl ...     takes these wheels

Of bitsandbytes the libraries for that version of CUDA and for CPUs are kept, of unsloth what isn't its studio and its
command line. The wheels install with ``pip install --no-deps --no-index wheels/*.whl``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LEFT_OUT = re.compile(r"(studio|unsloth_cli|tests)/")
LIBRARY = re.compile(r"bitsandbytes/libbitsandbytes_(?P<device>\w+)\.(so|dll|dylib)")


def is_needed(name: str, cuda: str) -> bool:
    """Whether a file of a wheel is kept; ``cuda`` is a version without its point, such as 130."""
    library = LIBRARY.fullmatch(name)
    if library:
        return library["device"] in ("cpu", f"cuda{cuda}")
    return not LEFT_OUT.match(name)


def slim(wheel: Path, out: Path, needed: Callable[[str], bool]) -> Path:
    """Write a wheel's needed files, and a RECORD of them, into a folder."""
    target = out / wheel.name
    with zipfile.ZipFile(wheel) as source, zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as copy:
        for entry in source.infolist():
            if not needed(entry.filename):
                continue
            content = source.read(entry)
            if entry.filename.endswith(".dist-info/RECORD"):
                lines = content.decode().splitlines(keepends=True)
                content = "".join(line for line in lines if needed(line.split(",")[0].strip('"'))).encode()
            copy.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return target


def pinned() -> list[str]:
    """Requirements with the versions of the lock and of the extra ``cuda``."""
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    unsloth = re.findall(r'"(unsloth==[\d.]+)', project)[0]
    return [
        *re.findall(r"^(bitsandbytes==[\w.]+)", lock, re.MULTILINE),
        unsloth,
        unsloth.replace("unsloth", "unsloth_zoo"),
    ]


def fetch(folder: Path) -> list[Path]:
    """Download the wheels with pip."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
    subprocess.run([*command, "--dest", str(folder), *pinned()], check=True)
    return sorted(folder.glob("*.whl"))


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the wheels and print their sizes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cuda", required=True, help="version without its point, as 130 for CUDA 13.0")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("wheels", nargs="*", type=Path)
    options = parser.parse_args(arguments)
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        wheels = options.wheels or fetch(Path(folder))
        libraries = [name for wheel in wheels for name in zipfile.ZipFile(wheel).namelist() if LIBRARY.fullmatch(name)]
        if libraries and not any(f"cuda{options.cuda}." in name for name in libraries):
            versions = sorted(set(re.findall(r"cuda(\d+)", " ".join(libraries))))
            parser.error(f"bitsandbytes has no library for CUDA {options.cuda!r}; it has: {', '.join(versions)}")
        for wheel in wheels:
            small = slim(wheel, options.out, lambda name: is_needed(name, options.cuda))
            print(f"{small.name}: {wheel.stat().st_size / 1e6:.1f} MB, now {small.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
