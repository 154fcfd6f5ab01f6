"""Exports of shop software: each becomes rows of the plain catalogue, a row a size or a colour that can be bought."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from coordi.config import FeedFormatName
from coordi.data.tables import BadRow, NumberedRows, Row, column_key, texts_of

NOT_SOLD = "not sold: a draft, archived or switched off in the shop"
NO_PARENT = "a variation whose product isn't in the file: read without it"
OF_OTHER_VIEW = "texts of another store view: those of the default view are used"
WITHOUT_TAX = "prices are those without tax: the file has no others"
GROUP_OF_PRODUCTS = "a group of products that have rows of their own"
# Names of what varies, in the languages of many shops; compared as ``column_key`` writes them.
_COLOUR = re.compile(
    r"colou?r|farbe|couleur|colore|kleur|renk|färg|farve|farge|kolor|barva|cor\b|väri|цвет|색|컬러|カラー|色|颜色|shade"
)
_SIZE = re.compile(
    r"size|größe|grösse|groesse|taille|tall[ae]|taglia|tamanho|maat|beden|storlek|størrelse|rozmiar|velikost|koko|размер|"
    r"사이즈|サイズ|尺"
)


_ATTRIBUTE = re.compile(r"attribute\d")


class FeedFormat(Protocol):
    """A format of exports.

    Attributes:
        key: Its name in settings.
        name: Its name in words.
    """

    @property
    def key(self) -> FeedFormatName: ...  # noqa: D102

    @property
    def name(self) -> str: ...  # noqa: D102

    def recognises(self, columns: Collection[str]) -> bool:
        """Whether a table with these columns, as ``column_key`` writes them, is of this format."""
        ...

    def rows(self, rows: NumberedRows) -> NumberedRows:
        """Rows of the plain catalogue with columns that ``coordi.data.feed`` knows, such as ``item_group_id``."""
        ...


class PlainCatalogue:
    """Any table with a row an item, or a row a size."""

    key: FeedFormatName = "plain"
    name = "catalogue"

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        return True

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        return rows


# Numbers of Google's taxonomy of products for what is worn.
_TAXONOMY = {
    "1604": "", "166": "", "2271": "Dresses", "212": "Shirts & Tops", "204": "Pants", "207": "Shorts", "1581": "Skirts",
    "5598": "Coats & Jackets", "187": "Shoes", "188": "Jewelry", "201": "Watches", "3032": "Handbags",
    "178": "Sunglasses", "173": "Hats", "177": "Scarves & Shawls", "169": "Belts", "209": "Socks", "211": "Swimwear",
}  # fmt: skip


class GoogleMerchant:
    """Product data of Google Merchant Center, as a table or as XML."""

    key: FeedFormatName = "google"
    name = "Google Merchant feed"

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        return {"id", "title", "imagelink"} <= set(columns)

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        for line, row in rows:
            if isinstance(row, BadRow):
                yield line, row
                continue
            values = {re.sub(r"^g:", "", name): value for name, value in row.items()}
            category = str(values.get("google_product_category", ""))
            if category.isdigit():
                values["google_product_category"] = _TAXONOMY.get(category, "")
            yield line, {name: value for name, value in values.items() if value != ""}


def _by_key(row: Row) -> dict[str, Any]:
    return {column_key(name): value for name, value in row.items()}


def _other_columns(row: Row, used: Collection[str]) -> dict[str, Any]:
    """Columns of a row that have no meaning of their own in its format."""
    return {
        name: value for name, value in row.items() if not _ATTRIBUTE.match(key := column_key(name)) and key not in used
    }


def named_options(options: Mapping[str, str]) -> dict[str, str]:
    """Options of a variant by ``colour`` and ``size`` where their names say so in one of many languages."""
    named: dict[str, str] = {}
    for name, value in options.items():
        key = name.casefold()
        role = "colour" if _COLOUR.search(key) else "size" if _SIZE.search(key) else name
        named.setdefault(role, value)
    return named


# Names since 2024 of columns, as they were called before.
_SHOPIFY_SINCE_2024 = {
    "urlhandle": "handle", "price": "variantprice", "sku": "variantsku", "compareatprice": "variantcompareatprice",
    "inventoryquantity": "variantinventoryqty", "inventorytracker": "variantinventorytracker",
    "productimageurl": "imagesrc", "variantimageurl": "variantimage", "description": "bodyhtml",
    "publishedononlinestore": "published", "continuesellingwhenoutofstock": "variantinventorypolicy",
}  # fmt: skip
_SHOPIFY_ROLES = {
    "title": "title", "bodyhtml": "description", "vendor": "brand", "productcategory": "category",
    "type": "product_type", "googleshoppinggender": "gender", "googleshoppingagegroup": "age_group",
}  # fmt: skip


class Shopify:
    """The product export of Shopify: rows of one handle are variants and photos of a product, of which only the first
    has a title. Both the headers until 2024 and those after are read.
    """

    key: FeedFormatName = "shopify"
    name = "Shopify product export"
    _USED = frozenset(
        {*_SHOPIFY_SINCE_2024, *_SHOPIFY_SINCE_2024.values(), *_SHOPIFY_ROLES, "status", "imageposition",
         "imagealttext", *(f"option{number}{what}" for number in "123" for what in ("name", "value", "linkedto"))}
    )  # fmt: skip

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        names = set(columns)
        return ("handle" in names or "urlhandle" in names) and {"title", "option1name", "option1value"} <= names

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        handle, group = "", list[tuple[int, Row]]()
        for line, row in rows:
            if isinstance(row, BadRow):
                yield line, row
                continue
            values = self._with_old_names(row)
            name = str(values.get("handle", ""))
            if not name:
                yield line, BadRow("bad row: no handle")
                continue
            if name != handle:
                yield from self._product(handle, group)
                handle, group = name, []
            group.append((line, {**values, "": _other_columns(row, self._USED)}))
        yield from self._product(handle, group)

    def _with_old_names(self, row: Row) -> dict[str, Any]:
        return {_SHOPIFY_SINCE_2024.get(name, name): value for name, value in _by_key(row).items()}

    def _product(self, handle: str, group: list[tuple[int, Row]]) -> NumberedRows:
        if not group:
            return
        line, first = group[0]
        published = str(first.get("published", "true")).lower()
        if str(first.get("status", "active")).lower() not in ("active", "") or published in ("false", "0", "no"):
            yield line, BadRow(NOT_SOLD, handle)
            return
        shared = {role: first[name] for name, role in _SHOPIFY_ROLES.items() if name in first}
        shared |= {"item_group_id": handle, **first[""]}
        of_variants = {str(row["variantimage"]) for _, row in group if "variantimage" in row}
        photos = [str(row["imagesrc"]) for _, row in group if str(row.get("imagesrc", "")) not in {"", *of_variants}]
        sold = [(n, row) for n, row in group if {"variantprice", "variantsku", "option1value"} & set(row)] or group[:1]
        for number, (line, row) in enumerate(sold, start=1):
            named = {str(first.get(f"option{n}name", n)): str(row[f"option{n}value"])
                     for n in "123" if f"option{n}value" in row}  # fmt: skip
            own = {**row[""], **named_options({name: value for name, value in named.items() if name != "Title"})}
            own["id"] = str(row.get("variantsku") or f"{handle}-{number}")
            own["image"] = list(dict.fromkeys([*texts_of(row.get("variantimage", [])), *photos]))
            own |= {"price": row["variantprice"]} if "variantprice" in row else {}
            own |= {"regular_price": row["variantcompareatprice"]} if "variantcompareatprice" in row else {}
            yield line, {**shared, **own, **self._stock(row)}

    def _stock(self, row: Row) -> dict[str, str]:
        """What is sold without being counted is in stock; what is sold after that on backorder isn't."""
        quantity = row.get("variantinventoryqty")
        if quantity is None:
            return {}
        return {"in_stock": "yes" if "variantinventorytracker" not in row else str(quantity)}


