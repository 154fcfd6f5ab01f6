"""Exports of shop software: each becomes rows of the plain catalogue, a row a size or a colour that can be bought."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

import yaml

from coordi.config import FeedFormatName
from coordi.data.tables import BadRow, NumberedRows, Row, column_key, texts_of

NOT_SOLD = "not sold: a draft, archived or switched off in the shop"
NO_PARENT = "a variation whose product isn't in the file: read without it"
OF_OTHER_VIEW = "texts of another store view: those of the default view are used"
WITHOUT_TAX = "prices are those without tax: the file has no others"
GROUP_OF_PRODUCTS = "a group of products that have rows of their own"
COLUMNS = yaml.safe_load(resources.files("coordi.data").joinpath("columns.yaml").read_text(encoding="utf-8"))
"""Names of columns and what they mean, by role and by format; see the file."""
_COLOUR, _SIZE = (re.compile("|".join(COLUMNS[role])) for role in ("colour", "size"))
MAPPED = "column for "
"""Begins the name under which a user's choice of a column for a role comes."""
_OF_A_VARIANT = frozenset(f"{MAPPED}{role}" for role in ("id", "price", "sale_price", "size", "in_stock"))
_ATTRIBUTE = re.compile(r"attribute \d", re.IGNORECASE)


class FeedFormat:
    """A format of exports; this one is the plain catalogue, any table with a row an item, or a row a size.

    Attributes:
        key: Its name in settings.
        name: Its name in words.
        needs: Columns, as ``column_key`` writes them, all of one of which a table of this format has.
    """

    key: FeedFormatName = "plain"
    name = "catalogue"
    needs: tuple[frozenset[str], ...] = (frozenset(),)

    def recognises(self, columns: Collection[str]) -> bool:
        """Whether a table with these columns, as ``column_key`` writes them, is of this format."""
        return any(names <= set(columns) for names in self.needs)

    def rows(self, rows: NumberedRows) -> NumberedRows:
        """Rows of the plain catalogue with columns that ``coordi.data.feed`` knows, such as ``item_group_id``."""
        return rows


class GoogleMerchant(FeedFormat):
    """Product data of Google Merchant Center, as a table or as XML."""

    key: FeedFormatName = "google"
    name = "Google Merchant feed"
    needs = (frozenset({"id", "title", "imagelink"}),)

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        for line, row in rows:
            if isinstance(row, BadRow):
                yield line, row
                continue
            values = {re.sub(r"^g:", "", name): value for name, value in row.items()}
            category = str(values.get("google_product_category", ""))
            if category.isdigit():
                values["google_product_category"] = COLUMNS["taxonomy"].get(category, "")
            yield line, {name: value for name, value in values.items() if value != ""}


@cache
def _of_format(key: FeedFormatName) -> frozenset[str]:
    return frozenset(name for part in COLUMNS[key].values() for name in part)


def _columns(row: Row, key: FeedFormatName) -> dict[str, Any]:
    """Cells of a row by their columns' keys; under ``""`` those that have no meaning of their own in a format."""
    keys = _of_format(key)
    others = {name: row[name] for name in row if column_key(name) not in keys and not _ATTRIBUTE.match(name)}
    return {**{column_key(name): value for name, value in row.items()}, "": others}


def _of_product(row: Row) -> dict[str, Any]:
    """Other cells of a product's row that count for its variants too."""
    return {name: value for name, value in row[""].items() if name not in _OF_A_VARIANT}


def _roles(row: Row, key: FeedFormatName) -> dict[str, Any]:
    return {role: row[name] for name, role in COLUMNS[key]["roles"].items() if name in row}


def _first(row: Row, role: str, *names: str) -> dict[str, Any]:
    """The first of some columns that a row has, as a role."""
    return next(({role: row[name]} for name in names if name in row), {})


def named_options(options: Mapping[str, str]) -> dict[str, str]:
    """Options of a variant by ``colour`` and ``size`` where their names say so in one of many languages."""
    named: dict[str, str] = {}
    for name, value in options.items():
        key = name.casefold()
        role = "colour" if _COLOUR.search(key) else "size" if _SIZE.search(key) else name
        named.setdefault(role, value)
    return named


