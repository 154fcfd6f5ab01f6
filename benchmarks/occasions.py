"""Whether suggestions for an occasion or the weather break a rule that a stylist would name, by a shop's own labels.

    python benchmarks/occasions.py path/to/data

The folder holds ``fashion-products``. From products that are drawn once, a catalogue is made by photos alone and one
with the shop's titles. Each request has an occasion or weather, and an item that suits it by the judge. The same
requests without occasion and weather are chance. The judge reads columns that coordi doesn't get: ``usage``,
``season``, ``articleType`` and, for weddings and funerals, ``baseColour``.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from coordi.api import Model, PhotoDescription, load
from coordi.config import RecommendSettings
from coordi.data.photos import open_photo
from coordi.model.ensemble import text_encoder
from coordi.recommend.build import DescriptionPipeline
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.items import describe_items
from coordi.recommend.rules import Rules
from coordi.recommend.stylist import Stylist
from coordi.style.lexicon import default_lexicon
from coordi.types import Item

Product = Mapping[str, str]
K = 5
_BATCH = 64

# The judge. Written from what dress-code guides say of these products, before any result was looked at.
_BED = {"Night suits", "Nightdress", "Lounge Pants", "Lounge Shorts", "Lounge Tshirts", "Robe", "Bath Robe"}
_SWIM = {"Swimwear"}
_SPORT = {"Sports Shoes", "Sports Sandals", "Track Pants", "Tracksuits"}
_CARRIED_FOR_SPORT = {"Backpacks", "Duffel Bag", "Rucksacks", "Waist Pouch"}
_DRESSY = {"Ties", "Cufflinks", "Clutches", "Heels", "Formal Shoes", "Sarees", "Blazers", "Suits"}
_CASUAL = {"Tshirts", "Sweatshirts", "Jeans", "Shorts", "Capris", "Jeggings", "Flip Flops", "Caps"}
_BRIGHT = {
    "Red", "Pink", "Orange", "Yellow", "Magenta", "Lime Green", "Fluorescent Green", "Multi", "Turquoise Blue",
}  # fmt: skip
_WARM = {"Sweaters", "Sweatshirts", "Jackets", "Coats", "Mufflers", "Gloves", "Boots", "Stockings", "Tights"}
_BARE = {"Flip Flops", "Sandals", "Sports Sandals", "Shorts", "Lounge Shorts", "Swimwear", "Capris", "Camisoles"}
ARTICLES: Mapping[str, set[str]] = {
    "office": _BED | _SWIM | _SPORT | (_CASUAL - {"Jeans"}) | {"Sandals", "Duffel Bag", "Waist Pouch"},
    "interview": _BED | _SWIM | _SPORT | _CASUAL | {"Sandals", "Sunglasses"} | _CARRIED_FOR_SPORT,
    "wedding guest": _BED | _SWIM | _SPORT | _CASUAL | _CARRIED_FOR_SPORT | {"Laptop Bag"},
    "black tie": _BED | _SWIM | _SPORT | _CASUAL | _CARRIED_FOR_SPORT
    | {"Laptop Bag", "Messenger Bag", "Sandals", "Casual Shoes", "Sweaters", "Leggings", "Sunglasses", "Skirts"},
    "cocktail": _BED | _SWIM | _SPORT | _CASUAL | _CARRIED_FOR_SPORT | {"Laptop Bag", "Messenger Bag"},
    "date": _BED | _SWIM | _SPORT | {"Flip Flops", "Caps", "Shorts", "Laptop Bag", "Duffel Bag"},
    "everyday": _BED | _SWIM | {"Ties", "Cufflinks"},
    "school": _BED | _SWIM | {"Flip Flops", "Heels", "Clutches", "Cufflinks", "Sarees"},
    "travel": _SWIM | _DRESSY,
    "beach": (_DRESSY | _WARM | {"Jeans", "Trousers", "Socks", "Laptop Bag", "Briefcases"}),
    "gym": _DRESSY | {
        "Flats", "Sandals", "Flip Flops", "Jeans", "Trousers", "Shirts", "Kurtas", "Kurtis", "Dresses", "Skirts",
        "Handbags", "Belts", "Sunglasses", "Sweaters", "Laptop Bag", "Scarves", "Mufflers", "Stoles", "Tunics",
        "Necklace and Chains", "Bracelet",
    },
    "hiking": _DRESSY | {
        "Flats", "Sandals", "Flip Flops", "Jeans", "Dresses", "Skirts", "Handbags", "Kurtas", "Kurtis", "Stockings",
        "Laptop Bag",
    },
    "funeral": _BED | _SWIM | _SPORT | _CASUAL,
    "religious service": _BED | _SWIM | _SPORT | {"Shorts", "Flip Flops", "Caps", "Camisoles", "Innerwear Vests"},
    "home": _DRESSY | {"Laptop Bag", "Briefcases"},
    "party": _BED | _SWIM | _SPORT | _CARRIED_FOR_SPORT | {"Flip Flops", "Caps", "Shorts", "Sweatshirts", "Laptop Bag"},
    "35 C": _WARM, "30 C": _WARM, "27 C": _WARM, "summer": _WARM, "82 F": _WARM,
    "13 C": _BARE - {"Capris", "Camisoles"}, "8 C": _BARE, "winter": _BARE, "-6 C": _BARE | {"Flats"},
    "8 C, rain": _BARE, "18 C, rain": {"Flip Flops", "Sandals"},
    "snow": _BARE | {"Flats", "Heels"}, "-2 C, snow": _BARE | {"Flats", "Heels"}, "wind": {"Umbrellas", "Hat"},
}  # fmt: skip
"""By request, article types that break it."""
USAGES: Mapping[str, set[str]] = {
    "office": {"Sports"}, "interview": {"Sports"}, "wedding guest": {"Sports"}, "cocktail": {"Sports"},
    "date": {"Sports"}, "funeral": {"Sports"}, "religious service": {"Sports"}, "party": {"Sports"},
    "black tie": {"Sports"}, "beach": {"Formal"}, "gym": {"Formal", "Ethnic"}, "hiking": {"Formal", "Ethnic"},
    "home": {"Formal"},
}  # fmt: skip
"""By request, usages that break it."""


def breaks(product: Product, request: str) -> bool:
    """Whether a stylist would name a product as wrong for an occasion or the weather."""
    article, usage = product["articleType"], product["usage"]
    if article in ARTICLES[request] or usage in USAGES.get(request, ()):
        return True
    if request == "black tie":  # casual clothes, whatever their type
        return usage == "Casual" and article in ("Shirts", "Trousers", "Jackets", "Flats")
    if request == "interview":
        return usage == "Casual" and article == "Casual Shoes"
    if request == "wedding guest":
        return article == "Dresses" and product["baseColour"] in ("White", "Off White", "Cream")
    if request == "funeral":
        return product["baseColour"] in _BRIGHT
    if request in ("8 C", "8 C, rain", "-6 C", "winter", "snow", "-2 C, snow"):
        return product["season"] == "Summer" and article in ("Dresses", "Skirts")
    return False


def main() -> None:
    """Print the figures of both catalogues, and the requests whose suggestions break most."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    parser.add_argument("--products", type=int, default=1500)
    parser.add_argument("--requests", type=int, default=200)
    parser.add_argument("--language-model", action="store_true", help="Rank with it, of 8 candidates.")
    parser.add_argument("--show", action="store_true", help="Print every suggestion that breaks a rule.")
    options = parser.parse_args()
    rng = np.random.default_rng(options.seed)
    products = _products(options.data / "fashion-products", options.products, rng)
    names = list(ARTICLES)
    requests = [(names[n % len(names)], int(rng.integers(2**31))) for n in range(options.requests)]
    loaded = load()
    photos = {name: options.data / "fashion-products" / "images" / f"{name}.jpg" for name in products}
    described = _described(loaded, photos)
    for what in ("photos alone", "titles"):
        titles = {name: row["productDisplayName"] if what == "titles" else "" for name, row in products.items()}
        stylist = _stylist(loaded, titles, photos, described)
        print(f"{what}: {len(check(stylist))} items", flush=True)
        measure(stylist, products, requests, options.language_model, options.show)


