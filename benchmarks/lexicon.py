"""How often the lexicon is right on real titles: categories and formality.

    python benchmarks/lexicon.py ../shared/data

Categories: titles of ``fashion-products`` against the category of their article type (types of several categories are
left out), of Maryland Polyvore against the category of their category id, of Chictopia against the category of the
title's last word. Formality: the middle of a kind's range against the products' usage. Titles that name no garment
can't be right; their share is printed beside.
"""

from __future__ import annotations

import argparse
import csv
import json
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from sklearn.metrics import roc_auc_score

from coordi.data.categories import NO_GARMENT, classify, maryland_categories
from coordi.style.lexicon import NOT_WEARABLE, Lexicon, default_lexicon

# "Free Gifts" are watches, sarees and bags; a "Travel Accessory" may be a bag.
SEVERAL = frozenset({"Free Gifts", "Accessory Gift Set", "Travel Accessory", "Beauty Accessory", "Clothing Set"})


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path, help="folder of fashion-products, polyvore-maryland and chictopia")
    data, lexicon = parser.parse_args().data, default_lexicon()
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
        auc, n = formality_auc(lexicon, rows, other)
        print(f"formal against {other.lower()}: AUC {auc:.3f} (n = {n:,})")
    for name, usage, n in contradictions(lexicon, rows):
        low, high = lexicon.kinds[name].formality or (0, 6)
        print(f"contradiction: {name} has formality {low}-{high}, but most of its {n} products are for {usage}")


if __name__ == "__main__":
    main()
