"""The bundled sample, drawn by ``training/draw_sample.py`` to try coordi without data; its figures are no results."""

from __future__ import annotations

from importlib import metadata, resources
from pathlib import Path
from zipfile import ZipFile

from coordi.artifacts import Progress, atomic_path, cache_folder, clear_write_errors, lock_folder, no_progress

SAMPLE = "sample"
"""Name of the sample wherever a path of data is accepted."""

MARKER = "sample.json"
"""Written last, so that a folder with one is complete."""


def sample_folder() -> Path:
    """Folder of the sample in coordi's cache; unpacked on first use."""
    folder = cache_folder() / f"{SAMPLE}-{metadata.version('coordi')}" / SAMPLE
    if not (folder / MARKER).is_file():
        with lock_folder(folder.parent, wait=True):  # two processes may need it for the first time
            if not (folder / MARKER).is_file():
                write_sample(folder)
    return folder


def write_sample(folder: Path, progress: Progress = no_progress) -> None:
    """Unpack the sample's files over older ones; its marker, last, shows that it is complete."""
    with clear_write_errors(folder / MARKER):
        (folder / MARKER).unlink(missing_ok=True)
    with resources.files("coordi.data").joinpath("sample.zip").open("rb") as file, ZipFile(file) as archive:
        names = archive.namelist()
        for done, name in enumerate(names, start=1):
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(archive.read(name))
            progress(done, len(names))
