"""How often the lexicon and the facts of items agree with labelled products, looks and a shop's columns.

    python benchmarks/lexicon.py ../shared/data

Categories: titles of ``fashion-products`` against the category of their article type (types of several categories are
left out), of Maryland Polyvore against the category of their category id, of Chictopia against the category of the
title's last word. Formality: the middle of a kind's range against the products' usage. Titles that name no garment
can't be right; their share is printed beside.

Facts (``recommend/facts.py``) are read of titles alone: formality, seasons, for whom and purposes of the products
against their columns, seasons and formality of Chictopia's items against the season and the occasion of their look.
MANGO has no titles: its types are compared with its families, its Spanish colours with its groups. Words and facts of
kinds were chosen on products of odd ids; figures on products are of even ids, unless ``--ids`` says otherwise.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.metrics import roc_auc_score

from coordi.data.categories import NO_GARMENT, classify, maryland_categories
from coordi.encoders.labels import load_vocabulary
from coordi.recommend.facts import FactReader
from coordi.style.lexicon import NOT_WEARABLE, Lexicon, default_lexicon
from coordi.style.words import Describing, Phrases, by_word, dress_codes, style_tables
from coordi.types import FactName, Facts, GarmentCategory, Item

# "Free Gifts" are watches, sarees and bags; a "Travel Accessory" may be a bag.
SEVERAL = frozenset({"Free Gifts", "Accessory Gift Set", "Travel Accessory", "Beauty Accessory", "Clothing Set"})
SEASONS = {"Spring": "spring", "Summer": "summer", "Fall": "autumn", "Winter": "winter"}
ALL_YEAR = frozenset(SEASONS.values())
# Purposes of kinds and of words that usage "Sports" is about.
SPORTS = frozenset({
    "running", "training", "yoga", "football", "cricket", "tennis", "basketball", "baseball", "golf", "hiking",
    "climbing", "cycling", "swimming", "surfing", "skiing", "skating", "riding", "sailing", "gymnastics",
    "martial arts",
})  # fmt: skip
# Families of MANGO whose types are of one category; "Intimate", hats and scarves, belts and ties aren't.
MANGO: dict[str, GarmentCategory] = {
    "Dresses": "dress", "Jumpsuit": "dress", "Sweater": "top", "T-shirt": "top", "Tops": "top", "Shirt": "top",
    "Sweatshirts": "top", "Poloshirts": "top", "Trousers": "bottom", "Skirts": "bottom", "Jeans": "bottom",
    "Shorts": "bottom", "Leggings and joggers": "bottom", "Jackets": "outerwear", "Coats": "outerwear",
    "Cardigans": "outerwear", "Blazers": "outerwear", "Puffer coats": "outerwear", "Trenchcoats": "outerwear",
    "Leather jackets": "outerwear", "Parkas": "outerwear", "Footwear": "shoes", "Bags": "bag",
    "Jewellery": "jewellery", "Glasses": "eyewear", "Swimwear": "swimwear",
}  # fmt: skip
NO_GROUP = frozenset({"black", "metallic", "multicolour"})  # MANGO's groups have none for these families


def products(data: Path) -> list[dict[str, str]]:
    """Rows of both tables of product labels."""
    rows = []
    for name in ("styles.csv", "titles-without-photos.csv"):
        with (data / "fashion-products" / name).open(encoding="utf-8", newline="") as file:
            rows += list(csv.DictReader(file))
    return rows


def maryland(data: Path, split: str) -> Iterator[tuple[str, str]]:
    """Titles with the category of their category id."""
    path = data / "polyvore-maryland" / f"{split}_no_dup.json"
    for outfit in json.loads(path.read_text(encoding="utf-8")):
        for item in outfit["items"]:
            row = maryland_categories().get(item["categoryid"])
            if row is not None and not row.decided_by_title and item["name"].strip():
                yield item["name"], row.category


def chictopia(data: Path) -> Iterator[tuple[str, str]]:
    """Titles with the category of their last word, where the word is known."""
    with (data / "chictopia" / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            category = classify(row["title"].split()[-1]) if row["title"].split() else None
            if category is not None:
                yield row["title"], category


def measure(lexicon: Lexicon, rows: Iterable[tuple[str, str]]) -> dict[str, float]:
    """Shares of titles whose category is right, that name no garment, and that are worn but taken for not worn."""
    counts: Counter[str] = Counter()
    for title, truth in rows:
        kind = lexicon.find(title)
        category = None if kind is None else kind.category or NO_GARMENT
        counts["n"] += 1
        counts["right"] += category == truth
        counts["nothing found"] += category is None
        counts["refused"] += kind is NOT_WEARABLE and truth != NO_GARMENT
    return {"n": counts["n"], **{name: counts[name] / counts["n"] for name in ("right", "nothing found", "refused")}}


def formality_auc(lexicon: Lexicon, rows: Iterable[dict[str, str]], other: str) -> tuple[float, int]:
    """AUC of a kind's formality for usage "Formal" against another usage, on titles whose kind has a formality."""
    truth, scores = [], []
    for row in rows:
        kind = lexicon.find(row["productDisplayName"]) if row["usage"] in ("Formal", other) else None
        if kind is not None and kind.formality is not None:
            truth.append(row["usage"] == "Formal")
            scores.append(sum(kind.formality) / 2)
    return float(roc_auc_score(truth, scores)), len(truth)


