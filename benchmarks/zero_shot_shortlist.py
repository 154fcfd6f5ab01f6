"""How well does an encoder complete outfits that it was never taught? Leave one item out, find it among its likes.

    python benchmarks/zero_shot_shortlist.py --data path/to/polyvore-maryland [--encoder edge] [--seed 0] [--json]

Every item with a photo is taken out of its outfit once, where another with a photo is left. Candidates: it, and all
items with a photo of the same worn category from other outfits. Ways of asking, all by cosine with their photos:

    photos   the mean of the other items' photos
    titles   the mean of the other items' titles (text to image)
    labels   the mean of the words of the three likeliest kinds of the wanted category (text to image)
    both     the mean of photos and titles
    random   what chance gives, worked out

Intervals are 95% bootstrap intervals that draw whole outfits again.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.config import DataSettings
from coordi.data.loading import load
from coordi.encoders.base import ImageTextEncoder, load_encoder
from coordi.encoders.complements import ComplementRecommender, outfit_query
from coordi.encoders.labels import load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache, encode_photos
from coordi.types import Dataset

METRICS = ("recall@1", "recall@5", "mrr")
RESAMPLES = 2000


@dataclass(frozen=True)
class Question:
    """An item taken out of its outfit; ``candidates[0]`` is the right one."""

    outfit: str
    others: tuple[str, ...]
    candidates: tuple[str, ...]


def questions_of(dataset: Dataset, photographed: set[str]) -> list[Question]:
    outfits = {one.id: [name for name in one.item_ids if name in photographed] for one in dataset.outfits}
    found = []
    for outfit, names in outfits.items():
        for name in names if len(names) > 1 else ():
            category = dataset.items[name].category
            pool = [
                other
                for elsewhere, others in outfits.items()
                for other in others
                if elsewhere != outfit and other not in names and dataset.items[other].category == category
            ]
            if pool:
                candidates = (name, *dict.fromkeys(pool))
                found.append(Question(outfit, tuple(other for other in names if other != name), candidates))
    return found


class Asking:
    """The ways of turning what is left of an outfit into one vector."""

    def __init__(self, dataset: Dataset, vectors: Mapping[str, NDArray[np.float32]], encoder: ImageTextEncoder) -> None:
        self._items = dataset.items
        self.vectors = vectors
        self._encoder = encoder
        self._recommender = ComplementRecommender(encoder, load_vocabulary("fashion"))

    def photos(self, question: Question) -> NDArray[np.float32]:
        """The mean of the photos."""
        return outfit_query(np.stack([self.vectors[name] for name in question.others]))

    def titles(self, question: Question) -> NDArray[np.float32]:
        """The mean of the titles."""
        return outfit_query(self._encoder.encode_texts([self._items[name].title for name in question.others]))

    def labels(self, question: Question) -> NDArray[np.float32]:
        """The mean of the likeliest kinds of the wanted category."""
        wanted = self._items[question.candidates[0]].category
        labels = self._recommender.labels(self.photos(question), wanted)
        return outfit_query(self._encoder.encode_texts([f"a photo of {label.text}" for label in labels] or [wanted]))

    def both(self, question: Question) -> NDArray[np.float32]:
        """The mean of photos and titles."""
        return outfit_query(np.concatenate([self.photos(question), self.titles(question)]))


def ranks(questions: Sequence[Question], asking: Asking, way: str) -> NDArray[np.int64]:
    """Place of the right item, from 1; a tie counts against it."""
    found = []
    for question in questions:
        photos = np.stack([asking.vectors[name] for name in question.candidates])
        cosines = photos @ getattr(asking, way)(question)[0]
        found.append(int((cosines >= cosines[0]).sum()))
    return np.array(found)


def figures(values: NDArray[np.float64], groups: Sequence[str], rng: np.random.Generator) -> dict[str, list[float]]:
    """Mean and interval of each column of ``values`` (questions by metrics)."""
    names = sorted(set(groups))
    rows = [np.flatnonzero(np.array(groups) == name) for name in names]
    drawn = rng.integers(len(names), size=(RESAMPLES, len(names)))
    means = np.array([values[np.concatenate([rows[place] for place in draw])].mean(axis=0) for draw in drawn])
    low, high = np.percentile(means, [2.5, 97.5], axis=0)
    return {
        metric: [round(float(value), 3) for value in (values[:, place].mean(), low[place], high[place])]
        for place, metric in enumerate(METRICS)
    }


def of_ranks(found: NDArray[np.int64]) -> NDArray[np.float64]:
    return np.stack([found <= 1, found <= 5, 1 / found], axis=1).astype(np.float64)


def of_chance(questions: Sequence[Question]) -> NDArray[np.float64]:
    sizes = np.array([len(question.candidates) for question in questions])
    return np.stack(
        [1 / sizes, np.minimum(5 / sizes, 1), [np.mean(1 / np.arange(1, size + 1)) for size in sizes]], axis=1
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--encoder", default="edge")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true", dest="as_json")
    given = parser.parse_args()
    dataset = load(given.data, DataSettings(photos="optional"), given.seed)
    encoder = load_encoder(given.encoder)
    items = [item for item in dataset.items.values() if item.image is not None]
    with EmbeddingCache.of(encoder) as cache:
        digests = dict(zip([item.id for item in items], encode_photos(items, encoder, cache, 16).digests, strict=True))
        vectors = {name: cache.vectors([digest])[0] for name, digest in digests.items() if digest is not None}
    questions = questions_of(dataset, set(vectors))
    if not questions:
        parser.error(f"{given.data} has no two outfits with photos of the same category")
    asking, groups = Asking(dataset, vectors, encoder), [question.outfit for question in questions]
    rng = np.random.default_rng(given.seed)
    table = {
        way: figures(of_ranks(ranks(questions, asking, way)), groups, rng)
        for way in ("photos", "titles", "labels", "both")
    }
    table["random"] = figures(of_chance(questions), groups, rng)
    counts = {
        "outfits": len(set(groups)),
        "n": len(questions),
        "photos": len(vectors),
        "median_pool": float(np.median([len(question.candidates) for question in questions])),
    }
    if given.as_json:
        print(json.dumps({**counts, "encoder": encoder.name, "ways": table}, indent=2))
        return
    print(", ".join(f"{name} {value:g}" for name, value in counts.items()) + f", encoder {encoder.name}")
    for way, row in table.items():
        print(f"{way:>8}  " + "  ".join(f"{m} {v:.3f} [{low:.3f}, {high:.3f}]" for m, (v, low, high) in row.items()))


if __name__ == "__main__":
    main()