def _products(folder: Path, count: int, rng: np.random.Generator) -> dict[str, Product]:
    with (folder / "styles.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["subCategory"] != "Innerwear"]
    chosen = rng.permutation(len(rows))[:count]
    return {rows[int(n)]["id"]: rows[int(n)] for n in chosen}


def _described(loaded: Model, photos: Mapping[str, Path]) -> dict[str, PhotoDescription]:
    ids, described = list(photos), {}
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        rows = loaded.describe_photos([open_photo(photos[name]) for name in batch])
        described |= dict(zip(batch, rows, strict=True))
    return described


def _stylist(
    loaded: Model, titles: Mapping[str, str], photos: Mapping[str, Path], described: Mapping[str, PhotoDescription]
) -> Stylist:
    settings, items = loaded.trained.settings, []
    for name, title in titles.items():
        kind = default_lexicon().find(title) if title else None
        category = (kind.category if kind is not None else None) or described[name].category
        if category is not None:  # else a catalogue leaves it out, too
            items.append(Item(name, title, category, image=photos[name]))
    labels = {item.id: described[item.id].description for item in items}
    vectors = {item.id: described[item.id].embedding for item in items}
    items = describe_items(items, labels, vectors, settings.prompt, loaded.vocabulary, text_encoder())
    pipeline = DescriptionPipeline(settings.describe, settings.prompt, loaded.encoder, loaded.vocabulary)
    catalogue = Catalogue.in_memory(pipeline.info("benchmark", "benchmark"), items)
    recommend = RecommendSettings(candidates=8, diversity=settings.recommend.diversity)
    return Stylist(catalogue, loaded.scorers, recommend, loaded.vocabulary, text_encoder().encode_texts)


def check(stylist: Stylist) -> Catalogue:
    """The stylist's catalogue."""
    assert stylist.catalogue is not None
    return stylist.catalogue


def rules_of(request: str) -> Rules:
    """The rules of a request: an occasion, or else weather."""
    is_weather = any(letter.isdigit() for letter in request) or request in ("snow", "wind", "summer", "winter")
    return Rules(weather=request) if is_weather else Rules(occasion=request)


def measure(
    stylist: Stylist,
    products: Mapping[str, Product],
    requests: Sequence[tuple[str, int]],
    language_model: bool,
    show: bool,
) -> None:
    """Print the share of suggestions that break a rule, with the rules and without them."""
    ids = sorted(check(stylist).ids())
    for name, rules in (("with the occasion or weather", rules_of), ("without", lambda request: Rules())):
        rows: list[tuple[str, bool]] = []
        counts, times = Counter[str](), []
        for request, number in requests:
            suited = [item_id for item_id in ids if not breaks(products[item_id], request)]
            (item,) = check(stylist).items_of([suited[number % len(suited)]])
            start = time.perf_counter()
            answer = stylist.complete([item], None, K, rules(request), language_model=language_model, reasons=False)
            times.append(time.perf_counter() - start)
            counts["requests without a suggestion"] += not answer.suggestions
            for suggestion in answer.suggestions:
                product = products[suggestion.item.id]
                rows.append((request, breaks(product, request)))
                if show and rows[-1][1] and name != "without":
                    print("   ", request, "|", product["articleType"], product["usage"], product["baseColour"],
                          product["season"], "|", product["productDisplayName"], "|", suggestion.item.text)  # fmt: skip
        _print_share(name, [broken for _, broken in rows])
        worst = Counter(request for request, broken in rows if broken).most_common(6)
        print(f"  {dict(counts)}; {np.median(times) * 1000:.0f} ms in the median; most in {worst}", flush=True)


def _print_share(name: str, broken: Sequence[bool]) -> None:
    interval = binomtest(sum(broken), len(broken)).proportion_ci(method="wilson")
    print(f"  {name}: {np.mean(broken):.3f} of {len(broken)} ({interval.low:.3f} to {interval.high:.3f})", flush=True)


if __name__ == "__main__":
    main()
