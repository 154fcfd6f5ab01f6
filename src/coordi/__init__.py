"""coordi tells whether clothes go together and what would complete an outfit, on the user's own machine."""

from __future__ import annotations

import os

from coordi.errors import CoordiError
from coordi.types import Dataset, Description, Item, Outfit

__all__ = ["CoordiError", "Dataset", "Description", "Item", "Outfit"]

# Since 1.32 onnxruntime gathers what it is used for, keeps it beside an id of the machine and sends it to its maker,
# unless this stands before it is imported. What the user has set stays.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
