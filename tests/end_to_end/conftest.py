"""The tiny models of the other tests, for runs of the whole way."""

from __future__ import annotations

from ..encoders.conftest import tiny_clip as tiny_clip
from ..model.conftest import tiny_folder as tiny_folder
