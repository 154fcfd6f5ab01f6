"""Files are whole or absent, and a full disk or a read-only folder is one clear line."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from coordi import artifacts
from coordi.artifacts import (
    Record,
    atomic_path,
    build_once,
    cache_folder,
    clear_write_errors,
    connect,
    hash_file,
    insert,
    is_finished,
    lock_folder,
    read_json,
    read_manifest,
    stage_folder,
    write_json,
    write_text,
)
from coordi.errors import ArtifactError


def test_a_failed_write_leaves_the_old_file_and_no_rest(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(RuntimeError, match="half way"), atomic_path(path) as temporary:
        temporary.write_text("ne", encoding="utf-8")
        raise RuntimeError("half way")
    assert path.read_text(encoding="utf-8") == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.txt"]


def test_json_refuses_what_json_does_not_have(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="nan"):
        write_json(tmp_path / "a.json", {"auc": float("nan")})
    assert list(tmp_path.iterdir()) == []


def test_the_manifest_comes_last_and_only_after_success(tmp_path: Path) -> None:
    folder = tmp_path / "stage"
    with pytest.raises(RuntimeError, match="half done"), stage_folder(folder, Record("coordi test", {"a": 1}, seed=3)):
        raise RuntimeError("half done")
    assert not is_finished(folder)
    with pytest.raises(ArtifactError, match=r"isn't finished: it has no manifest\.json"):
        read_manifest(folder)
    with stage_folder(folder, Record("coordi test", {"a": 1}, seed=3, inputs={"x.csv": "00"})):
        assert not is_finished(folder)
    manifest = read_manifest(folder)
    assert manifest["command"] == "coordi test"
    assert manifest["settings"] == {"a": 1}
    assert manifest["seed"] == 3
    assert manifest["inputs"] == {"x.csv": "00"}
    assert manifest["versions"]["python"].startswith("3.")
    assert manifest["peak_memory_mib"] > 1
    assert manifest["seconds"] >= 0


def test_what_is_ready_is_used_without_writing(tmp_path: Path) -> None:
    """So a container can run on a read-only cache that was filled when its image was built."""
    folder = tmp_path / "cache" / "part"
    build_once(folder, Record("c", {}), lambda: write_text(folder / "a.txt", "x"))
    (folder.parent / ".lock").unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))}
    assert build_once(folder, Record("c", {}), lambda: pytest.fail("it was built again")) == folder
    assert {path: path.stat().st_mtime_ns for path in (tmp_path, *tmp_path.rglob("*"))} == before


def test_broken_json_is_named(tmp_path: Path) -> None:
    write_json(tmp_path / "manifest.json", [])
    with pytest.raises(ArtifactError, match=r"manifest\.json is damaged; delete its folder"):
        read_manifest(tmp_path)
    path = tmp_path / "run.json"
    path.write_text('{"a": ', encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"run\.json can't be read"):
        read_json(path)


def test_a_folder_in_the_way_of_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ArtifactError, match="can't be written"):
        write_text(tmp_path / "file" / "below.txt", "x")


def test_a_full_disk_is_one_clear_line_and_keeps_what_was_there(tmp_path: Path) -> None:
    """``RLIMIT_FSIZE`` makes a real write fail half way, as a full disk does, with another errno."""
    path = tmp_path / "big.txt"
    write_text(path, "old")
    code = f"""
import resource, signal
from pathlib import Path
from coordi.artifacts import write_text
from coordi.errors import ArtifactError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1024, 1024))
try:
    write_text(Path({str(path)!r}), "x" * 10_000)
except ArtifactError as error:
    print(error)
