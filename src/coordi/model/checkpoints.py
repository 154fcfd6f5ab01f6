"""Checkpoints of a training, written atomically and verified, and Ctrl-C deferred until one is written."""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NamedTuple

from coordi.artifacts import MANIFEST, clear_write_errors, hash_file, read_json
from coordi.errors import ArtifactError, require

BEST = "adapter"  # in a checkpoint: the best adapter so far
_STATE = "state.json"
_TENSORS = "tensors.safetensors"
_NEWEST = 2  # checkpoints that stay


class Interruption:
    """Ctrl-C in a training: the first one waits until a checkpoint is written, a second one ends the work at once."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self.requested = False
        self._say = say

    @contextmanager
    def deferred(self) -> Iterator[None]:
        """Note Ctrl-C; only in the main thread, and where it has Python's default handler."""
        handler = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or handler is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
        self._say("stopping after this step, so that nothing of the training is lost; Ctrl-C again stops at once")


class Checkpoint(NamedTuple):
    """A training after a step: what ``Checkpoints.save`` was given, and the folder of the best adapter so far."""

    step: int
    state: dict[str, Any]
    adapter: Path | None


class Checkpoints:
    """Checkpoints of one training as safetensors and JSON; damaged ones and those of another training aren't used."""

    def __init__(self, folder: Path, fingerprint: str) -> None:
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, step: int, state: Mapping[str, Any], adapter: Path) -> None:
        """Write a checkpoint, then remove all but the newest two; if it can't be written, earlier ones stay. The state
        is nested dicts and lists of tensors and JSON values; the best adapter's folder need not exist.
        """
        final = self._folder / f"step-{step:06d}"
        fresh = self._folder / f".{final.name}.new"
        try:
            with clear_write_errors(final):
                shutil.rmtree(fresh, ignore_errors=True)
                fresh.mkdir(parents=True)
                tensors: dict[str, Any] = {}
                (fresh / _STATE).write_text(json.dumps(_pack(state, tensors), allow_nan=False), encoding="utf-8")
                require("safetensors.torch", "train").save_file(tensors, fresh / _TENSORS)
                if adapter.is_dir():
                    copy_files(adapter, fresh / BEST)
                (fresh / MANIFEST).write_text(json.dumps(self._manifest(fresh, step), indent=2), encoding="utf-8")
                for path in (*fresh.rglob("*"), fresh):
                    _sync(path)
                shutil.rmtree(final, ignore_errors=True)
                fresh.rename(final)
                _sync(self._folder)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        for old in self._folders()[_NEWEST:]:
            shutil.rmtree(old, ignore_errors=True)

    def newest(self, say: Callable[[str], None]) -> Checkpoint | None:
        """The newest complete checkpoint; None if there is none. Damaged ones are reported and removed."""
        with clear_write_errors(self._folder):
            for partial in self._folder.glob(".step-*"):  # a save that was cut short, as by a power cut
                shutil.rmtree(partial)
            for folder in self._folders():
                if self._is_complete(folder):
                    return self.load(_step(folder))
                say(f"the checkpoint {folder} is damaged and is not used: its files aren't those of its {MANIFEST}")
                shutil.rmtree(folder)
        return None

    def load(self, step: int) -> Checkpoint:
        """Read a complete checkpoint; its tensors are in main memory."""
        folder = self._folder / f"step-{step:06d}"
        tensors = require("safetensors.torch", "train").load_file(folder / _TENSORS)
        adapter = folder / BEST
        return Checkpoint(step, _unpack(read_json(folder / _STATE), tensors), adapter if adapter.is_dir() else None)

    def _folders(self) -> list[Path]:
        return sorted(self._folder.glob("step-*"), key=_step, reverse=True)

    def _manifest(self, folder: Path, step: int) -> dict[str, Any]:
        files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
        hashes = {path.relative_to(folder).as_posix(): hash_file(path) for path in files}
        return {"step": step, "training": self._fingerprint, "files": hashes}

    def _is_complete(self, folder: Path) -> bool:
        try:
            return bool(read_json(folder / MANIFEST) == self._manifest(folder, _step(folder)))
        except ArtifactError:
            return False


def copy_files(source: Path, target: Path) -> None:
    """Copy a folder's files into a new one; unlike ``copytree``, a full disk raises its own ``OSError``."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def _pack(value: Any, tensors: dict[str, Any]) -> Any:
    """The value as JSON, its tensors moved to ``tensors``; keys keep their type, which a JSON object doesn't allow."""
    if isinstance(value, require("torch", "train").Tensor):
        name = str(len(tensors))
        tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _pack(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, list | tuple):
        return [_pack(entry, tensors) for entry in value]
    return value


def _unpack(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpack(entry, tensors) for entry in value]
    if isinstance(value, dict):
        return tensors[value["tensor"]] if "tensor" in value else dict(_unpack(value["dict"], tensors))
    return value


def _step(folder: Path) -> int:
    return int(folder.name.removeprefix("step-"))


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
