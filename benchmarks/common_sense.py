"""Whether advice has sense: shoes for formal, sports and ethnic clothes of a shop, colours, corrected labels.

    python benchmarks/common_sense.py path/to/data

The folder holds ``fashion-products``, a titled shop whose labels tell what is formal, and ``mango``, whose column of
colours corrects what a photo seems to show. Each share has a 95% interval (Wilson). What the bundled model was trained
on isn't among MANGO's outfits.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from scipy.stats import binomtest

from coordi.api import Model, load
from coordi.artifacts import cache_folder
from coordi.cli.console import note, progress_bar
from coordi.encoders.labels import KINDS
from coordi.model.trained import BUNDLED
from coordi.pipeline import stages
from coordi.pipeline.workspace import Workspace, fingerprint
from coordi.style.words import style_tables
from coordi.types import Item

ASKED = 30  # outfits of a purpose
CORRECTED = 200
ROUNDING = 0.01  # a score may fall by as much
Product = Mapping[str, str]
Choice = tuple[str, Callable[[Product], bool], tuple[Callable[[Product], bool], ...]]

CLASSIC = ("white top", "blue jeans", "black heels", "black bag")
ORANGE = ("orange top", "orange jeans", "orange heels", "orange bag")
# Outfits whose colours agree; each item's colour is left out in turn, or replaced by one that clashes with another's.
COLOURED = (
    (("white", "shirt"), ("navy", "trousers"), ("brown", "loafers")),
    (("navy", "blazer"), ("white", "T-shirt"), ("blue", "jeans"), ("white", "sneakers")),
    (("black", "dress"), ("black", "heels"), ("red", "clutch")),
    (("beige", "trench coat"), ("black", "turtleneck"), ("grey", "trousers"), ("black", "ankle boots")),
    (("pink", "blouse"), ("grey", "skirt"), ("black", "pumps")),
    (("olive", "parka"), ("cream", "jumper"), ("brown", "chinos"), ("brown", "boots")),
    (("red", "jumper"), ("navy", "jeans"), ("white", "sneakers")),
    (("green", "dress"), ("tan", "sandals"), ("brown", "bag")),
)


def main() -> None:
    """Print each part as it ends."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--seed", type=int, default=17)
    options = parser.parse_args()
    loaded = load()
    colours(loaded)
    corrections(loaded, options.data / "mango", options.seed)
    shoes(options.data / "fashion-products", options.seed)


def told(name: str, right: Iterable[bool]) -> None:
    """Print a share and its interval."""
    rows = list(right)
    interval = binomtest(sum(rows), len(rows)).proportion_ci(method="wilson")
    print(f"{name}: {np.mean(rows):.3f} of {len(rows)} ({interval.low:.3f} to {interval.high:.3f})", flush=True)


def colours(loaded: Model) -> None:
    """The classic against all orange; what leaving a colour out moves beside what a clash moves."""
    table = style_tables().colours
    for language_model in (True, False):

        def score(words: Sequence[str], judge: bool = language_model) -> float:
            return loaded.score(words, language_model=judge).score

        print(f"language model {language_model}: classic {score(CLASSIC):.3f}, all orange {score(ORANGE):.3f}")
        smaller = []
        for outfit in COLOURED:
            full = [f"{colour} {kind}" for colour, kind in outfit]
            whole = score(full)
            for place, (_, kind) in enumerate(outfit):
                others = [table[colour] for n, (colour, _) in enumerate(outfit) if n != place and colour in table]
                clashes = sorted({name for colour in others for name in colour.clashes})
                for clash in clashes[:1]:
                    bare, clashing = (
                        score([*full[:place], words, *full[place + 1 :]]) for words in (kind, f"{clash} {kind}")
                    )
                    smaller.append(abs(bare - whole) < abs(clashing - whole))
        told(f"language model {language_model}: a colour left out moves less than one that clashes", smaller)


