"""The tiny model of the model's own tests, for the contracts."""

from __future__ import annotations

from ..model.conftest import tiny_base, tiny_folder, tiny_settings

__all__ = ["tiny_base", "tiny_folder", "tiny_settings"]