@dataclass
class _Family:
    """A product with variations of which some may come before it, and whether one was read."""

    line: int
    row: Row | None = None
    waiting: list[tuple[int, Row]] = field(default_factory=list)
    has_children: bool = False


def _paths(text: Any) -> list[str]:
    """Paths of categories in a cell such as ``"Clothing > Blazers, Sale"``, the longest first."""
    paths = [path.replace("\\,", ",").strip() for part in texts_of(text) for path in re.split(r"(?<!\\),", str(part))]
    return sorted(filter(None, paths), key=lambda path: -path.count(">"))


class WooCommerce:
    """The product export of WooCommerce: variations name their parent by SKU or as ``id:15``."""

    key: FeedFormatName = "woocommerce"
    name = "WooCommerce product export"
    _USED = frozenset(
        {"id", "type", "sku", "name", "published", "shortdescription", "description", "instock", "stock", "saleprice",
         "regularprice", "categories", "images", "parent", "datesalepricestarts", "datesalepriceends", "brands",
         "brand"}
    )  # fmt: skip

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        return {"type", "name", "regularprice"} <= set(columns) and bool({"id", "sku"} & set(columns))

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        families: dict[str, _Family] = {}
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row = {**_by_key(raw), "": _other_columns(raw, self._USED)}
            kinds = {kind.strip().lower() for kind in str(row.get("type", "simple")).split(",")}
            names = [f"id:{row['id']}"] if "id" in row else []
            names += [str(row["sku"])] if "sku" in row else []
            if str(row.get("published", "1")).strip().lower() not in ("1", "true", "yes"):
                yield line, BadRow(NOT_SOLD, " ".join(names[-1:]))
            elif "grouped" in kinds:
                yield line, BadRow(GROUP_OF_PRODUCTS, str(row.get("name", "")))
            elif "variation" in kinds:
                family = families.setdefault(str(row.get("parent", "")).strip(), _Family(line))
                if family.row is None:
                    family.waiting.append((line, row))
                else:
                    family.has_children = True
                    yield line, self._item(row, family.row)
            elif "variable" in kinds:
                yield from self._begin(line, row, names, families)
            else:
                yield line, self._item(row, None)
        yield from self._left(families)

    def _begin(self, line: int, row: Row, names: list[str], families: dict[str, _Family]) -> NumberedRows:
        """Remember a product, and read its variations that came before it."""
        family = _Family(line, row)
        for name in names:
            before = families.get(name)
            for child_line, child in before.waiting if before is not None else ():
                family.has_children = True
                yield child_line, self._item(child, row)
            families[name] = family

    def _left(self, families: Mapping[str, _Family]) -> NumberedRows:
        """Products without variations, and variations without their product."""
        for family in {id(family): family for family in families.values()}.values():
            if family.row is not None and not family.has_children:
                yield family.line, self._item(family.row, None)
            for line, row in family.waiting if family.row is None else ():
                yield line, BadRow(NO_PARENT, str(row.get("parent", "")), usable=True)
                yield line, self._item(row, None)

    def _item(self, row: Row, parent: Row | None) -> Row:
        product: Row = parent or row
        options = {**(self._options(parent, several=False) if parent else {}), **self._options(row, several=True)}
        item = {**(parent[""] if parent else {}), **row[""], **named_options(options)}
        item |= {"id": str(row.get("id") or row.get("sku")), "title": product.get("name", row.get("name", ""))}
        if parent is not None:
            item["item_group_id"] = str(parent.get("sku") or parent.get("id"))
        roles = {"regularprice": "price", "saleprice": "sale_price", "sku": "sku", "instock": "in_stock",
                 "datesalepricestarts": "sale_price_from", "datesalepriceends": "sale_price_to",
                 "stock": "stock_quantity"}  # fmt: skip
        item |= {role: row[name] for name, role in roles.items() if name in row}
        item |= {"category": _paths(product["categories"])} if "categories" in product else {}
        texts = ("description", "shortdescription")
        item |= next(({"description": product[name]} for name in texts if name in product), {})
        item |= next(({"brand": product[name]} for name in ("brands", "brand") if name in product), {})
        images = row.get("images", product.get("images", ""))
        item["image"] = [part.strip() for text in texts_of(images) for part in str(text).split(",") if part.strip()]
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


