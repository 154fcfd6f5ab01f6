"""The ``coordi`` command: its subcommands, and coordi's errors as one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from coordi.cli import advise, catalogue, data, describe, doctor, pipeline, report
from coordi.cli.console import note
from coordi.errors import CoordiError

_COMMANDS = (pipeline, data, describe, catalogue, report, advise, doctor)
_INTERRUPTED = 130


def build_app() -> typer.Typer:
    """Build the command line with all subcommands."""
    app = typer.Typer(
        name="coordi",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode="rich",
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for part in _COMMANDS:
        part.register(app)
    return app


def main() -> None:
    """Run the command line; exit with 0, 1 (coordi's own error, one line), 2 (usage) or 130 (Ctrl-C)."""
    _be_offline_and_quiet()
    try:
        build_app()()
    except CoordiError as error:
        note(f"coordi: {' '.join(str(error).split())}")
        sys.exit(1)
    except OSError as error:
        where = error.filename or "a file"
        note(f"coordi: {where}: {error.strerror or error}; check that path, its rights and the disk")
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as ending:
        if isinstance(ending, SystemExit) and ending.code != _INTERRUPTED:
            raise
        note("coordi: interrupted; finished stages are kept, and the same command resumes")
        sys.exit(_INTERRUPTED)


def _show_version(value: bool) -> None:
    if value:
        typer.echo(f"coordi {metadata.version('coordi')}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print coordi's version and stop.", is_eager=True, callback=_show_version)
    ] = False,
) -> None:
    """Score how well clothes go together and find what completes an outfit, on your own machine.

    Start with: [bold]coordi run --data sample --out demo --preset demo[/bold]
    """


def _be_offline_and_quiet() -> None:
    """Keep libraries off the network unless the user allowed it, and hide their messages and warnings."""
    if os.environ.get("COORDI_ALLOW_DOWNLOAD") != "1":
        os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Threads that spin long while they wait slow down a busy machine a lot; threads that never spin cost a third on an
    # idle one (measured: dev/LOG.md).
    os.environ.setdefault("GOMP_SPINCOUNT", "20000")
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(logging.Formatter("  %(message)s"))
    # Each stage draws the same questions, and would repeat their warnings.
    first_records: dict[str, logging.LogRecord] = {}
    handler.addFilter(lambda record: first_records.setdefault(record.getMessage(), record) is record)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
