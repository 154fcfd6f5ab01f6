"""How well an encoder finds hand-made labels of photos."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coordi.artifacts import Progress, no_progress
from coordi.data.photos import PHOTO_SUFFIXES
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.edge import calibration_of
from coordi.encoders.labels import LabelJudge
from coordi.encoders.photo_embeddings import EmbeddingCache, encode_photos
from coordi.errors import DataError
from coordi.types import Item

# Column of styles.csv and the sentence its labels are put into; the edge encoder was trained with the same sentences.
TEMPLATES: Mapping[str, str] = {
    "articleType": "a photo of {}",
    "masterCategory": "a photo of {}",
    "subCategory": "a photo of {}",
    "gender": "a photo of a product for {}",
    "baseColour": "a photo of a {} product",
    "season": "a photo of a product for {}",
    "usage": "a photo of a product for {} use",
}
HELD_OUT_PERCENT = 15
_TITLE = "productDisplayName"


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo, its labels by column (a label that is missing is absent), and its title, empty where there is none."""

    id: str
    path: Path
    labels: Mapping[str, str]
    title: str = ""


def is_held_out(photo_id: int) -> bool:
    """Whether a photo of the fashion products is among the 15% that the edge encoder's training never saw."""
    digest = hashlib.sha256(str(photo_id).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HELD_OUT_PERCENT


def held_out_photos(photos: Sequence[LabelledPhoto]) -> tuple[LabelledPhoto, ...]:
    """The photos that the edge encoder's training never saw, by their numeric ids.

    Raises:
        DataError: If none is left, or an id isn't a number.
    """
    strange = [photo.id for photo in photos if not photo.id.isdecimal()]
    if strange:
        raise DataError(f"'{strange[0]}' isn't an id of the fashion products, whose ids are numbers; drop --held-out")
    kept = tuple(photo for photo in photos if is_held_out(int(photo.id)))
    if not kept:
        raise DataError(f"none of the {len(photos)} photos was held out; drop --held-out")
    return kept


def may_be_trained_on(photo: LabelledPhoto) -> bool:
    """Whether a photo's id is one that the edge encoder may have been trained on, if it is of the fashion products."""
    return photo.id.isdecimal() and not is_held_out(int(photo.id))


def with_new_titles(photos: Sequence[LabelledPhoto], every: Sequence[LabelledPhoto]) -> frozenset[str]:
    """Ids of held-out photos whose title no trained photo has: shops sell one product under several ids.

    Args:
        photos: Held-out photos.
        every: All photos of the release, by numeric ids.
    """
    trained = {" ".join(one.title.lower().split()) for one in every if not is_held_out(int(one.id))} - {""}
    return frozenset(one.id for one in photos if " ".join(one.title.lower().split()) not in trained)


def label_words(label: str) -> str:
    """A label of styles.csv as people write it: lower case, and ``Tshirts`` as ``t-shirts``."""
    return label.lower().replace("tshirts", "t-shirts")


def read_labelled(folder: Path) -> tuple[LabelledPhoto, ...]:
    """Rows of ``styles.csv`` whose ``images/<id>.jpg`` (or .png, ...) exists; of a repeated id the first.

    Raises:
        DataError: If ``styles.csv`` is missing, isn't UTF-8, lacks ``id`` or every label column, or no row has a photo.
    """
    columns, rows = _read_rows(folder)
    photos: dict[str, LabelledPhoto] = {}
    for cells in rows:
        name = cells["id"]
        photo = _photo(folder / "images", name)
        if photo is not None and name not in photos:
            labels = {column: cells[column] for column in columns if cells.get(column, "") not in ("", "NA")}
            photos[name] = LabelledPhoto(name, photo, labels, cells.get(_TITLE, ""))
    if not photos:
        raise DataError(f"no row of {folder / 'styles.csv'} has its photo images/<id>.jpg; {len(rows)} rows were read")
    return tuple(photos.values())


def _photo(images: Path, name: str) -> Path | None:
    """The photo of an id, whatever its ending's case; None if there is none, or the id leads elsewhere."""
    endings = [ending for small in PHOTO_SUFFIXES for ending in (small, small.upper())]
    paths = [images / f"{name}{ending}" for ending in endings] if name else []
    return next((path for path in paths if path.parent == images and path.is_file()), None)


def _read_rows(folder: Path) -> tuple[list[str], list[dict[str, str]]]:
    """The label columns that are there, and the rows as cells by column, without space around them."""
    path = folder / "styles.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read ({error}); give a folder with styles.csv and images/<id>.jpg") from error
    header = [name.strip() for name in rows[0]] if rows else []
    columns = [name for name in TEMPLATES if name in header]
    if "id" not in header or not columns:
        raise DataError(f"{path} needs a column 'id' and at least one of {', '.join(TEMPLATES)}; it has {header}")
    # Titles of the release hold bare commas, but only the last column does.
    last = max(0, len(header) - 1)
    found = [
        {name: cell.strip() for name, cell in zip(header, [*row[:last], ",".join(row[last:])], strict=False)}
        for row in rows[1:]
        if row
    ]
    return columns, [{**cells, "id": cells.get("id", "")} for cells in found]


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What of a folder of labelled photos can't be measured: rows without a photo, and photos without a row."""

    rows: int
    photos: int