"""
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert "big.txt can't be written" in said
    assert path.read_text(encoding="utf-8") == "old"
    assert len(list(tmp_path.iterdir())) == 1


def test_no_space_left_says_that_finished_work_is_kept() -> None:
    full = Path("/dev/full")
    message = "no space left on the disk while writing /dev/full; what was finished before is kept"
    with pytest.raises(ArtifactError, match=message), clear_write_errors(full), full.open("w") as file:
        file.write("x" * 100_000)
    with pytest.raises(ArtifactError, match=message), clear_write_errors(full), closing(connect()) as database:
        database.execute("COPY (SELECT * FROM range(1000000)) TO '/dev/full' (FORMAT parquet)")


def test_rows_come_back_from_duckdb_as_they_are() -> None:
    """Values that first come after thousands of rows without one keep their type too."""
    nothing: list[Any] = [None, [], None, None, None, 0]
    rows: list[list[Any]] = [*[nothing] * 3001, ["\0 é", ["red", "a'b"], b"\xff\0", 0.1 + 0.2, True, 2**62], nothing]
    with closing(connect()) as database:
        database.execute("CREATE TABLE t (a VARCHAR, b VARCHAR[], c BLOB, d DOUBLE, e BOOLEAN, f BIGINT)")
        insert(database, "t", rows)
        insert(database, "t", [])
        assert [list(row) for row in database.execute("SELECT * FROM t").fetchall()] == rows


def test_hashes(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "a.bin"
    path.parent.mkdir()
    path.write_bytes(b"abc")
    assert hash_file(path) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    with pytest.raises(ArtifactError, match=r"none\.bin can't be read"):
        hash_file(tmp_path / "none.bin")


def test_a_manifest_is_plain_json(tmp_path: Path) -> None:
    with stage_folder(tmp_path, Record("c", {})):
        pass
    assert json.loads((tmp_path / "manifest.json").read_text(encoding="utf-8"))["command"] == "c"


def test_a_lock_that_another_tool_wrote_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_bytes(b"\xff\xfe\x00")
    with lock_folder(tmp_path):
        assert (tmp_path / ".lock").read_text() == f"{os.getpid()}\n"


def test_json_keeps_the_bytes_of_a_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.jpg")
    write_json(tmp_path / "a.json", {"photo": name})
    assert read_json(tmp_path / "a.json") == {"photo": name}


class Building:
    """Builds a folder of two files, and counts how often."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.times = folder, 0

    def __call__(self) -> None:
        self.times += 1
        (self.folder / "weights").write_bytes(bytes(range(256)) * 40)
        (self.folder / "names.json").write_text('["a", "b"]')

    def once(self) -> dict[str, bytes]:
        assert build_once(self.folder, Record("coordi test", {}), self) == self.folder
        return {name: (self.folder / name).read_bytes() for name in ("weights", "names.json")}


SETTLED = 0.03  # seconds, more than a tick of the clock of files


@pytest.fixture
def building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Building:
    monkeypatch.setattr(artifacts, "_SETTLED_NS", int(SETTLED * 1e9))
    return Building(tmp_path / "cache" / "made")


def flipped(path: Path) -> None:
    """One bit is another, and the size and both times that a program can set are as they were."""
    state, content = path.stat(), path.read_bytes()
    middle = len(content) // 2
    path.write_bytes(content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :])
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flipped, cut, Path.unlink, lambda path: path.write_bytes(b"{}")])
@pytest.mark.parametrize("name", ["weights", "names.json", "sha256.json", "manifest.json"])
def test_a_damaged_file_of_the_cache_is_found_at_the_next_start(
    building: Building, name: str, damage: Callable[[Path], None]
) -> None:
    content = building.once()
    time.sleep(2 * SETTLED)
    assert building.once() == content
    assert (building.folder / "compared.json").is_file()
    assert building.times == 1
    damage(building.folder / name)
    assert building.once() == content
    harmless = name == "manifest.json" and building.times == 1  # still JSON, of which nothing is read
    assert building.times == 2 or harmless
    assert building.once() == content


def test_hashes_are_compared_again_only_after_a_change(building: Building, monkeypatch: pytest.MonkeyPatch) -> None:
    hashed: list[str] = []

    def counted(path: Path) -> str:
        hashed.append(path.name)
        return hash_file(path)

    monkeypatch.setattr(artifacts, "hash_file", counted)
    with monkeypatch.context() as patch:
        patch.setattr(artifacts, "_SETTLED_NS", 3600 * 10**9)
        building.once()
        assert hashed == ["names.json", "weights"]
        building.once()
        building.once()
        assert len(hashed) == 6  # a change just now may not be the last one at this time
    for change in (building.once, (building.folder / "weights").touch):
        change()
        before = len(hashed)
        time.sleep(2 * SETTLED)
        building.once()
        building.once()
        assert len(hashed) == before + 2
    hashed.clear()
    for damage in (cut, Path.unlink, lambda path: path.write_bytes(b"[1")):
        damage(building.folder / "compared.json")
        building.once()
    assert (len(hashed), building.times) == (6, 1)


