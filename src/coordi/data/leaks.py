"""The leak audit: what answers questions without knowing anything of clothes, and what splits share."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence, Sized
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, no_progress
from coordi.data.leak_tests import (
    Ints,
    ItemFacts,
    Leak,
    LeakName,
    LeakResult,
    QuestionSet,
    auc,
    fitb_set,
    leak_tests,
    question_set,
    significant_leaks,
)
from coordi.data.photos import open_photo
from coordi.data.source import listed
from coordi.errors import ImageError
from coordi.types import SPLITS, CompatibilityQuestion, Dataset, FitbQuestion, Item, Outfit, Split

__all__ = ["Leak", "audit"]

Key = tuple[object, ...]
Matches = dict[str, tuple[str, ...]]
"""By the id of an item of the later split, the ids of the items of the earlier split that equal it."""

MIN_QUESTIONS = 20
"""Fewest questions of a set in which a leak is measured."""
LEAST_REPEATS = 0.05
"""Share of questions from which repeats are reported: two outfits of a small shop may hold the same pair."""
NEAR_SIZE = 5
"""From this size on, two titles that differ in one word, and two outfits that differ in one title, are nearly the same.
Of the Maryland test items, 14 of 955 have such a title in training; with four words it would be 36, and "grey leather
shoulder bag" isn't "Loewe leather shoulder bag"."""
MAX_DIFFERENCE = 0.05
"""Photos are nearly the same if their thumbnails differ by this part of the smaller contrast at most."""

_SIDE = 8
_AT_ONCE = 4_000_000
_WORD = re.compile(r"\w+")
_NO_TEXTS: Mapping[str, str] = {}
_NO_FITB: Mapping[str, Sequence[FitbQuestion]] = {}


def audit(
    dataset: Dataset,
    questions: Mapping[str, Sequence[CompatibilityQuestion]],
    texts: Mapping[str, str] = _NO_TEXTS,
    *,
    blanks: Mapping[str, Sequence[FitbQuestion]] = _NO_FITB,
    photos: bool = True,
    progress: Progress = no_progress,
) -> tuple[Leak, ...]:
    """Look for every leak that coordi knows; those that a model can read come first, none for clean data. A leak of
    questions is reported only if chance doesn't explain it among all tests of the same questions, whatever other sets
    are given. What two splits share is reported from the first case on. ``texts`` are prompts' texts by item id,
    searched for ids; comparing ``photos`` opens each once, about 2 ms for one of 224 x 224 pixels. Raises DataError if
    a question names an item that the data set doesn't have.
    """
    facts = ItemFacts(dataset)
    sets = [question_set(name, part, facts) for name, part in questions.items() if part]
    choices = [fitb_set(f"{name} blanks", part, facts) for name, part in blanks.items() if part]
    results: list[LeakResult] = []
    small: dict[str, int] = {}
    for part in (*sets, *choices):
        tests = list(leak_tests(part, facts)) if part.count >= MIN_QUESTIONS and len(set(part.positive)) == 2 else []
        if not tests or not part.test("unaudited", "", part.positive.astype(np.float64)).is_significant(len(tests)):
            small[part.where] = part.count
        results += tests
    leaks = [leak for part in sets for leak in _repeated_questions(part)]
    leaks += [*_between_splits(dataset, sets, photos, progress), *_ids_in_texts(dataset, texts)]
    if small:  # silence would look like a clean result
        detail = (
            "too few questions, or of one answer only, to tell even a perfect leak from chance "
            f"({', '.join(f'{count} of {name}' for name, count in small.items())}); that nothing was found in them "
            "shows nothing: ask about more outfits"
        )
        leaks.append(Leak("unaudited", ", ".join(small), detail, count=len(small), visible=False))
    return tuple(sorted([*significant_leaks(results), *leaks], key=lambda leak: not leak.visible))


