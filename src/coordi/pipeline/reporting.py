"""Writing down what was found: the report, with examples of what the model would recommend."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coordi.artifacts import read_json, versions
from coordi.config import RunSettings
from coordi.domain import Dataset, Outfit, Split, WornCategory
from coordi.errors import RecommendationError
from coordi.evaluate.findings import LearningPoint, Report, ShownRecommendation
from coordi.evaluate.report import write_report
from coordi.evaluate.scorer import OutfitScorer
from coordi.pipeline.measuring import Measured
from coordi.pipeline.scorers import MeasuredModel, model_scorer
from coordi.pipeline.stages import Material
from coordi.pipeline.workspace import Workspace
from coordi.recommend.stylist import Catalogue, recommend

_RECOMMEND_STREAM = 601  # of the run's seed


def write_findings(work: Workspace, material: Material, model: MeasuredModel, measured: Measured) -> None:
    """Write the report in all its forms into the output folder."""
    work.say("writing the report")
    scorer = model_scorer(model, material.dataset.items, material.texts)
    report = Report(
        command=work.command,
        dataset=material.dataset,
        evaluation=measured.evaluation,
        model=model.facts(),
        settings=work.settings.model_dump(mode="json"),
        leaks=measured.leaks,
        training=_learning_curve(model.curve),
        descriptions=material.described.descriptions,
        recommendations=_recommendations(work.settings, material, scorer),
        versions=versions(),
        warnings=measured.warnings,
        seeds=measured.seeds,
        learning_curve=measured.learning_curve,
    )
    write_report(work.out, report)


def _learning_curve(path: Path | None) -> tuple[LearningPoint, ...]:
    if path is None or not path.is_file():
        return ()
    return tuple(
        LearningPoint(point["step"], point["train_loss"], point["valid_loss"], point["valid_auc"])
        for point in read_json(path)
    )


def _recommendations(
    settings: RunSettings, material: Material, scorer: OutfitScorer
) -> tuple[ShownRecommendation, ...]:
    """A few outfits of the test split with one item taken away, and what the model would add from that split."""
    rng = np.random.default_rng([settings.seed, _RECOMMEND_STREAM])
    dataset = material.dataset
    catalogue = catalogue_of(material, "test")
    shown = []
    for outfit in _worth_showing(dataset, settings.evaluate.examples, rng):
        place = int(rng.integers(len(outfit.item_ids)))
        want: WornCategory = dataset.items[outfit.item_ids[place]].category
        context = outfit.item_ids[:place] + outfit.item_ids[place + 1 :]
        try:
            found = recommend(context, catalogue, scorer, settings.recommend, rng, want)
        except RecommendationError:  # two pairs of shoes in one outfit, or nothing else of the category: not an example
            continue
        suggestions = tuple((suggestion.item_id, suggestion.score) for suggestion in found.suggestions)
        shown.append(ShownRecommendation(context, want, suggestions, found.shortlist, outfit.item_ids[place]))
    return tuple(shown)


def catalogue_of(material: Material, split: Split | None = None) -> Catalogue:
    """The items of a split's outfits, or all items, with what the encoder saw of them."""
    items = material.dataset.items
    if split is not None:
        held = {item_id for outfit in material.dataset.outfits_of(split) for item_id in outfit.item_ids}
        items = {item_id: item for item_id, item in items.items() if item_id in held}
    described = material.described
    vectors = dict(zip(described.ids, described.embeddings, strict=True))
    return Catalogue(items, {item_id: vector for item_id, vector in vectors.items() if item_id in items})


def _worth_showing(dataset: Dataset, count: int, rng: np.random.Generator) -> list[Outfit]:
    """Outfits of three items or more, those with the most photos first."""
    outfits = [outfit for outfit in dataset.outfits_of("test") if len(outfit.item_ids) >= 3]
    drawn = [outfits[place] for place in rng.permutation(len(outfits))]
    return sorted(drawn, key=lambda one: -sum(dataset.items[item_id].image is not None for item_id in one.item_ids))[
        :count
    ]
