"""Writing down what was found: the report, with examples of what the model would recommend."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from coordi.artifacts import read_json, versions
from coordi.config import RunSettings
from coordi.describe.vocabulary import load_vocabulary
from coordi.domain import Dataset, Outfit, WornCategory
from coordi.evaluate.findings import LearningPoint, Report, ShownRecommendation
from coordi.evaluate.report import write_report
from coordi.pipeline.item_scoring import LoadedModel
from coordi.pipeline.measuring import Measured
from coordi.pipeline.opening_catalogues import index_of
from coordi.pipeline.plain_parts import text_encoder
from coordi.pipeline.scorers import MeasuredModel
from coordi.pipeline.stages import Material
from coordi.pipeline.workspace import Workspace
from coordi.recommend.stylist import Stylist

_RECOMMEND_STREAM = 601  # of the run's seed


def write_findings(work: Workspace, material: Material, model: MeasuredModel, measured: Measured) -> None:
    """Write the report in all its forms into the output folder."""
    work.say("writing the report")
    report = Report(
        command=work.command,
        dataset=material.dataset,
        evaluation=measured.evaluation,
        model=model.facts(),
        settings=work.settings.model_dump(mode="json"),
        leaks=measured.leaks,
        training=_learning_curve(model.curve),
        descriptions=material.described.descriptions,
        recommendations=_recommendations(work.settings, material, model),
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
    settings: RunSettings, material: Material, model: MeasuredModel
) -> tuple[ShownRecommendation, ...]:
    """A few outfits of the test split with one item taken away, and what the model would add from that split."""
    rng = np.random.default_rng([settings.seed, _RECOMMEND_STREAM])
    dataset = material.dataset
    held = dict.fromkeys(name for outfit in dataset.outfits_of("test") for name in outfit.item_ids)
    if not held or not settings.evaluate.examples:
        return ()
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    index = index_of(material, settings, tuple(dataset.items[name] for name in held), dataset.name)
    stylist = Stylist(index, LoadedModel(model), settings.recommend, vocabulary, text_encoder().encode_texts)
    shown = []
    for outfit in _worth_showing(dataset, settings.evaluate.examples, rng):
        place = int(rng.integers(len(outfit.item_ids)))
        want: WornCategory = dataset.items[outfit.item_ids[place]].category
        context = outfit.item_ids[:place] + outfit.item_ids[place + 1 :]
        known = index.get(context)
        found = stylist.complete([known[name] for name in context], want, settings.recommend.top_k, reasons=False)
        if not found.suggestions:  # two pairs of shoes in one outfit, or nothing else of the category: not an example
            continue
        suggestions = tuple((suggestion.item.id, suggestion.score) for suggestion in found.suggestions)
        shortlist = "everything" if found.ranked >= found.candidates else "without-language-model"
        shown.append(ShownRecommendation(context, want, suggestions, shortlist, outfit.item_ids[place]))
    return tuple(shown)


def _worth_showing(dataset: Dataset, count: int, rng: np.random.Generator) -> list[Outfit]:
    """Outfits of three items or more, those with the most photos first."""
    outfits = [outfit for outfit in dataset.outfits_of("test") if len(outfit.item_ids) >= 3]
    drawn = [outfits[place] for place in rng.permutation(len(outfits))]
    return sorted(drawn, key=lambda one: -sum(dataset.items[item_id].image is not None for item_id in one.item_ids))[
        :count
    ]
