from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from coordi.config import PromptSettings
from coordi.prompts import item_text, text_in_prompts
from coordi.types import Description, Fact, Facts, Item, Label

SETTINGS = PromptSettings(max_title_words=4)


def described(**labels: str) -> Description:
    return Description("i", {name: (Label(text, 0.9), Label("second", 0.1)) for name, text in labels.items()})


def test_category_title_and_attributes_in_one_line() -> None:
    item = Item("i", "Lace Midi", "bottom", "Skirts")
    text = item_text(item, described(colour="black", pattern="floral"), SETTINGS)
    assert text == "bottom: lace midi (black, floral)"


def test_the_photos_kind_is_said_beside_a_title_where_that_is_asked_for() -> None:
    """As in the paper preset: what the encoder sees is a part of the prompt."""
    settings = SETTINGS.model_copy(update={"kind_beside_title": True})
    item = Item("i", "Rachel high-rise jeans", "bottom")
    text = item_text(item, described(category="skinny jeans", colour="blue"), settings)
    assert text == "bottom: rachel high-rise jeans (skinny jeans, blue)"
    assert item_text(item, described(category="jeans"), settings) == "bottom: rachel high-rise jeans"
    assert item_text(item, described(category="skinny jeans"), SETTINGS) == "bottom: rachel high-rise jeans"


def test_long_titles_are_cut() -> None:
    assert item_text(Item("i", "a b c d e f", "top", "d"), None, SETTINGS) == "top: a b c d"


def test_the_sources_kind_stands_in_for_a_missing_title() -> None:
    assert item_text(Item("i", "", "bottom", "Knee Length  Skirts"), None, SETTINGS) == "bottom: knee length skirts"
    assert item_text(Item("i", "", "shoes", "Shoes"), None, SETTINGS) == "shoes"


def test_an_item_without_a_title_is_what_it_is() -> None:
    assert item_text(Item("i", "", "shoes"), None, SETTINGS) == "shoes"
    seen = item_text(Item("i", "", "shoes"), described(category="boots", colour="red"), SETTINGS)
    assert seen == "shoes (boots, red)"


def test_the_encoders_category_is_not_set_against_a_title() -> None:
    assert (
        item_text(Item("i", "red boots", "shoes", "boots"), described(category="hat"), SETTINGS) == "shoes: red boots"
    )


def test_only_the_attributes_asked_for_in_their_order() -> None:
    settings = PromptSettings(attributes=("pattern", "colour"))
    text = item_text(Item("i", "x", "top", "x"), described(colour="red", style="casual", pattern="dots"), settings)
    assert text == "top: x (dots, red)"


@given(secret=st.from_regex(r"[0-9]{9}_[0-9]", fullmatch=True))
def test_nothing_that_gives_an_answer_away_is_said(secret: str) -> None:
    item = Item(secret, "shirt", "top", "", Path(f"images/{secret}/1.jpg"), 12.5, {"set": secret})
    text = item_text(item, Description(secret, {"colour": (Label("red", 1.0),)}), SETTINGS)
    assert text == "top: shirt (red)"


def test_facts_follow_the_text_where_they_are_wanted() -> None:
    facts: Facts = {
        "formality": (Fact(("smart casual", "black tie"), "kind"), Fact(("sport",), "photo")),
        "seasons": (Fact(("autumn", "winter"), "kind"),),
        "purposes": (Fact(("evening", "wedding", "work"), "title"),),
        "tradition": (Fact(("Scottish",), "kind"),),
        "colour": (Fact(("navy blue",), "title"),),
    }
    item = Item("i", "kilt", "bottom", text="bottom: kilt", facts=facts)
    assert text_in_prompts(item, facts=False) == "bottom: kilt"
    assert text_in_prompts(item, facts=True) == "bottom: kilt - smart/formal winter evening wedding Scottish"
    assert text_in_prompts(replace(item, facts={}), facts=True) == "bottom: kilt"
    all_year: Facts = {"seasons": (Fact(("spring", "summer", "autumn", "winter"), "kind"),)}
    assert text_in_prompts(replace(item, facts=all_year), facts=True) == "bottom: kilt"


def test_the_encoders_kind_is_beside_a_title_where_it_is_wanted() -> None:
    settings = PromptSettings(kind_beside_title=True)
    item = Item("i", "royal pumps", "shoes")
    assert item_text(item, described(category="heels", colour="red"), settings) == "shoes: royal pumps (heels, red)"
    assert item_text(item, described(category="pumps"), settings) == "shoes: royal pumps"  # said already
