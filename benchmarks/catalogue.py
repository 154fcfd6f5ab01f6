"""A catalogue of 100,000 items: how it is built, how fast it is searched, and what a plain search would take.

    python benchmarks/catalogue.py FOLDER [--items 100000] [--photos 4000] [--queries 200] [--seed 0] [--json]
    python benchmarks/catalogue.py FOLDER --catalogue DIR

FOLDER is a catalogue with photos (``styles.csv`` and ``images/``). Its first ``--photos`` items that have a photo are
built into a catalogue as ``coordi catalogue build`` does it, with no photo seen before: rate, memory and size are of
that. The large catalogue is made of these: each of its items is one of them, with the photo's vector moved a little
towards that of another item of its category (0.85 of the one and 0.15 of the other, made unit length again), the first
half of its title joined to the second half of the other's, the text encoded anew, and a price drawn (log-normal, median
40). So vectors and texts are mixtures of real ones, all different.

Queries are vectors of photos of FOLDER that aren't in it, and texts' vectors halfway between two of the catalogue.
``nearest`` gives 48 whole items; "numpy" is what one would write instead: all vectors in one array, columns in an Arrow
table, a mask by ``pyarrow.compute``, a product, ``argpartition``, ids in order, and nothing read of the items. The two
take turns, query by query, so that what else runs on the machine slows both alike. Recall is the share of our items
whose product is at least numpy's 48th, less a millionth for rounding. With ``--catalogue`` the same questions are asked
of one that was built before, such as that of ``catalogue_build.py --keep``.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BEST = 48
SHARE = 0.85
CATEGORY = "shoes"
MEDIAN_PRICE = 40.0


@contextmanager
def quietly(label: str) -> Iterator[Callable[[int, int], None]]:
    yield lambda done, total: None


def memory() -> float:
    """Resident size of this process now, in MiB."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / 2**20


