"""Photos of a later split that an earlier one holds too: the same file, or the same picture saved anew.

A 64-bit difference hash finds which photos to compare, a small picture of each decides. The hash alone won't do: of
the 8,233 product photos of ``fashion-products``, 65% have another within 2 bits, as one studio photographs one kind
of thing in one pose.

Chosen on those photos, with copies of 1,500 (hash) and 800 (small picture) of them saved as JPEG of quality 50, at
half and at 1.7 times the size:

- at most ``MAX_BITS`` = 3 of 64 bits differ in 99.9%, 99.5% and 99.9% of the copies;
- the small pictures differ by at most ``MAX_DIFFERENCE`` = 5% of their contrast in 99% of the copies, and in 90 pairs
  of the 34 million pairs of photos, nearly all of which show one photo listed twice (65 have the same title too).

A copy that was cropped or brightened is mostly not found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from coordi.data.leaks.scores import Ints
from coordi.data.leaks.titles import Twins
from coordi.data.photos import open_photo
from coordi.domain import Item
from coordi.errors import ImageError
from coordi.progress import Progress, silent

MAX_BITS = 3
MAX_DIFFERENCE = 0.05

# A pixel of even white turns 254 or 255 when it is saved anew; a bit is set by more than that.
_LEAST_STEP = 2
_SIDE = 16
# Hashes that differ in 3 bits agree in one of 4 bands.
_BANDS = MAX_BITS + 1
_AT_ONCE = 4_000_000
_PAIRS_AT_ONCE = 10_000
_NO_PAIRS: Ints = np.zeros((0, 2), dtype=np.int64)

Hashes = npt.NDArray[np.uint64]


@dataclass(frozen=True, slots=True)
class Print:
    """What is kept of a photo.

    Attributes:
        digest: Of the file's bytes.
        bits: The 64-bit difference hash: which pixels of a 9 x 8 grey picture are darker than their left neighbour.
        small: The photo at 16 x 16 pixels, shape ``(768,)``.
    """

    digest: bytes
    bits: int
    small: npt.NDArray[np.uint8]


def fingerprint(path: Path) -> Print:
    """Read a photo.

    Raises:
        ImageError: If it can't be opened.
    """
    from PIL import Image

    photo = open_photo(path)
    grey = np.asarray(photo.convert("L").resize((9, 8), Image.Resampling.BOX), dtype=np.int16)
    falls = (grey[:, :-1] - grey[:, 1:]) > _LEAST_STEP
    small = np.asarray(photo.resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.uint8)
    digest = hashlib.sha256(path.read_bytes()).digest()
    return Print(digest, int.from_bytes(np.packbits(falls).tobytes(), "big"), small.reshape(-1))


def fingerprints(items: Iterable[Item], progress: Progress = silent) -> tuple[dict[str, Print], list[str]]:
    """Read the photos of items, each file once.

    Returns:
        By item id, and the ids of items whose photo can't be opened; items without a photo are in neither.
    """
    pictured = [item for item in items if item.image is not None]
    paths = list(dict.fromkeys(item.image for item in pictured if item.image is not None))
    prints: dict[Path, Print | None] = {}
    with ThreadPoolExecutor() as readers:
        for done, (path, found) in enumerate(zip(paths, readers.map(_readable, paths), strict=True), start=1):
            prints[path] = found
            progress(done, len(paths))
    read, unreadable = {}, []
    for item in pictured:
        found = prints[item.image] if item.image is not None else None
        if found is None:
            unreadable.append(item.id)
        else:
            read[item.id] = found
    return read, unreadable


def twins_by_photo(earlier: dict[str, Print], later: dict[str, Print]) -> tuple[Twins, Twins]:
    """Items of the later split with an earlier item of the same photo file, and of nearly the same photo.

    Returns:
        By the later item's id the ids of its earlier twins; each item is in one of the two at most, none its own.
    """
    by_digest: dict[bytes, list[str]] = {}
    for item_id, photo in earlier.items():
        by_digest.setdefault(photo.digest, []).append(item_id)
    same: Twins = {}
    for item_id, photo in later.items():
        twins = tuple(name for name in by_digest.get(photo.digest, ()) if name != item_id)
        if twins:
            same[item_id] = twins
    asked = [item_id for item_id in later if item_id not in same]
    known = list(earlier)
    found: dict[str, list[str]] = {}
    pairs = near_pairs([earlier[name] for name in known], [later[name] for name in asked])
    for one, other in pairs:
        if known[one] != asked[other]:
            found.setdefault(asked[other], []).append(known[one])
    return same, {item_id: tuple(twins) for item_id, twins in found.items()}


def near_pairs(earlier: Sequence[Print], later: Sequence[Print]) -> Ints:
    """Pairs of nearly the same photo, as positions in both, ascending, shape ``(P, 2)``.

    A banded index: only photos whose hashes agree in one of four bands are compared. Bands are of bits that lie far
    apart, as the margins of most product photos are white and agree everywhere.
    """
    if not earlier or not later:
        return _NO_PAIRS
    known, asked = _Album.of(earlier), _Album.of(later)
    found = [_NO_PAIRS]
    for band in range(_BANDS):
        for ones, others in _buckets(_band(known.hashes, band), _band(asked.hashes, band)):
            found += [_confirmed(pairs, known, asked) for pairs in _near_hashes(known, asked, ones, others)]
    return np.unique(np.concatenate(found), axis=0)


@dataclass(frozen=True, slots=True)
class _Album:
    """Photos as arrays: hashes ``(N,)``, small pictures ``(N, 768)``, and their means and contrasts ``(N,)``."""

    hashes: Hashes
    small: npt.NDArray[np.uint8]
    mean: npt.NDArray[np.float32]
    contrast: npt.NDArray[np.float32]

    @classmethod
    def of(cls, photos: Sequence[Print]) -> _Album:
        small = np.stack([photo.small for photo in photos])
        hashes = np.array([photo.bits for photo in photos], dtype=np.uint64)
        mean, contrast = small.mean(axis=1, dtype=np.float32), small.std(axis=1, dtype=np.float32)
        return cls(hashes, small, mean, np.maximum(contrast, np.float32(1)))


def _readable(path: Path) -> Print | None:
    try:
        return fingerprint(path)
    except ImageError:
        return None


def _band(hashes: Hashes, band: int) -> Hashes:
    """Every fourth bit, from the band's number on, shape ``(N,)``."""
    kept = np.uint64(sum(1 << bit for bit in range(band, 64, _BANDS)))
    return hashes & kept


