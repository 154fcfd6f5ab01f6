"""What the stylist needs of whoever judges outfits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.recommend.described_item import DescribedItem

if TYPE_CHECKING:
    from coordi.recommend.catalogue_index import CatalogueIndex


class ItemScorer(Protocol):
    """Says how well items go together, whatever catalogue they are from.

    Unlike ``evaluate.scorer.OutfitScorer`` it is given the items themselves, so that one loaded model serves any number
    of catalogues and requests. Safe to be called from several threads.
    """

    @property
    def name(self) -> str:
        """``fine-tuned`` or ``base``."""
        ...

    def in_catalogue(self, index: CatalogueIndex) -> ItemScorer:
        """The same scorer, which sees items as they are in a catalogue; whatever is loaded is shared."""
        ...

    def score(
        self, outfits: Sequence[Sequence[DescribedItem]], *, language_model: bool = True, orders: int = 1
    ) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``, in ``[0, 1]``.

        Args:
            outfits: Two items or more each.
            language_model: False judges by what needs no language model, which takes microseconds an outfit.
            orders: Orders of the items that a language model's answers are averaged over.
        """
        ...

    def direction(self, outfit: Sequence[DescribedItem]) -> NDArray[np.float32]:
        """Which way candidates lie whose texts go with the outfit.

        Of two candidates of one category, the one with the larger inner product of its ``text_vector`` with this is the
        one that ``score`` without the language model likes better, but for shared words and rounding; so a search by it
        finds the candidates worth scoring.

        Args:
            outfit: One item or more.

        Returns:
            Shape ``(T,)``, of any length.
        """
        ...
