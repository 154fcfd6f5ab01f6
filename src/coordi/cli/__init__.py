"""The command line: one file per noun."""

from __future__ import annotations

import sys

_INTERRUPTED = 130


def start() -> None:
    """Run the command line; Ctrl-C is no failure to be shown, even while it is still being imported."""
    try:
        from coordi.cli.main import main
    except KeyboardInterrupt:
        sys.stderr.write("coordi: interrupted before it began\n")
        sys.exit(_INTERRUPTED)
    main()
