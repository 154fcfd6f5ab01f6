"""What the lexicon's figures find when something is wrong."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from benchmarks import lexicon as figures
from coordi.encoders.labels import load_vocabulary
from coordi.recommend.facts import FactReader
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


READER = FactReader(load_vocabulary("fashion"))


def product(title: str, usage: str = "Casual", season: str = "", gender: str = "Women") -> dict[str, str]:
    return {"productDisplayName": title, "usage": usage, "season": season, "gender": gender}


PRODUCTS = [
    product("Brand Women Evening Gown", "Formal", "Fall"),
    product("Brand Men Black Oxfords", "Formal", "Fall", "Men"),
    product("Brand Women Printed Kurta", "Ethnic", "Summer"),
    product("Brand Women Beach Shorts", "Casual", "Summer"),
    product("Brand Men Swimming Shorts", "Sports", "Summer", "Men"),
    product("Brand Men Winter Black Shirt", "Casual", "Winter", "Men"),
    product("Brand Kids Running Shoes", "Sports", "Summer", "Boys"),
]


def figures_of(rows: list[dict[str, str]]) -> dict[str, Any]:
    return dict(figures.product_facts(READER, rows))


def test_facts_that_agree_with_the_products_columns_are_counted() -> None:
    said = figures_of(PRODUCTS)
    assert said["formal against casual"] == (1.0, 4)
    assert said["formal against sports"] == (1.0, 4)
    assert said["season, by the title"] == {"n": 2, "agree": 1, "by chance": 1 / 2, "nothing said": 0}
    assert said["gender"]["agree"] == 1
    assert said["usage sports"] == {"n": 7, "precision": 1, "recall": 1}
    assert said["usage ethnic"] == {"n": 7, "precision": 1, "recall": 1}


def test_a_contradiction_of_facts_and_columns_is_found() -> None:
    wrong = [*PRODUCTS, product("Brand Women Beach Shorts", "Formal", "Winter", "Men")]
    said = figures_of(wrong)
    assert said["formal against casual"][0] == pytest.approx(1 - 1.5 / 6)  # a tie, and below the shirt
    assert said["season, by the title"]["agree"] == 2 / 3
    assert said["gender"]["agree"] == 7 / 8
    swapped = figures_of([{**row, "usage": "Sports" if row["usage"] == "Casual" else "Casual"} for row in PRODUCTS[3:]]
                         + PRODUCTS[:3])  # fmt: skip
    assert swapped["usage sports"] == {"n": 7, "precision": 0, "recall": 0}


def test_what_is_worn_all_year_says_nothing_of_the_season() -> None:
    assert figures.seasons_of(figures.facts_of(READER, "Brand Blue Jeans")) == frozenset()
    assert figures.agreement([("summer", frozenset()), ("summer", frozenset({"summer"}))]) == {
        "n": 1, "agree": 1, "by chance": 1, "nothing said": 0.5,
    }  # fmt: skip


def test_looks_and_a_shops_columns_are_compared() -> None:
    looks = [(["white tie gown", "silver heels"], {"occasion": "prom", "season": "summer"}),
             (["denim shorts"], {"occasion": "picnic", "season": "summer"}),
             (["wool coat"], {"occasion": "other", "season": "fall"})]  # fmt: skip
    said: dict[str, Any] = dict(figures.look_facts(READER, looks))
    assert said["occasion of looks, dressy against casual"] == (1.0, 2)
    assert (said["season of looks"]["n"], said["season of looks"]["agree"]) == (2, 1)
    rows = [{"category": "Dresses", "type": "Dress", "colour": "marron", "colour_group": "brown"},
            {"category": "Bags", "type": "Skirt", "colour": "rojo", "colour_group": "green"},
            {"category": "Bags", "type": "Handbag", "colour": "negro", "colour_group": "grey"}]  # fmt: skip
    said = dict(figures.mango_facts(READER, rows))
    assert (said["category by type"]["n"], said["category by type"]["agree"]) == (3, 2 / 3)
    assert (said["colour group by colour"]["n"], said["colour group by colour"]["agree"]) == (2, 1 / 2)
