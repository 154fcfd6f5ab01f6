"""Check that advice, the API and the page work in the light installation, which has no torch, and print its size.

    python dev/light_smoke.py [ENVIRONMENT]

Without ENVIRONMENT, ``make install-light`` makes a fresh one in a temporary folder. It exits with 1 if something is
wrong.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from threading import Timer
from typing import Any
from zipfile import ZipFile

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "src" / "coordi" / "data" / "sample.zip"
PHOTOS = 12
OUTFIT = ("navy wool blazer", "white leather sneakers")
OF_TRAINING = ("torch", "transformers", "peft", "scipy", "sklearn", "pyarrow", "onnx")
INSTALLERS = ("pip", "setuptools")
MOST_MEGABYTES = 450  # the language model has 98 of them
SECONDS = 60  # for each command

# By package, the size of its files in MB; and the modules of the arguments that can be imported.
INSTALLED = """
import importlib.util, json, sys
from importlib import metadata
sizes = {}
for package in metadata.distributions():
    paths = [package.locate_file(file) for file in package.files or ()]
    sizes[package.name] = sum(path.stat().st_size for path in paths if path.is_file()) / 1e6
print(json.dumps([sizes, [name for name in sys.argv[1:] if importlib.util.find_spec(name)]]))
"""


@dataclass(frozen=True)
class Installation:
    """An environment with coordi, and an empty folder to work in with a cache of its own."""

    environment: Path
    folder: Path

    def command(self, *arguments: str) -> list[str]:
        """The command line of coordi."""
        return [str(self.environment / "bin" / "coordi"), *arguments]

    @property
    def variables(self) -> dict[str, str]:
        """Environment variables of commands."""
        return {**os.environ, "COORDI_CACHE": str(self.folder / "cache"), "HOME": str(self.folder)}

    def run(self, command: list[str], code: int = 0) -> subprocess.CompletedProcess[str]:
        """Run a command in the folder; exit unless its code is this one."""
        begin = time.monotonic()
        done = subprocess.run(
            command, cwd=self.folder, env=self.variables, capture_output=True, text=True, timeout=SECONDS
        )
        name = " ".join(Path(part).name for part in command[:3])
        check(done.returncode == code, f"{name}: exit code {done.returncode}, expected {code}: {done.stderr[-2000:]}")
        print(f"{time.monotonic() - begin:5.1f} s  {name}", flush=True)
        return done

    def coordi(self, *arguments: str) -> Any:
        """The JSON that a command of coordi prints."""
        return json.loads(self.run(self.command(*arguments, "--json")).stdout)


def check(is_right: bool, problem: str) -> None:
    """Exit with 1 and the problem unless it is right."""
    if not is_right:
        sys.exit(f"light installation: {problem}")


def check_packages(light: Installation) -> None:
    """Print the size of the installed packages; none of training may be among them."""
    python = str(light.environment / "bin" / "python")
    done = subprocess.run([python, "-c", INSTALLED, *OF_TRAINING], capture_output=True, text=True, check=True)
    sizes, importable = json.loads(done.stdout)
    check(not importable, f"{', '.join(importable)} can be imported; expected none of {', '.join(OF_TRAINING)}")
    sizes = {name: size for name, size in sizes.items() if name not in INSTALLERS}
    total = sum(sizes.values())
    largest = sorted(sizes.items(), key=lambda pair: -pair[1])[:7]
    listed = ", ".join(f"{name} {size:.0f}" for name, size in largest)
    print(f"{len(sizes)} packages without {' and '.join(INSTALLERS)}: {total:.0f} MB ({listed})")
    check(0 < total < MOST_MEGABYTES, f"the packages have {total:.0f} MB; expected less than {MOST_MEGABYTES}")


def check_advice(light: Installation) -> None:
    """Score an outfit, build a catalogue of photos of the sample, and recommend from it."""
    answer = light.coordi("score", *OUTFIT)
    check(answer["judge"] == "language-model", f"score is judged by {answer['judge']}, expected language-model")
    check(0 < answer["score"] < 1, f"the score is {answer['score']}")
    with ZipFile(SAMPLE) as archive:
        for name in [name for name in archive.namelist() if name.endswith(".jpg")][:PHOTOS]:
            archive.extract(name, light.folder)
    built = light.coordi("catalogue", "build", "images", "--out", "wardrobe")
    check(built["items"] > PHOTOS // 2, f"the catalogue has {built['items']} items of {PHOTOS} photos")
    answer = light.coordi("recommend", OUTFIT[0], "--catalogue", "wardrobe")
    check(bool(answer["suggestions"]), "there are no suggestions")


def check_serving(light: Installation) -> None:
    """Ask a server for its page and a score, then stop it."""
    begin = time.monotonic()
    command = light.command("serve", "--catalogue", "wardrobe", "--port", "0")
    process = subprocess.Popen(command, cwd=light.folder, env=light.variables, stderr=subprocess.PIPE, text=True)
    timer = Timer(SECONDS, process.kill)
    timer.start()
    try:
        assert process.stderr is not None
        lines: list[str] = []
        while not lines or (lines[-1] and not lines[-1].startswith("ready: open ")):
            lines.append(process.stderr.readline())
        check(bool(lines[-1]), f"serve ended before it was ready: {''.join(lines)}")
        address = lines[-1].split()[2]
        print(f"{time.monotonic() - begin:5.1f} s  coordi serve: ready")
        page = ask(f"{address}/").decode()
        check("<title>coordi" in page, f"the page begins with {page[:200]!r}")
        items = {"items": [{"text": words} for words in OUTFIT]}
        answer = json.loads(ask(f"{address}/api/v1/score", items))
        check(answer["judge"] == "language-model" and 0 < answer["score"] < 1, f"the API answers {answer}")
        process.send_signal(signal.SIGINT)
        check(process.wait() == 0, f"serve ended with {process.returncode}, expected 0")
    finally:
        timer.cancel()
        process.kill()


def ask(address: str, body: Any = None) -> bytes:
    """The body of an answer with status 200."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(address, data, {"Content-Type": "application/json"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with direct.open(request, timeout=SECONDS) as response:
        content: bytes = response.read()
    return content


def check_missing(light: Installation) -> None:
    """Commands that need the training extra name it in one line."""
    for name in ("finetune", "evaluate"):
        error = light.run(light.command(name, "--data", "sample", "--out", "out"), code=1).stderr
        is_right = error.count("\n") == 1 and "pip install 'coordi[train]'" in error
        check(is_right, f"{name} says {error!r}, expected one line that names coordi[train]")


def main(environment: str | None) -> None:
    """Run all checks."""
    with tempfile.TemporaryDirectory() as folder:
        (work := Path(folder, "work")).mkdir()
        light = Installation(Path(environment or Path(folder, "environment")).absolute(), work)
        if environment is None:
            subprocess.run(["make", "-C", str(ROOT), "install-light", f"LIGHT_VENV={light.environment}"], check=True)
        check_packages(light)
        check_advice(light)
        check_serving(light)
        check_missing(light)
    print("the light installation works")


if __name__ == "__main__":
    if len(sys.argv) > 2:
        sys.exit(__doc__)
    main(sys.argv[1] if len(sys.argv) == 2 else None)
