"""The stage that measures a model beside its baselines, and the one that writes down what was found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import hash_file, is_finished, read_json, stage_folder, versions
from coordi.config import RunSettings
from coordi.data.leaks import audit
from coordi.data.storage import write_questions
from coordi.domain import Dataset, Outfit, Split, WornCategory
from coordi.errors import RecommendationError
from coordi.evaluate.baselines import plain_baselines
from coordi.evaluate.benchmark import Evaluation, evaluate
from coordi.evaluate.findings import LearningPoint, Report, ShownRecommendation
from coordi.evaluate.report import write_report
from coordi.evaluate.scorer import OutfitScorer
from coordi.pipeline.stages import Material
from coordi.pipeline.workspace import Workspace
from coordi.recommend.stylist import Catalogue, recommend

EVALUATION = "evaluation"
_RECOMMEND_STREAM = 601  # of the run's seed


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """The model under test.

    Attributes:
        name: ``fine-tuned`` or ``base``.
        settings: Of the run that made it: its base model and its prompts.
        adapter: Its adapter; None for the base model.
        curve: Its learning curve file; None if there is none.
    """

    name: str
    settings: RunSettings
    adapter: Path | None
    curve: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What ``report.json`` says of it."""
        return {
            "name": self.name,
            "base": self.settings.model.base,
            "quantization": self.settings.model.quantization,
            "fine_tuned": self.adapter is not None,
        }

    def identity(self) -> str:
        """SHA-256 of the adapter's weights; ``base`` if there is none."""
        return "base" if self.adapter is None else hash_file(self.adapter / "adapter_model.safetensors")


class LoadedWhenAsked:
    """A scorer whose model is loaded by its first question, so that finished scores cost no loading."""

    def __init__(self, name: str, load: Callable[[], OutfitScorer]) -> None:
        self.name = name
        self.gives_probabilities = True
        self._load = load
        self._scorer: OutfitScorer | None = None

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``."""
        if self._scorer is None:
            self._scorer = self._load()
        return self._scorer.score(outfits)


def model_scorer(model: MeasuredModel, texts: Mapping[str, str], passes: int = 1) -> LoadedWhenAsked:
    """The scorer of a model, for texts by item id."""

    def load() -> OutfitScorer:
        from coordi.model.base import resolve_base
        from coordi.model.score import load_scorer

        return load_scorer(resolve_base(model.settings.model), model.adapter, texts, model.settings, passes)

    return LoadedWhenAsked(model.name, load)


def measure_model(work: Workspace, material: Material, model: MeasuredModel, inputs: Mapping[str, str]) -> Evaluation:
    """Ask the model, the base model and the plain baselines the same questions; scores are kept as they come."""
    folder, dataset, texts = work.out / EVALUATION, material.dataset, material.texts
    scorers: list[OutfitScorer] = [model_scorer(model, texts)]
    if work.settings.evaluate.baselines != "none":
        if model.adapter is not None:
            scorers.append(model_scorer(replace(model, name="base", adapter=None), texts))
        scorers += plain_baselines(dataset, work.settings.seed)
    settings, seed = work.settings.evaluate, work.settings.seed
    if is_finished(folder):
        work.say(f"measuring: done before, in {folder}")
        return evaluate(dataset, scorers, settings, seed, folder=folder)
    work.say(f"measuring {', '.join(scorer.name for scorer in scorers)}")
    with stage_folder(folder, work.record(inputs)), work.progress("measuring") as progress:
        evaluation = evaluate(dataset, scorers, settings, seed, progress, folder)
        _write_questions(folder, evaluation)
    return evaluation


def write_findings(work: Workspace, material: Material, model: MeasuredModel, evaluation: Evaluation) -> None:
    """Write ``report.json``, ``report.html`` and ``scores.parquet`` into the output folder."""
    work.say("writing the report")
    questions = {part.questions.protocol: part.questions.test for part in evaluation.protocols}
    report = Report(
        command=work.command,
        dataset=material.dataset,
        evaluation=evaluation,
        model=model.facts(),
        settings=work.settings.model_dump(mode="json"),
        leaks=audit(material.dataset, questions, material.texts),
        training=_learning_curve(model.curve),
        descriptions=material.described.descriptions,
        recommendations=_recommendations(work.settings, material, model_scorer(model, material.texts)),
        versions=versions(),
    )
    write_report(work.out, report)


def _write_questions(folder: Path, evaluation: Evaluation) -> None:
    for part in evaluation.protocols:
        asked = part.questions
        write_questions(folder / f"questions-valid-{asked.protocol}.parquet", asked.valid)
        write_questions(folder / f"questions-test-{asked.protocol}.parquet", asked.test)
        write_questions(folder / f"blanks-test-{asked.protocol}.parquet", asked.blanks)


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