class Shopify(FeedFormat):
    """The product export of Shopify: rows of one handle are variants and photos of a product, of which only the first
    has a title. Both the headers until 2024 and those after are read.
    """

    key: FeedFormatName = "shopify"
    name = "Shopify product export"
    needs = tuple(frozenset({name, "title", "option1name", "option1value"}) for name in ("handle", "urlhandle"))

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        handle, group, ids = "", list[tuple[int, Row]](), set[str]()
        for line, row in rows:
            if isinstance(row, BadRow):
                yield line, row
                continue
            cells, newer = _columns(row, "shopify"), COLUMNS["shopify"]["since 2024"]
            values = {newer.get(key, key): cell for key, cell in cells.items()}
            name = str(values.get("handle", ""))
            if not name:
                yield line, BadRow("bad row: no handle")
                continue
            if name != handle:
                yield from self._product(handle, group, ids)
                handle, group = name, []
            group.append((line, values))
        yield from self._product(handle, group, ids)

    def _product(self, handle: str, group: list[tuple[int, Row]], ids: set[str]) -> NumberedRows:
        if not group:
            return
        line, first = group[0]
        published = str(first.get("published", "true")).lower()
        if str(first.get("status", "active")).lower() not in ("active", "") or published in ("false", "0", "no"):
            yield line, BadRow(NOT_SOLD, handle)
            return
        shared = {**_roles(first, "shopify"), "item_group_id": handle, **_of_product(first)}
        of_variants = {str(row["variantimage"]) for _, row in group if "variantimage" in row}
        photos = [str(row["imagesrc"]) for _, row in group if str(row.get("imagesrc", "")) not in {"", *of_variants}]
        sold = [(n, row) for n, row in group if {"variantprice", "variantsku", "option1value"} & set(row)] or group[:1]
        for number, (line, row) in enumerate(sold, start=1):
            named = {str(first.get(f"option{n}name", n)): str(row[f"option{n}value"])
                     for n in "123" if f"option{n}value" in row}  # fmt: skip
            own = {**row[""], **named_options({name: value for name, value in named.items() if name != "Title"})}
            sku = str(row.get("variantsku", ""))  # which Shopify lets several variants and products have
            own["id"] = sku if sku and sku not in ids else f"{handle}-{number}"
            ids.add(own["id"])
            own["image"] = list(dict.fromkeys([*texts_of(row.get("variantimage", [])), *photos]))
            own |= {"price": row["variantprice"]} if "variantprice" in row else {}
            own |= {"regular_price": row["variantcompareatprice"]} if "variantcompareatprice" in row else {}
            if "variantinventoryqty" in row:  # what isn't counted is in stock, what is sold on backorder isn't
                own["in_stock"] = row["variantinventoryqty"] if "variantinventorytracker" in row else "yes"
            yield line, {**shared, **own}


@dataclass
class _Family:
    """A product with variations of which some may come before it, whether one was read, and whether it is sold."""

    line: int
    row: Row | None = None
    waiting: list[tuple[int, Row]] = field(default_factory=list)
    has_children: bool = False
    is_sold: bool = True


def _paths(text: Any) -> list[str]:
    """Paths of categories in a cell such as ``"Clothing > Blazers, Sale"``, the longest first."""
    paths = [path.replace("\\,", ",").strip() for part in texts_of(text) for path in re.split(r"(?<!\\),", str(part))]
    return sorted(filter(None, paths), key=lambda path: -path.count(">"))


