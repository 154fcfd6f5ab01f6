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

MADE_FOR = {
    "women": ("women", "unisex"), "men": ("men", "unisex"), "unisex": ("unisex",),
    "girls": ("girls", "children"), "boys": ("boys", "children"), "children": ("children", "girls", "boys"),
}  # fmt: skip


def allows(entry: Item, rules: Rules, category: GarmentCategory | None = None) -> bool:
    """The rules as a reader of ``Rules`` understands them."""
    price, key = entry.price, str.casefold
    return all((
        category in (None, entry.category),
        not rules.want or entry.category in rules.want,
        entry.category not in rules.unwanted,
        rules.price_min is None or (price is not None and price >= rules.price_min),
        rules.price_max is None or (price is not None and price <= rules.price_max),
        not rules.brands or key(entry.brand) in map(key, rules.brands),
        key(entry.brand) not in map(key, rules.unwanted_brands),
        not rules.colours or bool(set(entry.colours) & set(map(key, rules.colours))),
        not set(entry.colours) & set(map(key, rules.unwanted_colours)),
        entry.gender not in rules.unwanted_genders,
        rules.gender is None or entry.gender in MADE_FOR[rules.gender],
        not rules.seasons or entry.season in map(key, rules.seasons),
        not rules.in_stock or entry.in_stock is not False,
        entry.id not in rules.excluded,
    ))  # fmt: skip


def some(*values: str) -> st.SearchStrategy[tuple[str, ...]]:
    return st.lists(st.sampled_from(values), max_size=2, unique=True).map(tuple)


request = st.fixed_dictionaries({}, optional={
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
@given(wish=request, category=st.sampled_from([None, "shoes", "top", "watch"]))
@pytest.mark.slow
def test_every_rule_holds_as_a_plain_loop_has_it(
    shop: Catalogue, shop_items: list[Item], wish: dict[str, object], category: GarmentCategory | None
) -> None:
    rules = Rules.model_validate(wish)
    expected = [entry.id for entry in shop_items if allows(entry, rules, category)]
    assert shop.count(rules, category) == len(expected)
    result = shop.nearest(shop_items[0].text_embedding, "text", 100, rules, category)
    assert sorted(entry.id for entry, _ in result) == sorted(expected)
    if category is None:
        page, total = shop.page(rules)
        assert ([entry.id for entry in page], total) == (expected, len(expected))
    steps = shop.left_out(rules, category)
    everything = sum(category in (None, entry.category) for entry in shop_items)
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
            f"i{position:04}",
            "",
            "shoes" if position % 3 else "bag",
            text="x",
            text_embedding=vector if space == "text" else some_item.text_embedding,
            photo_embedding=None if space == "photo" and position % 7 == 0 else vector if space == "photo" else None,
        )
        for position, vector in enumerate(vectors)
    ]
    index = Catalogue.in_memory(info, items)
    query = rng.normal(size=dimension).astype(np.float32)
    allowed = [position for position in range(3000) if position % 3 and (space == "text" or position % 7)]
    best = sorted(allowed, key=lambda position: -float(vectors[position] @ query))[:20]
    result = index.nearest(query, "photo" if space == "photo" else "text", 20, category="shoes")
    assert [entry.id for entry, _ in result] == [items[position].id for position in best]
    np.testing.assert_allclose([score for _, score in result], vectors[best] @ query, rtol=1e-4)
    # Some allowed items of a category, few enough to be gathered, or so many that all are multiplied.
    for excluded in (allowed[:10], allowed[: len(allowed) - 60][:1000]):
        rules = Rules(excluded=tuple(items[position].id for position in excluded))
        left = [position for position in allowed if position not in set(excluded)]
        best = sorted(left, key=lambda position: -float(vectors[position] @ query))[:20]
        again = index.nearest(query, "photo" if space == "photo" else "text", 20, rules, "shoes")
        assert [entry.id for entry, _ in again] == [items[position].id for position in best]


def test_ties_are_in_the_order_of_ids(info: CatalogueInfo, shop_items: list[Item]) -> None:
    vector = shop_items[0].text_embedding
    duplicates = [Item(name, "", "bag", text="bag", text_embedding=vector) for name in ("b", "c", "a")]
    index = Catalogue.in_memory(info, duplicates)
    assert [entry.id for entry, _ in index.nearest(vector, "text", 2)] == ["a", "b"]
    assert index.ids() == ["b", "c", "a"]


def test_an_item_comes_back_as_it_was_put_in(shop: Catalogue, shop_items: list[Item]) -> None:
    result = shop.get(["t1", "nobody", "s1", "t1", "b1", "d1"])
    assert list(result) == ["t1", "s1", "b1", "d1"]
    by_id = {entry.id: entry for entry in shop_items}
    for item_id, entry in result.items():
        for field in fields(Item):
            is_, was = getattr(entry, field.name), getattr(by_id[item_id], field.name)
            if field.name.endswith("_embedding") and was is not None:
                assert is_.dtype == np.float32
                np.testing.assert_array_equal(is_, was)
            else:
                assert is_ == was, field.name
    assert shop.get([]) == {}


