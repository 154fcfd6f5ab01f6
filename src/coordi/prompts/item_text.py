"""One item as short text: what it is called, what kind it is, what an encoder saw. Never an id, price or file name."""

from __future__ import annotations

from coordi.config import PromptSettings
from coordi.domain import Description, Item

# An encoder's "category" says again what the source's category says, and less surely.
_SAID_BY_THE_SOURCE = "category"


def item_text(item: Item, description: Description | None, settings: PromptSettings) -> str:
    """What a prompt says of an item, such as ``"bottom: lace midi skirt (black, floral)"``.

    The worn category comes first, since a small model can't tell it from every title (measured: dev/LOG.md). The
    title, cut to ``settings.max_title_words``, or else the source's kind follows; what an encoder saw comes last, in
    brackets, without words that were said before. Only the most probable label of each attribute is said.

    Args:
        item: Its id, price, photo's path and extra columns are never read: they may give an answer away.
        description: What an encoder saw; None for an item without a photo.
        settings: Which attributes are said, and how long a title may be.

    Returns:
        One line in lower case, never empty.
    """
    title = " ".join(item.title.split()[: settings.max_title_words]).lower()
    name = title or " ".join(item.kind.split()).lower()
    said = f"{item.category}: {name}" if name and name != item.category else item.category
    seen: list[str] = []
    for attribute in settings.attributes:
        labels = description.attributes.get(attribute, ()) if description is not None else ()
        if not labels or (attribute == _SAID_BY_THE_SOURCE and title):
            continue
        label = " ".join(labels[0].text.split()).lower()
        if label and not _says(f"{said} {' '.join(seen)}", label):
            seen.append(label)
    return f"{said} ({', '.join(seen)})" if seen else said


def _says(text: str, words: str) -> bool:
    """Whether a text holds every one of some words, their plain plurals counted as the same."""
    held = {_stem(word) for word in text.replace(",", " ").replace(":", " ").split()}
    return all(_stem(word) in held for word in words.split())


def _stem(word: str) -> str:
    for ending in ("ses", "xes", "shes", "ches"):
        if word.endswith(ending) and len(word) > len(ending) + 1:
            return word[:-2]
    return word[:-1] if word.endswith("s") and len(word) > 3 and not word.endswith("ss") else word