def contradictions(lexicon: Lexicon, rows: Iterable[dict[str, str]], least: int = 10) -> list[tuple[str, str, int]]:
    """Kinds of ``least`` products or more whose usual usage their formality can't be: the kind, the usage, products."""
    usages: dict[str, Counter[str]] = {}
    for row in rows:
        kind = lexicon.find(row["productDisplayName"])
        if kind is not None and kind.formality is not None:
            usages.setdefault(kind.name, Counter())[row["usage"]] += 1
    listed = []
    for name, counts in usages.items():
        (usage, most), total = counts.most_common(1)[0], counts.total()
        low, high = lexicon.kinds[name].formality or (0, 6)
        impossible = (usage == "Formal" and high < 2) or (usage == "Sports" and low > 1)
        if total >= least and most > total / 2 and impossible:
            listed.append((name, usage, total))
    return sorted(listed, key=lambda entry: -entry[2])


def facts_of(reader: FactReader, title: str, **columns: str) -> Facts:
    """Facts of an item by its title and columns alone."""
    category = classify(title)
    item = Item("1", title, None if category == NO_GARMENT else category, extra=columns)
    return reader.facts(item, None)


def values(facts: Facts, name: FactName) -> tuple[str, ...]:
    """What counts: the values of a name's first fact."""
    return facts[name][0].values if name in facts else ()


def middle(facts: Facts) -> float | None:
    """The middle of the dress codes that an item meets."""
    ends = dress_codes(values(facts, "formality")) if "formality" in facts else ()
    return (ends[0] + ends[-1]) / 2 if ends else None


def auc(rows: Iterable[tuple[bool, float | None]]) -> tuple[float, int]:
    """AUC of scores, and how many there are."""
    known = [(truth, score) for truth, score in rows if score is not None]
    return float(roc_auc_score([truth for truth, _ in known], [score for _, score in known])), len(known)


def agreement(rows: Iterable[tuple[str, frozenset[str]]]) -> dict[str, float]:
    """Share of truths among the values that are said of them; by chance: with the same truths in any order.

    Items of which nothing is said are counted apart.
    """
    rows = list(rows)
    said = [(truth, names) for truth, names in rows if names]
    truths = Counter(truth for truth, _ in said)
    by_chance = sum(truths[name] for _, names in said for name in names) / max(1, len(said) ** 2)
    return {
        "n": len(said),
        "agree": sum(truth in names for truth, names in said) / max(1, len(said)),
        "by chance": by_chance,
        "nothing said": 1 - len(said) / max(1, len(rows)),
    }


def seasons_of(facts: Facts) -> frozenset[str]:
    """Seasons; none for what is worn all year, of which every season is right."""
    seasons = frozenset(values(facts, "seasons"))
    return frozenset() if seasons == ALL_YEAR else seasons


def for_whom(facts: Facts) -> frozenset[str]:
    """Values of the products' column of gender that agree with for whom an item is."""
    audience = values(facts, "audience")
    return frozenset({"boys", "girls"} if audience == ("children",) else audience)


def purposes(rows: Iterable[tuple[bool, bool]]) -> dict[str, float]:
    """Precision and recall of what a fact says."""
    counts = Counter(rows)
    right = counts[True, True]
    return {
        "n": counts.total(),
        "precision": right / max(1, right + counts[False, True]),
        "recall": right / max(1, right + counts[True, False]),
    }


def product_facts(reader: FactReader, rows: Sequence[dict[str, str]]) -> Iterator[tuple[str, object]]:
    """Figures on products: what is said of their titles against their columns."""
    facts = [(row, facts_of(reader, row["productDisplayName"])) for row in rows]
    for other in ("Sports", "Casual", "Ethnic"):
        scores = [(row["usage"] == "Formal", middle(said)) for row, said in facts if row["usage"] in ("Formal", other)]
        yield f"formal against {other.lower()}", auc(scores)
    for source in ("title", "kind"):
        part = [(SEASONS[row["season"]], seasons_of(said)) for row, said in facts
                if row["season"] in SEASONS and "seasons" in said and said["seasons"][0].source == source]  # fmt: skip
        yield f"season, by the {source}", agreement(part)
    yield "gender", agreement((row["gender"].casefold(), for_whom(said)) for row, said in facts)
    used = [(row["usage"], said) for row, said in facts if row["usage"] not in ("", "NA")]
    sports = [(usage == "Sports", bool(SPORTS & {*values(said, "purposes")})) for usage, said in used]
    yield "usage sports", purposes(sports)
    ethnic = [
        (usage == "Ethnic", "tradition" in said or "festival" in values(said, "purposes")) for usage, said in used
    ]
    yield "usage ethnic", purposes(ethnic)


