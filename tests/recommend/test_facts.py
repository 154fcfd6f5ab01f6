"""Facts of items: the first source that speaks counts, the others stay; every value is the right one."""

from __future__ import annotations

from dataclasses import replace

import pytest

from coordi.config import PromptSettings
from coordi.data.categories import category_of
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import Vocabulary
from coordi.recommend.facts import FactReader, LabelWords, facts_as_json, facts_in_words
from coordi.recommend.items import describe_item
from coordi.types import Description, FactName, Facts, Item, Label


def item(title: str, subcategory: str = "", **extra: str) -> Item:
    return Item("1", title, category_of(subcategory) or category_of(title), subcategory, extra=extra)


def photo(corrected: tuple[str, ...] = (), **labels: str) -> Description:
    return Description("1", {name: (Label(label, 0.9),) for name, label in labels.items()}, corrected)


def fact(facts: Facts, name: FactName) -> list[tuple[str, ...]]:
    """Source and values of each fact, in the order in which they count."""
    return [(row.source, *row.values) for row in facts.get(name, ())]


@pytest.fixture(scope="module")
def reader(vocabulary: Vocabulary) -> FactReader:
    return FactReader(vocabulary)


def test_the_first_source_that_speaks_counts_and_the_others_stay(reader: FactReader) -> None:
    given = item("Navy leather flats", base_colour="Black")
    facts = reader.facts(given, photo(colour="red", material="suede"))
    assert fact(facts, "colour") == [("shop", "black"), ("title", "navy blue"), ("photo", "red")]
    assert fact(facts, "material") == [("title", "leather"), ("photo", "suede")]
    corrected = reader.facts(given, photo(("colour",), colour="red"))
    assert fact(corrected, "colour") == [("user", "red"), ("shop", "black"), ("title", "navy blue")]


def test_words_of_a_user_count_before_everything_but_a_correction(reader: FactReader) -> None:
    words = replace(item("navy leather flats"), is_users=True)
    assert fact(reader.facts(words, None), "colour") == [("user", "navy blue")]
    assert fact(reader.facts(words, photo(("colour",), colour="red")), "colour") == [
        ("user", "red"),
        ("user", "navy blue"),
    ]


@pytest.mark.parametrize(
    ("title", "name", "values"),
    [
        ("evening trainers", "formality", ("title", "cocktail", "black tie")),
        ("trainers", "formality", ("kind", "sport", "smart casual")),
        ("navy dinner jacket", "formality", ("kind", "black tie")),
        ("linen blazer", "seasons", ("kind", "spring", "summer")),
        ("wool blazer", "seasons", ("kind", "autumn", "winter")),
        ("lightweight summer shirt", "seasons", ("title", "summer")),
        ("running shoes", "purposes", ("kind", "running")),
        ("black evening bag", "purposes", ("kind", "evening")),
        ("ivory silk sherwani", "tradition", ("kind", "Indian")),
        ("ivory silk sherwani", "audience", ("kind", "men")),
        ("women's brogues", "audience", ("title", "women")),
        ("floral midi dress", "pattern", ("title", "floral")),
        ("shirt with floral print", "pattern", ("title", "floral")),
        ("houndstooth coat", "pattern", ("title", "houndstooth")),
        ("velvet slippers", "material", ("title", "velvet")),
        ("silver leather sandals", "material", ("title", "leather")),
        ("silver hoop earrings", "material", ("title", "silver")),
        ("waterproof hiking boots", "purposes", ("title", "rain", "hiking")),
    ],
)
def test_own_words_count_before_what_is_usual_for_the_kind(
    title: str, name: FactName, values: tuple[str, ...], reader: FactReader
) -> None:
    assert fact(reader.facts(item(title), None), name)[0] == values


def test_what_comes_with_a_garment_says_nothing_of_it(reader: FactReader) -> None:
    facts = reader.facts(item("White cotton dress with black leather belt"), None)
    assert fact(facts, "colour") == [("title", "white")]
    assert fact(facts, "material")[0] == ("title", "cotton")


@pytest.mark.parametrize(
    ("title", "colours"),
    [
        ("white dress, black belt", ("white",)), ("white shirt + red tie", ("white",)),
        ("navy blazer (red lining)", ("navy blue",)), ("black and white striped top", ("black", "white")),
        ("top in black, white and red", ("black", "white", "red")), ("Plus size black floral dress", ("black",)),
        ("over the knee black suede boots", ("black",)),
        ("Under Armour women's black leggings", ("black",)),
        ("W white shirt", ("white",)), ("white tie shirt, black", ("black",)),
        ("Red Tape men's brown shoes", ("brown",)),
        ("Black Coffee white shirt", ("white",)),
    ],
)  # fmt: skip
def test_a_title_names_the_garments_own_colours(title: str, colours: tuple[str, ...], reader: FactReader) -> None:
    assert [values for source, *values in fact(reader.facts(item(title), None), "colour")] == [list(colours)]


@pytest.mark.parametrize(
    "title",
    [
        "pearl white shirt",
        "ruby red gown",
        "denim blue kurti",
        "suede effect boots",
        "silk-like blouse",
        "wool free sweater",
    ],
)
def test_names_of_colours_and_imitations_are_no_materials(title: str, reader: FactReader) -> None:
    assert [row for row in fact(reader.facts(item(title), None), "material") if row[0] == "title"] == []


