"""Files are whole or absent, and a full disk or a read-only folder is one clear line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from coordi.artifacts import (
    Record,
    atomic_path,
    clear_write_errors,
    hash_file,
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


def test_broken_json_is_named(tmp_path: Path) -> None:
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
