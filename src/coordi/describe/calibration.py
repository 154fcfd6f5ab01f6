"""What an encoder's makers measured of it, so that its probabilities can be read as such."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Calibration:
    """Constants by column of labelled photos, chosen on photos and labels apart from those that are reported.

    Attributes:
        withheld: Labels of which training saw neither a photo, nor a photo's title, nor the name beside photos.
        seen: Labels, in the words of prompts, that photos were trained on; a column that is absent has no bonus.
        bonus: Added to the cosine of a label that isn't among those seen, however it is spelt: ``word_key``.
        temperatures: What logits are divided by; 1 where absent.
    """

    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bonus: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def bonuses(self, name: str, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """What is added to the cosine of each label of a column, ``(L,)``."""
        seen, bonus = self.seen.get(name), self.bonus.get(name, 0.0)
        if seen is None:
            return np.zeros(len(words), dtype=np.float32)
        known = {word_key(word) for word in seen}
        return np.array([0.0 if word_key(word) in known else bonus for word in words], dtype=np.float32)


def calibration_of(encoder: object) -> Calibration:
    """What is known of an encoder; nothing of one that says nothing."""
    found = getattr(encoder, "calibration", None)
    return found if isinstance(found, Calibration) else Calibration()


def word_key(words: str) -> str:
    """The same for one and for several, for upper and lower case, with hyphens, spaces or neither.

    By the rules of English: ``Kurta`` and ``kurtas``, ``T-Shirt`` and ``tshirts``, ``watch`` and ``Watches``, ``body``
    and ``bodies``, ``hoodie`` and ``hoodies``. It is for comparing and isn't always a word.
    """
    return "".join(_singular(word) for word in words.lower().replace("-", "").split())


def _singular(word: str) -> str:
    if word.endswith(("ies", "ie")) and len(word) > 4:  # hoodie and hoodies alike
        return word.removesuffix("s")[:-2] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1] if word.endswith("s") and not word.endswith("ss") else word