def corrections(loaded: Model, mango: Path, seed: int) -> None:
    """Items of real outfits whose photo seems to show another colour family than the shop says, corrected to it."""
    settings = loaded.trained.settings
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    work = Workspace(mango, cache_folder() / "benchmarks" / "common-sense", settings, "benchmark", note, progress_bar)
    prepared = stages.without_trained_on(stages.prepare(work, fingerprint(mango)), BUNDLED)
    dataset, families = prepared.dataset, style_tables().colours
    outfits = dataset.outfits
    moved = []
    for n in np.random.default_rng(seed).permutation(len(outfits)):
        items = list(dataset.items_of(outfits[int(n)].item_ids))
        place = next((place for place, item in enumerate(items) if _seems_otherwise(item, families)), None)
        if place is not None:
            pair = [_of_labels(loaded, items[place], corrected) for corrected in (False, True)]
            before, after = (loaded.score([*items[:place], item, *items[place + 1 :]]).score for item in pair)
            moved.append(after - before)
        if len(moved) == CORRECTED:
            break
    if not moved:
        return
    told(f"corrected colours that lower no score by {ROUNDING}", [change >= -ROUNDING for change in moved])
    print(
        f"corrected colours move the score by {np.mean(moved):+.3f} on average, {np.median(moved):+.3f} in the median"
    )


def _seems_otherwise(item: Item, families: Mapping[str, object]) -> bool:
    seen = item.description.attributes.get("colour", ()) if item.description is not None else ()
    names = [seen[0].text, item.colours[0]] if seen and item.colours else []
    rows = [families[name] for name in names if name in families]
    return len(rows) == 2 and rows[0].family != rows[1].family and item.category is not None  # type: ignore[attr-defined]


def _of_labels(loaded: Model, item: Item, corrected: bool) -> Item:
    assert item.description is not None
    assert item.category is not None
    labels = {name: [label.text for label in row] for name, row in item.description.attributes.items()}
    worn_as = {entry.text: entry.category for entry in loaded.vocabulary.attributes[KINDS].labels}
    labels[KINDS] = [label for label in labels.get(KINDS, []) if worn_as[label] in (None, item.category)]
    if corrected:
        labels["colour"] = [item.colours[0]]
    names = ("colour",) if corrected else ()
    return loaded.item_of_labels(item.category, labels, "", names, item.photo_embedding)


def shoes(products: Path, seed: int) -> None:
    """The best shoe for a top and a bottom of one purpose and gender, by the shop's own labels."""
    with (products / "styles.csv").open(encoding="utf-8", newline="") as file:
        rows = {row["id"]: row for row in csv.DictReader(file)}
    loaded = load(catalogue=products / "styles.csv", say=note, progress=progress_bar)
    choices: tuple[Choice, ...] = (
        ("formal shoes for formal shirts and trousers",
         lambda shoe: shoe["articleType"] == "Formal Shoes" or shoe["usage"] == "Formal",
         (_is({"Shirts"}, "Formal", "Men"), _is({"Trousers"}, "Formal", "Men"))),
        ("sports shoes for sports clothes",
         lambda shoe: shoe["articleType"] == "Sports Shoes" or shoe["usage"] == "Sports",
         (_is({"Tshirts"}, "Sports", "Men"), _is({"Track Pants", "Shorts"}, "Sports", "Men"))),
        ("no sports shoes for ethnic wear",
         lambda shoe: shoe["articleType"] != "Sports Shoes" and shoe["usage"] != "Sports",
         (_is({"Kurtas", "Kurtis"}, "Ethnic", "Women"),
          _is({"Churidar", "Patiala", "Salwar", "Leggings", "Salwar and Dupatta"}, None, "Women"))),
    )  # fmt: skip
    rng = np.random.default_rng(seed)
    assert loaded.catalogue is not None
    known = set(loaded.catalogue.ids())
    for name, is_right, parts in choices:
        pools = [[item_id for item_id, row in rows.items() if item_id in known and fits(row)] for fits in parts]
        asked = [[str(rng.choice(pool)) for pool in pools] for _ in range(ASKED)]
        for language_model in (True, False):
            answers = [
                loaded.complete(ids, want="shoes", k=1, language_model=language_model, reasons=False).suggestions
                for ids in asked
            ]
            right = [bool(answer) and is_right(rows[answer[0].item.id]) for answer in answers]
            told(f"{name}, language model {language_model}", right)
            wrong = [
                " | ".join(rows[item_id]["productDisplayName"] for item_id in (answer[0].item.id, *ids))
                for ids, answer, good in zip(asked, answers, right, strict=True)
                if answer and not good
            ]
            for line in wrong[:5]:
                print(f"    {line}")


def _is(kinds: set[str], usage: str | None, gender: str) -> Callable[[Product], bool]:
    return lambda row: row["articleType"] in kinds and usage in (None, row["usage"]) and row["gender"] == gender


if __name__ == "__main__":
    main()
