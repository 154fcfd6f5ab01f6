"""Items as a user names them on the spot: the path of a photo, or a few words."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from coordi.config import DescribeSettings
from coordi.data.categories import category_of, of_unknown_category, with_category
from coordi.data.photos import PHOTO_SUFFIXES, open_photo
from coordi.describe.describer import Described, describe
from coordi.describe.encoder import load_settled_encoder
from coordi.describe.vocabulary import Vocabulary, load_vocabulary
from coordi.domain import Item
from coordi.errors import DataError

_GIVEN = "given-"
CATEGORY = "category"  # the vocabulary's attribute


def is_photo(given: str) -> bool:
    """Whether what a user gave is meant as a path: it ends like a photo, or a file of that name is there."""
    if given.lower().endswith(PHOTO_SUFFIXES):
        return True
    try:
        return Path(given).is_file()
    except OSError:  # too long for a file's name
        return False


def given_items(given: Sequence[str], settings: DescribeSettings) -> tuple[tuple[Item, ...], Described | None]:
    """Make items of photos and words.

    Args:
        given: Each the path of a photo or a few words, such as ``"navy wool blazer"``.
        settings: The encoder and vocabulary that describe the photos.

    Returns:
        The items in the order given, and what was seen in the photos; None if there are none.

    Raises:
        ImageError: If a photo is missing or can't be opened.
        DataError: If words are empty, or name nothing that is worn.
    """
    items = [_photo_item(place, one) if is_photo(one) else _text_item(place, one) for place, one in enumerate(given)]
    photographed = [item for item in items if item.image is not None]
    if not photographed:
        return tuple(items), None
    vocabulary = load_vocabulary(settings.vocabulary)
    described = describe(photographed, load_settled_encoder(settings), vocabulary, settings)
    seen = [item if item.image is None else seen_category(item, described, vocabulary) for item in items]
    for one, item in zip(given, seen, strict=True):
        if item is None:
            raise DataError(f"the encoder can't tell what '{one}' shows; say it in words, like 'navy wool blazer'")
    return tuple(item for item in seen if item is not None), described


def seen_category(item: Item, described: Described, vocabulary: Vocabulary) -> Item | None:
    """An item whose category no text tells, with the category seen in its photo; None if none was sure enough."""
    description = described.descriptions.get(item.id)
    labels = description.attributes.get(CATEGORY, ()) if description is not None else ()
    worn = vocabulary.worn_category(CATEGORY, labels[0].text) if labels else None
    return None if worn is None else with_category(item, worn)


def _photo_item(place: int, path: str) -> Item:
    open_photo(Path(path))
    category, extra = of_unknown_category({})
    return Item(f"{_GIVEN}{place}", "", category, image=Path(path), extra=extra)


def _text_item(place: int, words: str) -> Item:
    title = " ".join(words.split())
    category = category_of(title)
    if category is None:
        raise DataError(
            f"'{words}' names nothing that is worn, no photo and no item of a catalogue; write it like 'navy wool "
            f"blazer', or give the path of a photo ({', '.join(PHOTO_SUFFIXES)})"
        )
    return Item(f"{_GIVEN}{place}", title, category)
