"""A small wardrobe of drawn garments with outfits by written rules, for trying coordi out without data.

No figure from it is ever presented as a result.
"""

from __future__ import annotations

from coordi.data.sample.rules import agrees
from coordi.data.sample.wardrobe import SampleSize
from coordi.data.sample.writer import MARKER, make_sample

__all__ = ["MARKER", "SampleSize", "agrees", "make_sample"]
