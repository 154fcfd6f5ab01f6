"""Zero-shot labels of an encoder, compared with hand-made labels of photos."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from coordi.artifacts import Progress, no_progress
from coordi.data.photos import PHOTO_SUFFIXES
from coordi.encoders.base import ImageTextEncoder
from coordi.encoders.edge import calibration_of
from coordi.encoders.labels import LabelClassifier
from coordi.encoders.photo_embeddings import EmbeddingCache, encode_photos
from coordi.errors import DataError
from coordi.types import Item

TEMPLATES: Mapping[str, str] = {
    "articleType": "a photo of {}",
    "masterCategory": "a photo of {}",
    "subCategory": "a photo of {}",
    "gender": "a photo of a product for {}",
    "baseColour": "a photo of a {} product",
    "season": "a photo of a product for {}",
    "usage": "a photo of a product for {} use",
}
"""By column of ``styles.csv``, the sentence its labels are put into; the edge encoder was trained with the same."""
MERGED: Mapping[str, Mapping[str, str]] = {
    "baseColour": {
        "Navy Blue": "Blue", "Maroon": "Red", "Burgundy": "Red", "Grey Melange": "Grey", "Charcoal": "Grey",
        "Steel": "Silver", "Metallic": "Silver", "Coffee Brown": "Brown", "Mushroom Brown": "Brown", "Taupe": "Brown",
        "Nude": "Beige", "Skin": "Beige", "Off White": "White", "Cream": "White", "Rose": "Pink", "Mauve": "Purple",
        "Lavender": "Purple", "Mustard": "Yellow", "Teal": "Turquoise Blue", "Sea Green": "Green",
        "Lime Green": "Green", "Fluorescent Green": "Green",
    },
}  # fmt: skip
"""By column, near-synonyms: shops differ in which shade of blue they call navy."""
HOLDOUT_PERCENT = 15
_TITLE = "productDisplayName"
_RESAMPLES = 1000
_BINS = 15
_BATCH_SIZE = 32
_Z = 1.959964  # of a 95% interval
_BOOTSTRAPPED = ("accuracy", "top3", "weighted_f1", "macro_f1")

_Truth = npt.NDArray[np.integer]
_Shares = npt.NDArray[np.floating]


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo, its labels by column (a missing label is absent), and its title, empty where there is none."""

    id: str
    path: Path
    labels: Mapping[str, str]
    title: str = ""


def is_holdout(photo_id: int) -> bool:
    """Whether a photo of the fashion products is among the 15% that the edge encoder wasn't trained on."""
    digest = hashlib.sha256(str(photo_id).encode()).digest()
    return int.from_bytes(digest[:4], "big") % 100 < HOLDOUT_PERCENT


def holdout_photos(photos: Sequence[LabelledPhoto]) -> tuple[LabelledPhoto, ...]:
    """The photos that the edge encoder wasn't trained on, by their numeric ids."""
    strange = [photo.id for photo in photos if not photo.id.isdecimal()]
    if strange:
        raise DataError(f"'{strange[0]}' isn't an id of the fashion products, whose ids are numbers; drop --held-out")
    chosen = tuple(photo for photo in photos if is_holdout(int(photo.id)))
    if not chosen:
        raise DataError(f"none of the {len(photos)} photos was held out; drop --held-out")
    return chosen


def may_be_trained_on(photo: LabelledPhoto) -> bool:
    """Whether the edge encoder may have been trained on a photo, by its id, if it is of the fashion products."""
    return photo.id.isdecimal() and not is_holdout(int(photo.id))


def with_new_titles(photos: Sequence[LabelledPhoto], every: Sequence[LabelledPhoto]) -> frozenset[str]:
    """Ids of holdout photos whose title no trained photo has: shops sell one product under several ids."""
    trained = {_title_key(photo) for photo in every if not is_holdout(int(photo.id))} - {""}
    return frozenset(photo.id for photo in photos if _title_key(photo) not in trained)


def _title_key(photo: LabelledPhoto) -> str:
    return " ".join(photo.title.lower().split())


def label_words(label: str) -> str:
    """A label of ``styles.csv`` as people write it: lower case, and ``Tshirts`` as ``t-shirts``."""
    return label.lower().replace("tshirts", "t-shirts")


def label_lists(photos: Sequence[LabelledPhoto]) -> dict[str, list[str]]:
    """By column, the sorted labels that occur."""
    return {name: sorted({p.labels[name] for p in photos if name in p.labels}) for name in TEMPLATES}


def read_labelled(folder: Path) -> tuple[LabelledPhoto, ...]:
    """Rows of ``styles.csv`` whose ``images/<id>.jpg`` (or .png, ...) exists; of a repeated id the first."""
    rows, paths = _read_rows(folder), _photo_paths(folder)
    photos: dict[str, LabelledPhoto] = {}
    for cells in rows:
        name = cells["id"]
        if name in paths and name not in photos:
            labels = {column: cells[column] for column in TEMPLATES if cells.get(column, "") not in ("", "NA")}
            photos[name] = LabelledPhoto(name, paths[name], labels, cells.get(_TITLE, ""))
    if not photos:
        raise DataError(f"no row of {folder / 'styles.csv'} has its photo images/<id>.jpg; {len(rows)} rows were read")
    return tuple(photos.values())


