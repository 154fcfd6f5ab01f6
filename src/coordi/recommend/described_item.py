"""An item together with all that advice is made from: what is said of it, and its vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from coordi.domain import Description, Item

Gender = Literal["women", "men", "girls", "boys", "unisex"]
GENDERS: tuple[Gender, ...] = ("women", "men", "girls", "boys", "unisex")


@dataclass(frozen=True, slots=True, eq=False)
class DescribedItem:
    """One item of a catalogue, or one that a user named on the spot.

    Attributes:
        item: Its category is known.
        text: What prompts say of it (``prompts.item_text``).
        text_vector: Of ``text``, by the bundled text encoder, unit length, shape ``(T,)``.
        description: What an encoder saw in its photo, or a user corrected; None without a photo.
        photo_vector: Of its photo, unit length, shape ``(D,)``; None without a photo.
        brand: As the source has it; empty if unknown.
        colours: Labels of the vocabulary's ``colour``, from the source's column, its title and its photo, in this
            order; empty if none is known.
        gender: Whom it is made for; None if unknown.
        season: As the source has it, in lower case; empty if unknown.
        in_stock: None if the source doesn't say, which counts as in stock.
    """

    item: Item
    text: str
    text_vector: NDArray[np.float32]
    description: Description | None = None
    photo_vector: NDArray[np.float32] | None = None
    brand: str = ""
    colours: tuple[str, ...] = ()
    gender: Gender | None = None
    season: str = ""
    in_stock: bool | None = None

    @property
    def id(self) -> str:
        """Of the item."""
        return self.item.id
