"""Photos of both shops with what is known of each, in the words of the bundled vocabulary, and their parts."""

from __future__ import annotations

import csv
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from coordi.encoders.evaluation import is_holdout, read_labelled
from coordi.style.lexicon import default_lexicon
from weak_labels import MATERIALS, PATTERNS, weak_labels

PRODUCTS, MANGO = "products", "mango"
PARTS = ("train", "choices", "held-out")
CHOICES_PERCENT = 10
WORDS = Path(__file__).with_name("shops.yaml")
# Labels of `formality` by the lexicon's dress codes: 0 sport, 1 casual, 2 smart casual, 3 business and above.
DRESS_CODES = ("sportswear", "casual", "smart casual", "formal")
# Of the products' usage, and of MANGO, which sells no sportswear.
USAGE_LEVELS: Mapping[str, tuple[int, ...]] = {
    "Casual": (1, 2), "Smart Casual": (2,), "Formal": (3, 4, 5, 6), "Sports": (0,), "Travel": (1,),
    "Shop": (1, 2, 3, 4, 5, 6),
}  # fmt: skip
OCCASIONS: Mapping[str, tuple[str, ...]] = {
    "Casual": ("casual",), "Formal": ("formal",), "Sports": ("sports",), "Ethnic": ("ethnic",), "Travel": ("travel",),
    "Smart Casual": ("casual", "formal"),
}  # fmt: skip
# Materials that a fabric leaves open.
FABRICS: Mapping[str, tuple[str, ...]] = {
    "woven": ("cotton", "linen", "silk", "satin", "lace", "nylon", "canvas"),
    "jersey": ("cotton", "nylon", "satin", "lace", "mesh", "fleece", "silk"),
    "knit": ("knit", "wool"), "denim": ("denim",), "leather": ("leather",), "faux leather": ("leather", "suede"),
}  # fmt: skip
PRODUCT_FABRICS: Mapping[str, str] = {
    "Shirts": "woven", "Kurtas": "woven", "Tshirts": "jersey", "Briefs": "jersey", "Innerwear Vests": "jersey",
    "Sweaters": "knit", "Jeans": "denim",
}  # fmt: skip


@dataclass(frozen=True)
class ShopPhoto:
    """A photo and the labels that are right for it, by attribute of the vocabulary; an absent attribute is unknown.

    Attributes:
        number: The product, without the colour: all colours of a product are in one part.
        labels: By attribute, every label that is right.
        columns: The shop's own columns.
    """

    shop: str
    id: str
    number: int
    path: Path
    title: str = ""
    labels: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)

    @property
    def part(self) -> str:
        """``held-out`` (15%), ``choices`` (a tenth of the others) or ``train``, by the product's number."""
        if is_holdout(self.number):
            return "held-out"
        return "choices" if is_for_choices(self.number) else "train"


@dataclass(frozen=True)
class MadePhoto:
    """A made photo: its part, its subject in the words of the vocabulary, and what it was made from."""

    part: str
    subject: str
    source: str
    path: Path


def has_views(photo: ShopPhoto) -> bool:
    """Whether a photo also has changed views to train on: a ninth of the training part, by a hash of the id."""
    return photo.part == "train" and zlib.crc32(photo.id.encode()) % 9 == 0


def is_for_choices(number: int) -> bool:
    """Whether a product is in the tenth, apart from the held-out ones, that settings and thresholds are chosen on."""
    return not is_holdout(number) and number * 2654435761 % 2**32 // 7 % 100 < CHOICES_PERCENT


def words() -> dict[str, Any]:
    """What the shops' words mean (``shops.yaml``)."""
    content: dict[str, Any] = yaml.safe_load(WORDS.read_text())
    return content


def shop_photos(data: Path) -> list[ShopPhoto]:
    """All photos of both shops, products first, by number."""
    meaning = words()
    return [*_products(data / "fashion-products", meaning), *_mango(data / "mango", meaning)]


def made_photos(folder: Path) -> list[MadePhoto]:
    """Photos that ``make_photos.py`` made, by path: ``<part>/<subject>/<source>-<number>.jpg``."""
    return [
        MadePhoto(path.parent.parent.name, path.parent.name.replace("-", " "), path.stem.rpartition("-")[0], path)
        for path in sorted(folder.glob("*/*/*.jpg"))
    ]


def _products(folder: Path, meaning: Mapping[str, Any]) -> Iterator[ShopPhoto]:
    for photo in sorted(read_labelled(folder), key=lambda photo: int(photo.id)):
        kind, colour = photo.labels.get("articleType", ""), photo.labels.get("baseColour", "")
        usage = photo.labels.get("usage", "")
        labels = _labels(meaning, PRODUCTS, kind, colour) | {
            "occasion": OCCASIONS.get(usage, ()),
            "formality": _formality(photo.title, usage),
            "pattern": tuple(filter(None, weak_labels([photo.title], PATTERNS))),
            "material": _materials(photo.title, PRODUCT_FABRICS.get(kind, "")),
        }
        labels = {name: names for name, names in labels.items() if names}
        yield ShopPhoto(PRODUCTS, photo.id, int(photo.id), photo.path, photo.title, labels, photo.labels)


def _mango(folder: Path, meaning: Mapping[str, Any]) -> Iterator[ShopPhoto]:
    with (folder / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        for row in sorted(csv.DictReader(file), key=lambda row: row["id"]):
            labels = _labels(meaning, MANGO, row["type"], row["colour"]) | {
                "occasion": ("casual", "formal", "party"),
                "formality": _formality(row["type"], "Shop"),
                "material": FABRICS.get(row["fabric"], ()),
            }
            labels = {name: names for name, names in labels.items() if names}
            number = int(row["id"].partition("-")[0])
            yield ShopPhoto(MANGO, row["id"], number, folder / row["image"], "", labels, row)


def _labels(meaning: Mapping[str, Any], shop: str, kind: str, colour: str) -> dict[str, tuple[str, ...]]:
    labels = {
        "category": _listed(meaning["kinds"][shop].get(kind)),
        "colour": _listed(meaning["colours"][shop].get(colour)),
        "subject": (meaning["subjects"][shop].get(kind, "one garment"),),
    }
    return {name: names for name, names in labels.items() if names}


def _formality(text: str, usage: str) -> tuple[str, ...]:
    """Dress codes of the kind that a text names, by the lexicon, as far as the shop's usage allows them."""
    allowed = USAGE_LEVELS.get(usage, ())
    levels = default_lexicon().find(text)
    span = levels.formality if levels is not None else None
    of_kind = tuple(range(span[0], span[1] + 1)) if span else ()
    both = [level for level in allowed if level in of_kind] or allowed or of_kind
    return tuple(dict.fromkeys(DRESS_CODES[min(level, 3)] for level in both))


def _materials(text: str, fabric: str) -> tuple[str, ...]:
    """The material that a title names; else what a fabric leaves open."""
    (material,) = weak_labels([text], MATERIALS)
    return (material,) if material else FABRICS.get(fabric, ())


def _listed(value: str | Sequence[str] | None) -> tuple[str, ...]:
    if value is None:
        return ()
    return (value,) if isinstance(value, str) else tuple(value)
