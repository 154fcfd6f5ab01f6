"""What a described attribute's probabilities are worth: temperatures and thresholds of a vocabulary for an encoder.

Chosen on the tenth of the photos that is kept for such choices, and measured on the held-out ones with ``--held-out``.
Category, colour and occasion are judged by hand-made labels; a photo whose label the vocabulary has no word for is
wrong whatever is said of it. Pattern and material are judged by words of the titles, where there are any: those are
easier photos than most, so no temperature is chosen by them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.data.categories import category_of
from coordi.encoders.base import ImageTextEncoder, load_encoder
from coordi.encoders.edge import word_key
from coordi.encoders.evaluation import (
    LabelledPhoto,
    expected_calibration_error,
    is_holdout,
    label_words,
    read_labelled,
    share_with_interval,
)
from coordi.encoders.labels import KINDS, Attribute, LabelClassifier, Labeller, Vocabulary, load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache, encode_photos
from coordi.types import Item
from texts import MATERIALS, PATTERNS, weak_labels
from train_projection import is_for_choices

COLUMNS = {"category": "articleType", "colour": "baseColour", "occasion": "usage"}
TITLE_WORDS = {"pattern": PATTERNS, "material": MATERIALS}
TEMPERATURES = np.geomspace(0.2, 2.0, 93)
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9)


@dataclass(frozen=True)
class Asked:
    """The photos whose truth is known for an attribute.

    Attributes:
        rows: Their vectors, ``(N, D)``.
        truth: Place of the right label, ``(N,)``; -1 where the vocabulary has no word for it.
    """

    rows: NDArray[np.float32]
    truth: NDArray[np.integer]

    def answers(self, judge: LabelClassifier) -> tuple[NDArray[np.bool_], NDArray[np.float32]]:
        """Whether the first label is right, and how probable it is said to be, both ``(N,)``."""
        shares = judge.probabilities(self.rows)
        return shares.argmax(1) == self.truth, shares.max(1)


def asked(name: str, attribute: Attribute, photos: Sequence[LabelledPhoto], rows: NDArray[np.float32]) -> Asked:
    if name in COLUMNS:
        words = [label_words(photo.labels.get(COLUMNS[name], "")) for photo in photos]
    else:
        words = weak_labels([photo.title for photo in photos], TITLE_WORDS[name])
    owner = {word_key(phrase): place for place, entry in enumerate(attribute.labels) for phrase in entry.phrases}
    known = np.array([bool(word) for word in words])
    return Asked(rows[known], np.array([owner.get(word_key(word), -1) for word in words])[known])


def choose_temperature(judge: LabelClassifier, given: Asked) -> float:
    """The temperature under which what is said first is right as often as its probability says: least log-loss."""
    losses = []
    for temperature in TEMPERATURES:
        right, sure = given.answers(replace(judge, temperature=float(temperature)))
        sure = np.clip(sure.astype(np.float64), 1e-9, 1 - 1e-9)
        losses.append(-np.log(np.where(right, sure, 1 - sure)).mean())
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 2)


def encode(photos: Sequence[LabelledPhoto], encoder: ImageTextEncoder) -> NDArray[np.float32]:
    items = [Item(photo.id, photo.title, None, image=photo.path) for photo in photos]
    with EmbeddingCache.of(encoder) as cache:
        digests = encode_photos(items, encoder, cache, 16).digests
        if None in digests:
            raise SystemExit("a photo can't be opened")
        return cache.vectors([digest for digest in digests if digest is not None])


def choose(name: str, judge: LabelClassifier, given: Asked) -> None:
    """Print the temperature, and what each threshold leaves."""
    if name in COLUMNS:
        judge = replace(judge, temperature=choose_temperature(judge, given))
    right, sure = given.answers(judge)
    print(f"{name}: {len(right)} photos, right {right.mean():.3f}, temperature {judge.temperature}")
    # A sigmoid's probabilities may all be small: thresholds where they lie.
    thresholds = np.quantile(sure, np.arange(0, 1, 0.1)) if judge.is_sigmoid else THRESHOLDS
    for threshold in thresholds:
        said = sure >= threshold
        print(f"  {threshold:.3g}: said of {said.mean():.3f}, right {right[said].mean() if said.any() else np.nan:.3f}")


def measure(name: str, attribute: Attribute, judge: LabelClassifier, given: Asked) -> None:
    """Print a row: plain, and as the vocabulary has it."""
    most = np.bincount(given.truth[given.truth >= 0]).max() / len(given.truth)
    right, sure = given.answers(judge)
    plain = expected_calibration_error(*given.answers(replace(judge, temperature=1.0)))
    said = sure >= attribute.threshold
    share, (low, high) = share_with_interval(right[said])
    print(
        f"| {name} | {len(right):,} | {right.mean():.3f} | {most:.3f} | {plain:.3f} | {judge.temperature} | "
        f"{expected_calibration_error(right, sure):.3f} | {attribute.threshold:.2f} | {said.mean():.2f} | "
        f"{share:.3f} [{low:.3f}, {high:.3f}] |"
    )


def measure_worn(photos: Sequence[LabelledPhoto], rows: NDArray[np.float32], labeller: Labeller) -> None:
    """Print how often it is told what an item is worn as, by the kind that is said alone and by kinds together."""
    truth = [category_of(label_words(photo.labels.get(COLUMNS[KINDS], ""))) for photo in photos]
    said = labeller.descriptions([photo.id for photo in photos], rows)
    worn = labeller.categories(said, rows)
    is_said = np.array([KINDS in one.attributes for one in said])
    known = np.array([one is not None for one in truth])
    right = np.array([one == true for one, true in zip(worn, truth, strict=True)])
    told = np.array([one is not None for one in worn])
    for name, these in (("kind said", is_said), ("told", told), ("told without a kind", told & ~is_said)):
        share, (low, high) = share_with_interval(right[known & these])
        part = these[known].mean()
        print(f"worn as, {name}: {part:.3f} of {known.sum():,}, right {share:.3f} [{low:.3f}, {high:.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    parser.add_argument("--encoder", default="edge")
    parser.add_argument("--vocabulary", default="fashion")
    parser.add_argument("--held-out", action="store_true", help="measure what the vocabulary says, choose nothing")
    options = parser.parse_args()
    belongs = is_holdout if options.held_out else is_for_choices
    photos = [photo for photo in read_labelled(options.data) if belongs(int(photo.id))]
    encoder = load_encoder(options.encoder)
    vocabulary: Vocabulary = load_vocabulary(options.vocabulary)
    rows = encode(photos, encoder)
    if options.held_out:
        print("| attribute | n | right | commonest | ECE, plain | temperature | ECE | threshold | said | right |")
    for name, attribute in vocabulary.attributes.items():
        if name in COLUMNS or name in TITLE_WORDS:
            given, judge = asked(name, attribute, photos, rows), LabelClassifier.of_attribute(name, attribute, encoder)
            measure(name, attribute, judge, given) if options.held_out else choose(name, judge, given)
    measure_worn(photos, rows, Labeller(encoder, vocabulary))


if __name__ == "__main__":
    main()
