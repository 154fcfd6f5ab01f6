"""Titles of other languages: which language it is, their English words, and what is read of them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import get_args

import pytest

from coordi.config import Language
from coordi.data.categories import classify
from coordi.encoders.labels import load_vocabulary
from coordi.errors import DataError
from coordi.recommend.facts import FactReader
from coordi.style.languages import LANGUAGES, in_english, item_in_english, language_of
from coordi.style.lexicon import default_lexicon
from coordi.style.words import by_word, style_tables, words_of
from coordi.types import Item

TITLES = Path(__file__).parent / "titles"
LEAST = 200
"""Titles of a language."""
RIGHT = 0.95
REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data"


def titles_of(code: str) -> list[tuple[str, str, str]]:
    """Category, colour and title of each line; ``none`` is underwear and the like, ``-`` no colour."""
    lines = (TITLES / f"{code}.txt").read_text(encoding="utf-8").splitlines()
    return [(category, colour, title) for category, colour, title in (line.split("|") for line in lines)]


@pytest.mark.parametrize("code", LANGUAGES)
def test_category_and_colour_of_shop_titles(code: str, record_property: Callable[[str, object], None]) -> None:
    rows, reader = titles_of(code), FactReader(load_vocabulary("fashion"))
    right: Counter[str] = Counter()
    for category, colour, title in rows:
        by_title = classify(title)
        facts = reader.facts(Item("1", title, by_title or None), None)
        colours = facts["colour"][0].values if "colour" in facts else ("-",)
        right["category"] += by_title == ("" if category == "none" else category)
        right["colour"] += colours[0] == colour
    shares = {name: count / len(rows) for name, count in right.items()}
    print(f"{code}: {len(rows)} titles, category {shares['category']:.3f}, colour {shares['colour']:.3f}")
    record_property("shares", shares)
    assert len({title for _, _, title in rows}) == len(rows) >= LEAST
    assert shares["category"] >= RIGHT
    assert shares["colour"] >= RIGHT


@pytest.mark.parametrize(
    ("title", "english"),
    [
        ("네이비 울 블레이저", "navy blue wool blazer"),
        ("가죽 스니커즈 화이트", "white leather sneakers"),
        ("白シャツ メンズ 長袖", "men white long sleeve shirt"),
        ("藏青色羊毛西装外套", "navy blue wool blazer"),
        ("weiße Ledersneaker", "white leather sneakers"),
        ("Kleid mit Gürtel", "dress with belt"),
        ("Chemise en lin blanc", "white linen shirt"),
        ("Robe pull grise", "grey sweater dress"),
        ("Falda de cuero negra", "black leather skirt"),
        ("Scarpe bianche in pelle", "white leather shoes"),
        ("Calças largas brancas", "white wide trousers"),
        ("Kadın deri ceketi", "women leather jacket"),
        ("İpek bluz", "silk blouse"),
        ("बेल्ट के साथ काली ड्रेस", "black dress with belt"),
        ("الفستان الأسود", "black dress"),
        ("不知名裙", "不知名 dress"),
        ("不知名裙架", "不知名 裙 架"),
        ("克莱蓝裙", "克莱 blue dress"),
    ],
)
def test_titles_in_english_order(title: str, english: str) -> None:
    assert in_english(title) == english


def test_words_that_no_table_has_stay() -> None:
    assert in_english("Herrenhemd Modell Fidelio blau") == "modell fidelio men blue shirt"
    assert in_english("Kroatzbeerjacke für Damen") == "kroatzbeer women jacket"


@pytest.mark.parametrize(
    "title",
    ["silk robe", "Rock band tee", "Oscar de la Renta gown", "Vero Moda Verde Jacket", "black slip dress", "hose",
     "chemise", "Comme des Garcons Play T-shirt", "jersey top", "BLANK", "", "100% pure", "Zara Basic blazer"],
)  # fmt: skip
def test_english_titles_stay_as_they_are(title: str) -> None:
    assert language_of(title) == ""
    assert in_english(title) == title


@pytest.mark.slow
def test_titles_of_english_shops_stay_as_they_are() -> None:
    if not REAL.is_dir():
        pytest.skip(f"the real data isn't at {REAL}")
    titles = set()
    for path in (REAL / "polyvore-maryland").glob("*_no_dup.json"):
        outfits = json.loads(path.read_text(encoding="utf-8"))
        titles |= {item["name"] for outfit in outfits for item in outfit["items"]}
    for path in (REAL / "fashion-products").glob("*.csv"):
        with path.open(encoding="utf-8") as file:
            titles |= {row["productDisplayName"] for row in csv.DictReader(file)}
    translated = [title for title in titles if language_of(title)]
    assert len(titles) > 50_000
    assert len(translated) <= 20  # names such as "frame denim le skinny de jeanne"
    assert [title for title in translated if classify(title) != classify(title, "")] == []


@pytest.mark.parametrize(
    ("title", "code"),
    [("Robe noire", "fr"), ("Slips schwarz Damen", "de"), ("白领衬衫", "zh"), ("衬衫", "zh"), ("シャツ", "ja"),
     ("Camisa azul", "es"), ("Beyaz gömlek", "tr"), ("Camicia bianca", "it"), ("Sapato preto", "pt"),
     ("Pull bordeaux", "fr"), ("Fußballschuhe", "de"), ("角帯", "ja")],
)  # fmt: skip
def test_other_words_decide_the_language(title: str, code: str) -> None:
    assert language_of(title) == code


@pytest.mark.parametrize(
    ("title", "code", "category", "in_english_category"),
    [("Chemises", "fr", "top", "dress"), ("Slips", "de", "", ""), ("Rock", "de", "bottom", None),
     ("Robe", "fr", "dress", "outerwear"), ("Jersey", "es", "top", "top")],
)  # fmt: skip
def test_a_given_language_decides_words_of_two(
    title: str, code: str, category: str, in_english_category: str | None
) -> None:
    assert classify(title, language_of(title, code)) == category
    assert classify(title) == in_english_category
    item = item_in_english(Item("1", title, None, extra={"Locale": f"{code}-XX"}))
    assert item.title == in_english(title, code)


def test_a_given_language_leaves_english_titles(monkeypatch: pytest.MonkeyPatch) -> None:
    assert language_of("black slip dress with lace", "de") == ""
    assert language_of("Schwarze Lederhandschuhe Damen", "fr") == "de"
    monkeypatch.setenv("COORDI_LANGUAGE", "fr")
    assert classify("Chemises") == "top"
    monkeypatch.setenv("COORDI_LANGUAGE", "klingon")
    with pytest.raises(DataError, match="COORDI_LANGUAGE is 'klingon'"):
        classify("Chemises")


def test_columns_are_translated_with_the_title() -> None:
    item = Item("1", "Damen Bluse", "top", "Blusen", extra={"Farbe": "x", "colour": "türkis", "note": "y" * 500})
    english = item_in_english(item)
    assert (english.title, english.subcategory) == ("women blouse", "blouse")
    assert english.extra == {**item.extra, "colour": "turquoise"}
    assert item_in_english(Item("1", "blue dress", "dress")).title == "blue dress"


def test_facts_are_those_of_the_english_title() -> None:
    reader = FactReader(load_vocabulary("fashion"))
    facts = reader.facts(Item("1", "여성 린넨 원피스 화이트", "dress"), None)
    assert facts == reader.facts(Item("1", "women white linen dress", "dress"), None)
    assert facts["audience"][0].values == ("women",)
    assert facts["material"][0].values == ("linen",)


@pytest.mark.parametrize("code", [*LANGUAGES, "international"])
def test_english_words_of_a_table_are_known(code: str) -> None:
    text = resources.files("coordi.style").joinpath("languages", f"{code}.csv").read_text(encoding="utf-8")
    tables = style_tables()
    names = {
        "colour": set(by_word(tables.colours.values())),
        "pattern": set(by_word(tables.patterns.values())),
        "material": set(by_word(tables.materials.values())),
    }
    unknown = [
        (row["what"], row["english"])
        for row in csv.DictReader(text.splitlines())
        if (row["what"] == "kind" and default_lexicon().find(row["english"]) is None)
        or row["english"] not in names.get(row["what"], {row["english"]})
    ]
    assert not unknown


def test_settings_accept_every_language() -> None:
    assert set(get_args(Language)) == {"en", *LANGUAGES}


@pytest.mark.parametrize(
    ("text", "words"),
    [("İpek ışık", ["ipek", "isik"]), ("cafe\u0301 CAFÉ", ["cafe", "cafe"]), ("STRASSE straße", ["strasse", "strasse"]),
     ("काली कला", ["काली", "कला"]), ("바지 ﾊﾞｯｸﾞ", ["바지", "バッグ"]), ("أحمر", ["احمر"])],
)  # fmt: skip
def test_words_are_compared_by_the_rules_of_their_script(text: str, words: list[str]) -> None:
    assert words_of(text) == words
