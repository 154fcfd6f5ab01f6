"""Step 5: temperatures and thresholds of a vocabulary for an encoder, on the tenth for choices of both shops.

With ``--held-out``, what they are worth on the held-out photos. A label is right if it is one of the photo's own
(``shops.yaml``, and words of the products' titles). Pattern and material are judged by titles and fabrics, which are
easier photos than most: so no temperature is chosen by them.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.base import load_encoder
from coordi.encoders.evaluation import expected_calibration_error, share_with_interval
from coordi.encoders.labels import KINDS, NO_GARMENT, SUBJECT, LabelClassifier, Labeller, Vocabulary, load_vocabulary
from measured import Answers, answers, vectors_of
from shops import MANGO, PRODUCTS, MadePhoto, ShopPhoto, made_photos, shop_photos
from train_projection import TEMPERATURES

CALIBRATED = ("category", "colour", "occasion", "formality")
# MANGO's occasions are only what is ruled out, and so is most of its formality.
SHOPS_OF = {"occasion": (PRODUCTS,), "formality": (PRODUCTS,), "pattern": (PRODUCTS,)}
THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75, 0.8, 0.85, 0.9, 0.95)
LOST = 0.01


@dataclass(frozen=True)
class Asked:
    """Photos of one part with their vectors."""

    vocabulary: Vocabulary
    photos: Sequence[ShopPhoto]
    rows: NDArray[np.float32]

    def of(self, name: str, judge: LabelClassifier, shops: Sequence[str]) -> Answers:
        """Answers for an attribute, of these shops' photos."""
        truths = [photo.labels.get(name, ()) if photo.shop in shops else () for photo in self.photos]
        labels = [entry.text for entry in self.vocabulary.attributes[name].labels]
        return answers(labels, judge, self.rows, truths)


def choose_temperature(name: str, judge: LabelClassifier, asked: Asked, shops: Sequence[str]) -> float:
    """The temperature under which what is said first is right as often as its probability says: least log-loss."""
    losses = []
    for temperature in TEMPERATURES:
        given = asked.of(name, replace(judge, temperature=float(temperature)), shops)
        sure = np.clip(given.sure.astype(np.float64), 1e-9, 1 - 1e-9)
        losses.append(-np.log(np.where(given.right, sure, 1 - sure)).mean())
    return round(float(TEMPERATURES[int(np.argmin(losses))]), 2)


def choose(name: str, judge: LabelClassifier, asked: Asked) -> None:
    """Print the temperature, and what each threshold leaves, by shop."""
    shops = SHOPS_OF.get(name, (PRODUCTS, MANGO))
    if name in CALIBRATED:
        judge = replace(judge, temperature=choose_temperature(name, judge, asked, shops))
    for shop in shops:
        given = asked.of(name, judge, [shop])
        if not len(given.right):
            continue
        print(f"{name}, {shop}: {len(given.right)} photos, right {given.right.mean():.3f}, at {judge.temperature}")
        # A sigmoid's probabilities may all be small: thresholds where they lie.
        thresholds = np.quantile(given.sure, np.arange(0, 1, 0.1)) if judge.is_sigmoid else THRESHOLDS
        for threshold in thresholds:
            said = given.sure >= threshold
            right = given.right[said].mean() if said.any() else np.nan
            print(f"  {threshold:.3g}: said of {said.mean():.3f}, right {right:.3f}")


def choose_subject(judge: LabelClassifier, vocabulary: Vocabulary, rows: NDArray[np.float32], made: Sequence[MadePhoto],
                   made_rows: NDArray[np.float32], photos: Sequence[ShopPhoto]) -> None:  # fmt: skip
    """Print the threshold at which 1% of the shops' garments are lost, and what it finds among made photos."""
    place = [entry.text for entry in vocabulary.attributes[SUBJECT].labels].index(NO_GARMENT)
    garments = np.array([NO_GARMENT not in photo.labels[SUBJECT] for photo in photos])
    lost, found = judge.probabilities(rows[garments])[:, place], judge.probabilities(made_rows)[:, place]
    others = np.array([photo.subject == NO_GARMENT for photo in made])
    print(f"{SUBJECT}: threshold for {LOST} of garments lost: {np.quantile(lost, 1 - LOST):.3f}")
    for threshold in THRESHOLDS:
        share, kept = (found[others] >= threshold).mean(), (lost >= threshold).mean()
        print(f"  {threshold}: garments lost {kept:.4f}, other things {share:.3f}")


