"""Answers about items that a user names on the spot, by the same prompts and scorer that were measured."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from coordi.artifacts import cache_folder, read_json
from coordi.config import RunSettings
from coordi.domain import Item
from coordi.errors import DataError, RecommendationError
from coordi.pipeline import stages
from coordi.pipeline.given import given_items
from coordi.pipeline.models import find_model
from coordi.pipeline.reporting import catalogue_of
from coordi.pipeline.scorers import MeasuredModel, model_scorer
from coordi.pipeline.workspace import CLAIM, Workspace, code_identity, fingerprint
from coordi.progress import Progress
from coordi.recommend.fitting import cautions, parse_category
from coordi.recommend.stylist import Catalogue, recommend

# Orders of the items that a score is averaged over.
PASSES = 4
_STREAM = 701


@dataclass(frozen=True, slots=True)
class OutfitScore:
    """How well given items go together.

    Attributes:
        model: ``fine-tuned`` or ``base``.
        given: As the user named them.
        texts: What the model was told of each.
        score: P(yes) in ``[0, 1]``.
        without: P(yes) of the outfit without each item; None where two items are all there are.
        weakest: Position of the item whose absence helps most; None if none does.
        cautions: What among the items nobody wears together, which a score says nothing of.
    """

    model: str
    given: tuple[str, ...]
    texts: tuple[str, ...]
    score: float
    without: tuple[float | None, ...]
    weakest: int | None
    cautions: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """For ``--json``."""
        items = [
            {"given": given, "text": text, "score_without": without}
            for given, text, without in zip(self.given, self.texts, self.without, strict=True)
        ]
        weakest = None if self.weakest is None else self.given[self.weakest]
        return {"score": self.score, "model": self.model, "weakest": weakest, "items": items, "cautions": self.cautions}


@dataclass(frozen=True, slots=True)
class Wish:
    """What a user asks to be recommended: items they have, a category or None, and how many suggestions."""

    items: Sequence[str]
    want: str | None
    top_k: int


def score_given(given: Sequence[str], model: MeasuredModel, say: Callable[[str], None]) -> OutfitScore:
    """Score items named on the spot.

    Args:
        given: Photos' paths or words.
        model: Who is asked.
        say: Shows one line to the user.

    Raises:
        DataError: If there are fewer than two, or one names nothing that is worn.
    """
    if len(given) < 2:
        raise DataError(f"scoring needs 2 items or more, got {len(given)}; add what should go with '{given[0]}'")
    items, described = given_items(given, model.settings.describe)
    by_id = {item.id: item for item in items}
    seen = described.descriptions if described else {}
    texts = stages.texts_of(by_id, seen, model.settings.prompt)
    ids = list(by_id)
    shortened = [[*ids[:place], *ids[place + 1 :]] for place in range(len(ids))] if len(ids) > 2 else []
    say("loading the language model; the very first time it is also unpacked, which takes a minute")
    whole, *rest = model_scorer(model, by_id, texts, PASSES).score([ids, *shortened]).tolist()
    without = tuple(rest) if rest else (None,) * len(ids)
    weakest = max(range(len(rest)), key=rest.__getitem__) if rest and max(rest) > whole else None
    told = cautions([item.category for item in items])
    return OutfitScore(model.name, tuple(given), tuple(texts.values()), whole, without, weakest, told)


def recommend_given(
    source: Path,
    model_name: str | None,
    wish: Wish,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> dict[str, Any]:
    """Find what completes items named on the spot.

    Args:
        source: A run's output folder, or any data that coordi reads.
        model_name: As for ``find_model``; None takes the model of the run in ``source``, or the bundled one.
        wish: What is asked for.
        say: Shows one line to the user.
        progress: Shows progress of describing a catalogue for the first time.

    Raises:
        EncoderError: If ``source`` was described by another encoder than the one that sees the given photos.
        RecommendationError: If nothing fits, or ``source`` was described for another model.
    """
    if wish.want is not None:
        parse_category(wish.want)  # before a catalogue is read and described
    is_run = (source / CLAIM).is_file()
    model = find_model(model_name or (str(source) if is_run else "bundled"))
    material = _material(source, model.settings, is_run, say, progress)
    catalogue = catalogue_of(material)
    outfit, catalogue, texts = _with_given(wish.items, catalogue, material, model.settings)
    # Without a wanted category up to four of them share the shortlist.
    enough = max(model.settings.recommend.candidates, 4 * wish.top_k)
    settings = model.settings.recommend.model_copy(update={"top_k": wish.top_k, "candidates": enough})
    rng = np.random.default_rng([model.settings.seed, _STREAM])
    found = recommend(outfit, catalogue, model_scorer(model, catalogue.items, texts), settings, rng, wish.want)
    return {
        "outfit": [{"given": given, "text": texts[item]} for given, item in zip(wish.items, outfit, strict=True)],
        "model": model.name,
        "categories": found.categories,
        "candidates": found.candidates,
        "ranked": found.ranked,
        "shortlist": found.shortlist,
        "suggestions": [
            _shown(catalogue.items[one.item_id], texts[one.item_id], one.score) for one in found.suggestions
        ],
    }


def _material(
    source: Path,
    settings: RunSettings,
    is_run: bool,
    say: Callable[[str], None],
    progress: Callable[[str], AbstractContextManager[Progress]],
) -> stages.Material:
    if is_run:
        described_as = RunSettings.model_validate(read_json(source / CLAIM)["settings"]).describe
        alike = {"batch_size": 1, "allow_download": False}  # neither changes what is seen
        if described_as.model_copy(update=alike) != settings.describe.model_copy(update=alike):
            raise RecommendationError(
                f"'{source}' was described by the encoder '{described_as.encoder}' with the vocabulary "
                f"'{described_as.vocabulary}', but the model learned from '{settings.describe.encoder}' with "
                f"'{settings.describe.vocabulary}'; give the data itself with --catalogue"
            )
        return stages.finished_material(source, settings)
    inputs = fingerprint(source)
    known = json.dumps([code_identity(), str(source.resolve()), inputs, settings.describe.model_dump(mode="json")])
    out = cache_folder() / "catalogues" / hashlib.sha256(known.encode()).hexdigest()[:16]
    settings = settings.model_copy(update={"data": settings.data.model_copy(update={"photos": "optional"})})
    work = Workspace(source, out, settings, f"coordi recommend --catalogue {source}", say, progress)
    return stages.prepare(work, inputs)


def _with_given(
    given: Sequence[str], catalogue: Catalogue, material: stages.Material, settings: RunSettings
) -> tuple[list[str], Catalogue, dict[str, str]]:
    """Ids of what was given, and the catalogue and texts with what isn't in it added."""
    strangers = [one for one in given if one not in catalogue.items]
    items, described = given_items(strangers, settings.describe) if strangers else ((), None)
    seen = described.descriptions if described else {}
    texts = {**material.texts, **stages.texts_of({item.id: item for item in items}, seen, settings.prompt)}
    vectors = dict(catalogue.vectors)
    if described:
        material.described.check_seen_by(described.encoder)
        vectors.update(zip(described.ids, described.embeddings, strict=True))
    added = iter(items)
    outfit = [one if one in catalogue.items else next(added).id for one in given]
    everything = {**catalogue.items, **{item.id: item for item in items}}
    return outfit, replace(catalogue, items=everything, vectors=vectors), texts


def _shown(item: Item, text: str, score: float) -> dict[str, Any]:
    return {
        "id": item.id,
        "text": text,
        "title": item.title,
        "category": item.category,
        "score": score,
        "price": item.price,
        "image": None if item.image is None else str(item.image),
    }
