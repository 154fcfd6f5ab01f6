from __future__ import annotations

from ..model.conftest import tiny_base, tiny_folder, tiny_settings

__all__ = ["tiny_base", "tiny_folder", "tiny_settings"]
