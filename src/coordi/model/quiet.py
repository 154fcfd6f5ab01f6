"""Keeps libraries from writing to the screen and from reaching for a network on their own."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

_CHATTY = ("transformers", "peft", "trl", "bitsandbytes", "accelerate", "datasets", "huggingface_hub")
# Read by huggingface_hub when it is first imported, and by the libraries on top of it.
_OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE", "HF_DATASETS_OFFLINE")


def stay_offline() -> None:
    """Tell the libraries of Hugging Face to fetch nothing, whatever they are asked; a user's own setting wins.

    To be called before any of them is imported.
    """
    for name in (*_OFFLINE, "HF_HUB_DISABLE_TELEMETRY"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # It advises to install a package that would download a program from the hub and run it.
    logging.getLogger("bitsandbytes.backends.cpu.ops").setLevel(logging.ERROR)


@contextmanager
def quiet() -> Iterator[None]:
    """Silence progress bars, advice and deprecation notes of the model libraries for a while; errors still come."""
    stay_offline()
    from transformers.utils import logging as transformers_logging

    levels = {name: logging.getLogger(name).level for name in _CHATTY}
    bars = transformers_logging.is_progress_bar_enabled()
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
        if bars:
            transformers_logging.enable_progress_bar()  # type: ignore[no-untyped-call]