def measure(name: str, judge: LabelClassifier, asked: Asked) -> None:
    """Print a row of docs/describing.md for each shop: plain, and as the vocabulary has it."""
    for shop in SHOPS_OF.get(name, (PRODUCTS, MANGO)):
        given, threshold = asked.of(name, judge, [shop]), asked.vocabulary.attributes[name].threshold
        if not len(given.right):
            continue
        plain = asked.of(name, replace(judge, temperature=1.0), [shop])
        said = given.sure >= threshold
        share, (low, high) = share_with_interval(given.right[said])
        print(
            f"| {name} | {shop} | {len(given.right):,} | {given.right.mean():.3f} | "
            f"{expected_calibration_error(plain.right, plain.sure):.3f} | {judge.temperature} | "
            f"{expected_calibration_error(given.right, given.sure):.3f} | {threshold:.2f} | {said.mean():.2f} | "
            f"{share:.3f} [{low:.3f}, {high:.3f}] |"
        )


def measure_categories(asked: Asked, labeller: Labeller) -> None:
    """Print how often a garment category is given, by the type alone and by types together, and how often rightly."""
    vocabulary = asked.vocabulary
    kinds = [photo.labels.get(KINDS, ()) for photo in asked.photos]
    truth = [{vocabulary.category_of(KINDS, kind) for kind in names} - {None} for names in kinds]
    described = labeller.descriptions([photo.id for photo in asked.photos], asked.rows)
    given = labeller.categories(described, asked.rows)
    with_type = np.array([KINDS in description.attributes for description in described])
    right = np.array([category in these for category, these in zip(given, truth, strict=True)])
    has = np.array([category is not None for category in given])
    for shop in (PRODUCTS, MANGO):
        known = np.array([bool(these) and photo.shop == shop for these, photo in zip(truth, asked.photos, strict=True)])
        for name, these in (("type", with_type), ("category", has), ("category without a type", has & ~with_type)):
            share, (low, high) = share_with_interval(right[known & these])
            part = f"{these[known].mean():.3f} of {known.sum():,}"
            print(f"{shop}, {name}: {part}, right {share:.3f} [{low:.3f}, {high:.3f}]")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--encoder", default="edge")
    parser.add_argument("--vocabulary", default="fashion")
    parser.add_argument("--held-out", action="store_true", help="measure what the vocabulary says, choose nothing")
    options = parser.parse_args()
    part = "held-out" if options.held_out else "choices"
    photos = [photo for photo in shop_photos(options.data) if photo.part == part]
    encoder, vocabulary = load_encoder(options.encoder), load_vocabulary(options.vocabulary)
    asked = Asked(vocabulary, photos, vectors_of(photos, encoder))
    if options.held_out:
        print("| attribute | shop | n | right | ECE, plain | temperature | ECE | threshold | said | right |")
    for name, attribute in vocabulary.attributes.items():
        judge = LabelClassifier.of_attribute(name, attribute, encoder)
        if name == SUBJECT and not options.held_out:
            made = [photo for photo in made_photos(options.cache / "made") if photo.part == part]
            choose_subject(judge, vocabulary, asked.rows, made, vectors_of(made, encoder), photos)
        elif name not in ("style", SUBJECT):
            (measure if options.held_out else choose)(name, judge, asked)
    measure_categories(asked, Labeller(encoder, vocabulary))


if __name__ == "__main__":
    main()