def looks(data: Path) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Titles of Chictopia's looks, with the look's tags."""
    with (data / "chictopia" / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        titles = {row["id"]: row["title"] for row in csv.DictReader(file)}
    for line in (data / "chictopia" / "outfits.jsonl").read_text(encoding="utf-8").splitlines():
        look = json.loads(line)
        yield [titles[name] for name in look["items"]], look


def is_dressy(occasion: str, words: Phrases[Describing]) -> bool | None:
    """Whether an occasion's own words ask for business dress or more (True) or for no more than smart casual."""
    ranges = [word.formality for word in words.values_in(occasion) if word.formality is not None]
    if len(ranges) != 1:
        return None
    low, high = ranges[0]
    return True if low >= 3 else False if high <= 2 else None


def look_facts(reader: FactReader, rows: Iterable[tuple[list[str], dict[str, str]]]) -> Iterator[tuple[str, object]]:
    """Figures on looks: what is said of their items against the look's season and occasion."""
    words = Phrases(by_word(style_tables().describing.values()))
    seasons: list[tuple[str, frozenset[str]]] = []
    scores: list[tuple[bool, float | None]] = []
    for titles, look in rows:
        facts = [facts_of(reader, title) for title in titles]
        season = SEASONS.get(look["season"].capitalize())
        seasons += [(season, seasons_of(said)) for said in facts if season is not None]
        middles = [score for score in map(middle, facts) if score is not None]
        dressy = is_dressy(look["occasion"], words)
        if dressy is not None and middles:
            scores.append((dressy, float(np.mean(middles))))
    yield "season of looks", agreement(seasons)
    yield "occasion of looks, dressy against casual", auc(scores)


def mango_facts(reader: FactReader, rows: Iterable[dict[str, str]]) -> Iterator[tuple[str, object]]:
    """Figures on MANGO's columns: the type's category against the family, the colour's family against the group."""
    colours = style_tables().colours
    types: list[tuple[str, frozenset[str]]] = []
    groups: list[tuple[str, frozenset[str]]] = []
    for row in rows:
        if row["category"] in MANGO:
            types.append((MANGO[row["category"]], frozenset(filter(None, [classify(row["type"])]))))
        labels = values(facts_of(reader, row["type"], colour=row["colour"]), "colour")
        family = frozenset(colours[label].family for label in labels[:1])
        if not family & NO_GROUP:
            groups.append((row["colour_group"], family))
    yield "category by type", agreement(types)
    yield "colour group by colour", agreement(groups)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of fashion-products, polyvore-maryland and chictopia")
    parser.add_argument("--ids", choices=("even", "odd"), default="even", help="products whose facts are compared")
    arguments = parser.parse_args()
    data, lexicon = arguments.data, default_lexicon()
    traditions = {kind.tradition for kind in lexicon.kinds.values()} - {""}
    print(f"{len(lexicon.kinds):,} kinds of {len(traditions)} traditions")
    rows = products(data)
    labelled = [(row["productDisplayName"], classify(row["articleType"])) for row in rows
                if row["articleType"] not in SEVERAL]  # fmt: skip
    sources: dict[str, Iterable[tuple[str, str]]] = {}
    sources["products"] = [(title, truth) for title, truth in labelled if truth is not None]
    sources |= {f"maryland {split}": maryland(data, split) for split in ("train", "valid")}
    sources["chictopia"] = chictopia(data)
    for name, part in sources.items():
        print(name, json.dumps(measure(lexicon, part)))
    for other in ("Sports", "Casual", "Ethnic"):
        area, n = formality_auc(lexicon, rows, other)
        print(f"formal against {other.lower()}: AUC {area:.3f} (n = {n:,})")
    reader = FactReader(load_vocabulary("fashion"))
    compared = [row for row in rows if int(row["id"]) % 2 == (arguments.ids == "odd")]
    with (data / "mango" / "catalogue.csv").open(encoding="utf-8", newline="") as file:
        mango = list(csv.DictReader(file))
    figures = (("products", product_facts(reader, compared)), ("chictopia", look_facts(reader, looks(data))),
               ("mango", mango_facts(reader, mango)))  # fmt: skip
    for name, lines in figures:
        for what, figure in lines:
            print(f"{name}, {what}:", json.dumps(figure))
    for name, usage, n in contradictions(lexicon, rows):
        low, high = lexicon.kinds[name].formality or (0, 6)
        print(f"contradiction: {name} has formality {low}-{high}, but most of its {n} products are for {usage}")


if __name__ == "__main__":
    main()
