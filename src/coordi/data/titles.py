"""Titles as people wrote them: encodings repaired, markup and control characters gone."""

from __future__ import annotations

import html
import re
import unicodedata
from dataclasses import dataclass

import ftfy

_SPACE = re.compile(r"\s+")
_WORD = re.compile(r"[^\W\d_]{3,}")
_CAMERA = re.compile(r"^(img|dsc|dscn|dscf|pxl|photo|image|foto|bild|screenshot|whatsapp|scan|pict?|untitled)$")
_LEVELS_OF_MARKUP = 3


@dataclass(frozen=True, slots=True)
class CleanTitle:
    """A title and whether its encoding had to be repaired (``hermÃ¨s`` -> ``hermès``, ``&amp;`` -> ``&``)."""

    text: str
    repaired: bool


def clean_title(raw: str) -> CleanTitle:
    """Repair wrong encodings and left-over HTML entities, drop control characters, squeeze white space."""
    sound = ftfy.fix_encoding(_unescape(raw))
    repaired = sound != raw
    visible = "".join(" " if unicodedata.category(letter).startswith("C") else letter for letter in sound)
    return CleanTitle(_SPACE.sub(" ", unicodedata.normalize("NFC", visible)).strip(), repaired)


def title_of_file(stem: str) -> str:
    """Title that a photo's file name gives, ``"red_leather-boots 2"`` -> ``"red leather boots"``.

    Returns:
        ``""`` for a name that a camera or a program gave (``IMG_2041``, a hash), as it says nothing about the item.
    """
    pieces = [piece for piece in re.split(r"[\W_]+", stem) if piece]
    words = [piece for piece in pieces if _WORD.fullmatch(piece) and not _CAMERA.match(piece.lower())]
    if not words or all(not re.search(r"[aeiouy]", word.lower()) for word in words if word.isascii()):
        return ""
    kept = [piece for piece in pieces if piece.isalpha() and not _CAMERA.match(piece.lower())]
    return " ".join(kept)


def _unescape(text: str) -> str:
    for _ in range(_LEVELS_OF_MARKUP):
        unescaped = html.unescape(text) if "&" in text else text
        if unescaped == text:
            break
        text = unescaped
    return text
