"""Brand, colours, gender, season and stock from what shops write, and nothing where nothing is said."""

from __future__ import annotations

import csv
import re
from collections import Counter
from pathlib import Path

import pytest

from coordi.config import PromptSettings
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary
from coordi.recommend.facts import FactReader
from coordi.recommend.items import brand_of, describe_item, in_stock_of, season_of
from coordi.types import Description, Facts, Gender, Item, Label

STYLES = Path(__file__).parents[3] / "shared" / "data" / "fashion-products" / "styles.csv"


def facts_of(given: Item, vocabulary: Vocabulary, description: Description | None = None) -> Facts:
    return FactReader(vocabulary).facts(given, description)


def gender_of(given: Item, vocabulary: Vocabulary) -> str | None:
    facts = facts_of(given, vocabulary).get("audience")
    return None if facts is None else facts[0].values[0]


def colours_of(given: Item, description: Description | None, vocabulary: Vocabulary) -> tuple[str, ...]:
    facts = facts_of(given, vocabulary, description).get("colour")
    return () if facts is None else facts[0].values


def item(title: str = "", kind: str = "", **extra: str) -> Item:
    return Item("1", title, "top", kind, extra=extra)


@pytest.mark.parametrize(
    ("given", "brand"),
    [
        (item(brand=" Levi's "), "Levi's"),
        (item(**{"Brand Name": "Muji", "vendor": "Somebody"}), "Muji"),
        (item(brand="N/A", manufacturer="Acme"), "Acme"),
        (item(brand="unbranded"), ""),
        (item("Nike running shoes"), ""),
    ],
)
def test_a_brand_is_the_columns_own_word(given: Item, brand: str) -> None:
    assert brand_of(given) == brand


@pytest.mark.parametrize(
    ("given", "gender"),
    [
        (item(gender="Women"), "women"),
        (item(gender="F"), "women"),
        (item(index_group_name="Menswear"), "men"),
        (item(gender="Men & Women"), "unisex"),
        (item(department="Shoes", gender="boys"), "boys"),
        (item("Women's linen shirt", gender="Kids"), "girls"),
        (item("Shirt for MEN"), "men"),
        (item("Palm Tree Kids Girls Skirt"), "girls"),
        (item("Boots", kind="Ladies' shoes"), "women"),
        (item("Unisex beanie"), "unisex"),
        (item("Unisex kids beanie"), "children"),
        (item("Canvas shoes", gender="unisex", age_group="kids"), "children"),
        (item("Canvas shoes", gender="female", age_group="toddler"), "girls"),
        (item("Canvas shoes", age_group="adult"), None),
        (item("Canvas shoes for toddlers"), "children"),
        (item("White heels", gender="female", age_group="5-7 years"), "girls"),
        (item("Running shoes 5-7 years"), "children"),
        (item("Youth hi-top"), "children"),
        (item("Men's suit"), "men"),
        (item("Girls' watch"), "girls"),
        (item("Watch with 2 years of warranty"), None),
        (item("Baby blue shirt"), None),
        (item("Maternity top"), "women"),
        (item("Boyfriend jeans"), None),
        (item("Material Girl dress"), None),
        (item("Boys and girls socks"), "children"),
        (item("Shirt", gender=""), None),
        (item("Shoes", gender="male", age_group="kids"), "boys"),
        (item("Shoes", gender="Men", **{"Age Group": "Kids"}), "boys"),
        (item("Shoes", age_group="infant"), "children"),
        (item("Shoes", gender="male", age_group="adult"), "men"),
        (item("Shoes", category="Kids > Shoes", gender="male"), "boys"),
        (item("Shoes", product_type="Women > Shoes > Boots"), "women"),
        (item("Shoes", category="Shoes > Men"), None),
    ],
)
def test_a_gender_is_what_column_kind_or_title_say(given: Item, gender: Gender | None, vocabulary: Vocabulary) -> None:
    assert gender_of(given, vocabulary) == gender


@pytest.mark.parametrize(
    ("extra", "in_stock"),
    [
        ({"in_stock": "True"}, True), ({"in stock": "no"}, False), ({"availability": "in_stock"}, True),
        ({"availability": "out of stock"}, False), ({"availability": "preorder"}, False), ({"quantity": "12"}, True),
        ({"qty": "0"}, False), ({"stock": "-1"}, False), ({"stock": "plenty"}, None), ({}, None),
        ({"stock": "", "quantity": "2"}, True), ({"stock": "2.5"}, True), ({"stock": "0.0"}, False),
        ({"availability": "https://schema.org/OutOfStock"}, False), ({"availability": "ausverkauft"}, False),
        ({"stock": "0,0000"}, False), ({"stock": "1,000"}, True), ({"availability": "presale"}, False),
        ({"availability": "Sofort lieferbar"}, True), ({"availability": "Épuisé"}, False),
        ({"stock": "agotado"}, False),
        ({"stock": "Esaurito"}, False), ({"stock": "esgotado"}, False), ({"stock": "uitverkocht"}, False),
        ({"stock": "품절"}, False), ({"stock": "在庫あり"}, True), ({"stock": "售罄"}, False),
        ({"stock": "tükendi"}, False),
        ({"stock": "स्टॉक में नहीं"}, False), ({"stock": "स्टॉक में"}, True), ({"stock": "غير متوفر"}, False),
    ],
)  # fmt: skip
def test_stock_is_a_word_or_a_quantity(extra: dict[str, str], in_stock: bool | None) -> None:
    assert in_stock_of(item(**extra)) is in_stock