class Magento:
    """The product export of Magento 2 and Adobe Commerce: a configurable product lists the SKUs of its simple ones,
    which usually come before it.
    """

    key: FeedFormatName = "magento"
    name = "Magento product export"
    _USED = frozenset(
        {"sku", "name", "producttype", "categories", "description", "shortdescription", "price", "specialprice",
         "specialpricefromdate", "specialpricetodate", "baseimage", "smallimage", "thumbnailimage", "additionalimages",
         "qty", "isinstock", "additionalattributes", "configurablevariations", "productonline", "visibility",
         "storeviewcode"}
    )  # fmt: skip
    _PAIR = re.compile(r"(?:^|,)\s*(\w+)=((?:(?!,\s*\w+=).)*)", re.DOTALL)

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        return {"sku", "producttype", "attributesetcode"} <= set(columns)

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        waiting: dict[str, tuple[int, Row]] = {}
        parents: dict[str, tuple[Row, dict[str, str]]] = {}
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row: Row = {**_by_key(raw), "": _other_columns(raw, self._USED)}
            sku = str(row.get("sku", ""))
            if "storeviewcode" in row:
                yield line, BadRow(OF_OTHER_VIEW, sku)
            elif str(row.get("productonline", "1")) not in ("1", "1.0"):
                yield line, BadRow(NOT_SOLD, sku)
            elif row.get("producttype") in ("grouped", "bundle"):
                yield line, BadRow(GROUP_OF_PRODUCTS, sku)
            elif row.get("producttype") == "configurable":
                yield from self._children(line, row, waiting, parents)
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
                yield child_line, self._item(child, parent, options)
            else:
                parents[sku] = parent, options
        if not skus:
            yield line, self._item(parent, None, {})

    def _item(self, row: Row, parent: Row | None, options: Mapping[str, str]) -> Row:
        product: Row = parent or row
        item: dict[str, Any] = {**(parent[""] if parent else {}), **row[""]}
        attributes = [dict(self._PAIR.findall(str(part.get("additionalattributes", "")))) for part in (product, row)]
        item |= {name: value.replace("|", ", ") for part in attributes for name, value in part.items()}
        item |= {
            "id": str(row.get("sku", "")),
            "title": product.get("name", row.get("name", "")),
            **named_options(options),
        }
        if parent is not None:
            item["item_group_id"] = str(parent.get("sku", ""))
        roles = {"price": "price", "specialprice": "sale_price", "specialpricefromdate": "sale_price_from",
                 "specialpricetodate": "sale_price_to", "qty": "stock_quantity", "isinstock": "in_stock"}  # fmt: skip
        item |= {role: row[name] for name, role in roles.items() if name in row}
        texts = ("description", "shortdescription")
        item |= next(({"description": product[name]} for name in texts if name in product), {})
        if "categories" in product:
            paths = re.split(r"[,|]", str(product["categories"]))
            inner = filter(None, (" > ".join(path.split("/")[1:]) for path in paths))  # without the root
            item["category"] = sorted(inner, key=lambda path: -path.count(">"))
        images = [
            str(part[name]) for part in (row, product) for name in ("baseimage", "additionalimages") if name in part
        ]
        item["image"] = list(dict.fromkeys(name.strip().lstrip("/") for text in images for name in text.split(",")))
        return item


