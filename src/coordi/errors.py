"""Every error that coordi raises on purpose, and the import of optional dependencies."""

from __future__ import annotations

import importlib
import re
from types import ModuleType


class CoordiError(Exception):
    """Base of every error that coordi raises on purpose.

    The message is one line: what is wrong, the value, what is accepted and what to do. The command line exits with 1.
    """


class DataError(CoordiError):
    """A data set, catalogue or photo folder can't be read or has nothing usable in it."""


class ImageError(DataError):
    """A file isn't a photo that coordi opens: missing, cut short, too large or of another kind."""


class ConfigError(CoordiError):
    """A preset, vocabulary or ``key=value`` override is wrong."""


class EncoderError(CoordiError):
    """An image encoder can't be loaded, or its files don't match what they claim to be."""


class ModelError(CoordiError):
    """A base model or adapter can't be loaded, or doesn't fit the settings."""


class TrainingError(ModelError):
    """Fine-tuning can't start or can't continue; what was finished is kept."""


class PromptError(CoordiError):
    """A prompt can't be shortened to the maximum length without cutting the question or the answer."""


class EvaluationError(CoordiError, ValueError):
    """A metric has no value on these questions (none left, one class, scores that aren't finite)."""


class RecommendationError(CoordiError):
    """There is nothing to recommend from, or the request names an unknown item or category."""


class ArtifactError(CoordiError):
    """An output folder can't be written, or has the wrong contents."""


class MissingDependencyError(CoordiError):
    """An optional part of coordi isn't installed; the message holds the command that adds it."""


_NO_MEMORY = (
    "Unable to allocate", "annot allocate memory", "can't allocate memory", "failed to map segment", "bad_alloc",
    "out of memory", "Out of Memory",
)  # fmt: skip


def out_of_memory(error: BaseException | None) -> str:
    """How an error, or what caused it, says that memory was short; empty if none of them does."""
    words = ""
    while error is not None:  # the innermost one says it best
        text = str(error).strip()
        if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
            words = text.splitlines()[0] if text else type(error).__name__
        error = error.__cause__ or error.__context__
    return words


_OF_PYDANTIC = re.compile(r"^(Input|List|Tuple|String|Dictionary) should\b")


def reason_in_words(message: str) -> str:
    """A message of pydantic in the words of coordi's own errors, such as ``must be greater than or equal to 1``."""
    message = _OF_PYDANTIC.sub("must", message.removeprefix("Value error, ")).replace(" after validation", "")
    return "is missing" if message == "Field required" else message.replace("valid tuple", "valid list")


def require(module: str, extra: str | None = None) -> ModuleType:
    """Import what the extra ``coordi[extra]`` installs, or coordi itself for None; a ``MissingDependencyError`` if a
    module is missing.
    """
    package = "coordi" if extra is None else f"'coordi[{extra}]'"
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is not None and module.split(".")[0] != error.name.split(".")[0]:
            raise MissingDependencyError(
                f"'{module}' is installed but needs '{error.name}', which isn't; run: pip install {package}"
            ) from error
        raise MissingDependencyError(
            f"this needs '{module}', which isn't installed; run: pip install {package}"
        ) from error
