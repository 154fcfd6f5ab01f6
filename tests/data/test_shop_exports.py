"""Exports of shop software, written by hand after their public descriptions: no row is lost, and none twice."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from coordi.config import DataSettings, FeedSettings
from coordi.data.feed import (
    DUPLICATE,
    NO_PRICE,
    NO_REGULAR_PRICE,
    OTHER_CURRENCY,
    addresses_of,
    read_catalogue,
)
from coordi.data.loading import load
from coordi.data.shop_formats import (
    GROUP_OF_PRODUCTS,
    NO_PARENT,
    NOT_SOLD,
    OF_OTHER_VIEW,
    WITHOUT_TAX,
    recognise_format,
)
from coordi.data.source import Source
from coordi.data.tables import open_table
from coordi.types import Dataset

FEEDS = Path(__file__).parent / "feeds"


def read(name: str) -> Source:
    return read_catalogue(FEEDS / name)


def told(source: Source) -> list[tuple[str, str, int | None]]:
    return [(entry.reason, entry.value, entry.line) for entry in source.problems]


@pytest.mark.parametrize(
    ("name", "about"),
    [
        ("shopify.csv", "Shopify product export: 3 products, 7 variants, grouped by colour"),
        ("shopify_2024.csv", "Shopify product export: 1 products, 2 variants, grouped by colour"),
        ("woocommerce.csv", "WooCommerce product export: 6 products, 8 variants, grouped by colour"),
        ("magento.csv", "Magento product export: 3 products, 5 variants, grouped by colour"),
        ("prestashop.csv", "PrestaShop product list: 2 products (semicolons)"),
        ("google.tsv", "Google Merchant feed: 3 products, 5 variants, grouped by colour, prices in EUR (tabs)"),
        ("google_rss.xml", "Google Merchant feed: 2 products, prices in EUR (XML)"),
        ("google_atom.xml", "Google Merchant feed: 1 products, prices in EUR (XML)"),
    ],
)
def test_a_format_is_recognised_by_its_columns_whatever_its_suffix(tmp_path: Path, name: str, about: str) -> None:
    assert read(name).about == about
    other = tmp_path / "export.txt"
    shutil.copy(FEEDS / name, other)
    assert read_catalogue(other).about == about


def test_the_funnel_of_an_export_adds_up(adds_up: Callable[[Dataset], None]) -> None:
    dataset = load(FEEDS / "shopify.csv", DataSettings(photos="optional"), 1)
    adds_up(dataset)
    assert len(dataset.items) == 4
    assert [(row.count, row.reason) for row in dataset.funnel if row.dropped] == [
        (3, "a size of an item that an earlier row is of"), (1, f"{NOT_SOLD} (line 10)"),
    ]  # fmt: skip


@pytest.mark.parametrize("name", sorted(path.name for path in FEEDS.iterdir()))
def test_every_row_is_an_item_a_variant_or_a_problem(name: str) -> None:
    rows = [line for line, row in open_table(FEEDS / name).rows if isinstance(row, dict)]
    source = read(name)
    sold = sum(len(item.extra.get("variant ids", item.id).split(", ")) for item in source.items)
    left_out = sum(not entry.usable for entry in source.problems)
    others = {"shopify.csv": 1, "woocommerce.csv": 2, "magento.csv": 1}  # a row of a photo; products with variations
    assert sold + left_out + others.get(name, 0) == len(rows)
    assert len({item.id for item in source.items}) == len(source.items)
    assert set(source.lines) == {item.id for item in source.items}


def test_shopify_variants_are_an_item_a_colour() -> None:
    source = read("shopify.csv")
    items = {item.id: item for item in source.items}
    assert list(items) == ["linen-shirt/White", "linen-shirt/Navy", "straw-hat", "kids-sandals"]
    white, navy = items["linen-shirt/White"], items["linen-shirt/Navy"]
    assert (white.title, white.category, white.subcategory, white.price) == ("Linen Shirt", "top", "Shirt", 49.0)
    assert (white.extra["sizes"], white.extra["sizes in stock"], white.extra["in_stock"]) == ("S, M", "M", "yes")
    assert (white.extra["regular_price"], white.extra["brand"]) == ("65.00", "Kim")
    assert white.extra["description"] == "Light & airy. 100% linen"
    assert white.extra["photos"].split()[0].endswith("linen-shirt-white.jpg?v=1")
    assert "navy" not in white.extra["photos"]
    assert (navy.price, navy.extra["highest price"], navy.extra["in_stock"]) == (52.0, "54.00", "no")  # on backorder
    assert items["straw-hat"].extra["in_stock"] == "yes"  # not counted
    assert items["straw-hat"].extra["variant ids"] == "straw-hat-1"
    sandals = items["kids-sandals"]
    assert (sandals.price, sandals.category, sandals.extra["sizes"]) == (19.9, "shoes", "28, 30")
    assert told(source) == [(NO_PRICE, "cheap", 9), (NOT_SOLD, "old-coat", 10)]


def test_the_headers_of_shopify_since_2024() -> None:
    items = read("shopify_2024.csv").items
    assert [(item.id, item.title, item.price, item.extra["in_stock"]) for item in items] == [
        ("wool-scarf/Red", "Wool Scarf", 35.0, "yes"), ("wool-scarf/Green", "Wool Scarf", 35.0, "no"),
    ]  # fmt: skip
    assert items[1].extra["photos"].startswith("https://cdn.example.com/scarf-green.jpg")


def test_woocommerce_variations_have_what_their_product_says() -> None:
    source = read("woocommerce.csv")
    items = {item.id: item for item in source.items}
    assert list(items) == ["11", "TEE/Black", "TEE/White", "SK", "22", "18", "21"]
    blazer, black, white = items["11"], items["TEE/Black"], items["TEE/White"]
    assert (blazer.category, blazer.subcategory, blazer.price) == ("outerwear", "Blazers", 89.0)
    assert (blazer.extra["sale_price"], blazer.extra["Material"]) == ("89", "Wool")
    assert (black.title, black.category, black.price) == ("Cotton Tee", "top", 15.0)
    assert (black.extra["sizes"], black.extra["sizes in stock"]) == ("S, M", "S")
    assert (black.extra["Material"], black.extra["photos"]) == ("Cotton", "https://shop.example.com/up/tee-black.jpg")
    assert (white.extra["in_stock"], white.extra["photos"]) == ("no", "https://shop.example.com/up/tee.jpg")
    assert (items["SK"].title, items["SK"].price) == ("Silk Skirt", 40.0)  # comes before its product, which has its id
    assert items["22"].price == 25.0  # the sale is over
    assert items["18"].title == "Ankle Boots"  # a product whose variations weren't exported
    assert told(source) == [
        (NOT_SOLD, "CAP-1", 10),
        (GROUP_OF_PRODUCTS, "The Summer Look", 11),
        (NO_PARENT, "GONE", 12),
    ]


def test_variants_of_a_product_that_is_not_sold_are_not_sold(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "ID,Type,SKU,Name,Published,Regular price,Parent\n1,variation,A-S,Hat - S,1,5,A\n2,variable,A,Hat,-1,,\n"
        "3,variation,A-M,Hat - M,1,5,A\n4,simple,B,Straw hat,1,5,\n"
    )
    assert [item.id for item in read_catalogue(path).items] == ["4"]
    assert [reason for reason, _, _ in told(read_catalogue(path))] == [NOT_SOLD] * 3
    path.write_text(
        "sku,attribute_set_code,product_type,name,product_online,visibility,configurable_variations\n"
        "A-S,Top,simple,Hat-S,1,Not Visible Individually,\nA,Top,configurable,Hat,2,,sku=A-S|sku=A-M\n"
        "A-M,Top,simple,Hat-M,1,Not Visible Individually,\nB,Top,simple,Straw hat,1,,\n"
    )
    assert [item.id for item in read_catalogue(path).items] == ["B"]
    assert [reason for reason, _, _ in told(read_catalogue(path))] == [NOT_SOLD] * 3


def test_magento_products_come_after_their_variants() -> None:
    source = read("magento.csv")
    items = {item.id: item for item in source.items}
    assert list(items) == ["MH01/Black", "MH01/Red", "24-WB02", "ORPHAN-S"]
    black = items["MH01/Black"]
    assert (black.title, black.category, black.subcategory, black.price) == (
        "Rain Jacket",
        "outerwear",
        "Jackets",
        52.0,
    )
    assert (black.extra["material"], black.extra["description"]) == ("Nylon, Polyester", "Dry in all weather.")
    assert (black.extra["sizes in stock"], items["MH01/Red"].extra["in_stock"]) == ("S", "no")
    assert (items["24-WB02"].price, items["24-WB02"].extra["material"]) == (24.0, "Canvas")
    assert [reason for reason, _, _ in told(source)] == [OF_OTHER_VIEW, NOT_SOLD, GROUP_OF_PRODUCTS, NO_PARENT]


def test_prestashop_says_that_prices_are_without_tax() -> None:
    source = read("prestashop.csv")
    skirt, hat = source.items
    assert (skirt.title, skirt.category, skirt.price) == ("Pleated skirt", "bottom", 23.9)
    assert (skirt.extra["colour"], skirt.extra["brand"], hat.extra["in_stock"]) == ("Blue", "Kim", "0")
    assert told(source) == [(WITHOUT_TAX, "23.900000", 2), (NOT_SOLD, "Old boots", 4)]


def test_google_merchant_groups_and_prices() -> None:
    source = read("google.tsv")
    items = {item.id: item for item in source.items}
    assert list(items) == ["D1/Red", "D1/Blue", "S9", "X1"]
    red = items["D1/Red"]
    assert (red.title, red.category, red.subcategory, red.price) == ("Wrap dress", "dress", "wrap dresses", 99.0)
    assert (red.extra["sizes"], red.extra["sizes in stock"], red.extra["highest price"]) == ("S, M", "S", "129.00")
    assert red.extra["description"] == "A wrap dress with belt"
    assert red.extra["photos"].split() == [f"https://shop.example.com/d1{end}.jpg" for end in ("", "b", "c")]
    assert items["D1/Blue"].extra["in_stock"] == "no"  # a preorder
    assert told(source) == [(OTHER_CURRENCY, "40.00 USD", 6)]
    assert items["X1"].price is None


def test_google_merchant_in_xml_says_the_same() -> None:
    dress, belt = read("google_rss.xml").items
    assert (dress.id, dress.title, dress.price, dress.category) == ("D1/Red", "Wrap dress", 129.0, "dress")
    assert dress.extra["description"] == "A wrap dress"
    assert len(dress.extra["photos"].split()) == 3
    assert (belt.id, belt.title, belt.price) == ("B2", "Leather & canvas belt", 35.0)
    (sweater,) = read("google_atom.xml").items
    assert (sweater.id, sweater.title, sweater.price) == ("1a", "Red wool sweater", 25.0)


def test_photos_of_addresses_are_files_of_the_same_name(tmp_path: Path) -> None:
    shutil.copy(FEEDS / "shopify.csv", tmp_path)
    (tmp_path / "images").mkdir()
    for name in ("linen-shirt-navy.jpg", "linen-shirt-back.jpg", "straw-hat.png"):
        (tmp_path / "images" / name).write_bytes(b"a photo")
    images = {item.id: item.image and item.image.name for item in read_catalogue(tmp_path / "shopify.csv").items}
    assert images == {
        "linen-shirt/White": "linen-shirt-back.jpg",
        "linen-shirt/Navy": "linen-shirt-navy.jpg",
        "straw-hat": "straw-hat.png",
        "kids-sandals": None,
    }


def test_credentials_in_addresses_are_kept_nowhere(tmp_path: Path) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(
        "id,title,image_link,additional_image_link,mail\n"
        "1,Straw hat,https://me:se@cret@cdn.example.com/a.jpg,https://me:secret@cdn.example.com/b.jpg,shop@example.com\n"
    )
    (item,) = read_catalogue(path).items
    assert item.extra["photos"] == "https://cdn.example.com/a.jpg https://cdn.example.com/b.jpg"
    assert item.extra["mail"] == "shop@example.com"
    assert "cret" not in repr(item)


def test_a_format_can_be_forced_and_columns_named(tmp_path: Path) -> None:
    table = tmp_path / "export.csv"
    table.write_text("Ref;Label;Montant;Famille\n1;Robe rouge;1 299,00;dresses\n2;Top;5;tops\n", encoding="cp1252")
    columns = {"id": ("Ref",), "title": ("Label",), "price": ("Montant",), "category": ("Famille",)}
    source = read_catalogue(table, settings=FeedSettings.model_validate({"columns": columns}))
    assert [(item.id, item.title, item.price, item.category) for item in source.items] == [
        ("1", "Robe rouge", 1299.0, "dress"), ("2", "Top", 5.0, "top"),
    ]  # fmt: skip
    mapped = FeedSettings.model_validate({"columns": {"price": ("Variant Compare At Price", "Variant Price")}})
    items = read_catalogue(FEEDS / "shopify.csv", settings=mapped).items
    assert [item.price for item in items] == [65.0, 52.0, 25.0, 19.9]
    assert recognise_format(["Handle", "Title", "Option1 Name", "Option1 Value"]).key == "shopify"
    assert recognise_format(["Handle", "Title", "Option1 Name", "Option1 Value"], "plain").key == "plain"


def test_skus_that_several_variants_of_shopify_have_lose_none(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price,Variant Inventory Tracker,"
        "Variant Inventory Qty,Variant Compare At Price\n"
        "a,Red hat,Size,S,X,5,shopify,0,8\na,,,M,X,6,shopify,4,\nb,Blue hat,Title,Default Title,X,9,shopify,3,\n"
    )
    red, blue = read_catalogue(path).items
    assert (red.extra["sizes"], red.extra["sizes in stock"], blue.id) == ("S, M", "M", "b")
    mapped = FeedSettings.model_validate({"columns": {"price": ("Variant Compare At Price",)}})
    red, blue = read_catalogue(path, settings=mapped).items
    assert (red.price, red.extra["highest price"], blue.price) == (6.0, "8.00", 9.0)  # not 8.00 for both sizes


def test_variations_of_woocommerce_that_are_switched_off_leave_no_product(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    header = "ID,Type,SKU,Name,Published,Regular price,Parent\n"
    product, variation = "13,variable,J,Blue jeans,1,,\n", "14,variation,J-S,Blue jeans S,-1,50,J\n"
    other = "15,simple,H,Straw hat,1,5,\n"
    for rows in (product + variation + other, variation + product + other):
        path.write_text(header + rows)
        assert [item.id for item in read_catalogue(path).items] == ["15"]


def test_a_row_whose_id_is_the_group_of_another_product_keeps_its_price(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    path.write_text(
        "ID,Type,SKU,Name,Published,Regular price,Parent\n12,simple,Q,Straw hat,1,5,\n13,variable,12,Jeans,1,,\n"
        "14,variation,12-S,Jeans S,1,50,12\n"
    )
    source = read_catalogue(path)
    assert [(item.id, item.price) for item in source.items] == [("12", 5.0)]
    assert told(source) == [(DUPLICATE, "other title, category, price, columns", 4)]


def test_a_row_of_the_product_itself_is_one_of_its_sizes(tmp_path: Path, adds_up: Callable[[Dataset], None]) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(
        "id,title,image_link,item_group_id,size\nD,Red dress,,,\nD-S,Red dress - S,,D,S\nD-M,Red dress - M,,D,M\n"
    )
    (item,) = read_catalogue(path).items
    assert item.extra["sizes"] == "S, M"
    adds_up(load(path, DataSettings(photos="optional"), 1))


@pytest.mark.parametrize("image", ["http://[x/a.jpg", f"{'a' * 300}.jpg|b.jpg"])
def test_names_of_photos_that_are_no_names(tmp_path: Path, image: str) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(f"id,title,image_link\n1,Straw hat,{image}\n")
    assert [item.title for item in read_catalogue(path).items] == ["Straw hat"]


def test_points_that_shop_software_writes_mark_decimals(tmp_path: Path) -> None:
    path = tmp_path / "export.csv"
    header = "Handle,Title,Option1 Name,Option1 Value,Variant SKU,Variant Price\n"
    path.write_text(f"{header}a,Red hat,Title,Default Title,X,5.125\nb,Blue hat,Title,Default Title,Y,1299.00\n")
    assert [item.price for item in read_catalogue(path).items] == [5.125, 1299.0]
    path.write_text("id,title,price\n1,Red hat,5.125\n")
    assert [item.price for item in read_catalogue(path).items] == [5125.0]


@pytest.mark.parametrize(("cell", "photos"), [
    ("https://a.com/w_5,h_5/a.jpg", ["https://a.com/w_5,h_5/a.jpg"]),
    ("https://a.com/w_5,h_5/a.jpg, https://a.com/b", ["https://a.com/w_5,h_5/a.jpg", "https://a.com/b"]),
    ("https://a.com/a.jpg|https://a.com/b.jpg https://a.com/c 1.jpg",
     ["https://a.com/a.jpg", "https://a.com/b.jpg", "https://a.com/c 1.jpg"]),
])  # fmt: skip
def test_commas_in_addresses_of_photos(tmp_path: Path, cell: str, photos: list[str]) -> None:
    path = tmp_path / "export.csv"
    path.write_text(f'id,title,image_link\n1,Straw hat,"{cell}"\n')
    assert addresses_of(read_catalogue(path)) == {"1": photos}
    path.write_text(f'ID,Type,Name,Regular price,Images\n1,simple,Straw hat,5,"{cell}"\n')
    assert addresses_of(read_catalogue(path)) == {"1": photos}


def test_colours_that_differ_in_case_are_one(tmp_path: Path, adds_up: Callable[[Dataset], None]) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(
        "id,title,item_group_id,color,size\n1,Linen shirt,shirt,Navy,S\n2,Linen shirt,shirt,navy,M\n"
        "3,Linen shirt,shirt,NAVY  ,L\n4,Linen shirt,Shirt,Navy,S\n",
        encoding="utf-8",
    )
    source = read_catalogue(path)
    assert {item.id: item.extra["sizes"] for item in source.items} == {"shirt/Navy": "S, M, L", "Shirt/Navy": "S"}
    assert not source.problems
    adds_up(load(path, DataSettings(photos="optional"), 1))


@pytest.mark.parametrize(("sale", "until", "price", "reason"), [
    ("89.00 EUR", "", 89.0, NO_REGULAR_PRICE), ("89.00 EUR", "2099-01-01", 89.0, NO_REGULAR_PRICE),
    ("89.00 EUR", "2001-01-01", None, NO_REGULAR_PRICE), ("89.00 EUR", "soon", None, NO_REGULAR_PRICE),
    ("0", "", None, NO_REGULAR_PRICE), ("2 for 30", "", None, NO_PRICE), ("89 USD", "", None, OTHER_CURRENCY),
])  # fmt: skip
def test_a_sale_price_without_a_regular_one(
    tmp_path: Path, sale: str, until: str, price: float | None, reason: str
) -> None:
    path = tmp_path / "feed.csv"
    path.write_text(
        f"id,title,price,sale_price,sale_price_to\n1,Red hat,120 EUR,,\n2,Blue hat,,{sale},{until}\n3,Hat,,,\n",
        encoding="utf-8",
    )
    source = read_catalogue(path)
    assert [item.price for item in source.items] == [120.0, price, None]
    assert told(source) == [(reason, sale, 3)]
