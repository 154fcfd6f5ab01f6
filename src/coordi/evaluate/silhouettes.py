"""A line drawing per worn category, for items that have no photo."""

from __future__ import annotations

from markupsafe import Markup

from coordi.domain import WornCategory

# Drawn on a field of 48 x 48.
_PATHS: dict[WornCategory, str] = {
    "top": "M18 8 L8 13 L4 23 L11 26 L13 22 V41 H35 V22 L37 26 L44 23 L40 13 L30 8 Q24 14 18 8 Z",
    "bottom": "M14 6 H34 L38 42 H28 L24 20 L20 42 H10 Z M14 11 H34 M24 11 V20",
    "dress": "M18 5 V11 Q20 17 17 21 L9 42 H39 L31 21 Q28 17 30 11 V5 M18 11 Q24 17 30 11 M17 21 H31",
    "outerwear": "M18 6 L9 11 L4 32 L11 34 L13 24 V43 H35 V24 L37 34 L44 32 L39 11 L30 6 L24 16 Z M24 16 V43 "
    "M28 24 h.5 M28 31 h.5",
    "shoes": "M5 16 Q9 24 14 20 L30 30 Q42 31 44 36 V38 H26 L12 28 L10 38 H7 L5 27 Z",
    "bag": "M9 20 H39 L43 42 H5 Z M16 20 Q16 7 24 7 Q32 7 32 20 M5 30 H43",
    "jewellery": "M8 6 Q9 30 24 30 Q39 30 40 6 M24 30 L19 36 L24 43 L29 36 Z",
    "headwear": "M14 30 Q12 11 24 11 Q36 11 34 30 M14 26 H34 M4 31 Q24 24 44 31 Q40 38 24 38 Q8 38 4 31 Z",
    "eyewear": "M4 19 H44 M6 19 Q5 32 14 32 Q21 32 21 21 M27 21 Q27 32 34 32 Q43 32 42 19 M21 22 Q24 20 27 22",
    "scarf": "M12 9 Q24 3 36 9 Q40 16 33 19 Q24 23 15 19 Q8 16 12 9 Z M20 21 L15 43 H24 L27 21 M29 20 L35 38 L28 41",
    "gloves": "M15 43 V26 L9 19 Q10 15 14 18 L17 21 V9 Q19 6 21 9 V19 V6 Q23 3 25 6 V19 V8 Q27 5 29 8 V20 V12 "
    "Q31 10 33 12 V28 L31 43 Z M15 37 H32",
    "belt": "M4 19 H17 M31 19 H44 V29 H31 M17 29 H4 Z M17 15 H31 V33 H17 Z M24 24 H33 M37 24 h.5 M41 24 h.5",
    "watch": "M18 13 L20 4 H28 L30 13 M18 35 L20 44 H28 L30 35 M24 12 A12 12 0 1 0 24 36 A12 12 0 1 0 24 12 "
    "M24 17 V24 L29 27",
    "hosiery": "M17 4 H31 V26 Q31 30 35 33 L39 37 Q40 43 34 43 H28 Q24 43 21 38 L17 30 Z M17 10 H31",
    "swimwear": "M14 5 Q14 15 19 19 V27 L11 33 Q20 36 22 43 H26 Q28 36 37 33 L29 27 V19 Q34 15 34 5 Q30 15 24 15 "
    "Q18 15 14 5 Z",
    "accessory": "M24 22 Q12 9 6 14 V34 Q12 39 24 26 Q36 39 42 34 V14 Q36 9 24 22 Z M21 20 H27 V28 H21 Z",
}


def silhouette(category: WornCategory) -> Markup:
    """The drawing as inline SVG, hidden from screen readers: the category's name stands beside it."""
    return Markup(
        f'<svg class="silhouette" viewBox="0 0 48 48" aria-hidden="true"><path d="{_PATHS[category]}"/></svg>'
    )
