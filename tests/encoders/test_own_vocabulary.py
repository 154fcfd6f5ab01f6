"""A user's own words, for garments of many places: through the vocabulary file to descriptions of real photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from coordi.data.photos import open_photo
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.evaluation import is_holdout, read_labelled
from coordi.encoders.labels import Labeller, load_vocabulary

REAL = Path("../shared/data/fashion-products")

OWN = """
attributes:
  garment:
    template: "a photo of {}"
    threshold: 0.3
    labels:
      - {text: Kurta, synonyms: [kurti, long Indian tunic]}
      - {text: Saree, synonyms: [sari]}
      - {text: Dupatta, synonyms: [draped Indian shawl]}
      - {text: Kimono, synonyms: [Japanese robe]}
      - {text: Hanbok, synonyms: [Korean dress]}
      - {text: Qipao, synonyms: [cheongsam]}
      - {text: Dirndl, synonyms: [Alpine dress]}
      - {text: Hemd, synonyms: [collared shirt]}
      - {text: Jeanshose, synonyms: [denim trousers]}
      - {text: Armbanduhr, synonyms: [wristwatch]}
      - {text: Turnschuhe, synonyms: [sneakers, running shoes]}
      - {text: Handtasche, synonyms: [ladies bag]}
"""


def shares(encoder: EdgeEncoder, folder: Path) -> dict[str, tuple[int, float]]:
    """For each kind, how many photos that training never saw, and of how many our word for it is the description."""
    path = folder / "words.yaml"
    path.write_text(OWN, encoding="utf-8")
    vocabulary = load_vocabulary(str(path))
    words = {
        "Kurtas": "Kurta", "Shirts": "Hemd", "Jeans": "Jeanshose", "Watches": "Armbanduhr", "Handbags": "Handtasche",
        "Sports Shoes": "Turnschuhe", "Dupatta": "Dupatta",
    }  # fmt: skip
    labeller, every, found = Labeller(encoder, vocabulary), read_labelled(REAL), {}
    for kind, word in words.items():
        photos = [p for p in every if p.labels.get("articleType") == kind and is_holdout(int(p.id))]
        vectors = encoder.encode_images([open_photo(photo.path) for photo in photos[:20]])
        described = labeller.descriptions([""] * len(photos[:20]), vectors)
        said = [description.attributes.get("garment", ()) for description in described]
        found[kind] = (len(said), float(np.mean([bool(s) and s[0].text == word for s in said])) if said else 0.0)
    return found


@pytest.mark.skipif(not REAL.is_dir(), reason="the fashion products aren't at ../shared/data")
@pytest.mark.slow
def test_own_words_describe_real_photos(edge: EdgeEncoder, tmp_path: Path) -> None:
    found = shares(edge, tmp_path)
    # One photo of a dupatta is all that training never saw; of a saree, kimono, hanbok, qipao or dirndl there is none.
    assert found.pop("Dupatta") == (1, 1.0)
    assert {n for n, _ in found.values()} == {20}
    assert min(share for _, share in found.values()) >= 0.6, found


@pytest.mark.parametrize(
    ("word", "near", "far"),
    [
        ("kurta", "a long Indian tunic", "a leather boot"),
        ("saree", "a draped Indian dress", "a wrist watch"),
        ("dupatta", "an Indian scarf", "running shoes"),
        ("kimono", "a Japanese robe", "a baseball cap"),
        ("hanbok", "a traditional Korean dress", "a wallet"),
        ("qipao", "a Chinese silk dress", "sports shoes"),
        ("dirndl", "a traditional dress", "sunglasses"),
        ("kaftan", "a long loose robe", "a belt"),
        ("dashiki", "a printed African shirt", "a backpack"),
        ("beret", "a soft cap", "jeans"),
    ],
)
def test_the_text_side_knows_garments_of_many_places(edge: EdgeEncoder, word: str, near: str, far: str) -> None:
    vectors = edge.encode_texts([word, near, far])
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2] + 0.1
