"""Text and JSON files of a source, with errors that say where they are broken."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from coordi.errors import DataError


def read_text(path: Path) -> str:
    """Text of a UTF-8 file, with or without a byte order mark.

    Raises:
        DataError: If it can't be read or isn't UTF-8, with the byte at which it stops being so.
    """
    try:
        return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} isn't UTF-8 (byte {error.start}); save it as UTF-8") from error
    except OSError as error:
        raise DataError(f"{path} can't be read: {error.strerror or error}") from error


def read_json(path: Path) -> Any:
    """Parse a JSON file.

    Raises:
        DataError: If it can't be read or is broken, with line and column.
    """
    text = read_text(path)
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise DataError(f"{path} isn't JSON: {error.msg} at {where}; get the file again or mend it there") from error
    except RecursionError as error:
        raise DataError(f"{path} isn't a data file: its JSON is nested too deeply") from error


def inside(folder: Path, named: str) -> Path | None:
    """The path that a source names relative to its folder; None for an address, or a path that leads out of it.

    A catalogue from elsewhere shall not make coordi open, or show in a report, files it was never given. Links within
    the folder are the user's own and are followed.
    """
    if not named or "://" in named or "\0" in named:
        return None
    within = os.path.normpath(folder / named)
    return Path(within) if within.startswith(f"{os.path.normpath(folder)}{os.sep}") else None
