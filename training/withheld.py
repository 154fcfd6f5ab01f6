"""Which kinds of article training never sees, so that anyone can ask the bundled encoder for words it wasn't taught.

The rule was fixed before anything was trained: of the kinds with 10 to 120 photos, by the SHA-256 of their names, the
first three of Apparel, the first three of Accessories and the first of Footwear. Further kinds, never the reported
ones, are withheld in turn to choose by.
"""

from __future__ import annotations

import hashlib

import numpy as np
import pandas as pd
from numpy.typing import NDArray

FEWEST, MOST = 10, 120
TAKEN = {"Apparel": 3, "Accessories": 3, "Footwear": 1}
# Kinds withheld to choose settings by: the next of the same order, and one larger kind of footwear in each.
FOLDS = {
    "A": ("Shorts", "Innerwear Vests", "Skirts", "Mobile Pouch", "Caps", "Ties", "Heels"),
    "B": ("Dresses", "Tunics", "Track Pants", "Backpacks", "Mufflers", "Laptop Bag", "Formal Shoes"),
    "C": ("Stockings", "Kurtis", "Jackets", "Clutches", "Cufflinks", "Briefs", "Flip Flops"),
}


def withheld_types(rows: pd.DataFrame) -> list[str]:
    """The withheld kinds, sorted; ``rows`` are all labelled photos."""
    counts = rows["articleType"].value_counts()
    found: list[str] = []
    for master, taken in TAKEN.items():
        # A kind belongs where most of its photos are.
        owner = rows.groupby("articleType")["masterCategory"].agg(lambda values: values.value_counts().index[0])
        kinds = [kind for kind, n in counts.items() if FEWEST <= n <= MOST and owner[kind] == master]
        found += sorted(kinds, key=lambda kind: hashlib.sha256(f"withheld:{kind}".encode()).hexdigest())[:taken]
    return sorted(found)


def kept_from_training(rows: pd.DataFrame, fold: str = "") -> NDArray[np.bool_]:
    """Rows whose kind is withheld, or withheld besides in a fold to choose by, ``(N,)``."""
    kinds = [*withheld_types(rows), *FOLDS.get(fold, ())]
    return np.asarray(rows["articleType"].isin(kinds))
