"""A catalogue finds what plain loops find: nearest by vector, by rules, by words; and says what its rules left out."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coordi.errors import ArtifactError, RecommendationError
from coordi.model.features import group_sums
from coordi.recommend.answers import LeftOut
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import CatalogueInfo
from coordi.recommend.rules import Rules
from coordi.types import GARMENT_CATEGORIES, GENDERS, GarmentCategory, Item


def passes(one: Item, rules: Rules, category: GarmentCategory | None = None) -> bool:
    """The rules as a reader of ``Rules`` understands them."""
    price, key = one.price, str.casefold
    return all((
        category in (None, one.category),
        not rules.want or one.category in rules.want,
        one.category not in rules.unwanted,
        rules.price_min is None or (price is not None and price >= rules.price_min),
        rules.price_max is None or (price is not None and price <= rules.price_max),
        not rules.brands or key(one.brand) in map(key, rules.brands),
        key(one.brand) not in map(key, rules.unwanted_brands),
        not rules.colours or bool(set(one.colours) & set(map(key, rules.colours))),
        not set(one.colours) & set(map(key, rules.unwanted_colours)),
        one.gender not in rules.unwanted_genders,
        rules.gender is None or one.gender in (rules.gender, "unisex"),
        not rules.seasons or one.season in map(key, rules.seasons),
        not rules.in_stock or one.in_stock is not False,
        one.id not in rules.excluded,
    ))  # fmt: skip


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


asked = st.fixed_dictionaries({}, optional={
    "want": st.lists(st.sampled_from(GARMENT_CATEGORIES[:6]), max_size=3).map(tuple),
    "unwanted": st.lists(st.sampled_from(GARMENT_CATEGORIES[6:]), max_size=2).map(tuple),
    "price_min": st.sampled_from([0.0, 15.0, 50.0]),
    "price_max": st.sampled_from([50.0, 75.5, 500.0]),
    "brands": some("kim", "ÁNNA", "Tote & Co"),
    "unwanted_brands": some("other", "Muji"),
    "colours": some("Black", "white", "navy blue"),
    "unwanted_colours": some("pink", "brown"),
    "gender": st.sampled_from(GENDERS),
    "unwanted_genders": some("women", "boys"),
    "seasons": some("Summer", "winter"),
    "in_stock": st.booleans(),
    "pinned": some("s1", "x"),
    "excluded": some("s2", "t1", "nobody's"),
})  # fmt: skip


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wish=asked, category=st.sampled_from([None, "shoes", "top", "watch"]))
@pytest.mark.slow
def test_every_rule_holds_as_a_plain_loop_has_it(
    shop: Catalogue, shop_items: list[Item], wish: dict[str, object], category: GarmentCategory | None
) -> None:
    rules = Rules.model_validate(wish)
    expected = [one.id for one in shop_items if passes(one, rules, category)]
    assert shop.count(rules, category) == len(expected)
    found = shop.nearest(shop_items[0].text_embedding, "text", 100, rules, category)
    assert sorted(one.id for one, _ in found) == sorted(expected)
    if category is None:
        page, total = shop.page(rules)
        assert ([one.id for one in page], total) == (expected, len(expected))
    steps = shop.left_out(rules, category)
    everything = sum(category in (None, one.category) for one in shop_items)
    assert everything - sum(step.count for step in steps) == len(expected)
    assert (steps[-1].left if steps else everything) == len(expected)


def test_rules_are_told_in_a_users_words(shop: Catalogue) -> None:
    rules = Rules(want=("shoes", "bag"), price_max=100, gender="women", in_stock=True, unwanted_colours=("red",))
    assert shop.left_out(rules) == (
        LeftOut("want", "category shoes or bag", 3, 4),
        LeftOut("price_max", "price at most 100", 2, 2),
        LeftOut("gender", "made for women or everybody", 1, 1),
        LeftOut("in_stock", "in stock", 1, 0),
    )
    assert shop.left_out(Rules()) == ()


@pytest.mark.parametrize("space", ["photo", "text"])
def test_nearest_is_exact(info: CatalogueInfo, shop_items: list[Item], space: str) -> None:
    rng = np.random.default_rng(2)
    dimension = info.photo_dimension if space == "photo" else info.text_dimension
    vectors = rng.normal(size=(3000, dimension)).astype(np.float32)  # (N, D)
    some_item = shop_items[0]
    items = [
        Item(
            f"i{place:04}",
            "",
            "shoes" if place % 3 else "bag",
            text="x",
            text_embedding=vector if space == "text" else some_item.text_embedding,
            photo_embedding=None if space == "photo" and place % 7 == 0 else vector if space == "photo" else None,
        )
        for place, vector in enumerate(vectors)
    ]
    index = Catalogue.in_memory(info, items)
    query = rng.normal(size=dimension).astype(np.float32)
    allowed = [place for place in range(3000) if place % 3 and (space == "text" or place % 7)]
    best = sorted(allowed, key=lambda place: -float(vectors[place] @ query))[:20]
    found = index.nearest(query, "photo" if space == "photo" else "text", 20, category="shoes")
    assert [one.id for one, _ in found] == [items[place].id for place in best]
    np.testing.assert_allclose([score for _, score in found], vectors[best] @ query, rtol=1e-4)
    # Some allowed items of a category, few enough to be gathered, or so many that all are multiplied.
    for excluded in (allowed[:10], allowed[: len(allowed) - 60][:1000]):
        rules = Rules(excluded=tuple(items[place].id for place in excluded))
        left = [place for place in allowed if place not in set(excluded)]
        best = sorted(left, key=lambda place: -float(vectors[place] @ query))[:20]
        again = index.nearest(query, "photo" if space == "photo" else "text", 20, rules, "shoes")
        assert [one.id for one, _ in again] == [items[place].id for place in best]


def test_ties_are_in_the_order_of_ids(info: CatalogueInfo, shop_items: list[Item]) -> None:
    vector = shop_items[0].text_embedding
    twins = [Item(name, "", "bag", text="bag", text_embedding=vector) for name in ("b", "c", "a")]
    index = Catalogue.in_memory(info, twins)
    assert [one.id for one, _ in index.nearest(vector, "text", 2)] == ["a", "b"]
    assert index.ids() == ["b", "c", "a"]


def test_an_item_comes_back_as_it_was_put_in(shop: Catalogue, shop_items: list[Item]) -> None:
    found = shop.get(["t1", "nobody", "s1", "t1", "b1", "d1"])
    assert list(found) == ["t1", "s1", "b1", "d1"]
    by_id = {one.id: one for one in shop_items}
    for item_id, one in found.items():
        for field in fields(Item):
            is_, was = getattr(one, field.name), getattr(by_id[item_id], field.name)
            if field.name.endswith("_embedding") and was is not None:
                assert is_.dtype == np.float32
                np.testing.assert_array_equal(is_, was)
            else:
                assert is_ == was, field.name
    assert shop.get([]) == {}


@pytest.mark.parametrize("path", ["/photos/é 'quoted'.jpg", "/photos/\udcff-latin.jpg"])
def test_any_name_of_a_photo_is_kept(info: CatalogueInfo, shop_items: list[Item], path: str) -> None:
    vector = shop_items[0].text_embedding
    one = Item("a'; DROP", '코트 "x"', "top", image=Path(path), text="코트", text_embedding=vector)
    index = Catalogue.in_memory(info, [one])
    assert index.get(["a'; DROP"])["a'; DROP"] == one
    assert index.page(words="코")[1] == 1


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("black boot", ["s1"]), ("T-SHIRT", ["t1"]), ("mens", ["s3"]), ("ánna", ["s2"]), ("oots", []),
        ("", ["s1", "s2", "s3", "b1", "t1", "t2", "d1"]), ("kim", ["s1", "s3"]), ("100% _", []), ("!?", None),
    ],
)  # fmt: skip
def test_all_words_must_begin_words_of_an_item(shop: Catalogue, words: str, ids: list[str] | None) -> None:
    found, total = shop.page(words=words)
    expected = shop.ids() if ids is None else ids
    assert ([one.id for one in found], total) == (expected, len(expected))


def test_pages_follow_each_other(shop: Catalogue) -> None:
    first, total = shop.page(limit=3)
    rest, _ = shop.page(offset=3, limit=10)
    assert total == len(shop) == 7
    assert [one.id for one in (*first, *rest)] == shop.ids()
    assert shop.page(offset=99) == ([], 7)


def test_facets_are_what_there_is(shop: Catalogue) -> None:
    found = shop.facets()
    assert found.categories == {"shoes": 3, "top": 2, "bag": 1, "dress": 1}
    assert found.brands == ("KIM", "Tote & Co", "Ánna")
    assert found.seasons == ("summer", "winter")
    assert found.genders == ("women", "men", "girls", "unisex")
    assert found.price_range == (0.0, 120.0)


def test_group_sums_are_those_of_the_items_to_the_last_digit(info: CatalogueInfo, shop_items: list[Item]) -> None:
    items = [*shop_items, replace(shop_items[0], id="u", title="")]
    sums, expected = Catalogue.in_memory(info, items).group_sums, group_sums(items)
    assert sums.keys() == expected.keys()
    for group, (count, rows) in sums.items():
        assert count == expected[group][0]
        np.testing.assert_array_equal(rows, expected[group][1])


def test_an_empty_catalogue_answers(info: CatalogueInfo, shop_items: list[Item]) -> None:
    empty = Catalogue.in_memory(info, [])
    assert (len(empty), empty.ids(), empty.page(), empty.count()) == (0, [], ([], 0), 0)
    assert empty.nearest(shop_items[0].text_embedding, "text", 5) == []
    assert empty.facets().price_range is None
    assert empty.near_ids("x") == []
    assert (empty.group_sums, empty.get(["x"])) == ({}, {})


@pytest.mark.parametrize("query", [np.ones(9, np.float32), np.full(8, np.nan, np.float32)])
def test_a_query_of_another_encoder_is_refused(shop: Catalogue, query: np.ndarray) -> None:
    with pytest.raises(RecommendationError, match=r"photo vectors have 8 numbers .*\((9|8),\).*encoder 'edge'"):
        shop.nearest(query, "photo", 3)


def test_near_ids_are_suggested(shop: Catalogue) -> None:
    assert shop.near_ids("S33", 2) == ["s3", "s1"]


def test_many_threads_get_the_same_answers(shop: Catalogue, shop_items: list[Item]) -> None:
    def ask(place: int) -> list[str]:
        one = shop_items[place % len(shop_items)]
        assert one.id in shop.get([one.id])
        return [found.id for found, _ in shop.nearest(one.text_embedding, "text", 3)]

    alone = [ask(place) for place in range(len(shop_items))]
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(ask, range(10 * len(shop_items))))
    assert together == alone * 10


def test_a_folder_that_is_no_catalogue_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"there is no catalogue at .*nowhere; make one: coordi catalogue build"):
        Catalogue.open(tmp_path / "nowhere")
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ArtifactError, match=r"isn't a catalogue: it has no catalogue.json and no items.duckdb"):
        Catalogue.open(tmp_path)
    (tmp_path / "catalogue.json").write_text("{}")
    (tmp_path / "items.duckdb").write_bytes(b"not a database" * 1000)
    with pytest.raises(ArtifactError, match=r"can't be read: .*; if it is damaged, delete the folder and build"):
        Catalogue.open(tmp_path)
    (tmp_path / "manifest.json").unlink()
    with pytest.raises(ArtifactError, match=r"isn't finished; go on with the command that began it"):
        Catalogue.open(tmp_path)
