"""Checkpoints of a training, written atomically and verified, and Ctrl-C held back until one is written."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from coordi.artifacts import MANIFEST, clear_write_errors, hash_file, read_json
from coordi.errors import ArtifactError, require


class Interruption:
    """The first Ctrl-C is noted and waits for ``obey``, a second one ends the work at once.

    Only while ``held`` runs, in a program's main thread, and where Ctrl-C does what Python does by default; elsewhere
    it is left as it is.
    """

    def __init__(self, say: Callable[[str], None]) -> None:
        """Take what shows a line to the user."""
        self._say = say
        self._at_once = False
        self.asked = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Note Ctrl-C for a while instead of ending the work by it."""
        usual = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is not threading.main_thread() or usual is not signal.default_int_handler:
            yield
            return
        signal.signal(signal.SIGINT, self._hear)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, usual)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let Ctrl-C end the work at once for a while, as nothing would be lost by it."""
        self._at_once = True
        try:
            yield
        finally:
            self._at_once = False

    def obey(self) -> None:
        """End the work if Ctrl-C was heard.

        Raises:
            KeyboardInterrupt: If so.
        """
        if self.asked:
            raise KeyboardInterrupt

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.asked or self._at_once:
            raise KeyboardInterrupt
        self.asked = True
        self._say("stopping after this step, so that nothing of the training is lost; Ctrl-C again stops at once")


BEST = "adapter"  # in a checkpoint: the best adapter of the looks before it
_STATE = "state.json"
_TENSORS = "tensors.safetensors"
_KEPT = 2
_NAME = re.compile(r"step-(\d+)")
_MIB = 2**20


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a training had come to after a step.

    Attributes:
        step: Optimizer steps taken.
        state: As it was given to ``Checkpoints.save``.
        adapter: Folder of the best adapter by then; None if there was none.
    """

    step: int
    state: dict[str, Any]
    adapter: Path | None


class Checkpoints:
    """The checkpoints of one training in a folder of their own.

    One is written under another name, brought to the disk and renamed; its manifest holds the SHA-256 of its files, so
    that what is cut short or damaged is known. Nothing is pickled: tensors are safetensors, the rest is JSON.
    """

    def __init__(self, folder: Path, fingerprint: str) -> None:
        """Take the folder, and what tells this training from others."""
        self._folder = folder
        self._fingerprint = fingerprint

    def save(self, step: int, state: Mapping[str, Any], adapter: Path) -> None:
        """Write a checkpoint, then remove all but the newest two.

        Args:
            step: Optimizer steps taken.
            state: Dicts, lists, tuples, tensors and what JSON has, however nested.
            adapter: Folder of the best adapter so far, whether it exists or not.

        Raises:
            ArtifactError: If it can't be written; those before it stay, and nothing is left of it.
        """
        final = self._folder / f"step-{step:06d}"
        fresh = self._folder / f".{final.name}.new"
        try:
            with clear_write_errors(final):
                _remove(fresh)
                fresh.mkdir(parents=True)
                write_state(state, fresh)
                if adapter.is_dir():
                    copy_files(adapter, fresh / BEST)
                told = {"step": step, "training": self._fingerprint, "files": _hashes(fresh)}
                (fresh / MANIFEST).write_text(json.dumps(told, indent=2), encoding="utf-8")
                _bring_to_disk(fresh)
                _remove(final)
                fresh.rename(final)
                _sync(self._folder)
        except ArtifactError as error:
            shutil.rmtree(fresh, ignore_errors=True)
            raise ArtifactError(f"{error} ({self._situation(state, adapter)})") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
        for old in self._folders()[_KEPT:]:
            shutil.rmtree(old, ignore_errors=True)

    def newest(self, say: Callable[[str], None]) -> Checkpoint | None:
        """The newest whole checkpoint; None if there is none. What isn't whole is said and removed.

        Raises:
            ArtifactError: If what isn't whole can't be removed.
        """
        with clear_write_errors(self._folder):
            for rest in self._folder.glob(".step-*"):  # a save that was cut short, as by a power cut
                _remove(rest)
            for folder in self._folders():
                wrong = self._what_is_wrong(folder)
                if wrong is None:
                    adapter = folder / BEST
                    return Checkpoint(_step(folder), read_state(folder), adapter if adapter.is_dir() else None)
                say(f"the checkpoint {folder} isn't whole and is left out: {wrong}")
                _remove(folder)
        return None

    def clear(self) -> None:
        """Remove all checkpoints.

        Raises:
            ArtifactError: If they can't be removed.
        """
        with clear_write_errors(self._folder):
            _remove(self._folder)

    def _folders(self) -> list[Path]:
        """Those that have their final name, the newest first."""
        return sorted((one for one in self._folder.glob("step-*") if _NAME.fullmatch(one.name)), key=_step)[::-1]

    def _what_is_wrong(self, folder: Path) -> str | None:
        try:
            told = read_json(folder / MANIFEST)
            if told["training"] != self._fingerprint or told["step"] != _step(folder):
                return "it is of another training or step"
            files = dict(told["files"])
            found = _hashes(folder)
        except (ArtifactError, KeyError, TypeError, ValueError) as error:
            return f"its {MANIFEST} or a file can't be read ({type(error).__name__})"
        differing = sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))
        return f"{', '.join(differing)} differ from the SHA-256 in {MANIFEST}" if differing else None

    def _situation(self, state: Mapping[str, Any], adapter: Path) -> str:
        """What a checkpoint takes, what the disk has, and what there is to go on from."""
        folders = self._folders()
        kept = f"that of step {_step(folders[0])} is whole" if folders else "there is none before it"
        needed = _bytes(state) + sum(path.stat().st_size for path in adapter.rglob("*") if path.is_file())
        place = next(one for one in (self._folder, *self._folder.parents) if one.exists())
        free = shutil.disk_usage(place).free
        return f"a checkpoint takes about {needed / _MIB:.1f} MiB, {free / _MIB:.1f} MiB are free; {kept}"


