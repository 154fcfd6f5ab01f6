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
        bonus: Added to the cosine of a label that isn't among those seen.
        temperatures: What logits are divided by; 1 where absent.
    """

    withheld: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    seen: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bonus: Mapping[str, float] = field(default_factory=dict)
    temperatures: Mapping[str, float] = field(default_factory=dict)

    def bonuses(self, name: str, words: Sequence[str]) -> npt.NDArray[np.float32]:
        """What is added to the cosine of each label of a column, ``(L,)``."""
        seen, bonus = self.seen.get(name), self.bonus.get(name, 0.0)
        return np.array([0.0 if seen is None or word in seen else bonus for word in words], dtype=np.float32)