def some_of(folder: Path, photos: int, scratch: Path) -> tuple[Path, list[Path]]:
    """A table of the first items of a folder beside links to its photos, and photos that aren't in it."""
    with (folder / "styles.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if (folder / "images" / f"{row['id']}.jpg").is_file()]
    shop = scratch / "shop"
    shop.mkdir()
    (shop / "images").symlink_to((folder / "images").resolve())
    with (shop / "styles.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows[:photos])
    return shop, [folder / "images" / f"{row['id']}.jpg" for row in rows[photos:]]


def build(shop: Path, scratch: Path) -> dict[str, Any]:
    from coordi.model.trained import find_model
    from coordi.recommend.build import CatalogueJob, DescriptionPipeline, build_catalogue, refresh_catalogue

    os.environ["COORDI_CACHE"] = str(scratch / "cache")
    settings = find_model("bundled").settings
    eyes = DescriptionPipeline.of(settings.describe, settings.prompt)
    work = CatalogueJob(scratch / "small", "benchmark", quietly)
    before, started = memory(), time.perf_counter()
    found = build_catalogue(shop, eyes, work)
    built = time.perf_counter()
    refresh_catalogue(None, work)
    refreshed = time.perf_counter()
    return {
        "items": found.items,
        "photos": found.encoded,
        "photos_per_second": found.encoded / (built - started),
        "items_per_second_of_an_unchanged_refresh": found.items / (refreshed - built),
        "memory_mib": {"before": before, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10},
    }


def mixed(folder: Path, count: int, rng: np.random.Generator) -> Iterator[list[Any]]:
    """Rows of the large catalogue, a thousand at a time."""
    from coordi.encoders.labels import load_vocabulary
    from coordi.model.ensemble import text_encoder
    from coordi.recommend.catalogue import Catalogue
    from coordi.recommend.catalogue_file import CatalogueRow
    from coordi.recommend.items import describe_items

    with Catalogue.open(folder) as index:
        real = [one for one in index.get(index.ids()).values() if one.photo_embedding is not None]
        info = index.info
    vocabulary = load_vocabulary(info.describe.vocabulary)
    alike: dict[str, list[Any]] = {}
    for one in real:
        alike.setdefault(one.item.category, []).append(one)
    for start in range(0, count, 1000):
        items, descriptions, vectors = [], {}, {}
        for place in range(start, min(start + 1000, count)):
            one = real[rng.integers(len(real))]
            other = alike[one.item.category][rng.integers(len(alike[one.item.category]))]
            words, others = one.item.title.split(), other.item.title.split()
            title = " ".join([*words[: len(words) // 2], *others[len(others) // 2 :]])
            price = float(np.round(MEDIAN_PRICE * np.exp(rng.normal() * 0.8), 2))
            extra = {**one.item.extra, "stock": str(rng.integers(0, 5))}
            item = replace(one.item, id=f"{one.id}-{place}", title=title, price=price, extra=extra)
            items.append(item)
            descriptions[item.id] = replace(one.description, item_id=item.id)
            moved = SHARE * one.photo_embedding + (1 - SHARE) * other.photo_embedding
            vectors[item.id] = np.asarray(moved / np.linalg.norm(moved), dtype=np.float32)
        found = describe_items(items, descriptions, vectors, info.prompt, vocabulary, text_encoder())
        yield [CatalogueRow(start + place, one) for place, one in enumerate(found)]


def make_large(small: Path, large: Path, count: int, seed: int) -> dict[str, Any]:
    from coordi.artifacts import write_json
    from coordi.recommend.build import info_of
    from coordi.recommend.catalogue_file import writing_catalogue

    info = info_of(small)
    large.mkdir()
    started = time.perf_counter()
    with writing_catalogue(large, info) as writer:
        for rows in mixed(small, count, np.random.default_rng(seed)):
            writer.add(rows)
        staged = time.perf_counter()
        writer.finish()
    ended = time.perf_counter()
    for name in ("catalogue.json", "manifest.json"):
        write_json(large / name, info.model_dump(mode="json"))
    size = (large / "items.duckdb").stat().st_size / 2**20
    return {
        "items": count,
        "seconds_to_tell_and_stage": staged - started,
        "seconds_to_write": ended - staged,
        "mib": size,
    }


class Plain:
    """The same search in numpy and Arrow."""

    def __init__(self, items: Sequence[Any]) -> None:
        self.ids = np.array([one.id for one in items])
        self.vectors = {
            "photo": np.stack([one.photo_embedding for one in items]),
            "text": np.stack([one.text_embedding for one in items]),
        }
        self.table = pa.table({
            "category": [one.item.category for one in items],
            "price": [one.item.price for one in items],
            "gender": [one.gender for one in items],
            "in_stock": [one.in_stock for one in items],
        })  # fmt: skip

    def nearest(self, query: Any, space: str, rules: Any, category: str | None) -> list[tuple[str, float]]:
        """Ids and products of the best, best first."""
        mask = self._mask(rules, category)
        if mask is None:
            rows, scores = None, self.vectors[space] @ query
        else:
            rows = np.flatnonzero(mask)
            scores = self.vectors[space][rows] @ query
        best = np.argpartition(-scores, BEST)[:BEST]
        best = best[np.argsort(-scores[best], kind="stable")]
        return list(zip(self.ids[best if rows is None else rows[best]], scores[best], strict=True))

    def _mask(self, rules: Any, category: str | None) -> Any:
        conditions = []
        if category is not None:
            conditions.append(pc.equal(self.table["category"], category))
        if rules.price_max is not None:
            conditions.append(pc.less_equal(self.table["price"], rules.price_max))
            conditions.append(pc.is_in(self.table["gender"], pa.array([rules.gender, "unisex"])))
            conditions.append(pc.invert(pc.fill_null(pc.equal(self.table["in_stock"], False), False)))
        if not conditions:
            return None
        mask = conditions[0]
        for condition in conditions[1:]:
            mask = pc.and_kleene(mask, condition)
        return pc.fill_null(mask, False).to_numpy(zero_copy_only=False)


def search(large: Path, photos: Sequence[Path], queries: int) -> dict[str, Any]:
    from coordi.data.photos import open_photo
    from coordi.recommend.build import DescriptionPipeline
    from coordi.recommend.catalogue import Catalogue
    from coordi.recommend.rules import Rules

    before, started = memory(), time.perf_counter()
    index = Catalogue.open(large)
    opened = time.perf_counter() - started
    started = time.perf_counter()
    index.nearest(np.ones(index.info.text_dimension, dtype=np.float32), "text", BEST)
    first = time.perf_counter() - started
    eyes = DescriptionPipeline.of(index.info.describe, index.info.prompt)
    with_models = memory()
    chosen = photos[:: max(1, len(photos) // queries)][:queries]
    asked = eyes.encoder.encode_images([open_photo(path) for path in chosen])  # (Q, D)
    every = list(index.get(index.ids()).values())
    plain = Plain(every)
    ids = [one.id for one in every]
    texts = np.stack([one.text_embedding for one in every])[
        np.random.default_rng(1).integers(len(every), size=len(asked))
    ]
    # A text nobody has: between two of the catalogue.
    texts = np.asarray((texts + np.roll(texts, 1, axis=0)) / 2, dtype=np.float32)
    rules = Rules(price_max=MEDIAN_PRICE, gender="women", in_stock=True)
    ways: dict[str, tuple[Any, str | None]] = {
        "everything": (Rules(), None),
        f"category {CATEGORY}": (Rules(), CATEGORY),
        "rules": (rules, None),
        f"category {CATEGORY} and rules": (rules, CATEGORY),
    }
    found: dict[str, Any] = {"queries": len(asked), "ms_to_open": 1000 * opened, "ms_of_the_first_search": 1000 * first}
    for space, vectors in (("photo", asked), ("text", texts)):
        for name, (way, category) in ways.items():
            found[f"{space}: {name}"] = _raced(index, plain, space, vectors, way, category)
    found["other questions, ms"] = {
        "count by rules": _timed(lambda: index.count(rules)),
        "left_out": _timed(lambda: index.left_out(rules, CATEGORY)),
        "page by two words": _timed(lambda: index.page(words="black shirt")),
        "get 48 items": _timed(lambda: index.get(ids[::2000])),
        "near_ids": _timed(lambda: index.near_ids("10000-x")),
    }
    found["memory_mib"] = {"before opening": before, "with the encoder": with_models}
    index.close()
    return found


def _raced(index: Any, plain: Plain, space: str, vectors: Any, rules: Any, category: str | None) -> dict[str, Any]:
    ours, theirs, same = [], [], 0
    for query in vectors:
        started = time.perf_counter()
        found = index.nearest(query, space, BEST, rules, category)
        middle = time.perf_counter()
        expected = plain.nearest(query, space, rules, category)
        ended = time.perf_counter()
        ours.append(1000 * (middle - started))
        theirs.append(1000 * (ended - middle))
        same += sum(score >= expected[-1][1] - 1e-6 for _, score in found)
    return {
        "allowed": index.count(rules, category),
        "recall": same / (BEST * len(vectors)),
        "p50_ms": float(np.percentile(ours, 50)),
        "p95_ms": float(np.percentile(ours, 95)),
        "numpy_p50_ms": float(np.percentile(theirs, 50)),
        "numpy_p95_ms": float(np.percentile(theirs, 95)),
        "times_numpys_p50": float(np.percentile(ours, 50) / np.percentile(theirs, 50)),
    }


def _timed(ask: Callable[[], Any], times: int = 20) -> float:
    seconds = []
    for _ in range(times):
        started = time.perf_counter()
        ask()
        seconds.append(time.perf_counter() - started)
    return 1000 * float(np.median(seconds))


def memory_of_searching(large: Path, queries: int = 100) -> float:
    """MiB that a process grows by in opening the catalogue and searching all of it, models and others' arrays apart."""
    from coordi.recommend.catalogue import Catalogue

    before = memory()
    with Catalogue.open(large) as index:
        rng = np.random.default_rng(0)
        for _ in range(queries):
            index.nearest(rng.normal(size=index.info.photo_dimension).astype(np.float32), "photo", BEST)
            index.nearest(rng.normal(size=index.info.text_dimension).astype(np.float32), "text", BEST)
        return memory() - before


def change_one(large: Path) -> float:
    from coordi.recommend.build import CatalogueJob, remove_from_catalogue
    from coordi.recommend.catalogue import Catalogue

    with Catalogue.open(large) as index:
        first = index.ids()[0]
    started = time.perf_counter()
    remove_from_catalogue([first], CatalogueJob(large, "benchmark", quietly))
    return time.perf_counter() - started


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--items", type=int, default=100_000)
    parser.add_argument("--photos", type=int, default=4000)
    parser.add_argument("--queries", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--catalogue", type=Path, help="search this one, built before, and build none")
    given = parser.parse_args()
    found: dict[str, Any]
    if given.catalogue is not None:
        photos = sorted((given.folder / "images").iterdir())
        found = {"searching_mib": memory_of_searching(given.catalogue)}
        found["search"] = search(given.catalogue, photos, given.queries)
        print(json.dumps(found, indent=2) if given.json else _text(found))
        return
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        shop, others = some_of(given.folder, given.photos, scratch)
        found = {"build": build(shop, scratch)}
        found["large"] = make_large(scratch / "small", scratch / "large", given.items, given.seed)
        found["searching_mib"] = memory_of_searching(scratch / "large")
        found["search"] = search(scratch / "large", others, given.queries)
        found["seconds_to_remove_one_item"] = change_one(scratch / "large")
    print(json.dumps(found, indent=2) if given.json else _text(found))


def _text(found: dict[str, Any], indent: str = "") -> str:
    lines = []
    for name, value in found.items():
        if isinstance(value, dict):
            lines += [f"{indent}{name}", _text(value, f"{indent}  ")]
        else:
            lines.append(
                f"{indent}{name:<42} {value:,.3f}" if isinstance(value, float) else f"{indent}{name:<42} {value}"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
