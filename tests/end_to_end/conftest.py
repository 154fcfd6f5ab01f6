"""The tiny language model of the model tests, for runs of the whole way."""

from __future__ import annotations

from ..model.conftest import tiny_folder as tiny_folder