class WooCommerce(FeedFormat):
    """The product export of WooCommerce: variations name their parent by SKU or as ``id:15``."""

    key: FeedFormatName = "woocommerce"
    name = "WooCommerce product export"
    needs = tuple(frozenset({name, "type", "name", "regularprice"}) for name in ("id", "sku"))

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        families: dict[str, _Family] = {}
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row = _columns(raw, "woocommerce")
            kinds = {kind.strip().lower() for kind in str(row.get("type", "simple")).split(",")}
            names = [f"id:{row['id']}"] if "id" in row else []
            names += [str(row["sku"])] if "sku" in row else []
            is_sold = str(row.get("published", "1")).strip().lower() in ("1", "true", "yes")
            if not is_sold:
                yield line, BadRow(NOT_SOLD, " ".join(names[-1:]))
            if "variable" in kinds:
                yield from self._begin(_Family(line, row, is_sold=is_sold), names, families)
            elif not is_sold and "variation" in kinds:
                families.setdefault(str(row.get("parent", "")).strip(), _Family(line)).has_children = True
            elif not is_sold:
                continue
            elif "grouped" in kinds:
                yield line, BadRow(GROUP_OF_PRODUCTS, str(row.get("name", "")))
            elif "variation" in kinds:
                family = families.setdefault(str(row.get("parent", "")).strip(), _Family(line))
                if family.row is None:
                    family.waiting.append((line, row))
                else:
                    yield self._child(line, row, family)
            else:
                yield line, self._item(row, None)
        yield from self._left(families)

    def _begin(self, family: _Family, names: list[str], families: dict[str, _Family]) -> NumberedRows:
        """Remember a product, and read its variations that came before it."""
        for name in names:
            before = families.get(name)
            family.has_children |= before is not None and before.has_children
            for line, child in before.waiting if before is not None else ():
                yield self._child(line, child, family)
            families[name] = family

    def _child(self, line: int, row: Row, family: _Family) -> tuple[int, Row | BadRow]:
        family.has_children = True
        return line, self._item(row, family.row) if family.is_sold else BadRow(NOT_SOLD, str(row.get("sku", "")))

    def _left(self, families: Mapping[str, _Family]) -> NumberedRows:
        """Products without variations, and variations without their product."""
        for family in {id(family): family for family in families.values()}.values():
            if family.row is not None and family.is_sold and not family.has_children:
                yield family.line, self._item(family.row, None)
            for line, row in family.waiting if family.row is None else ():
                yield line, BadRow(NO_PARENT, str(row.get("parent", "")), usable=True)
                yield line, self._item(row, None)

    def _item(self, row: Row, parent: Row | None) -> Row:
        product: Row = parent or row
        options = {**(self._options(parent, several=False) if parent else {}), **self._options(row, several=True)}
        item = {**(_of_product(parent) if parent else {}), **row[""], **named_options(options)}
        item |= {"id": str(row.get("id") or row.get("sku")), "title": product.get("name", row.get("name", ""))}
        if parent is not None:
            item["item_group_id"] = str(parent.get("sku") or parent.get("id"))
        item |= _roles(row, "woocommerce")
        item |= {"category": _paths(product["categories"])} if "categories" in product else {}
        item |= _first(product, "description", "description", "shortdescription")
        item |= _first(product, "brand", "brands", "brand")
        item["image"] = row.get("images", product.get("images", ""))
        return item

    def _options(self, row: Row, *, several: bool) -> dict[str, str]:
        """Attributes of a row; of a product with variations those with one value, for it has all of theirs."""
        options = {}
        for key, name in row.items():
            number = re.fullmatch(r"attribute(\d+)name", key)
            value = row.get(f"attribute{number[1]}values", row.get(f"attribute{number[1]}value", "")) if number else ""
            if value and (several or "," not in str(value)):
                options[str(name)] = str(value)
        return options


