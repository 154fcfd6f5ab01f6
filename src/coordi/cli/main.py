"""The ``coordi`` command: its subcommands, and coordi's errors as one line and an exit code."""

from __future__ import annotations

import errno
import inspect
import io
import logging
import os
import sys
from importlib import metadata
from typing import Annotated

import typer

from coordi.cli import advise, catalogue, data, describe, doctor, pipeline, report
from coordi.cli.console import echo, note
from coordi.errors import CoordiError, out_of_memory

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
    _unwrap_help(app)
    return app


def _unwrap_help(app: typer.Typer) -> None:
    """Leave line breaks to the terminal: Typer keeps a docstring's own, which make short lines at 80 columns."""
    for command in app.registered_commands:
        paragraphs = inspect.cleandoc(getattr(command.callback, "__doc__", None) or "").split("\n\n")
        command.help = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    for group in app.registered_groups:
        if group.typer_instance is not None:
            _unwrap_help(group.typer_instance)


def main() -> None:
    """Run the command line; exit with 0, 1 (coordi's own error, one line), 2 (usage) or 130 (Ctrl-C)."""
    _be_offline_and_quiet()
    for stream in (sys.stdout, sys.stderr):  # an encoding without a letter that is printed, such as ascii
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        build_app()()
    except (CoordiError, OSError, MemoryError, RuntimeError, ImportError) as error:
        message = _message(error)
        if not message:
            raise
        if isinstance(error, MemoryError):  # rich needs some, too
            sys.stderr.write(f"coordi: {message}\n")
        else:
            note(f"coordi: {message}")
        sys.exit(1)
    except (KeyboardInterrupt, SystemExit) as ending:
        if isinstance(ending, SystemExit) and ending.code != _INTERRUPTED:
            raise
        note("coordi: interrupted; finished stages are kept, and the same command resumes")
        sys.exit(_INTERRUPTED)


def _message(error: Exception) -> str:
    """One line on an error, with its real cause; empty for an error of coordi's code."""
    short = out_of_memory(error)
    if short:
        return (
            f"there isn't enough memory ({short}); end other programs, raise the limit if there is one (ulimit -v), or "
            "choose a smaller model or fewer items"
        )
    if isinstance(error, CoordiError):
        return " ".join(str(error).split())
    if isinstance(error, OSError):
        where = error.filename or "a file"
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return f"no space left on the disk, writing {where}; free some space and run the same command again"
        return f"{where}: {error.strerror or error}; check that path, its rights and the disk"
    return ""


def _show_version(value: bool) -> None:
    if value:
        echo(f"coordi {metadata.version('coordi')}")
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
    # Requests of a server and errors that it logs are counted, however much they are alike.
    handler.addFilter(
        lambda record: (
            record.name.startswith("coordi.access")
            or record.levelno >= logging.ERROR
            or first_records.setdefault(record.getMessage(), record) is record
        )
    )
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)


if __name__ == "__main__":
    main()
