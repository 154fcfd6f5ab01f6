"""Print what an encoder sees in the held-out photos of both shops, and among other things.

Each encoder is a folder of ``export_encoder.py``, or ``edge``, the package's. Given one trained on both shops and
two trained on one, each shop is also measured by an encoder that saw only the other. 95% Wilson intervals.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.evaluation import share_with_interval
from coordi.encoders.labels import NO_GARMENT, SUBJECT, LabelClassifier, Vocabulary, load_vocabulary
from measured import Answers, answers, vectors_of
from shops import MANGO, PRODUCTS, MadePhoto, ShopPhoto, made_photos, shop_photos, words


@dataclass(frozen=True)
class Seen:
    """Photos of one part, and their vectors by one encoder."""

    encoder: EdgeEncoder
    vocabulary: Vocabulary
    photos: Sequence[ShopPhoto]
    rows: NDArray[np.float32]
    made: Sequence[MadePhoto]
    made_rows: NDArray[np.float32]

    def judge(self, name: str) -> LabelClassifier:
        """The classifier of an attribute."""
        return LabelClassifier.of_attribute(name, self.vocabulary.attributes[name], self.encoder)

    def labels(self, name: str) -> list[str]:
        """Labels of an attribute."""
        return [entry.text for entry in self.vocabulary.attributes[name].labels]

    def of(self, name: str, shop: str) -> Answers:
        """Answers for an attribute, of one shop's photos."""
        truths = [photo.labels.get(name, ()) if photo.shop == shop else () for photo in self.photos]
        return answers(self.labels(name), self.judge(name), self.rows, truths)


def share(right: NDArray[np.bool_]) -> str:
    if not len(right):
        return "-"
    value, (low, high) = share_with_interval(right)
    return f"{value:.3f} [{low:.3f}, {high:.3f}] of {len(right):,}"


def families(seen: Seen, shop: str) -> tuple[Answers, list[set[str]], list[str]]:
    """Answers for the colour, and by photo the families of the right colours and of the one that is said."""
    given, owner = seen.of("colour", shop), {c: name for name, these in words()["families"].items() for c in these}
    truths = [{owner[colour] for colour in seen.photos[place].labels["colour"]} for place in given.photos]
    return given, truths, [owner[label] for label in given.labels]


def rows_of(seen: Seen, shop: str) -> dict[str, str]:
    """Rows of the table for one shop."""
    kinds = seen.of("category", shop)
    _, truths, said = families(seen, shop)
    right = np.array([family in truth for family, truth in zip(said, truths, strict=True)])
    only = {name: np.array([truth == {name} for truth in truths]) for name in ("navy", "black")}
    # Navy counts as blue where families are compared, and is looked at by itself below.
    blue = [{"blue" if name == "navy" else name for name in truth} for truth in truths]
    wide = np.array([("blue" if f == "navy" else f) in truth for f, truth in zip(said, blue, strict=True)])
    table = {"kind": share(kinds.right)}
    for kind in ("flats", "jacket", "sweatshirt"):
        table[f"kind, {kind}"] = share(
            kinds.right[[seen.photos[p].labels["category"] == (kind,) for p in kinds.photos]]
        )
    table |= {
        "colour family": share(wide),
        "navy told from blue and black": share(right[only["navy"]]),
        "navy called black": share(np.array(said)[only["navy"]] == "black"),
        "black called black": share(right[only["black"]]),
    }
    for name in ("occasion", "formality", "material"):
        if name in seen.vocabulary.attributes and (name, shop) != ("occasion", MANGO):
            table[name] = share(seen.of(name, shop).right)
    for name in ("occasion", "formality"):
        if name in seen.vocabulary.attributes:
            given = seen.of(name, shop)
            formal = [seen.photos[place].labels[name] == ("formal",) for place in given.photos]
            table[f"{name} of what is formal"] = share(given.right[formal])
    return table | subject_rows(seen, shop)


def subject_rows(seen: Seen, shop: str) -> dict[str, str]:
    """How many garments are lost as no garment or as several, at the vocabulary's threshold."""
    if SUBJECT not in seen.vocabulary.attributes:
        return {}
    these = [photo.shop == shop and photo.labels[SUBJECT] == ("one garment",) for photo in seen.photos]
    said = subjects(seen, seen.rows[these])
    return {
        "garments taken for no garment": share(said == NO_GARMENT),
        "one garment taken for several": share(said == "several garments"),
    }


def subjects(seen: Seen, rows: NDArray[np.float32]) -> NDArray[np.str_]:
    """What descriptions say of the photos as wholes, ``(N,)``; empty where nothing is sure enough."""
    shares = seen.judge(SUBJECT).probabilities(rows)
    said = np.array(seen.labels(SUBJECT))[shares.argmax(axis=1)]
    return np.where(shares.max(axis=1) >= seen.vocabulary.attributes[SUBJECT].threshold, said, "")


def made_rows(seen: Seen) -> dict[str, str]:
    """How many of the made photos are known for what they are, at the vocabulary's threshold."""
    if SUBJECT not in seen.vocabulary.attributes:
        return {}
    said, table = subjects(seen, seen.made_rows), {}
    for subject in (NO_GARMENT, "several garments"):
        these = np.array([photo.subject == subject for photo in seen.made])
        table[subject] = share(said[these] == subject)
    for source in sorted({photo.source.partition("-")[0] for photo in seen.made if photo.subject == NO_GARMENT}):
        these = np.array([photo.subject == NO_GARMENT and photo.source.startswith(source) for photo in seen.made])
        table[f"{NO_GARMENT}, {source}"] = share(said[these] == NO_GARMENT)
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("encoders", nargs="+", help="folders, or 'edge'")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--cache", type=Path, default=Path(".cache/edge-encoder"))
    parser.add_argument("--vocabulary", default="fashion")
    parser.add_argument("--part", default="held-out", choices=["held-out", "choices"])
    options = parser.parse_args()
    vocabulary = load_vocabulary(options.vocabulary)
    photos = [photo for photo in shop_photos(options.data) if photo.part == options.part]
    made = [photo for photo in made_photos(options.cache / "made") if photo.part == options.part]
    columns = {}
    for name in options.encoders:
        encoder = EdgeEncoder.bundled() if name == "edge" else EdgeEncoder.from_folder(Path(name))
        seen = Seen(encoder, vocabulary, photos, vectors_of(photos, encoder), made, vectors_of(made, encoder))
        tables = {shop: rows_of(seen, shop) for shop in (PRODUCTS, MANGO)} | {"made": made_rows(seen)}
        columns[name] = {(shop, row): cell for shop, table in tables.items() for row, cell in table.items()}
    print(f"| photos | what is right | {' | '.join(Path(name).name for name in columns)} |")
    print("|---|---|" + "---|" * len(columns))
    for shop, row in next(iter(columns.values())):
        print(f"| {shop} | {row} | {' | '.join(column[shop, row] for column in columns.values())} |")


if __name__ == "__main__":
    main()
