"""Runs the command line and writes down every file that is opened for writing or made, as Python itself sees it."""

from __future__ import annotations

import os
import sys

_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT


def record_writes(descriptor: int) -> None:
    def hook(event: str, arguments: tuple[object, ...]) -> None:
        if event == "open":
            path, mode, flags = (*arguments, None, None, None)[:3]
            writes = isinstance(flags, int) and flags & _WRITES
            if writes or (isinstance(mode, str) and set(mode) & set("wax+")):
                os.write(descriptor, f"{path}\n".encode())
        elif event in ("os.rename", "os.mkdir", "tempfile.mkstemp", "tempfile.mkdtemp", "shutil.copyfile"):
            os.write(descriptor, f"{event} {arguments}\n".encode())

    sys.addaudithook(hook)


if __name__ == "__main__":
    record_writes(os.open(sys.argv.pop(1), os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    from coordi.cli.main import main

    main()
