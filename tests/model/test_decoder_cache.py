"""The decoder in the cache is whole or built again, whatever happened to its files, the disk or who builds it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

import coordi.model.base as base_module
from coordi import artifacts
from coordi.errors import ModelError
from coordi.model.base import FILE, LAYERS, find_gguf
from coordi.model.decoder import Decoder, decoder_folder
from coordi.model.trained import BUNDLED

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")]

BUILT = (
    "chat_template.jinja", "decoder.onnx", "embeddings.npy", "norm.npy", "shape.json", "tokenizer.json",
)  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A decoder in a cache of its own; parsing the GGUF is most of what a build takes, and is done once."""
    import gguf

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("COORDI_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(gguf, "GGUFReader", cache(gguf.GGUFReader))
        yield decoder_folder(BUNDLED, 20, in_bytes=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in BUILT}


def flip(path: Path, place: int) -> None:
    state = path.stat()
    with path.open("r+b") as file:
        file.seek(place)
        (byte,) = file.read(1)
        file.seek(place)
        file.write(bytes([byte ^ 1]))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize("name", [*BUILT, "manifest.json", "sha256.json"])
def test_damage_is_found_at_the_next_start(built: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a flipped bit, of which size and time tell nothing; ``tests/test_artifacts.py`` has other damages."""
    expected = contents(built)
    monkeypatch.setattr(artifacts, "_SETTLED_NS", 0)
    time.sleep(0.03)  # more than a tick of the clock of files
    assert decoder_folder(BUNDLED, 20, in_bytes=False) == built
    assert (built / "compared.json").is_file()
    file, size = built / name, (built / name).stat().st_size
    os.truncate(file, size // 2) if name == "manifest.json" else flip(file, size // 2)
    assert decoder_folder(BUNDLED, 20, in_bytes=False) == built
    assert contents(built) == expected
    assert file.stat().st_size >= size - 20  # the manifest has seconds in it
    assert Decoder(built).shape[:2] == (20, LAYERS)


def end_of_name(path: Path) -> int:
    """Where a tensor's number of dimensions (4 bytes), two dimensions (8 each), type (4) and offset (8) are."""
    name = b"blk.0.attn_q.weight"
    with path.open("rb") as file:
        return file.read(4_000_000).index(name) + len(name)


LIES: tuple[tuple[str, Callable[[Path, int], None]], ...] = (
    ("a bit of a tensor", lambda path, size: flip(path, size // 2)),
    ("the last bit", lambda path, size: flip(path, size - 1)),
    ("the size of a tensor", lambda path, size: flip(path, end_of_name(path) + 4)),
    ("the type of a tensor", lambda path, size: flip(path, end_of_name(path) + 20)),
    ("an offset past the end", lambda path, size: flip(path, end_of_name(path) + 29)),
    ("the magic", lambda path, size: flip(path, 0)),
    ("the number of tensors", lambda path, size: flip(path, 15)),
    ("the number of metadata", lambda path, size: flip(path, 23)),
    ("cut by a byte", lambda path, size: os.truncate(path, size - 1)),
    ("cut in the header", lambda path, size: os.truncate(path, 1000)),
    ("nothing", lambda path, size: os.truncate(path, 0)),
    ("a byte too many", lambda path, size: os.truncate(path, size + 1)),
)


@pytest.mark.parametrize("spoil", [lie for _, lie in LIES], ids=[name for name, _ in LIES])
def test_a_gguf_of_other_bytes_is_never_parsed(
    spoil: Callable[[Path, int], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import gguf

    source = find_gguf()
    assert source is not None
    package = tmp_path / "site" / "other_smollm2"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    copy = Path(shutil.copyfile(source, package / FILE))
    spoil(copy, source.stat().st_size)
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setattr(base_module, "PACKAGE", "other_smollm2")
    monkeypatch.setattr(gguf, "GGUFReader", None)
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    with pytest.raises(ModelError, match=rf"{FILE} isn't the file coordi knows .*; run: pip install .*--force-reinst"):
        decoder_folder(BUNDLED, 20, in_bytes=False)
    assert not [path for path in (tmp_path / "cache").rglob("*") if path.is_file() and path.name != ".lock"]
    copy.unlink()


BUILDS = """
from coordi.model import decoder
from coordi.model.trained import BUNDLED

build = decoder._build
decoder._build = lambda *arguments: (print("builds", flush=True), build(*arguments))
print(decoder.Decoder(decoder.decoder_folder(BUNDLED, 20, in_bytes=False)).states([(1, 2, 3)], 0).sum())
"""


def started(folder: Path, program: str = BUILDS) -> subprocess.Popen[str]:
    environment = {**os.environ, "COORDI_CACHE": str(folder)}
    return subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True, env=environment)


def test_a_killed_build_is_begun_again_by_one_of_two_processes(built: Path, tmp_path: Path) -> None:
    expected = Decoder(decoder_folder(BUNDLED, 20, in_bytes=False)).states([(1, 2, 3)], 0).sum()
    killed = started(tmp_path)
    deadline = time.monotonic() + 120
    while not list(tmp_path.rglob("decoder.onnx")):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    assert killed.communicate()[0] == "builds\n"
    assert killed.returncode == -signal.SIGKILL
    processes = [started(tmp_path) for _ in range(2)]
    lines = sorted(process.communicate(timeout=120)[0].split() for process in processes)
    assert [len(words) for words in lines] == [1, 2]
    assert lines[1][0] == "builds"
    assert [float(words[-1]) for words in lines] == pytest.approx([expected] * 2)


FILLS = """
import functools, subprocess, sys
import gguf
from coordi.errors import ArtifactError
from coordi.model.decoder import decoder_folder
from coordi.model.trained import BUNDLED

gguf.GGUFReader = functools.cache(gguf.GGUFReader)
for size in ("4k", "30m", "80m", "200m"):
    subprocess.run(["mount", "-o", f"remount,size={size}", sys.argv[1]], check=True)
    try:
        print(decoder_folder(BUNDLED, 20, in_bytes=False))
    except ArtifactError as error:
        print(error)
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no mounts of a test's own")
def test_a_full_disk_is_named_and_the_next_start_builds(tmp_path: Path) -> None:
    command = f"mount -t tmpfs -o size=4k none '{tmp_path}' && exec '{sys.executable}' -c \"$1\" '{tmp_path}'"
    done = subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", command, "sh", FILLS], capture_output=True, text=True,
        check=False, env={**os.environ, "COORDI_CACHE": str(tmp_path)},
    )  # fmt: skip
    if done.returncode and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"no mounts of a test's own: {done.stderr}")
    *full, last = done.stdout.splitlines()
    assert len(full) == 3, done.stderr
    assert all("no space left on the disk while writing" in line and "free some space" in line for line in full)
    assert Path(last).name.startswith("decoder-")
