"""The lexicon knows what people wear, by the head of a phrase, and refuses a user's table that can't be right."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
import yaml

from coordi.errors import DataError
from coordi.style.lexicon import COLUMNS, NOT_WEARABLE, Kind, Lexicon, default_lexicon, plain

REPOSITORY = Path(__file__).parents[2]
LEXICON = default_lexicon()
PAIRS = REPOSITORY.parent / "shared" / "data" / "style-pairs" / "dev.tsv"


def found(text: str) -> str | None:
    """Category of what is found: None if nothing is, "" for what nobody wears, "none" for underwear."""
    kind = LEXICON.find(text)
    return None if kind is None else "" if kind is NOT_WEARABLE else kind.category or "none"


def test_it_holds_over_a_thousand_kinds_of_the_whole_world() -> None:
    kinds = LEXICON.kinds.values()
    traditions = [kind.tradition for kind in kinds if kind.tradition]
    assert len(kinds) > 3000
    assert sum(traditions.count(name) >= 5 for name in set(traditions)) >= 25
    assert sum(bool(kind.formality) for kind in kinds if kind.category) > 0.8 * len(kinds)


def test_every_kind_is_recognised_in_a_sentence() -> None:
    missed = [kind.name for kind in LEXICON.kinds.values() if LEXICON.find(f"nice {kind.name}, size M") is not kind]
    assert missed == []


def test_every_garment_of_the_glossary_is_known() -> None:
    names = yaml.safe_load((REPOSITORY / "training" / "glossary.yaml").read_text(encoding="utf-8"))["garments"]
    not_wearable = {name for name in names if found(name) == ""}
    assert {name for name in names if found(name) is None} == set()
    assert not_wearable == {
        "shoe accessories", "shoe laces", "tablet sleeve", "travel accessory", "accessory gift set", "water bottle",
        "perfume and body mist", "perfume", "deodorant", "fragrance gift set", "lipstick", "nail polish", "free gifts",
        "footballs",
    }  # fmt: skip


@pytest.mark.skipif(not PAIRS.is_file(), reason=f"the style pairs aren't at {PAIRS}")
def test_nothing_in_pairs_of_common_sense_is_refused() -> None:
    with PAIRS.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    items = [item for row in rows for item in (*row["outfit"].split(";"), row["good"], row["bad"])]
    assert len(items) > 900
    assert [item.strip() for item in items if found(item) == ""] == []
    assert sum(found(item) is None for item in items) < 0.01 * len(items)


@pytest.mark.parametrize(
    ("text", "category"),
    [
        # The head decides, and the longest phrase that ends there.
        ("shirt dress", "dress"), ("dress shirt", "top"), ("sweater vest", "top"), ("belt bag", "bag"),
        ("boot cut jeans", "bottom"), ("tuxedo trousers", "bottom"), ("hair tie", "headwear"),
        # What follows says what comes with it.
        ("Dress with belt", "dress"), ("Saree with blouse", "dress"), ("Sunglasses with case", "eyewear"),
        ("boots (water bottle free)", "shoes"), ("blazer, shirt not included", "outerwear"),
        # A garment's name describes another one.
        ("Skinny Jeans Boot Cut", "bottom"), ("short sleeve dress", "dress"), ("tie front top", "top"),
        ("Blouse Tie Neck", "top"), ("trousers for suit jackets", "bottom"),
        # A shop's path.
        ("Men > Shoes > Dress", "shoes"), ("Women > Clothing > Dresses", "dress"), ("Bags > Belt", "bag"),
        ("Apparel > Topwear > Jackets", "outerwear"), ("Men > Shoes > Whatever", "shoes"),
        # British and American, plurals, accents, hyphens.
        ("plimsolls", "shoes"), ("patent lace-ups", "shoes"), ("sliders", "shoes"), ("pearl studs", "jewellery"),
        ("cummerbund", "accessory"), ("singlet", "top"), ("pyjamas", "bottom"), ("pajama pants", "bottom"),
        ("T-Shirts", "top"), ("minaudière", "bag"), ("waistcoats", "outerwear"), ("bralette", "top"),
        # Two meanings: the one that shops' titles mean most.
        ("tie", "accessory"), ("pumps", "shoes"), ("boxers", "none"), ("slides", "shoes"), ("trainers", "shoes"),
        ("jumper", "top"), ("vest", "outerwear"), ("thong", "none"), ("suspenders", "accessory"),
        # Many traditions.
        ("sherwani", "outerwear"), ("abaya", "dress"), ("hanbok jeogori", "top"), ("geta", "shoes"),
        ("agbada", "outerwear"), ("huipil", "top"), ("Haferl shoes", "shoes"), ("djellaba", "dress"),
        # A trap of each family.
        ("Dress Corduroy", "dress"), ("Earrings Pearl Drop", "jewellery"), ("scarf print dress", "dress"),
        ("watch pocket jeans", "bottom"), ("stocking filler", ""), ("bikini wax", ""), ("sunglass case", ""),
        ("belt sander", ""), ("glove box", ""), ("sock boots", "shoes"), ("hat box", ""), ("swim shorts", "swimwear"),
        # Nothing that anybody wears.
        ("a purple sofa", ""), ("ring binder", ""), ("shoe trees", ""), ("phone case", ""), ("lipstick", ""),
        ("boot brush", ""), ("tie rack", ""), ("jewellery box", ""), ("dog coat", ""), ("Sporty Footballs", ""),
        # Nothing is known of these.
        ("Levi's", None), ("navy blue", None), ("빨간 치마", None), ("🧦", None), ("", None), ("frobnicator", None),
    ],
)  # fmt: skip
def test_the_head_of_a_phrase_decides(text: str, category: str | None) -> None:
    assert found(text) == category


def test_what_a_kind_does_not_say_it_has_from_its_parents() -> None:
    chelsea = LEXICON.kinds["chelsea boots"]
    parents = [chelsea.name]
    while LEXICON.kinds[parents[-1]].parents:
        parents.append(LEXICON.kinds[parents[-1]].parents[0])
    assert parents[0] == "chelsea boots"
    assert parents[-1] == "shoes"
    assert chelsea.category == "shoes"
    evening = LEXICON.find("patent oxfords")
    trainers = LEXICON.find("running trainers")
    assert evening is not None
    assert trainers is not None
    assert evening.formality is not None
    assert trainers.formality is not None
    assert evening.formality > trainers.formality
    assert "running" in trainers.purposes


def table(folder: Path, *rows: dict[str, Any], columns: tuple[str, ...] = COLUMNS) -> Path:
    path = folder / "own.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, restval="")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_users_table_adds_a_kind_and_replaces_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = table(
        tmp_path,
        {"kind": "glimmer wrap", "parents": "dress", "words": "glimmies", "formality": "4-5"},
        {"kind": "vest", "parents": "tank top"},
    )
    monkeypatch.setenv("COORDI_LEXICON", str(own))
    default_lexicon.cache_clear()
    try:
        lexicon = default_lexicon()
    finally:
        monkeypatch.delenv("COORDI_LEXICON")
        default_lexicon.cache_clear()
    wrap = lexicon.find("two red Glimmies")
    assert wrap == Kind("glimmer wrap", "dress", ("dress",), ("glimmies",), (4, 5), *wrap_of(wrap))
    vest = lexicon.find("vest")
    assert vest is not None
    assert vest.category == "top"


def wrap_of(kind: Kind | None) -> tuple[Any, ...]:
    """What a kind has from its parents."""
    dress = LEXICON.kinds["dress"]
    assert kind is not None
    return (dress.warmth, dress.seasons, dress.purposes, dress.tradition, dress.audience, dress.materials)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"kind": "a", "parents": "b"}, {"kind": "b", "parents": "a"}], "line 2 .* a circle of parents, a > b > a"),
        ([{"kind": "a", "parents": "frob"}], "line 2 .* gives 'a' the parent 'frob', which is no kind; add it"),
        ([{"kind": "a", "parents": "dress", "words": "jeans"}], "gives 'jeans' to 'jeans' and 'a'"),
        ([{"kind": "a", "parents": "dress"}] * 2, "line 3 .* has 'a' for the second time"),
        ([{"kind": "a"}], "gives 'a' neither a category nor a parent"),
        ([{"kind": "123", "parents": "dress"}], "line 2 .* has no kind"),
        ([{"kind": "a", "category": "frock"}], "has the category 'frock'; accepted are top, .*, none"),
        ([{"kind": "a", "parents": "dress", "formality": "5-3"}], "has the formality '5-3'; accepted is a range"),
        ([{"kind": "a", "parents": "dress", "seasons": "sumer"}], "line 2 .* has the season 'sumer'; accepted are"),
        ([{"kind": "a", "parents": "dress", "for": "woman"}], "line 2 .* has the for 'woman'; accepted are women"),
        ([{"kind": "a", "parents": "dress", "warmth": "9"}], "has the warmth '9'; accepted are 0, 1, 2, 3, 4"),
        ([{"kind": "a", "parents": "dress", "words": "ring binder"}], "to 'a' and a thing that nobody wears"),
    ],
)  # fmt: skip
def test_a_table_that_cannot_be_right_is_refused(tmp_path: Path, rows: list[dict[str, Any]], said: str) -> None:
    with pytest.raises(DataError, match=said):
        Lexicon.load(table(tmp_path, *rows))


def test_a_table_with_other_columns_or_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="has the columns colour; accepted are kind, category"):
        Lexicon.load(table(tmp_path, columns=("kind", "colour")))
    with pytest.raises(DataError, match="has no column 'kind'"):
        Lexicon.load(table(tmp_path, columns=("words",)))
    (tmp_path / "own.csv").write_bytes(b"kind\n\xff\n")
    with pytest.raises(DataError, match=r"own\.csv' can't be read"):
        Lexicon.load(tmp_path / "own.csv")
    with pytest.raises(DataError, match=r"nowhere\.csv' can't be read"):
        Lexicon.load(tmp_path / "nowhere.csv")


@pytest.mark.parametrize("text", ["word " * 300, "שמלה אדומה", "drêss ".upper(), "((()]", ">>>", "a > > b", "-" * 50])
def test_no_text_is_an_error(text: str) -> None:
    LEXICON.find(text)
    plain(text)