_PRESTASHOP_ROLES = {
    "id": "id", "productid": "id", "name": "title", "category": "category", "quantity": "in_stock",
    "reference": "reference", "brand": "brand", "manufacturer": "brand", "description": "description", "image": "image",
    "imageurlsxyz": "image",
}  # fmt: skip


class PrestaShop:
    """The product list of PrestaShop's back office, and tables after its own import template; without combinations."""

    key: FeedFormatName = "prestashop"
    name = "PrestaShop product list"
    _PRICES = ("pricetaxincl", "pricetaxincluded", "finalprice", "pricetaxexcl", "pricetaxexcluded", "baseprice")

    def recognises(self, columns: Collection[str]) -> bool:  # noqa: D102
        return "name" in columns and bool(
            {"pricetaxexcl", "pricetaxincl", "pricetaxexcluded", "categoriesxyz"} & set(columns)
        )

    def rows(self, rows: NumberedRows) -> NumberedRows:  # noqa: D102
        is_warned = False
        used = {*_PRESTASHOP_ROLES, *self._PRICES, "categoriesxyz", "active01", "active", "status", "enabled"}
        for line, raw in rows:
            if isinstance(raw, BadRow):
                yield line, raw
                continue
            row = _by_key(raw)
            active = next((row[name] for name in ("active01", "active", "status", "enabled") if name in row), "1")
            if str(active).strip().lower() in ("0", "false", "no", "disabled"):
                yield line, BadRow(NOT_SOLD, str(row.get("name", "")))
                continue
            item: dict[str, Any] = {**_other_columns(raw, used)}
            item |= {role: row[name] for name, role in _PRESTASHOP_ROLES.items() if name in row}
            priced_by = next((name for name in self._PRICES if name in row), "")
            item |= {"price": row[priced_by]} if priced_by else {}
            if "excl" in priced_by and not is_warned:
                is_warned = True
                yield line, BadRow(WITHOUT_TAX, str(row[priced_by]), usable=True)
            if "categoriesxyz" in row:
                item["category"] = [part.strip() for part in reversed(str(row["categoriesxyz"]).split(","))]
            for name, value in row.items():
                for feature in str(value).split(",") if name.startswith("feature") else ():
                    what, _, text = feature.partition(":")
                    item |= named_options({what.strip(): text.partition(":")[0].strip()})
            item["image"] = [part.strip() for part in str(item.get("image", "")).split(",") if part.strip()]
            yield line, item


FORMATS: tuple[FeedFormat, ...] = (
    Shopify(),
    WooCommerce(),
    Magento(),
    PrestaShop(),
    GoogleMerchant(),
    PlainCatalogue(),
)


def recognise_format(columns: Collection[str], key: FeedFormatName = "auto") -> FeedFormat:
    """The format of a key, or the first that recognises a table's columns."""
    names = {column_key(name) for name in columns}
    fitting: Iterator[FeedFormat] = (
        entry for entry in FORMATS if (entry.recognises(names) if key == "auto" else entry.key == key)
    )
    return next(fitting)
