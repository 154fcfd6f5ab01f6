"""The command line: one file per group of commands."""

from __future__ import annotations

import os
import sys

_INTERRUPTED = 130


def start() -> None:
    """Run the command line; Ctrl-C during its import exits without a traceback."""
    try:
        from coordi.cli.main import main
    except KeyboardInterrupt:
        sys.stderr.write("coordi: interrupted before it began\n")
        sys.exit(_INTERRUPTED)
    except MemoryError:
        sys.stderr.write(
            "coordi: there isn't enough memory to begin; end other programs, or raise the limit (ulimit -v)\n"
        )
        sys.exit(1)
    try:
        main()
    except SystemExit as ending:
        if isinstance(ending.__context__, MemoryError):  # what libraries do at the end would fail, with tracebacks
            sys.stderr.flush()
            os._exit(1)
        raise