def left_out(folder: Path, photos: Sequence[LabelledPhoto]) -> LeftOut:
    """Count the rows of ``styles.csv`` without a photo and the photos of ``images`` without a row."""
    ids = {row["id"] for row in _read_rows(folder)[1]} - {""}
    there = {path.stem for path in (folder / "images").glob("*.*")}
    return LeftOut(len(ids - {photo.id for photo in photos}), len(there - ids))


def label_lists(photos: Sequence[LabelledPhoto]) -> dict[str, list[str]]:
    """By column, the sorted labels that occur."""
    return {name: sorted({p.labels[name] for p in photos if name in p.labels}) for name in TEMPLATES}


_RESAMPLES = 1000
_BINS = 15
_Z = 1.959964  # of a 95% interval
_BOOTSTRAPPED = ("accuracy", "top3", "weighted_f1", "macro_f1")


def label_metrics(
    truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], generator: np.random.Generator
) -> dict[str, Any]:
    """Figures of one attribute.

    Args:
        truth: Index of the right label, ``(N,)``.
        shares: Probabilities, ``(N, L)``; the highest is the answer, the first of equals.
        generator: Draws the bootstrap's photos.

    Returns:
        ``n``, ``classes`` (labels that could be given), ``accuracy``, ``top3`` (the right label is among the three
        most probable), ``weighted_f1``, ``macro_f1``, ``ci95`` of these four by bootstrap over photos, and ``ece``.
    """
    guess, classes = shares.argmax(axis=1), shares.shape[1]
    among = among_best(truth, shares, 3)

    def measured(rows: npt.NDArray[np.integer]) -> tuple[float, ...]:
        right = float((truth[rows] == guess[rows]).mean())
        return (right, float(among[rows].mean()), *f1(truth[rows], guess[rows], classes))

    draws = generator.integers(len(truth), size=(_RESAMPLES, len(truth)))
    low, high = np.percentile(np.array([measured(rows) for rows in draws]), [2.5, 97.5], axis=0)
    whole = measured(np.arange(len(truth)))
    return {
        "n": len(truth),
        "classes": classes,
        **dict(zip(_BOOTSTRAPPED, whole, strict=True)),
        "ci95": {name: [float(low[c]), float(high[c])] for c, name in enumerate(_BOOTSTRAPPED)},
        "ece": expected_calibration_error(guess == truth, shares.max(axis=1)),
    }


def among_best(truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], k: int) -> npt.NDArray[np.bool_]:
    """Whether the right label is among the ``k`` most probable, ``(N,)``; of equals the first in the list wins."""
    best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
    return np.asarray((best == truth[:, None]).any(axis=1))


