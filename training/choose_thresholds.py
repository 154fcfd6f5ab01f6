"""How right a description is at each threshold, on the tenth of the photos that is kept for such choices.

Category and colour are judged by hand-made labels; pattern and material by words of the titles, where there are any.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd

from coordi.data.photos import open_photo
from coordi.describe.encoder import load_encoder
from coordi.describe.labelled_photos import label_words, read_labelled
from coordi.describe.vocabulary import load_vocabulary
from coordi.describe.zero_shot import label_probabilities, label_vectors
from texts import MATERIALS, PATTERNS, weak_labels
from train_projection import is_for_choices

THRESHOLDS = (0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.8)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/fashion-products"))
    options = parser.parse_args()
    photos = [photo for photo in read_labelled(options.data) if is_for_choices(int(photo.id))]
    titles = pd.read_csv(options.data / "styles.csv").drop_duplicates("id").set_index("id")["productDisplayName"]
    words = [titles[int(photo.id)] for photo in photos]
    truth = {
        "category": [label_words(photo.labels.get("articleType", "")) for photo in photos],
        "colour": [label_words(photo.labels.get("baseColour", "")) for photo in photos],
        "pattern": weak_labels(words, PATTERNS),
        "material": weak_labels(words, MATERIALS),
        "occasion": [label_words(photo.labels.get("usage", "")) for photo in photos],
    }
    encoder, vocabulary = load_encoder("edge"), load_vocabulary("fashion")
    rows = np.concatenate(
        [encoder.encode_images([open_photo(p.path) for p in photos[i : i + 32]]) for i in range(0, len(photos), 32)]
    )
    for name, right in truth.items():
        attribute = vocabulary.attributes[name]
        owner = {phrase: place for place, entry in enumerate(attribute.labels) for phrase in entry.phrases}
        labels = np.array([owner.get(label, -1) for label in right])
        vectors = label_vectors(encoder, attribute.template, [entry.phrases for entry in attribute.labels])
        shares = label_probabilities(rows, vectors, encoder.logit_scale)[labels >= 0]
        hits, best = shares.argmax(1) == labels[labels >= 0], shares.max(1)
        print(f"{name}: {len(hits)} photos with a label")
        for threshold in THRESHOLDS:
            said = best >= threshold
            print(f"  {threshold:.2f}: said of {said.mean():.2f}, right {hits[said].mean():.3f}")


if __name__ == "__main__":
    main()