def test_a_season_is_the_columns_own_word_in_lower_case() -> None:
    assert season_of(item(season=" Spring / Summer ")) == "spring / summer"
    assert season_of(item(season="NA")) == ""
    assert season_of(item("Summer dress")) == ""


def test_the_first_of_column_title_and_photo_that_names_a_colour_is_used(vocabulary: Vocabulary) -> None:
    description = Description("1", {"colour": (Label("charcoal", 0.5), Label("black", 0.4))})
    assert colours_of(item("Grey wool coat", baseColour="Black"), description, vocabulary) == ("black",)
    assert colours_of(item("Grey wool coat", baseColour="NA"), description, vocabulary) == ("grey",)
    assert colours_of(item("Wool coat", baseColour="NA"), description, vocabulary) == ("charcoal", "black")


@pytest.mark.parametrize(
    ("title", "colours"),
    [
        ("Navy blue jeans", ("navy blue",)),
        ("Navy jeans, blue stitching", ("navy blue",)),
        ("GRAY-and-burgundy scarf", ("grey", "maroon")),
        ("Blueberry tote by Redley", ()),
        ("Gold, silver and gold ring", ("gold", "silver")),
    ],
)
def test_a_title_names_colours_by_label_synonym_or_shade(
    title: str, colours: tuple[str, ...], vocabulary: Vocabulary
) -> None:
    assert colours_of(item(title), None, vocabulary) == colours


def test_a_vocabulary_without_colours_knows_none(vocabulary: Vocabulary) -> None:
    without = vocabulary.model_copy(update={"attributes": {"category": vocabulary.attributes["category"]}})
    assert colours_of(item("Red hat", colour="Red"), None, without) == ()


def test_an_item_without_a_photo_is_described_by_its_words(texts_by: EdgeEncoder, vocabulary: Vocabulary) -> None:
    result = describe_item(item("Red hat", brand="Muji"), None, None, PromptSettings(), vocabulary, texts_by)
    assert (result.text, result.brand, result.colours, result.photo_embedding) == (
        "top: red hat",
        "Muji",
        ("red",),
        None,
    )
    assert (result.text_embedding == texts_by.encode_texts(["top: red hat"])[0]).all()


def test_a_brands_name_in_a_title_is_not_judged(texts_by: EdgeEncoder, vocabulary: Vocabulary) -> None:
    rows = [
        ("Puma Men Red hat by Puma", "PUMA"), ("Red hat", "Muji"), ("Levi's", "Levi's"), ("Pumas hat", "Puma"),
        ("White hat", "WHITE"), ("Hat", "Hat"), ("H&M hat", "H & M"), ("Nike - red hat", "Nike"), ("Red hat", "&"),
    ]  # fmt: skip
    described = [
        describe_item(item(title, brand=brand), None, None, PromptSettings(), vocabulary, texts_by)
        for title, brand in rows
    ]
    assert [row.text for row in described] == [
        "top: men red hat by",
        "top: red hat",
        "top: levi's",
        "top: pumas hat",
        "top: white hat",
        "top: hat",
        "top: hat",
        "top: red hat",
        "top: red hat",
    ]
    assert [row.title for row in described] == [title for title, _ in rows]


@pytest.mark.skipif(not STYLES.is_file(), reason="the product photos' styles.csv isn't here")
def test_what_a_real_shop_writes_is_understood(vocabulary: Vocabulary) -> None:
    with STYLES.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    items = [Item(row["id"], row["productDisplayName"], "top", extra=row) for row in rows]
    genders = [(row["gender"].lower(), gender_of(entry, vocabulary)) for row, entry in zip(rows, items, strict=True)]
    differ = Counter(pair for pair in genders if pair[0] != pair[1])
    assert differ == {("unisex", "children"): 74}  # titles say that these are for kids
    of_children = [row["productDisplayName"] for row, pair in zip(rows, genders, strict=True) if pair in differ]
    assert all(re.search("kid|infant", title, re.IGNORECASE) for title in of_children)
    without_title = [Item(entry.id, "", "top", extra=entry.extra) for entry in items]
    unknown = Counter(entry.extra["baseColour"] for entry in without_title if not colours_of(entry, None, vocabulary))
    assert set(unknown) <= {"NA", "", "Metallic"}, unknown
    assert {season_of(entry) for entry in items} <= {"summer", "winter", "fall", "spring", ""}
