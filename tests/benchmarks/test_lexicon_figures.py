"""What the lexicon's figures find when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import lexicon as figures
from coordi.style.lexicon import Kind, Lexicon

SHOES = Kind("shoes", "shoes")
OXFORDS = Kind("oxfords", "shoes", ("shoes",), formality=(3, 6))
TRAINERS = Kind("trainers", "shoes", ("shoes",), formality=(0, 1))


def lexicon(*kinds: Kind, not_wearable: Sequence[str] = ()) -> Lexicon:
    return Lexicon({kind.name: kind for kind in (SHOES, *kinds)}, not_wearable)


ROWS = [{"productDisplayName": f"Brand Black {name}", "usage": usage}
        for name, usage in (("Oxfords", "Formal"), ("Trainers", "Sports")) for _ in range(12)]  # fmt: skip


def test_a_contradiction_with_labelled_products_is_found() -> None:
    right = lexicon(OXFORDS, TRAINERS)
    assert figures.contradictions(right, ROWS) == []
    assert figures.formality_auc(right, ROWS, "Sports") == (1.0, 24)
    wrong = lexicon(Kind("oxfords", "shoes", ("shoes",), formality=(0, 1)), TRAINERS)
    assert figures.contradictions(wrong, ROWS) == [("oxfords", "Formal", 12)]
    assert figures.formality_auc(wrong, ROWS, "Sports")[0] == 0.5


def test_a_refused_garment_and_a_wrong_head_are_counted() -> None:
    titles = [("black oxfords", "shoes"), ("red trainers", "shoes"), ("a lamp", "")]
    assert figures.measure(lexicon(OXFORDS, TRAINERS, not_wearable=["lamp"]), titles)["right"] == 1
    refused = figures.measure(lexicon(OXFORDS, not_wearable=["lamp", "trainers"]), titles)
    assert refused == {"n": 3, "right": 2 / 3, "nothing found": 0, "refused": 1 / 3}
