"""coordi tells whether clothes go together and what would complete an outfit, on the user's own machine."""

from __future__ import annotations

from coordi.domain import Dataset, Description, Item, Outfit
from coordi.errors import CoordiError

__all__ = ["CoordiError", "Dataset", "Description", "Item", "Outfit"]