def left_out(folder: Path, photos: Sequence[LabelledPhoto]) -> dict[str, int]:
    """How many ``rows`` of ``styles.csv`` have no photo, and how many ``photos`` of ``images`` no row."""
    ids = {row["id"] for row in _read_rows(folder)} - {""}
    return {
        "rows": len(ids - {photo.id for photo in photos}),
        "photos": len(_photo_paths(folder).keys() - ids),
    }


def _photo_paths(folder: Path) -> dict[str, Path]:
    paths = sorted((folder / "images").glob("*.*"), key=lambda path: (path.suffix.lower() != ".jpg", path))
    return {path.stem: path for path in reversed(paths) if path.suffix.lower() in PHOTO_SUFFIXES}


def _read_rows(folder: Path) -> list[dict[str, str]]:
    path = folder / "styles.csv"
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read ({error}); give a folder with styles.csv and images/<id>.jpg") from error
    header = [name.strip() for name in rows[0]] if rows else []
    if "id" not in header or not set(header) & set(TEMPLATES):
        raise DataError(f"{path} needs a column 'id' and at least one of {', '.join(TEMPLATES)}; it has {header}")
    # Titles of the release hold bare commas, but only the last column does.
    last = len(header) - 1
    cells = [[*row[:last], ",".join(row[last:])] for row in rows[1:] if row]
    return [{"id": "", **dict(zip(header, map(str.strip, row), strict=False))} for row in cells]


def label_metrics(truth: _Truth, shares: _Shares, generator: np.random.Generator) -> dict[str, Any]:
    """Metrics of one attribute, with 95% bootstrap intervals over photos as ``ci95``. ``truth`` is the index of the
    right label, ``(N,)``; ``shares`` are probabilities, ``(N, L)``; the highest is the answer, the first of equals.
    """
    guess, classes = shares.argmax(axis=1), shares.shape[1]
    is_right, is_top3 = truth == guess, among_best(truth, shares, 3)

    def metrics(rows: npt.NDArray[np.integer]) -> tuple[float, ...]:
        return float(is_right[rows].mean()), float(is_top3[rows].mean()), *f1(truth[rows], guess[rows], classes)

    draws = generator.integers(len(truth), size=(_RESAMPLES, len(truth)))
    low, high = np.percentile(np.array([metrics(rows) for rows in draws]), [2.5, 97.5], axis=0)
    return {
        "n": len(truth),
        "classes": classes,
        **dict(zip(_BOOTSTRAPPED, metrics(np.arange(len(truth))), strict=True)),
        "ci95": {name: [float(low[c]), float(high[c])] for c, name in enumerate(_BOOTSTRAPPED)},
        "ece": expected_calibration_error(is_right, shares.max(axis=1)),
    }


def among_best(truth: _Truth, shares: _Shares, k: int) -> npt.NDArray[np.bool_]:
    """Whether the right label is among the ``k`` most probable, ``(N,)``; of equals the first in the list wins."""
    best = np.argsort(-shares, axis=1, kind="stable")[:, :k]
    return np.asarray((best == truth[:, None]).any(axis=1))


def expected_calibration_error(right: npt.NDArray[np.bool_], confidence: _Shares) -> float:
    """Mean distance of confidence and accuracy over 15 equal bins, weighted by their sizes (Guo et al., 2017)."""
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))


def f1(truth: _Truth, guess: _Truth, classes: int) -> tuple[float, float]:
    """Weighted and macro F1, ``zero_division=0``; scikit-learn's takes 6 to 10 ms, 2,000 times for each table row."""
    hits = np.bincount(truth[truth == guess], minlength=classes)
    support = np.bincount(truth, minlength=classes)
    both = support + np.bincount(guess, minlength=classes)
    each = np.where(both > 0, 2 * hits / np.maximum(both, 1), 0.0)
    return float((each * support).sum() / support.sum()), float(each[both > 0].mean())


def merged(
    labels: Sequence[str], shares: _Shares, groups: Mapping[str, str], is_sigmoid: bool = False
) -> tuple[list[str], _Shares, _Truth]:
    """The groups' names, their probabilities ``(N, G)``, and the group of each label, ``(L,)``; a label without one is
    its own. A group is as probable as its most probable label if ``is_sigmoid``, else as the sum of its labels.
    """
    names = list(dict.fromkeys(groups.get(label, label) for label in labels))
    owner = np.array([names.index(groups.get(label, label)) for label in labels])
    merge = np.max if is_sigmoid else np.sum
    return names, np.stack([merge(shares[:, owner == group], axis=1) for group in range(len(names))], axis=1), owner