def _repeated_questions(part: QuestionSet) -> Iterator[Leak]:
    """Questions about the same items as another, from ``LEAST_REPEATS`` on or if one of them has the other answer."""
    contents = [frozenset(outfit) for outfit in part.outfits]
    times = Counter(contents)
    repeats = len(contents) - len(times)
    contradictions = len(set(zip(contents, part.positive.tolist(), strict=True))) - len(times)
    if repeats >= LEAST_REPEATS * len(contents) or contradictions:
        reached = auc(np.array([float(times[content] > 1) for content in contents]), part.positive)
        reached = max(reached, 1 - reached)
        detail = (
            f"{repeats} of {len(contents)} questions ask of the same items as another, {contradictions} of them with "
            f"the other answer; that a question comes twice tells its answer with AUC {reached:.2f}; ask each once"
        )
        yield Leak("repeats", part.where, detail, auc=reached, count=repeats, chance=0.5)


def _ids_in_texts(dataset: Dataset, texts: Mapping[str, str]) -> Iterator[Leak]:
    """Ids with a digit in them that a model reads; the id of a photo may rightly be the words of its title."""
    ids = {item_id: {item_id} for item_id in texts}
    for outfit in dataset.outfits:
        for item_id in outfit.item_ids:
            ids.setdefault(item_id, set()).add(outfit.id)
    cases = [item_id for item_id, text in texts.items() if any(_names(text, own) for own in ids[item_id])]
    if cases:
        detail = f"{len(cases)} texts hold the item's or its outfit's id ({listed(cases)}); leave ids out of prompts"
        yield Leak("ids", "texts", detail, count=len(cases))


def _names(text: str, own: str) -> bool:
    if len(own) < 3 or not re.search(r"\d", own) or own not in text:
        return False
    return re.search(rf"(?<![A-Za-z0-9]){re.escape(own)}(?![A-Za-z0-9])", text) is not None


class SplitPair:
    """A split that a model may have learned from or was chosen on, a later one, and questions about the later one."""

    def __init__(self, dataset: Dataset, splits: tuple[Split, Split], sets: Sequence[QuestionSet]) -> None:
        self.first, self.second = splits
        self.earlier, self.later = (dataset.outfits_of(split) for split in splits)
        self.sets = [part for part in sets if part.split == self.second]
        self._items = dataset.items
        self._near = {key for outfit in self.earlier for key in near_keys(self.titles(outfit.item_ids))}
        self._outfits_with: dict[str, set[int]] = defaultdict(set)
        for number, outfit in enumerate(self.earlier):
            for item_id in outfit.item_ids:
                self._outfits_with[item_id].add(number)

    def items_of(self, outfits: Iterable[Outfit]) -> list[Item]:
        """Items of outfits, each once."""
        return [self._items[name] for name in dict.fromkeys(name for outfit in outfits for name in outfit.item_ids)]

    def titles(self, item_ids: Sequence[str]) -> Key:
        """Titles of an outfit, in a fixed order; an item without one counts by its id."""
        return tuple(sorted(words_of(self._items[item_id].title) or ("\0", item_id) for item_id in item_ids))

    def is_recognised(self, item_ids: Sequence[str]) -> float:
        """1 if an earlier outfit has these titles, or nearly, else 0."""
        return float(any(key in self._near for key in near_keys(self.titles(item_ids))))

    def duplicates(self) -> Iterator[Leak]:
        """Outfits with the id, the items or the titles of an earlier outfit, or nearly its titles."""

        def keys(outfit: Outfit) -> set[object]:
            return {outfit.id, frozenset(outfit.item_ids), self.titles(outfit.item_ids)}

        earlier = {key for outfit in self.earlier for key in keys(outfit)}
        same = [outfit.id for outfit in self.later if keys(outfit) & earlier]
        near = [outfit.id for outfit in self.later if self.is_recognised(outfit.item_ids) and outfit.id not in same]
        for cases, verb in ((same, "are"), (near, "are nearly")):
            if cases:
                share = _share(cases, self.later, f"{self.second} outfits")
                detail = f"{share} {verb} in {self.first}: {listed(cases)}"
                yield self._with_worth("duplicates", detail, len(cases), self.is_recognised)
        ids = {outfit.id for outfit in self.earlier} if self.first == "train" else set()
        for part in self.sets:
            cases = [outfit_id for outfit_id in part.outfit_ids if outfit_id in ids]
            if cases:
                detail = f"{_share(cases, part.outfits, f'{part.where} questions')} ask of outfits of {self.first}"
                yield self._with_worth("duplicates", detail, len(cases), self.is_recognised, part)

    def shared(self, name: LeakName, matches: Matches, what: str) -> Iterator[Leak]:
        """Items of the second split that match items of the first, if there are any."""
        outfits = {
            item_id: set().union(*(self._outfits_with[name] for name in own)) for item_id, own in matches.items()
        }

        def remembered(item_ids: Sequence[str]) -> float:
            """Largest share of the items whose matches are in one earlier outfit."""
            counts = Counter(number for item_id in item_ids for number in outfits.get(item_id, ()))
            most = max(counts.values(), default=0)
            return most / len(item_ids) if most > 1 else 0.0

        if matches:
            titles = sorted({self._items[item_id].title or item_id for item_id in matches})
            share = _share(matches, self.items_of(self.later), f"{self.second} items")
            yield self._with_worth(name, f"{share} {what}: {listed(titles)}", len(matches), remembered)

    def _with_worth(
        self, name: LeakName, detail: str, count: int, score: Callable[[Sequence[str]], float],
        part: QuestionSet | None = None,
    ) -> Leak:  # fmt: skip
        """A leak with the AUC of a memoriser that scores a question's items, where it is worth most."""
        sets = [part] if part else self.sets
        leak = Leak(name, part.where if part else f"{self.first} and {self.second}", detail, count=count)
        if not sets:
            return leak
        reached = {part.where: auc(np.array([score(own) for own in part.outfits]), part.positive) for part in sets}
        where, worth = max(reached.items(), key=lambda pair: pair[1])
        detail = f"{detail}; a memoriser of them gets AUC {max(worth, 0.5):.2f} on '{where}'"
        return replace(leak, detail=detail, auc=max(worth, 0.5), chance=0.5)