def copy_files(source: Path, target: Path) -> None:
    """Copy a folder's files into a new one, so that a full disk is told as that, which ``copytree`` doesn't do."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            shutil.copyfile(path, target / path.name)


def write_state(state: Mapping[str, Any], folder: Path) -> None:
    """Write nested dicts, lists, tuples, tensors and what JSON has into a folder, to be read as they were."""
    save_file = require("safetensors.torch", "train").save_file
    tensors: dict[str, Any] = {}
    plain = _packed(state, tensors, {})
    save_file(tensors, folder / _TENSORS)
    (folder / _STATE).write_text(json.dumps(plain, allow_nan=False), encoding="utf-8")


def read_state(folder: Path) -> dict[str, Any]:
    """What ``write_state`` wrote; tensors are in main memory."""
    load_file = require("safetensors.torch", "train").load_file
    state: dict[str, Any] = _unpacked(read_json(folder / _STATE), load_file(folder / _TENSORS))
    return state


def _packed(value: Any, tensors: dict[str, Any], names: dict[int, str]) -> Any:
    """The value as JSON, its tensors put aside; a tensor that occurs several times is put aside once."""
    torch = require("torch", "train")
    if isinstance(value, torch.Tensor):
        name = names.setdefault(id(value), str(len(names)))
        if name not in tensors:
            tensors[name] = value.detach().to("cpu", copy=True).contiguous()
        return {"tensor": name}
    if isinstance(value, Mapping):
        return {"dict": [[key, _packed(one, tensors, names)] for key, one in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_packed(one, tensors, names) for one in value]}
    if isinstance(value, list):
        return [_packed(one, tensors, names) for one in value]
    return value


def _unpacked(value: Any, tensors: Mapping[str, Any]) -> Any:
    if isinstance(value, list):
        return [_unpacked(one, tensors) for one in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "tuple":
        return tuple(_unpacked(one, tensors) for one in held)
    return {key: _unpacked(one, tensors) for key, one in held}


def _bytes(value: Any) -> int:
    """Of all tensors in nested values."""
    if isinstance(value, Mapping):
        return sum(map(_bytes, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_bytes, value))
    return int(getattr(value, "nbytes", 0))


def _hashes(folder: Path) -> dict[str, str]:
    """SHA-256 by relative path of all files but the manifest."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path != folder / MANIFEST)
    return {path.relative_to(folder).as_posix(): hash_file(path) for path in files}


def _step(folder: Path) -> int:
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else -1


def _remove(path: Path) -> None:
    if path.exists():
        shutil.rmtree(path)


def _bring_to_disk(folder: Path) -> None:
    """Wait until a folder and all in it would survive a power cut."""
    for path in (*folder.rglob("*"), folder):
        _sync(path)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