@pytest.mark.parametrize(
    ("title", "corrected"),
    [
        ("white dress, black belt", "red dress, black belt"),
        ("black dress with black belt", "red dress with black belt"),
        ("size 10.5 black shoes", "size 10.5 red shoes"), ("black and white top", "red and top"),
        ("red dress", "red dress"), ("dress", "dress"),
    ],
)  # fmt: skip
def test_a_correction_replaces_the_garments_own_words_alone(title: str, corrected: str, reader: FactReader) -> None:
    category = category_of(title)
    assert category is not None
    assert reader.corrected_title(title, {"colour": ["red"]}, ["colour"], category) == corrected


def test_a_photos_kind_never_counts_before_the_shops(reader: FactReader) -> None:
    facts = reader.facts(item("Vans authentic", "Shoes"), photo(category="sneakers"))
    assert fact(facts, "category") == [("shop", "shoes")]
    assert fact(facts, "kind")[0][0] == "shop"
    assert fact(reader.facts(item("Nike running shoes", "Footwear"), None), "category") == [("shop", "shoes")]


def test_an_age_column_beside_a_sex_column_decides_how_old(reader: FactReader) -> None:
    assert fact(reader.facts(item("Tee", gender="Women", age_group="kids"), None), "audience") == [("shop", "girls")]
    facts = reader.facts(item("Kids tee", gender="Unisex"), None)
    assert fact(facts, "audience")[0][1] == "children"
    assert fact(facts, "audience")[0][0] != "shop"


def test_words_that_name_the_kind_arent_read_twice(reader: FactReader) -> None:
    """Work boots aren't for the office, and a baby blue shirt isn't a baby's."""
    boots = reader.facts(item("work boots"), None)
    assert fact(boots, "formality") == [("kind", "sport", "casual")]
    assert fact(reader.facts(item("baby blue shirt"), None), "audience") == []


def test_a_photo_narrows_the_usual_formality_and_never_contradicts_it(reader: FactReader) -> None:
    assert fact(reader.facts(item("shirt"), photo(occasion="formal")), "formality")[0] == (
        "photo",
        "business",
        "cocktail",
    )
    running = reader.facts(item("running shoes"), photo(occasion="casual"))
    assert [row[0] for row in fact(running, "formality")] == ["kind", "photo"]
    gown = reader.facts(item("evening gown"), photo(occasion="sports"))
    assert [row[0] for row in fact(gown, "formality")] == ["kind", "photo"]


def test_shops_columns_say_for_what_when_and_for_whom(reader: FactReader) -> None:
    facts = reader.facts(item("Canvas shoes", usage="Formal", season="Fall", gender="unisex", age_group="kids"), None)
    assert fact(facts, "formality")[0][0] == "shop"
    assert fact(facts, "seasons")[0] == ("shop", "autumn")
    assert fact(facts, "audience")[0] == ("shop", "children")


def test_a_title_may_be_finer_than_a_column_but_not_another_kind(reader: FactReader) -> None:
    assert fact(reader.facts(item("Nike running shoes", "Footwear"), None), "kind")[0] == ("title", "running shoes")
    facts = reader.facts(item("Ballet flats", "Shoes > Heels"), None)
    assert fact(facts, "category") == [("shop", "shoes")]
    assert fact(facts, "kind")[0][0] == "shop"


def test_colours_of_other_languages_and_shades_are_labels_of_the_vocabulary(
    reader: FactReader, vocabulary: Vocabulary
) -> None:
    assert fact(reader.facts(item("", "Shoes", colour="vainilla"), None), "colour") == [("shop", "cream")]
    assert fact(reader.facts(item("", "Shoes", Farbe="x", colour="dunkelblau"), None), "colour") == [
        ("shop", "navy blue")
    ]
    assert LabelWords.of(vocabulary, "colour").names >= {"cream", "navy blue"}


@pytest.mark.parametrize(
    "title", ["", "Nike", "red", "😀👗", "한복 저고리", "فستان أسود", "rouge Kleid 赤い", "w " * 300]
)
def test_any_words_have_facts_or_none(title: str, reader: FactReader) -> None:
    facts = reader.facts(Item("1", title, None), None)
    assert facts_as_json(facts).keys() == facts.keys()
    assert set(facts) <= {"colour", "kind", "formality", "seasons", "purposes", "audience", "material", "category"}


def test_a_prompt_has_the_photos_label_only_where_nobody_else_speaks(
    texts_by: EdgeEncoder, vocabulary: Vocabulary
) -> None:
    def text(given: Item, description: Description) -> str:
        return describe_item(given, description, None, PromptSettings(), vocabulary, texts_by).text

    green = photo(colour="green", occasion="casual")
    assert text(item("red pleated skirt"), photo(colour="green")) == "bottom: red pleated skirt"
    assert text(item("pleated skirt"), photo(colour="green")) == "bottom: pleated skirt (green)"
    assert text(item("pleated skirt", colour="Red"), photo(colour="green")) == "bottom: pleated skirt (red)"
    assert text(item("red pleated skirt"), photo(("colour",), colour="green")) == "bottom: red pleated skirt (green)"
    assert text(item("pleated skirt", colour="batch 7"), green) == "bottom: pleated skirt (green, casual)"
    assert text(item("evening gown"), green) == "dress: evening gown (green)"


def test_facts_are_said_in_words(reader: FactReader) -> None:
    words = facts_in_words(reader.facts(item("men's navy blazer"), None))
    assert words["colour"] == "navy blue (title)"
    assert words["formality"] == "smart casual to cocktail (usual)"
    assert words["for"] == "men (title)"