def share_with_interval(hits: npt.NDArray[np.bool_]) -> tuple[float, list[float]]:
    """A share and its 95% interval (Wilson, Probable Inference, 1927), which holds for a few photos too."""
    n, share = len(hits), float(hits.mean())
    middle = (share + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
    half = _Z / (1 + _Z**2 / n) * float(np.sqrt(share * (1 - share) / n + _Z**2 / (4 * n**2)))
    return share, [max(0.0, middle - half), min(1.0, middle + half)]


def label_shares(
    encoder: ImageTextEncoder,
    name: str,
    labels: Sequence[str],
    rows: npt.NDArray[np.float32],
) -> npt.NDArray[np.float32]:
    """Calibrated probabilities ``(N, L)``."""
    temperature = calibration_of(encoder).temperatures.get(name, 1.0)
    words = [[label_words(label)] for label in labels]
    return LabelClassifier.of(encoder, TEMPLATES[name], words, temperature).probabilities(rows)


@dataclass(frozen=True, slots=True)
class EncoderReport:
    """How an encoder labels photos.

    Attributes:
        attributes: By column ``label_metrics``, and under ``common`` those of labels with ``min_photos`` or more.
        photos_per_second: Of all photos, opening and encoding; those in the cache are only read.
    """

    attributes: Mapping[str, Mapping[str, Any]]
    photos_per_second: float
    unreadable: int
    encoded: int


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What is measured.

    Attributes:
        lists: By column, every possible label; a column with fewer than two is left out. Take them from the complete
            release, also where only a part of it is measured: a shorter list is an easier question.
        min_photos: Photos per label of the ``common`` metrics.
        new: Ids of photos that are also measured apart: no photo of their title was trained on.
    """

    lists: Mapping[str, Sequence[str]]
    min_photos: int = 20
    new: frozenset[str] = frozenset()
    seed: int = 17


def evaluate_encoder(
    photos: Sequence[LabelledPhoto],
    encoder: ImageTextEncoder,
    options: EvaluationOptions,
    progress: Progress = no_progress,
    cache: EmbeddingCache | None = None,
) -> EncoderReport:
    """Zero-shot labels of every photo over full lists, with intervals; without a ``cache`` one in memory is used."""
    started = time.monotonic()
    items = [Item(photo.id, photo.title, None, image=photo.path) for photo in photos]
    with nullcontext(cache) if cache is not None else EmbeddingCache(None, encoder.dimension) as vectors:
        result = encode_photos(items, encoder, vectors, _BATCH_SIZE, progress)
        digests = [digest for digest in result.digests if digest is not None]
        rows = vectors.vectors(digests)  # (N, D)
    opened = [photo for photo, digest in zip(photos, result.digests, strict=True) if digest is not None]
    speed = len(opened) / max(time.monotonic() - started, 1e-9)
    if not opened:
        raise DataError(f"none of the {len(photos)} photos can be opened; see docs/describing.md for what coordi opens")
    generator = np.random.default_rng([options.seed, 5])
    attributes: dict[str, Mapping[str, Any]] = {}
    for name in TEMPLATES:
        column = _Column.of(name, options.lists.get(name, ()), opened)
        if column is None:
            continue
        plain = label_shares(encoder, name, column.labels, rows[column.rows])
        is_new = np.array([photo_id in options.new for photo_id in column.ids])
        for title, truth, shares in _tables(column, plain, is_new, encoder.logit_bias is not None):
            attributes[title] = _with_common(truth, shares, options.min_photos, generator)
    return EncoderReport(attributes, speed, len(photos) - len(opened), result.encoded)


@dataclass(frozen=True, slots=True)
class _Column:
    """Photos that have a label of one column: their rows, ids and the index of each right label, ``(N,)``."""

    name: str
    labels: Sequence[str]
    rows: npt.NDArray[np.integer]
    ids: Sequence[str]
    truth: _Truth

    @classmethod
    def of(cls, name: str, labels: Sequence[str], photos: Sequence[LabelledPhoto]) -> _Column | None:
        index = {label: position for position, label in enumerate(labels)}
        rows = [row for row, photo in enumerate(photos) if photo.labels.get(name) in index]
        if len(labels) < 2 or not rows:
            return None
        truth = np.array([index[photos[row].labels[name]] for row in rows])
        return cls(name, labels, np.array(rows), [photos[row].id for row in rows], truth)


def _tables(
    column: _Column,
    shares: _Shares,
    is_new: npt.NDArray[np.bool_],
    is_sigmoid: bool,
) -> Iterator[tuple[str, _Truth, _Shares]]:
    """Title, truth and probabilities of each table of a column: all measured photos, new titles, merged labels."""
    yield column.name, column.truth, shares
    if is_new.any():
        yield f"{column.name}, new titles", column.truth[is_new], shares[is_new]
    if column.name in MERGED:
        names, sums, owner = merged(column.labels, shares, MERGED[column.name], is_sigmoid)
        if len(names) > 1:
            yield f"{column.name} merged", owner[column.truth], sums


def _with_common(truth: _Truth, shares: _Shares, least: int, generator: np.random.Generator) -> dict[str, Any]:
    metrics = label_metrics(truth, shares, generator)
    common = np.bincount(truth)[truth] >= least
    if common.any():
        part = label_metrics(truth[common], shares[common], generator)
        metrics["common"] = {**part, "min_photos": least, "labels_measured": len(np.unique(truth[common]))}
    return metrics
