"""Patterns and materials by the words of titles."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

PATTERNS = {
    "striped": r"strip", "checked": r"check|plaid", "printed": r"print", "floral": r"floral|flower",
    "solid": r"\bsolid\b|\bplain\b", "graphic": r"graphic|\bteez?\b", "polka dot": r"polka|\bdots?\b",
    "camouflage": r"camo", "embroidered": r"embroider", "animal print": r"leopard|zebra|snake",
}  # fmt: skip
MATERIALS = {
    "leather": r"leather|\blth\b", "denim": r"denim|jeans?\b", "cotton": r"cotton", "silk": r"\bsilk",
    "suede": r"suede", "canvas": r"canvas", "wool": r"wool", "linen": r"linen", "satin": r"satin",
    "knit": r"knit|sweater|cardigan", "metal": r"steel|metal", "mesh": r"\bmesh", "nylon": r"nylon",
    "fleece": r"fleece", "lace": r"\blace\b", "corduroy": r"corduroy|\bcord\b",
}  # fmt: skip


def weak_labels(titles: Sequence[str], words: Mapping[str, str]) -> list[str]:
    """The one label whose words a title holds; empty where there is none, or more than one."""
    found = []
    for title in titles:
        hits = [label for label, pattern in words.items() if re.search(pattern, title.lower())]
        found.append(hits[0] if len(hits) == 1 else "")
    return found