def _share(cases: Sized, total: Sized, unit: str) -> str:
    return f"{len(cases)} of {len(total)} {unit} ({len(cases) / len(total):.1%})"


def _between_splits(dataset: Dataset, sets: Sequence[QuestionSet], photos: bool, progress: Progress) -> Iterator[Leak]:
    present = [split for split in SPLITS if dataset.outfits_of(split)]
    pairs = [SplitPair(dataset, splits, sets) for splits in combinations(present, 2)]
    for pair in pairs:
        yield from pair.duplicates()
    with_training = [pair for pair in pairs if pair.first == "train"]
    for pair in with_training:
        earlier, later = pair.items_of(pair.earlier), pair.items_of(pair.later)
        ids = {item.id for item in earlier}
        yield from pair.shared("items", {item.id: (item.id,) for item in later if item.id in ids}, "are in train too")
        same, near = matches_by_title(earlier, later)
        yield from pair.shared("titles", same, "have a title that train has")
        yield from pair.shared("titles", near, "have nearly a title that train has (a word or its position differs)")
    if not photos or not with_training:
        return
    pictured = {item.id: item for pair in with_training for item in pair.items_of((*pair.earlier, *pair.later))}
    hashes, unreadable = hash_photos(pictured.values(), progress)
    for pair in with_training:
        parts = ([item.id for item in pair.items_of(part)] for part in (pair.earlier, pair.later))
        same, near = matches_by_photo(*({name: hashes[name] for name in part if name in hashes} for part in parts))
        yield from pair.shared("photos", same, "have a photo that train has")
        yield from pair.shared("photos", near, "have nearly a photo that train has (saved anew)")
    if unreadable:
        detail = f"{len(unreadable)} photos can't be opened, so they weren't compared: {listed(unreadable)}"
        yield Leak("photos", "photos", detail, count=len(unreadable))


def words_of(title: str) -> tuple[str, ...]:
    """The words of a title without case, punctuation and order, so that equal ones compare as equal."""
    return tuple(sorted(_WORD.findall(title.casefold())))


def near_keys(members: Key) -> list[Key]:
    """The members, and of many also the members without each one: two that share a key are nearly the same."""
    positions = range(len(members) if len(members) >= NEAR_SIZE else 0)
    fewer = [members[:position] + members[position + 1 :] for position in positions]
    return [members, *dict.fromkeys(fewer)] if members else []


def matches_by_title(earlier: Sequence[Item], later: Sequence[Item]) -> tuple[Matches, Matches]:
    """Later items with an earlier one's title, in any case; and others with nearly the same: the same words in another
    order or punctuation, or all words but one, of titles of ``NEAR_SIZE`` words or more. None matches itself.
    """
    same = _matches(*({item.id: [item.title.casefold()] for item in part if item.title} for part in (earlier, later)))
    near = _matches(*({item.id: near_keys(words_of(item.title)) for item in part} for part in (earlier, later)))
    return same, {item_id: names for item_id, names in near.items() if item_id not in same}