def test_files_in_use_are_not_written_over(building: Building) -> None:
    content = building.once()
    with (building.folder / "weights").open("rb") as file:
        cut(building.folder / "names.json")
        building.once()
        (building.folder / "weights").write_bytes(b"")
        assert file.read() == content["weights"]


WAITS = """
import sys, time
from pathlib import Path
from coordi.artifacts import Record, build_once
folder = Path(sys.argv[1])

def build():
    print("builds", flush=True)
    (folder / "weights").write_text("half")
    time.sleep(float(sys.argv[2]))
    (folder / "weights").write_text("half and half")

print((build_once(folder, Record("coordi test", {}), build) / "weights").read_text())
"""


def builder(folder: Path, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WAITS, folder, str(seconds)], stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
def test_of_several_processes_one_builds_and_the_others_wait(tmp_path: Path) -> None:
    processes = [builder(tmp_path / "made", 0.5) for _ in range(4)]
    said = [process.communicate(timeout=60)[0].split("\n", 1) for process in processes]
    assert sorted(lines[0] for lines in said) == ["builds", "half and half", "half and half", "half and half"]


@pytest.mark.slow
def test_a_stopped_process_is_named_and_what_a_killed_one_began_is_built_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = builder(tmp_path / "made", 60)
    assert first.stdout is not None
    assert first.stdout.readline() == "builds\n"
    second = builder(tmp_path / "made", 0)
    time.sleep(0.5)
    assert second.poll() is None  # it waits
    first.send_signal(signal.SIGSTOP)
    monkeypatch.setattr(artifacts, "_LONGEST_WAIT", 0.2)
    with pytest.raises(
        ArtifactError, match=rf"another coordi \(process {first.pid}\) is at work in .*; wait for it or"
    ):
        build_once(tmp_path / "made", Record("coordi test", {}), lambda: None)
    first.send_signal(signal.SIGKILL)
    assert second.communicate(timeout=60)[0] == "builds\nhalf and half\n"
    assert first.wait() == -signal.SIGKILL
    first.stdout.close()


@pytest.mark.skipif(shutil.which("unshare") is None, reason="no mounts of a test's own")
def test_a_cache_that_cannot_be_written_is_used_as_it_is_or_named(building: Building) -> None:
    building.once()
    program = f"""
from pathlib import Path
from coordi import artifacts
from coordi.artifacts import Record, build_once
from coordi.errors import ArtifactError
artifacts._SETTLED_NS = 0
for name in ("made", "another"):
    folder = Path({str(building.folder.parent)!r}) / name
    try:
        print(build_once(folder, Record("coordi test", {{}}), lambda: None) == folder)
    except ArtifactError as error:
        print(error)
"""
    mounted = f"mount --bind '{building.folder.parent}' '{building.folder.parent}'"
    read_only = f"{mounted} && mount -o remount,bind,ro '{building.folder.parent}' && exec \"$@\""
    command = ["unshare", "--map-root-user", "--mount", "sh", "-c", read_only, "sh", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode and ("unshare" in done.stderr or "mount" in done.stderr):
        pytest.skip(f"no mounts of a test's own: {done.stderr}")
    first, second = done.stdout.splitlines()
    assert first == "True"
    assert second.endswith("can't be written: Read-only file system; choose another --out, or COORDI_CACHE")
    assert building.times == 1


def test_a_cache_that_is_a_file_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "file"))
    for folder in (cache_folder() / "made", cache_folder() / "bundled" / "made"):
        with pytest.raises(ArtifactError, match=r"file.* can't be written: .*; choose another --out, or COORDI_CACHE"):
            build_once(folder, Record("coordi test", {}), lambda: None)


def test_a_user_without_a_home_is_asked_for_a_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/nobody's")
    monkeypatch.setenv("COORDI_CACHE", "~/cache")
    assert cache_folder() == Path("/nobody's/cache")
    monkeypatch.delenv("COORDI_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("HOME")
    pwd = pytest.importorskip("pwd")

    def unknown(number: int) -> None:
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    with pytest.raises(ArtifactError, match=r"no folder for a cache: .*; set COORDI_CACHE to a folder"):
        cache_folder()


@pytest.mark.parametrize(
    "words", ["Not enough free space to write 9 bytes after offset 128", "I/O error (os error 28)"]
)
def test_what_libraries_say_of_a_full_disk(tmp_path: Path, words: str) -> None:
    with pytest.raises(ArtifactError, match="no space left on the disk"), clear_write_errors(tmp_path):
        raise OSError(words)
