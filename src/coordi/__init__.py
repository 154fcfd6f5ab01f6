"""coordi tells whether clothes go together and what would complete an outfit, on the user's own machine.

    import coordi

    model = coordi.load()
    model.score(["navy wool blazer", "jeans.jpg"])

Importing coordi sets nothing in the process and loads no model: each name is imported when it is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from coordi.api import Model, evaluate, load, read_dataset
    from coordi.errors import CoordiError
    from coordi.recommend.catalogue import Catalogue
    from coordi.recommend.rules import Rules
    from coordi.types import Item, Outfit

    __version__: str

__all__ = [
    "Catalogue", "CoordiError", "Item", "Model", "Outfit", "Rules", "__version__", "evaluate", "load", "read_dataset",
]  # fmt: skip

_MODULES = {
    "Catalogue": "coordi.recommend.catalogue",
    "CoordiError": "coordi.errors",
    "Item": "coordi.types",
    "Model": "coordi.api",
    "Outfit": "coordi.types",
    "Rules": "coordi.recommend.rules",
    "evaluate": "coordi.api",
    "load": "coordi.api",
    "read_dataset": "coordi.api",
}


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("coordi")
    if name not in _MODULES:
        raise AttributeError(f"module 'coordi' has no attribute '{name}'")
    return getattr(import_module(_MODULES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