class Magento(FeedFormat):
    """The product export of Magento 2 and Adobe Commerce: a configurable product lists the SKUs of its simple ones,
    which usually come before it.
    """

    key: FeedFormatName = "magento"
    name = "Magento product export"
    needs = (frozenset({"sku", "producttype", "attributesetcode"}),)
    _PAIR = re.compile(r"(?:^|,)\s*(\w+)=((?:(?!,\s*\w+=).)*)", re.DOTALL)

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        waiting: dict[str, tuple[int, Row]] = {}
        parents: dict[str, tuple[Row, dict[str, str]]] = {}
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row: Row = _columns(raw, "magento")
            sku = str(row.get("sku", ""))
            if "storeviewcode" in row:
                yield line, BadRow(OF_OTHER_VIEW, sku)
            elif row.get("producttype") == "configurable":
                yield from self._children(line, row, waiting, parents)
            elif not self._is_sold(row) or (sku in parents and not self._is_sold(parents[sku][0])):
                yield line, BadRow(NOT_SOLD, sku)
            elif row.get("producttype") in ("grouped", "bundle"):
                yield line, BadRow(GROUP_OF_PRODUCTS, sku)
            elif sku in parents:
                yield line, self._item(row, *parents.pop(sku))
            elif str(row.get("visibility", "")).lower() == "not visible individually":
                waiting[sku] = line, row
            else:
                yield line, self._item(row, None, {})
        for line, row in waiting.values():
            yield line, BadRow(NO_PARENT, str(row.get("sku", "")), usable=True)
            yield line, self._item(row, None, {})

    def _children(
        self,
        line: int,
        parent: Row,
        waiting: dict[str, tuple[int, Row]],
        parents: dict[str, tuple[Row, dict[str, str]]],
    ) -> NumberedRows:
        variations = [
            dict(self._PAIR.findall(part)) for part in str(parent.get("configurablevariations", "")).split("|")
        ]
        skus = {options.pop("sku"): options for options in variations if "sku" in options}
        for sku, options in skus.items():
            if sku in waiting:
                child_line, child = waiting.pop(sku)
                is_sold = self._is_sold(parent)
                yield child_line, self._item(child, parent, options) if is_sold else BadRow(NOT_SOLD, sku)
            else:
                parents[sku] = parent, options
        if not self._is_sold(parent):
            yield line, BadRow(NOT_SOLD, str(parent.get("sku", "")))
        elif not skus:
            yield line, self._item(parent, None, {})

    def _is_sold(self, row: Row) -> bool:
        return str(row.get("productonline", "1")) in ("1", "1.0")

    def _item(self, row: Row, parent: Row | None, options: Mapping[str, str]) -> Row:
        product: Row = parent or row
        item: dict[str, Any] = {**(_of_product(parent) if parent else {}), **row[""]}
        attributes = [dict(self._PAIR.findall(str(part.get("additionalattributes", "")))) for part in (product, row)]
        item |= {name: value.replace("|", ", ") for part in attributes for name, value in part.items()}
        item |= {
            "id": str(row.get("sku", "")),
            "title": product.get("name", row.get("name", "")),
            **named_options(options),
        }
        if parent is not None:
            item["item_group_id"] = str(parent.get("sku", ""))
        item |= _roles(row, "magento")
        item |= _first(product, "description", "description", "shortdescription")
        if "categories" in product:
            paths = re.split(r"[,|]", str(product["categories"]))
            inner = filter(None, (" > ".join(path.split("/")[1:]) for path in paths))  # without the root
            item["category"] = sorted(inner, key=lambda path: -path.count(">"))
        images = [
            str(part[name]) for part in (row, product) for name in ("baseimage", "additionalimages") if name in part
        ]
        item["image"] = list(dict.fromkeys(name.strip().lstrip("/") for text in images for name in text.split(",")))
        return item


class PrestaShop(FeedFormat):
    """The product list of PrestaShop's back office, and tables after its own import template; without combinations."""

    key: FeedFormatName = "prestashop"
    name = "PrestaShop product list"
    needs = tuple(
        frozenset({"name", price})
        for price in ("pricetaxincl", "pricetaxincluded", "pricetaxexcl", "pricetaxexcluded", "categoriesxyz")
    )

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        is_warned = False
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row = _columns(raw, "prestashop")
            active = next((row[name] for name in ("active01", "active", "status", "enabled") if name in row), "1")
            if str(active).strip().lower() in ("0", "false", "no", "disabled"):
                yield line, BadRow(NOT_SOLD, str(row.get("name", "")))
                continue
            item: dict[str, Any] = {**row[""], **_roles(row, "prestashop")}
            priced_by = next((name for name in COLUMNS["prestashop"]["prices"] if name in row), "")
            item |= {"price": row[priced_by]} if priced_by else {}
            if "excl" in priced_by and not is_warned:
                is_warned = True
                yield line, BadRow(WITHOUT_TAX, str(row[priced_by]), usable=True)
            names = next((row[name] for name in ("categoriesxyz", "categories", "category") if name in row), "")
            item["category"] = [part.strip() for part in reversed(str(names).split(",")) if part.strip()]
            for name, value in row.items():
                for feature in str(value).split(",") if name.startswith("feature") and ":" in str(value) else ():
                    what, _, text = feature.partition(":")
                    item |= named_options({what.strip(): text.partition(":")[0].strip()})
            yield line, item


FORMATS: tuple[FeedFormat, ...] = (
    Shopify(),
    WooCommerce(),
    Magento(),
    PrestaShop(),
    GoogleMerchant(),
    FeedFormat(),
)


def recognise_format(columns: Collection[str], key: FeedFormatName = "auto") -> FeedFormat:
    """The format of a key, or the first that recognises a table's columns."""
    names = {column_key(name) for name in columns}
    fitting: Iterator[FeedFormat] = (
        entry for entry in FORMATS if (entry.recognises(names) if key == "auto" else entry.key == key)
    )
    return next(fitting)