def _buckets(known: Hashes, asked: Hashes) -> Iterable[tuple[Ints, Ints]]:
    """Positions in both of photos whose band is the same, a bucket at a time."""
    known_order, asked_order = np.argsort(known, kind="stable"), np.argsort(asked, kind="stable")
    values, starts, counts = np.unique(asked[asked_order], return_index=True, return_counts=True)
    sorted_known = known[known_order]
    first, last = (
        np.searchsorted(sorted_known, values, side="left"),
        np.searchsorted(sorted_known, values, side="right"),
    )
    for place in np.nonzero(last > first)[0]:
        yield known_order[first[place] : last[place]], asked_order[starts[place] : starts[place] + counts[place]]


def _near_hashes(known: _Album, asked: _Album, ones: Ints, others: Ints) -> Iterable[Ints]:
    """Pairs of a bucket whose hashes are near, shape ``(P, 2)``, so many at once as memory holds."""
    rows = max(1, _AT_ONCE // len(ones))
    for start in range(0, len(others), rows):
        part = others[start : start + rows]
        bits = np.bitwise_count(asked.hashes[part][:, None] ^ known.hashes[ones][None, :])
        here, there = np.nonzero(bits <= MAX_BITS)
        yield np.stack([ones[there], part[here]], axis=1)


def _confirmed(pairs: Ints, known: _Album, asked: _Album) -> Ints:
    """Pairs whose small pictures are nearly the same too."""
    ones, others = pairs[:, 0], pairs[:, 1]
    most = MAX_DIFFERENCE * np.minimum(known.contrast[ones], asked.contrast[others])
    # Pictures differ by no less than their means do, and most pairs are told apart by those.
    pairs, most = (values[np.abs(known.mean[ones] - asked.mean[others]) <= most] for values in (pairs, most))
    kept = [_NO_PAIRS]
    for start in range(0, len(pairs), _PAIRS_AT_ONCE):
        part = pairs[start : start + _PAIRS_AT_ONCE]
        apart = known.small[part[:, 0]].astype(np.float32) - asked.small[part[:, 1]]
        kept.append(part[np.sqrt((apart**2).mean(axis=1)) <= most[start : start + _PAIRS_AT_ONCE]])
    return np.concatenate(kept)