def expected_calibration_error(right: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating]) -> float:
    """Mean distance between confidence and accuracy over 15 equal bins, weighted by their sizes.

    References:
        Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))


def f1(truth: npt.NDArray[np.integer], guess: npt.NDArray[np.integer], classes: int) -> tuple[float, float]:
    """Weighted by support, and the plain mean over labels that occur in either; 0 for a label never hit."""
    hits = np.bincount(truth[truth == guess], minlength=classes)
    support = np.bincount(truth, minlength=classes)
    both = support + np.bincount(guess, minlength=classes)
    each = np.where(both > 0, 2 * hits / np.maximum(both, 1), 0.0)
    return float((each * support).sum() / support.sum()), float(each[both > 0].mean())


def of_common_labels(truth: npt.NDArray[np.integer], least: int) -> npt.NDArray[np.bool_]:
    """Photos whose right label has ``least`` photos or more, ``(N,)``."""
    return np.asarray(np.bincount(truth)[truth] >= least)


def merged(
    labels: Sequence[str], shares: npt.NDArray[np.floating], groups: Mapping[str, str], judged_alone: bool = False
) -> tuple[list[str], npt.NDArray[np.floating], npt.NDArray[np.integer]]:
    """Put together the probabilities of labels that count as one.

    Args:
        labels: The columns of ``shares``.
        shares: Probabilities, ``(N, L)``.
        groups: A label's group, for those that go by another name.
        judged_alone: Whether each label was judged by itself (sigmoid). Then labels don't exclude one another, their
            probabilities don't add up, and a group is as probable as its most probable label; else they are added up.

    Returns:
        The groups' names, their probabilities ``(N, G)``, and the group of each label, ``(L,)``.
    """
    names = list(dict.fromkeys(groups.get(label, label) for label in labels))
    owner = np.array([names.index(groups.get(label, label)) for label in labels])
    together = np.zeros((len(shares), len(names)), dtype=shares.dtype)
    put_together = np.maximum if judged_alone else np.add
    for column, group in enumerate(owner):
        together[:, group] = put_together(together[:, group], shares[:, column])
    return names, together, owner


def share_with_interval(hits: npt.NDArray[np.bool_]) -> tuple[float, list[float]]:
    """A share and its 95% interval, which stays honest for a handful of photos.

    References:
        Wilson, Probable Inference, the Law of Succession, and Statistical Inference, 1927.
    """
    n, share = len(hits), float(hits.mean())
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)))
    return share, [max(0.0, middle - half), min(1.0, middle + half)]


# Labels that shops use for one another, by column: which shade of blue is navy is anybody's guess.
MERGED: Mapping[str, Mapping[str, str]] = {
    "baseColour": {
        "Navy Blue": "Blue", "Maroon": "Red", "Burgundy": "Red", "Grey Melange": "Grey", "Charcoal": "Grey",
        "Steel": "Silver", "Metallic": "Silver", "Coffee Brown": "Brown", "Mushroom Brown": "Brown", "Taupe": "Brown",
        "Nude": "Beige", "Skin": "Beige", "Off White": "White", "Cream": "White", "Rose": "Pink", "Mauve": "Purple",
        "Lavender": "Purple", "Mustard": "Yellow", "Teal": "Turquoise Blue", "Sea Green": "Green",
        "Lime Green": "Green", "Fluorescent Green": "Green",
    },
}  # fmt: skip
_BATCH = 32


@dataclass(frozen=True, slots=True)
class EncoderReport:
    """How an encoder does on labelled photos.

    Attributes:
        attributes: By column, what ``label_figures.figures`` gives, and under ``common`` the same of the photos whose
            label has ``min_photos`` or more (absent where there is none). ``baseColour merged`` counts near-synonyms
            as one.
        unseen: A row per label that the encoder's training never saw a photo of: ``attribute``, ``label``, ``n``,
            ``top1``, ``top3`` among all labels, and ``ci95`` of both (Wilson). Label ``all`` has their photos together.
        photos_per_second: Of all photos, opening and encoding together; those that the cache knew are only read.
        unreadable: Photos that couldn't be opened; they are left out.
        encoded: Photos that the encoder was asked for; it knew the others from an earlier run, or from a twin.
    """

    attributes: Mapping[str, Mapping[str, Any]]
    unseen: tuple[Mapping[str, Any], ...]
    photos_per_second: float
    unreadable: int
    encoded: int


def with_withheld_labels(
    photos: Sequence[LabelledPhoto], encoder: ImageTextEncoder, measured: Sequence[LabelledPhoto]
) -> tuple[LabelledPhoto, ...]:
    """Photos of labels that the encoder's training saw no photo of at all, other than those measured already."""
    known = {photo.id for photo in measured}
    withheld = calibration_of(encoder).withheld
    return tuple(
        photo
        for photo in photos
        if photo.id not in known and any(photo.labels.get(name) in labels for name, labels in withheld.items())
    )


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What is asked of an encoder.

    Attributes:
        lists: By column, every label that may be given; a column with fewer than two is left out. Take them from the
            whole release, also where only a part of it is measured: a shorter list is an easier question.
        min_photos: What ``common`` figures ask of a label.
        others: Photos that count for the withheld labels' rows alone.
        new: Ids of photos that are also measured apart: no photo of their title was trained on. Empty for no such rows.
        seed: Of the bootstrap.
        batch_size: Photos encoded at once; it changes speed, not results.
    """

    lists: Mapping[str, Sequence[str]]
    min_photos: int = 20
    others: Sequence[LabelledPhoto] = ()
    new: frozenset[str] = frozenset()
    seed: int = 17
    batch_size: int = _BATCH


def evaluate_encoder(
    photos: Sequence[LabelledPhoto],
    encoder: ImageTextEncoder,
    question: EvaluationOptions,
    progress: Progress = no_progress,
    cache: EmbeddingCache | None = None,
) -> EncoderReport:
    """Zero-shot labels of every photo over full lists of labels, with intervals.

    Args:
        photos: What is measured.
        encoder: Sees the photos and reads the labels. Where it says how its probabilities are calibrated
            (``calibration``), that is followed.
        question: The labels, and what else is asked.
        progress: Called after each batch.
        cache: Of this encoder: its photos cost no more than reading their files. None for one in memory.

    Raises:
        DataError: If no photo can be opened.
    """
    every = [*photos, *question.others]
    seen = _see(every, encoder, question.batch_size, progress, cache)
    kept, rows = seen.photos, seen.rows
    measured = {photo.id for photo in photos}
    if not any(photo.id in measured for photo in kept):
        raise DataError(f"none of the {len(photos)} photos can be opened; see docs/describing.md for what coordi opens")
    generator = np.random.default_rng([question.seed, 5])
    found: dict[str, Mapping[str, Any]] = {}
    unseen: list[Mapping[str, Any]] = []
    for name in TEMPLATES:
        labels = list(question.lists.get(name, ()))
        place = {label: column for column, label in enumerate(labels)}
        labelled = [row for row, photo in enumerate(kept) if photo.labels.get(name) in place]
        if len(labels) < 2 or not labelled:
            continue
        shares, helped = (label_shares(encoder, name, labels, rows[labelled], bonus=bonus) for bonus in (False, True))
        truth = np.array([place[kept[row].labels[name]] for row in labelled])
        counted = np.array([kept[row].id in measured for row in labelled])
        unseen += _withheld_rows(name, labels, calibration_of(encoder).withheld.get(name, ()), (truth, shares, helped))
        if counted.any():
            found[name] = _with_common(truth[counted], shares[counted], question.min_photos, generator)
            new = np.array([kept[row].id in question.new for row in labelled])[counted]
            if new.any():
                part = _with_common(truth[counted][new], shares[counted][new], question.min_photos, generator)
                found[f"{name}, new titles"] = part
        if counted.any() and name in MERGED:
            names, together, owner = merged(labels, shares[counted], MERGED[name], encoder.logit_bias is not None)
            if len(names) > 1:
                truths = owner[truth[counted]]
                found[f"{name} merged"] = _with_common(truths, together, question.min_photos, generator)
    return EncoderReport(found, tuple(unseen), seen.per_second, len(every) - len(kept), seen.encoded)


@dataclass(frozen=True, slots=True)
class _Rows:
    """Photos that could be opened, their vectors ``(N, D)``, and what it took."""

    photos: Sequence[LabelledPhoto]
    rows: npt.NDArray[np.float32]
    encoded: int
    per_second: float


def _see(
    photos: Sequence[LabelledPhoto],
    encoder: ImageTextEncoder,
    batch_size: int,
    progress: Progress,
    cache: EmbeddingCache | None,
) -> _Rows:
    started = time.monotonic()
    items = [Item(photo.id, photo.title, None, image=photo.path) for photo in photos]
    with nullcontext(cache) if cache is not None else EmbeddingCache(None, encoder.dimension) as vectors:
        seen = encode_photos(items, encoder, vectors, batch_size, progress)
        known = [(photo, digest) for photo, digest in zip(photos, seen.digests, strict=True) if digest is not None]
        rows = vectors.vectors([digest for _, digest in known])
    speed = len(known) / max(time.monotonic() - started, 1e-9)
    return _Rows([photo for photo, _ in known], rows, seen.encoded, speed)


def label_shares(
    encoder: ImageTextEncoder,
    name: str,
    labels: Sequence[str],
    rows: npt.NDArray[np.float32],
    *,
    bonus: bool = False,
) -> npt.NDArray[np.float32]:
    """Calibrated probabilities ``(N, L)`` of a column's labels for photo vectors ``(N, D)``.

    Args:
        encoder: Sees the photos and reads the labels.
        name: The column.
        labels: As ``styles.csv`` writes them.
        rows: Unit vectors of photos.
        bonus: Add the encoder's constant to the cosines of labels that training never saw a photo of, as seen ones
            crowd them out otherwise (calibrated stacking). It costs the seen ones.

    References:
        Chao et al., An Empirical Study and Analysis of Generalized Zero-Shot Learning, 2016.
    """
    calibration = calibration_of(encoder)
    words = [label_words(label) for label in labels]
    temperature = calibration.temperatures.get(name, 1.0)
    judge = LabelJudge.of(encoder, TEMPLATES[name], [[word] for word in words], temperature)
    return replace(judge, bonuses=calibration.bonuses(name, words) if bonus else None).probabilities(rows)


def _with_common(
    truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], least: int, generator: np.random.Generator
) -> dict[str, Any]:
    found = label_metrics(truth, shares, generator)
    common = of_common_labels(truth, least)
    if common.any():
        part = label_metrics(truth[common], shares[common], generator)
        found["common"] = {**part, "min_photos": least, "labels_measured": len(np.unique(truth[common]))}
    return found


def _withheld_rows(
    name: str,
    labels: Sequence[str],
    withheld: Sequence[str],
    judged: tuple[npt.NDArray[np.integer], npt.NDArray[np.floating], npt.NDArray[np.floating]],
) -> list[dict[str, Any]]:
    """A row for each withheld label and one for all; ``plain`` is without the constant for unseen labels."""
    truth, plain, shares = judged
    groups = {label: truth == labels.index(label) for label in withheld if label in labels}
    if len(groups) > 1:
        groups["all"] = np.any(list(groups.values()), axis=0)
    found = []
    for label, rows in groups.items():
        if rows.any():
            top1, ci1 = share_with_interval(among_best(truth[rows], shares[rows], 1))
            top3, ci3 = share_with_interval(among_best(truth[rows], shares[rows], 3))
            row = {"attribute": name, "label": label, "n": int(rows.sum()), "top1": top1, "top3": top3}
            row["plain"] = {f"top{best}": float(among_best(truth[rows], plain[rows], best).mean()) for best in (1, 3)}
            found.append({**row, "ci95": {"top1": ci1, "top3": ci3}})
    return found