@pytest.mark.parametrize("path", ["/photos/é 'quoted'.jpg", "/photos/\udcff-latin.jpg"])
def test_any_name_of_a_photo_is_kept(info: CatalogueInfo, shop_items: list[Item], path: str) -> None:
    vector = shop_items[0].text_embedding
    entry = Item("a'; DROP", '코트 "x"', "top", image=Path(path), text="코트", text_embedding=vector)
    index = Catalogue.in_memory(info, [entry])
    assert index.get(["a'; DROP"])["a'; DROP"] == entry
    assert index.page(words="코")[1] == 1


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("black boot", ["s1"]), ("T-SHIRT", ["t1"]), ("mens", ["s3"]), ("ánna", ["s2"]), ("oots", []),
        ("", ["s1", "s2", "s3", "b1", "t1", "t2", "d1"]), ("kim", ["s1", "s3"]), ("100% _", []), ("!?", None),
    ],
)  # fmt: skip
def test_all_words_must_begin_words_of_an_item(shop: Catalogue, words: str, ids: list[str] | None) -> None:
    result, total = shop.page(words=words)
    expected = shop.ids() if ids is None else ids
    assert ([entry.id for entry in result], total) == (expected, len(expected))


def test_pages_follow_each_other(shop: Catalogue) -> None:
    first, total = shop.page(limit=3)
    others, _ = shop.page(offset=3, limit=10)
    assert total == len(shop) == 7
    assert [entry.id for entry in (*first, *others)] == shop.ids()
    assert shop.page(offset=99) == ([], 7)


def test_facets_are_what_there_is(shop: Catalogue) -> None:
    result = shop.facets()
    assert result.categories == {"shoes": 3, "top": 2, "bag": 1, "dress": 1}
    assert result.brands == ("KIM", "Tote & Co", "Ánna")
    assert result.seasons == ("summer", "winter")
    assert result.genders == ("women", "men", "girls", "unisex")
    assert result.price_range == (0.0, 120.0)


def test_group_sums_are_those_of_the_items_to_the_last_digit(info: CatalogueInfo, shop_items: list[Item]) -> None:
    items = [*shop_items, replace(shop_items[0], id="u", title="")]
    assert any(item.photo_embedding is not None for item in items)
    for sums, expected in zip(Catalogue.in_memory(info, items).group_sums, group_sums(items), strict=True):
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
    assert (empty.group_sums, empty.get(["x"])) == (({}, {}), {})


@pytest.mark.parametrize("query", [np.ones(9, np.float32), np.full(8, np.nan, np.float32)])
def test_a_query_of_another_encoder_is_refused(shop: Catalogue, query: np.ndarray) -> None:
    with pytest.raises(RecommendationError, match=r"photo vectors have 8 numbers .*\((9|8),\).*encoder 'edge'"):
        shop.nearest(query, "photo", 3)


def test_near_ids_are_suggested(shop: Catalogue) -> None:
    assert shop.near_ids("S33", 2) == ["s3", "s1"]


def test_many_threads_get_the_same_answers(shop: Catalogue, shop_items: list[Item]) -> None:
    def ask(position: int) -> list[str]:
        entry = shop_items[position % len(shop_items)]
        assert entry.id in shop.get([entry.id])
        return [result.id for result, _ in shop.nearest(entry.text_embedding, "text", 3)]

    alone = [ask(position) for position in range(len(shop_items))]
    with ThreadPoolExecutor(8) as pool:
        parallel = list(pool.map(ask, range(10 * len(shop_items))))
    assert parallel == alone * 10


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


@pytest.mark.parametrize(
    ("title", "words", "others"),
    [
        ("İpek gömlek", ["ipek", "IPEK", "İPEK", "gomlek"], ["pek"]),
        ("Cafe\u0301 blouse", ["café", "cafe\u0301", "CAFE"], ["afe"]),
        ("काली साड़ी", ["काली", "साड़ी", "काल"], ["कला", "कोली", "ली"]),
        ("가죽자켓 블랙", ["자켓", "가죽자켓"], ["자캣"]),
        ("黑色连衣裙", ["连衣裙", "黑色"], ["白色"]),
        ("ﾄｰﾄﾊﾞｯｸﾞ", ["バッグ"], ["ハック"]),
    ],
)
def test_search_folds_by_the_rules_of_every_script(
    info: CatalogueInfo, shop_items: list[Item], title: str, words: list[str], others: list[str]
) -> None:
    entry = Item("1", title, "top", text="top: item", text_embedding=shop_items[0].text_embedding)
    index = Catalogue.in_memory(info, [entry])
    assert [index.page(words=text)[1] for text in words] == [1] * len(words)
    assert [index.page(words=text)[1] for text in others] == [0] * len(others)
