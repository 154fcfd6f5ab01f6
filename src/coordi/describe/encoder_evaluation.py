"""How often an encoder finds hand-made labels of photos by zero-shot."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from coordi.data.categories import of_unknown_category
from coordi.describe.calibration import calibration_of
from coordi.describe.encoder import ImageTextEncoder
from coordi.describe.label_figures import among_best, figures, merged, of_common_labels, share_with_interval
from coordi.describe.labelled_photos import TEMPLATES, LabelledPhoto, label_words
from coordi.describe.seeing import see
from coordi.describe.vector_cache import VectorCache
from coordi.describe.zero_shot import LabelJudge
from coordi.domain import Item
from coordi.errors import DataError
from coordi.progress import Progress, silent

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
class Question:
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
    question: Question,
    progress: Progress = silent,
    cache: VectorCache | None = None,
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
    cache: VectorCache | None,
) -> _Rows:
    started = time.monotonic()
    category, _ = of_unknown_category({})  # which nobody asks for here
    items = [Item(photo.id, photo.title, category, image=photo.path) for photo in photos]
    with nullcontext(cache) if cache is not None else VectorCache(None, encoder.dimension) as vectors:
        seen = see(items, encoder, vectors, batch_size, progress)
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
    found = figures(truth, shares, generator)
    common = of_common_labels(truth, least)
    if common.any():
        part = figures(truth[common], shares[common], generator)
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