def _matches(earlier: Mapping[str, Sequence[Hashable]], later: Mapping[str, Sequence[Hashable]]) -> Matches:
    """Later items that share a key with earlier ones; none matches itself."""
    by_key: dict[Hashable, list[str]] = defaultdict(list)
    for item_id, keys in earlier.items():
        for key in keys:
            by_key[key].append(item_id)
    matches = {
        item_id: tuple(dict.fromkeys(name for key in keys for name in by_key.get(key, ()) if name != item_id))
        for item_id, keys in later.items()
    }
    return {item_id: names for item_id, names in matches.items() if names}


@dataclass(frozen=True, slots=True)
class PhotoHash:
    """What photos are compared by: the SHA-256 of the file, and the mean colours of 8 x 8 fields, shape ``(192,)``."""

    digest: bytes
    colours: NDArray[np.float32]


def hash_photo(path: Path) -> PhotoHash:
    """Read a photo."""
    from PIL import Image

    small = np.asarray(open_photo(path).resize((_SIDE, _SIDE), Image.Resampling.BOX), dtype=np.float32)
    return PhotoHash(hashlib.sha256(path.read_bytes()).digest(), small.reshape(-1))


def hash_photos(items: Iterable[Item], progress: Progress = no_progress) -> tuple[dict[str, PhotoHash], list[str]]:
    """Hashes by item id, each file read once, and the ids of items whose photo can't be opened."""

    def read(path: Path) -> PhotoHash | None:
        try:
            return hash_photo(path)
        except ImageError:
            return None

    photos = {item.id: item.image for item in items if item.image is not None}
    hashes: dict[Path, PhotoHash] = {}
    paths = list(dict.fromkeys(photos.values()))
    with ThreadPoolExecutor() as readers:
        for done, (path, photo) in enumerate(zip(paths, readers.map(read, paths), strict=True), start=1):
            hashes |= {path: photo} if photo else {}
            progress(done, len(paths))
    readable = {item_id: hashes[path] for item_id, path in photos.items() if path in hashes}
    return readable, [item_id for item_id in photos if item_id not in readable]


def matches_by_photo(earlier: Mapping[str, PhotoHash], later: Mapping[str, PhotoHash]) -> tuple[Matches, Matches]:
    """Later items with the same photo file as an earlier one, and with nearly the same photo; none matches itself."""
    same = _matches(*({item_id: [photo.digest] for item_id, photo in part.items()} for part in (earlier, later)))
    names, others = list(earlier), [item_id for item_id in later if item_id not in same]
    near: dict[str, list[str]] = defaultdict(list)
    for first, second in near_pairs(list(earlier.values()), [later[item_id] for item_id in others]):
        if names[first] != others[second]:
            near[others[second]].append(names[first])
    return same, {item_id: tuple(matches) for item_id, matches in near.items()}


def near_pairs(earlier: Sequence[PhotoHash], later: Sequence[PhotoHash]) -> Ints:
    """Pairs of nearly the same photo, as positions in both, ascending, shape ``(P, 2)``. The root mean square of the
    differences is compared with the contrast, so that pale photos must be more alike.
    """
    if not earlier or not later:
        return np.zeros((0, 2), dtype=np.int64)
    ours, theirs = (np.stack([photo.colours for photo in part]) - 128 for part in (earlier, later))  # (N, 192)
    limits = [np.maximum(part.std(axis=1), 1) * MAX_DIFFERENCE for part in (ours, theirs)]
    squares = [(part**2).mean(axis=1) for part in (ours, theirs)]
    rows = max(1, _AT_ONCE // len(theirs))
    pairs = []
    for start in range(0, len(ours), rows):
        part = slice(start, start + rows)
        apart = squares[0][part, None] + squares[1] - 2 * (ours[part] @ theirs.T) / ours.shape[1]
        pairs.append(np.argwhere(apart <= np.minimum(limits[0][part, None], limits[1]) ** 2) + np.array([start, 0]))
    return np.concatenate(pairs)
