"""Photos with hand-made labels, and how often an encoder finds those labels by zero-shot."""

from __future__ import annotations

import csv
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from coordi.data.photos import open_photo
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.zero_shot import label_probabilities, label_vectors
from coordi.errors import DataError, ImageError
from coordi.progress import Progress, silent

if TYPE_CHECKING:
    from PIL import Image

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
_BATCH = 32
_RESAMPLES = 1000
_BINS = 15


@dataclass(frozen=True, slots=True)
class LabelledPhoto:
    """A photo and its labels by column; a label that is missing is absent."""

    id: str
    path: Path
    labels: Mapping[str, str]


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


def label_words(label: str) -> str:
    """A label of styles.csv as people write it: lower case, and ``Tshirts`` as ``t-shirts``."""
    return label.lower().replace("tshirts", "t-shirts")


def read_labelled(folder: Path) -> tuple[LabelledPhoto, ...]:
    """Rows of ``styles.csv`` whose ``images/<id>.jpg`` exists; of a repeated id the first.

    Raises:
        DataError: If ``styles.csv`` is missing, isn't UTF-8, lacks ``id`` or every label column, or no row has a photo.
    """
    path = folder / "styles.csv"
    try:
        with path.open(encoding="utf-8", newline="") as file:
            rows = list(csv.reader(file))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{path} can't be read ({error}); give a folder with styles.csv and images/<id>.jpg") from error
    header = rows[0] if rows else []
    columns = [name for name in TEMPLATES if name in header]
    if "id" not in header or not columns:
        raise DataError(f"{path} needs a column 'id' and at least one of {', '.join(TEMPLATES)}; it has {header}")
    photos: dict[str, LabelledPhoto] = {}
    for row in rows[1:]:
        # Titles of the release hold bare commas, but only the last column does, so the labels stay in place.
        cells = dict(zip(header, row, strict=False))
        photo = folder / "images" / f"{cells.get('id', '')}.jpg"
        if cells.get("id") and cells["id"] not in photos and photo.is_file():
            labels = {name: cells[name] for name in columns if cells.get(name, "").strip() not in ("", "NA")}
            photos[cells["id"]] = LabelledPhoto(cells["id"], photo, labels)
    if not photos:
        raise DataError(f"no row of {path} has its photo images/<id>.jpg; {len(rows) - 1} rows were read")
    return tuple(photos.values())


@dataclass(frozen=True, slots=True)
class EncoderReport:
    """How an encoder does on labelled photos.

    Attributes:
        attributes: By column: ``n``, ``classes``, ``accuracy``, ``weighted_f1``, ``macro_f1``, ``ci95`` (of accuracy
            and weighted F1, bootstrap over photos) and ``ece`` (15 bins).
        photos_per_second: Opening and encoding together.
        unreadable: Photos that couldn't be opened; they are left out.
    """

    attributes: Mapping[str, Mapping[str, Any]]
    photos_per_second: float
    unreadable: int


def label_lists(photos: Sequence[LabelledPhoto]) -> dict[str, list[str]]:
    """By column, the sorted labels that occur."""
    return {name: sorted({p.labels[name] for p in photos if name in p.labels}) for name in TEMPLATES}


def evaluate_encoder(
    photos: Sequence[LabelledPhoto],
    encoder: ImageTextEncoder,
    lists: Mapping[str, Sequence[str]],
    seed: int,
    progress: Progress = silent,
) -> EncoderReport:
    """Zero-shot labels of every photo over full lists of labels.

    Args:
        photos: What is measured.
        encoder: Sees the photos and reads the labels.
        lists: By column, every label that may be given; a column with fewer than two is left out. Take them from the
            whole release, also where only a part of it is measured: a shorter list is an easier question.
        seed: Of the bootstrap.
        progress: Called after each batch.

    Raises:
        DataError: If no photo can be opened.
    """
    started = time.monotonic()
    kept: list[LabelledPhoto] = []
    vectors = []
    for batch, images in _opened(photos):
        kept += batch
        vectors.append(encoder.encode_images(images))
        progress(min(len(photos), len(kept)), len(photos))
    speed = len(kept) / max(time.monotonic() - started, 1e-9)
    if not kept:
        raise DataError(f"none of the {len(photos)} photos can be opened; they must be JPEG, PNG or WebP")
    progress(len(photos), len(photos))
    rows = np.concatenate(vectors)
    generator = np.random.default_rng([seed, 5])
    found = {}
    for name, template in TEMPLATES.items():
        labelled = [place for place, photo in enumerate(kept) if name in photo.labels]
        labels = list(lists.get(name, ()))
        if len(labels) < 2 or not labelled:
            continue
        texts = label_vectors(encoder, template, [[label_words(label)] for label in labels])
        shares = label_probabilities(rows[labelled], texts, encoder.logit_scale, encoder.logit_bias)
        truth = np.array([labels.index(kept[place].labels[name]) for place in labelled])
        found[name] = figures(truth, shares, generator)
    return EncoderReport(found, speed, len(photos) - len(kept))


def figures(
    truth: npt.NDArray[np.integer], shares: npt.NDArray[np.floating], generator: np.random.Generator
) -> dict[str, Any]:
    """Figures of one attribute.

    Args:
        truth: Index of the right label, ``(N,)``.
        shares: Probabilities, ``(N, L)``; the highest is the answer, the first of equals.
        generator: Draws the bootstrap's photos.
    """
    guess = shares.argmax(axis=1)
    classes = shares.shape[1]
    draws = generator.integers(len(truth), size=(_RESAMPLES, len(truth)))
    samples = np.array([(_accuracy(truth[d], guess[d]), *_f1(truth[d], guess[d], classes)) for d in draws])
    low, high = np.percentile(samples, [2.5, 97.5], axis=0)
    weighted, macro = _f1(truth, guess, classes)
    return {
        "n": len(truth),
        "classes": classes,
        "accuracy": _accuracy(truth, guess),
        "weighted_f1": weighted,
        "macro_f1": macro,
        "ci95": {
            name: [float(low[column]), float(high[column])]
            for column, name in enumerate(("accuracy", "weighted_f1", "macro_f1"))
        },
        "ece": expected_calibration_error(guess == truth, shares.max(axis=1)),
    }


def expected_calibration_error(right: npt.NDArray[np.bool_], confidence: npt.NDArray[np.floating]) -> float:
    """Mean distance between confidence and accuracy over 15 equal bins, weighted by their sizes.

    References:
        Guo et al., On Calibration of Modern Neural Networks, 2017.
    """
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(np.abs(gaps).sum() / len(right))


def _accuracy(truth: npt.NDArray[np.integer], guess: npt.NDArray[np.integer]) -> float:
    return float((truth == guess).mean())


def _f1(truth: npt.NDArray[np.integer], guess: npt.NDArray[np.integer], classes: int) -> tuple[float, float]:
    """Weighted by support, and the plain mean over labels that occur in either; 0 for a label never hit."""
    hits = np.bincount(truth[truth == guess], minlength=classes)
    support = np.bincount(truth, minlength=classes)
    both = support + np.bincount(guess, minlength=classes)
    each = np.where(both > 0, 2 * hits / np.maximum(both, 1), 0.0)
    return float((each * support).sum() / support.sum()), float(each[both > 0].mean())


def _opened(photos: Sequence[LabelledPhoto]) -> Iterator[tuple[list[LabelledPhoto], list[Image.Image]]]:
    for start in range(0, len(photos), _BATCH):
        batch, images = [], []
        for photo in photos[start : start + _BATCH]:
            try:
                images.append(open_photo(photo.path))
            except ImageError:
                continue
            batch.append(photo)
        yield batch, images
