"""What is usual for a category, told with a title or by a photo alone, so that likeness tells what is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from coordi.config import PromptSettings
from coordi.describe.vocabulary import Vocabulary
from coordi.domain import WORN_CATEGORIES, Description, Item, Label, WornCategory
from coordi.evaluate.baselines.centring import CategoryMeans
from coordi.pipeline.plain_parts import text_encoder
from coordi.prompts.item_text import item_text
from coordi.recommend.described_item import DescribedItem

Group = tuple[WornCategory, bool]
"""A category, and whether its items have a title."""
Means = Mapping[Group, NDArray[np.float64]]

_SHRINKAGE = 10
"""How many items of a catalogue weigh as much as what is usual elsewhere, as in ``CategoryMeans``."""
_SAID = ("colour", "pattern", "material")

# A language model that was taught titles finds what is told by labels alone too alike: random outfits of 2, 3, 4 and 5
# product photos got median log odds of 0.85, 1.38, 1.79 and 2.63, where the random negatives that it was measured on
# get -0.6 to -2.2 and those of the same categories about -0.2. A line through the first, but for -0.5, is taken off
# (dev/LOG.md).
_LM_PER_ITEM, _LM_OFFSET = 0.58, 0.15


class Usual:
    """Mean text vectors by category and way of telling.

    Titles were learned with the adapter. What is told by photos alone has the words of the vocabulary and brackets in
    common, so its mean is another: that of every kind of the category in every colour, pattern and material. A
    catalogue's own items shift both.
    """

    def __init__(self, means: Means) -> None:
        """Take the means of all groups; none leaves vectors as they are."""
        self._means = means

    @classmethod
    def of(cls, titled: CategoryMeans, vocabulary: Vocabulary, prompt: PromptSettings) -> Usual:
        """What is usual where no catalogue is open.

        Args:
            titled: Learned with the adapter.
            vocabulary: Whose labels are said of photos.
            prompt: How they are said.
        """
        if titled.overall is None:
            return cls({})
        means: dict[Group, NDArray[np.float64]] = {}
        for category in WORN_CATEGORIES:
            means[category, True] = titled.by_category.get(category, titled.overall)
            texts = _told_by_photos(category, vocabulary, prompt)
            means[category, False] = np.asarray(text_encoder().encode_texts(texts).mean(axis=0), dtype=np.float64)
        return cls(means)

    def in_catalogue(self, sums: Mapping[Group, tuple[int, NDArray[np.float64]]]) -> Usual:
        """The same, shifted by a catalogue's items.

        Args:
            sums: How many items there are of each group, and the sum of their text vectors.
        """
        if not self._means:
            return self
        means = dict(self._means)
        for titled in (True, False):
            own = {group: sums[group] for group in sums if group[1] is titled}
            everything = sum(count for count, _ in own.values())
            if not everything:
                continue
            # What all of its items have more of than is usual, as far as their number shows it, then each category.
            more = sum(total - count * self._means[group] for group, (count, total) in own.items())
            shift = more / (everything + _SHRINKAGE)
            means |= {group: mean + shift for group, mean in self._means.items() if group[1] is titled}
            for group, (count, total) in own.items():
                means[group] = (total + _SHRINKAGE * means[group]) / (count + _SHRINKAGE)
        return Usual(means)

    def centred(self, item: DescribedItem) -> NDArray[np.float32]:
        """The item's text vector less what is usual, unit length, ``(T,)``; zeros if nothing is left."""
        if not self._means:
            return item.text_vector
        left = item.text_vector - self._means[item.item.category, bool(item.item.title)]
        length = float(np.linalg.norm(left))
        return np.asarray(left / length if length > 1e-6 else np.zeros_like(left), dtype=np.float32)


def too_sure(outfits: Sequence[Sequence[DescribedItem]]) -> NDArray[np.float64]:
    """By how much the language model's log odds are too high for items told by photos alone, ``(N,)``."""
    shares = [sum(not item.item.title for item in outfit) / len(outfit) for outfit in outfits]
    lengths = np.array([len(outfit) for outfit in outfits], dtype=np.float64)
    return np.asarray(np.array(shares) * (_LM_PER_ITEM * lengths + _LM_OFFSET), dtype=np.float64)


def _told_by_photos(category: WornCategory, vocabulary: Vocabulary, prompt: PromptSettings) -> list[str]:
    """What would be said of a photo of each kind of a category with each other label."""
    kinds = [
        (name, entry.text)
        for name, attribute in vocabulary.attributes.items()
        for entry in attribute.labels
        if entry.worn == category
    ]
    others = [
        (name, entry.text) for name in _SAID if name in vocabulary.attributes
        for entry in vocabulary.attributes[name].labels
    ]  # fmt: skip
    item = Item("", "", category)
    pairs = [(kind, other) for kind in kinds or [("", "")] for other in others or [("", "")]]
    told = [{name: (Label(label, 1.0),) for name, label in pair if name} for pair in pairs]
    return [item_text(item, Description("", one), prompt) for one in told]
