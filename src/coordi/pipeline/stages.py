"""The stages of a run in their order: prepare, fine-tune, evaluate. Finished stages are skipped."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from coordi.artifacts import is_finished, read_json, read_manifest, stage_folder, versions, write_json
from coordi.config import RunSettings
from coordi.data.leaks import Leak, audit
from coordi.data.loading import load, read_dataset, write_dataset, write_questions
from coordi.data.release_questions import without_items, without_training_outfits
from coordi.data.source import MIN_ITEMS
from coordi.data.style_pairs import STYLE_PAIRS
from coordi.encoders.base import load_settled_encoder
from coordi.encoders.describe import CatalogueDescriber, Described, read_described
from coordi.encoders.labels import KINDS, Vocabulary, load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache
from coordi.errors import DataError, EncoderError, EvaluationError, ModelError
from coordi.evaluation.baselines import NAMES, QUICK, BaselineInputs, build_baselines
from coordi.evaluation.benchmark import EvaluationRun, Scorer, measure
from coordi.evaluation.external import ExternalScores, write_questions_to_score
from coordi.evaluation.naming import NamingResult
from coordi.evaluation.page import write_report
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluation.report import Recommendation, ReportData, TrainingPoint
from coordi.evaluation.scoring import ReportWarning
from coordi.model.ensemble import Ensemble, text_encoder
from coordi.model.features import group_sums
from coordi.model.trained import ADAPTER, FINETUNE, SETTINGS, ModelScorers, TrainedModel, find_model, portable
from coordi.pipeline.naming import measure_naming
from coordi.pipeline.training_data import training_examples, validation_examples
from coordi.pipeline.workspace import Workspace
from coordi.recommend.build import DescriptionPipeline
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.items import describe_items
from coordi.recommend.stylist import Stylist
from coordi.types import Dataset, FunnelRow, Item, Outfit, OutfitScorer, RandomStream, Split

DATA = "data"
DESCRIPTIONS = "descriptions"
EVALUATION = "evaluation"
QUESTIONS = "questions"
TRAINED_ON = "trained_on.json"  # in an adapter's folder, so that no evaluation uses its training outfits
CHOSEN_ON = "chosen_on.json"  # the outfits that selected the adapter and fitted its ensemble


@dataclass(frozen=True, slots=True)
class PreparedData:
    """Cleaned, split and described data, with the name and identity of the encoder of its photos."""

    dataset: Dataset
    encoder: tuple[str, str]

    def check_encoder(self, encoder: tuple[str, str]) -> None:
        """Raise an ``EncoderError`` if there are photos and another encoder (name, identity) described them."""
        (name, identity), (needed, its_identity) = self.encoder, encoder
        if identity != its_identity and any(item.photo_embedding is not None for item in self.dataset.items.values()):
            raise EncoderError(
                f"these photos were described by the encoder '{name}' ({identity[:12]}), but the one that is loaded is "
                f"'{needed}' ({its_identity[:12]}), and embeddings of two encoders can't be compared; use '{name}', or "
                "describe the photos again into a new folder"
            )


def prepare(work: Workspace, inputs: Mapping[str, str]) -> PreparedData:
    """Read and clean the data and describe its photos."""
    folder = work.out / DATA
    if _is_unfinished(work, folder, "reading and cleaning the data"):
        with stage_folder(folder, work.record(inputs)):
            write_dataset(folder, load(work.data, work.settings.data, work.settings.seed))
    dataset = read_dataset(folder)
    folder = work.out / DESCRIPTIONS
    if _is_unfinished(work, folder, "describing photos"):
        with stage_folder(folder, work.record(inputs)):
            _describe_photos(work, dataset, folder)
    return _described_data(dataset, read_described(folder), work.settings)


def prepared_data(out: Path, settings: RunSettings) -> PreparedData:
    """Data that an earlier run prepared, with texts of these settings; an ``ArtifactError`` if it isn't finished."""
    for stage in (DATA, DESCRIPTIONS):
        read_manifest(out / stage)
    return _described_data(read_dataset(out / DATA), read_described(out / DESCRIPTIONS), settings)


def _describe_photos(work: Workspace, dataset: Dataset, folder: Path) -> None:
    settings = work.settings.describe
    items = [item for item in dataset.items.values() if item.image is not None]
    encoder = load_settled_encoder(settings)
    with work.progress("describing photos") as progress, EmbeddingCache.of(encoder) as cache:
        describer = CatalogueDescriber(encoder, load_vocabulary(settings.vocabulary), settings, cache)
        describer.describe(items, folder, progress=progress)


def _is_unfinished(work: Workspace, folder: Path, label: str) -> bool:
    if is_finished(folder):
        work.say(f"{label}: finished before, in {folder}")
        return False
    work.say(label)
    return True


def _described_data(dataset: Dataset, described: Described, settings: RunSettings) -> PreparedData:
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    dataset = _with_photo_categories(dataset, described, vocabulary)
    embeddings = dict(zip(described.ids, described.embeddings, strict=True))
    items = list(dataset.items.values())
    items = describe_items(items, described.descriptions, embeddings, settings.prompt, vocabulary, text_encoder())
    return PreparedData(replace(dataset, items={item.id: item for item in items}), described.encoder)


def _with_photo_categories(dataset: Dataset, described: Described, vocabulary: Vocabulary) -> Dataset:
    """Complete missing categories from the photos; leave out and count items that stay without one, but for those of
    style pairs, which are asked about by words alone.
    """
    items = dict(dataset.items)
    for item in dataset.items.values():
        if item.category is None:
            description = described.descriptions.get(item.id)
            labels = () if description is None else description.attributes.get(KINDS, ())
            category = vocabulary.category_of(KINDS, labels[0].text) if labels else None
            items[item.id] = replace(item, category=category)
            if category is None and dataset.layout != STYLE_PAIRS:
                del items[item.id]
    unknown = len(dataset.items) - len(items)
    if not unknown:
        return replace(dataset, items=items)
    shortened = [
        replace(outfit, item_ids=tuple(item_id for item_id in outfit.item_ids if item_id in items))
        for outfit in dataset.outfits
    ]
    outfits = tuple(outfit for outfit in shortened if len(outfit.item_ids) >= MIN_ITEMS)
    rows = (
        FunnelRow("items", "neither words nor the photo tell its category", unknown, len(items)),
        FunnelRow("outfits", f"fewer than {MIN_ITEMS} items left", len(shortened) - len(outfits), len(outfits)),
    )
    released = tuple(without_items(part, items) for part in dataset.released)
    return replace(dataset, items=items, outfits=outfits, funnel=(*dataset.funnel, *rows), released=released)


def finetune_model(work: Workspace, prepared: PreparedData, inputs: Mapping[str, str]) -> Path:
    """Fine-tune an adapter on the training split; returns its folder."""
    folder, settings = work.out / FINETUNE, work.settings
    if _is_unfinished(work, folder, "fine-tuning the language model"):
        dataset = prepared.dataset
        start = start_of(settings)
        with stage_folder(folder, work.record(inputs)):
            train(work, dataset)
            for name, split in ((TRAINED_ON, "train"), (CHOSEN_ON, "valid")):
                keys = {outfit_key(outfit.item_ids, dataset) for outfit in dataset.outfits if outfit.split == split}
                keys |= set() if start is None else set(read_json(start / name))
                write_json(folder / ADAPTER / name, sorted(keys))
            if settings.finetune.ensemble:
                _fit_ensemble(work, dataset, folder / ADAPTER)
            write_json(folder / ADAPTER / SETTINGS, portable(settings, prepared.encoder[1]).model_dump(mode="json"))
    return folder / ADAPTER


def start_of(settings: RunSettings) -> Path | None:
    """Folder of the adapter whose training is continued; None if a fresh one is trained."""
    return None if settings.finetune.start is None else find_model(settings.finetune.start).adapter


def without_start(prepared: PreparedData, settings: RunSettings) -> PreparedData:
    """Leave out what an adapter whose training is continued was trained or chosen on; see ``without_trained_on``."""
    start = start_of(settings)
    return prepared if start is None else without_trained_on(prepared, start)


def train(work: Workspace, dataset: Dataset) -> None:
    """Train the adapter; under ``torchrun`` every process makes this call with the same arguments."""
    from coordi.model.training import finetune

    settings = work.settings
    with work.progress("fine-tuning") as progress:
        examples, valid = training_examples(dataset, settings), validation_examples(dataset, settings)
        finetune(examples, valid, settings, work.out / FINETUNE, progress, work.say)


def _fit_ensemble(work: Workspace, dataset: Dataset, adapter: Path) -> None:
    """Fit the ensemble of an adapter; if that isn't possible, say so and use the language model alone."""
    from coordi.model.scoring import load_any_scorer

    settings = work.settings
    work.say("fitting the ensemble of the language model, category pairs and similarity")
    language_model = load_any_scorer(adapter, settings)
    try:
        vocabulary = load_vocabulary(settings.describe.vocabulary)
        Ensemble.learn(language_model, dataset, vocabulary, settings).save(adapter)
    except (DataError, EvaluationError) as error:
        work.say(f"  no ensemble, the language model is used alone: {error}")


def without_trained_on(prepared: PreparedData, adapter: Path) -> PreparedData:
    """Leave out validation and test outfits that an adapter was trained on, counted in the funnel.

    Test outfits that selected it or fitted its ensemble go too. A ``ModelError`` if it lists no training outfits.
    """
    path = adapter / TRAINED_ON
    if not path.is_file():
        raise ModelError(
            f"'{adapter}' has no {TRAINED_ON}, so we cannot exclude its training outfits, and the result could be "
            "inflated by memorisation; take the whole folder that coordi finetune made, or fine-tune again"
        )
    trained = set(read_json(path))
    chosen = set(read_json(adapter / CHOSEN_ON)) if (adapter / CHOSEN_ON).is_file() else set()
    excluded: Mapping[Split, set[str]] = {"train": set(), "valid": trained, "test": trained | chosen}
    dataset = prepared.dataset
    outfits = tuple(
        outfit for outfit in dataset.outfits if outfit_key(outfit.item_ids, dataset) not in excluded[outfit.split]
    )
    released = tuple(
        without_training_outfits(part, partial(_is_excluded, dataset, excluded[part.split]))
        for part in dataset.released
    )
    left_out = len(dataset.outfits) - len(outfits)
    if not left_out and released == dataset.released:
        return prepared
    row = FunnelRow("outfits", "the model was trained or chosen on it", left_out, len(outfits))
    return replace(
        prepared, dataset=replace(dataset, outfits=outfits, funnel=(*dataset.funnel, row), released=released)
    )


def outfit_key(item_ids: Sequence[str], dataset: Dataset) -> str:
    """Hash of an outfit's titles and categories, independent of ids and order."""
    items = sorted(f"{item.category}\0{item.title or item.id}" for item in dataset.items_of(item_ids))
    return hashlib.sha256("\0".join(items).encode()).hexdigest()


def _is_excluded(dataset: Dataset, keys: set[str], item_ids: Sequence[str]) -> bool:
    return outfit_key(item_ids, dataset) in keys


class MeasuredScorers:
    """The model under test, the base model and the baselines, which share one loaded base model.

    ``models`` are the model under test and, of an ensemble, its language model alone and it without that. ``trained``
    are the scorers behind them, before they are adapted to a catalogue; all of them load the language model once.
    """

    def __init__(self, prepared: PreparedData, model: TrainedModel, settings: RunSettings) -> None:
        self.trained = ModelScorers(model)
        self._prepared = prepared
        self._settings = settings
        self._base = self.trained.base_scorer()
        self.models: tuple[OutfitScorer, ...] = (self._base,)
        if model.adapter is not None:
            # The same scorers as those of coordi recommend on a catalogue of these items, or of coordi score.
            scorers = self.trained
            if prepared.dataset.layout != STYLE_PAIRS:
                scorers = scorers.for_catalogue(group_sums(list(prepared.dataset.items.values())))
            parts = (scorers.language_model, scorers.quick) if model.is_ensemble else ()
            self.models = (scorers.model, *parts)
        self.left_out: dict[str, str] = {}

    def scorers(self) -> tuple[Scorer, ...]:
        """The model under test, then its comparisons."""
        which = self._settings.evaluate.baselines
        if which == "none":
            return self.models[:1]
        base = () if self.models[0] is self._base else (self._base,)
        if self._prepared.dataset.outfits and not self._prepared.dataset.outfits_of("valid"):
            reason = "it needs a validation split that chooses its threshold, and there is none"
            self.left_out |= dict.fromkeys(NAMES if which == "all" else QUICK, reason)
            return (*self.models, *base)
        baselines, left_out = build_baselines(self._inputs(), which)
        self.left_out |= left_out
        return (*self.models, *base, *baselines)

    def warnings(self) -> tuple[ReportWarning, ...]:
        """Baselines that were left out, for the report."""
        return tuple(
            ReportWarning(f"baseline {name}", f"The baseline is left out: {reason}.")
            for name, reason in self.left_out.items()
        )

    def _inputs(self) -> BaselineInputs:
        settings = self._settings
        encoder = load_settled_encoder(settings.describe)
        self._prepared.check_encoder((encoder.name, encoder.identity))
        return BaselineInputs(self._prepared.dataset, encoder, settings.evaluate, settings.seed, self._base.states)


def evaluate_model(
    work: Workspace,
    prepared: PreparedData,
    model: TrainedModel,
    inputs: Mapping[str, str],
    external: Sequence[ExternalScores] = (),
) -> None:
    """Score the same questions with a model and its comparisons, saving scores on the way, and write the report."""
    measured = MeasuredScorers(prepared, model, work.settings)
    results = _measure(work, prepared, measured, inputs, external)
    work.say("writing the report")
    items = prepared.dataset.items.values()
    curve = read_json(model.curve) if model.curve is not None and model.curve.is_file() else ()
    data = ReportData(
        command=work.command,
        dataset=prepared.dataset,
        model=model.facts(),
        settings=work.settings.model_dump(mode="json"),
        training=tuple(
            TrainingPoint(point["step"], point["train_loss"], point["valid_loss"], point["valid_auc"])
            for point in curve
        ),
        descriptions={item.id: item.description for item in items if item.description is not None},
        recommendations=_recommendations(work.settings, prepared, measured.trained),
        naming=_naming(work, prepared, model, measured),
        versions=versions(),
        **results,
    )
    write_report(work.out, data)


def _measure(
    work: Workspace,
    prepared: PreparedData,
    measured: MeasuredScorers,
    inputs: Mapping[str, str],
    external: Sequence[ExternalScores],
) -> dict[str, Any]:
    """Results of an evaluation, by their names in ``ReportData``."""
    settings, seed, dataset = work.settings.evaluate, work.settings.seed, prepared.dataset
    folder = work.out / EVALUATION
    questions = draw_questions(dataset, settings, seed)
    for scores in external:
        scores.check(questions)
    leaks = _audit(work, dataset, questions)
    with stage_folder(folder, work.record(inputs)):
        _write_questions(folder, questions)
        export_questions(work, dataset, questions)
        work.say(f"measuring {measured.models[0].name} and its comparisons")
        scorers: list[Scorer] = [*measured.scorers(), *external]
        run = EvaluationRun(settings, seed, dataset.items, work.progress, folder)
        evaluation = measure(questions, scorers, run)
    return {"evaluation": evaluation, "leaks": leaks, "warnings": measured.warnings()}


def export_questions(work: Workspace, dataset: Dataset, questions: Sequence[ProtocolQuestions] | None = None) -> Path:
    """Write the questions for other systems to score; returns their folder."""
    folder = work.out / QUESTIONS
    drawn = questions or draw_questions(dataset, work.settings.evaluate, work.settings.seed)
    write_questions_to_score(folder, drawn, dataset)
    return folder


def _audit(work: Workspace, dataset: Dataset, parts: Sequence[ProtocolQuestions]) -> tuple[Leak, ...]:
    questions = {part.protocol: part.test for part in parts if part.test}
    for part in parts:
        if part.valid and part.valid not in questions.values():  # a release may choose its threshold on drawn ones
            questions[f"{part.protocol} validation"] = part.valid
    choices = {part.protocol: part.blanks for part in parts if part.blanks}
    choices |= {f"{part.protocol} retrieval": part.retrieval for part in parts if part.retrieval}
    work.say("looking for leaks")
    with work.progress("looking for leaks") as progress:
        texts = {item.id: item.text for item in dataset.items.values()}
        leaks = audit(dataset, questions, texts, blanks=choices, progress=progress)
    for leak in leaks:
        if leak.visible or leak.name == "unaudited":
            work.say(f"  {leak.name} ({leak.where}): {leak.detail}")
    return leaks


def _write_questions(folder: Path, parts: Sequence[ProtocolQuestions]) -> None:
    for part in parts:
        write_questions(folder / f"questions-valid-{part.protocol}.parquet", part.valid)
        write_questions(folder / f"questions-test-{part.protocol}.parquet", part.test)
        write_questions(folder / f"blanks-test-{part.protocol}.parquet", part.blanks)
        if part.retrieval:
            write_questions(folder / f"retrieval-test-{part.protocol}.parquet", part.retrieval)


def catalogue_of(prepared: PreparedData, settings: RunSettings, items: Sequence[Item], source: str) -> Catalogue:
    """A catalogue in memory of some items of a data set, whose path is ``source``."""
    info = DescriptionPipeline.of(settings.describe, settings.prompt).info(prepared.dataset.name, source)
    return Catalogue.in_memory(info, items)


def _naming(
    work: Workspace, prepared: PreparedData, model: TrainedModel, measured: MeasuredScorers
) -> NamingResult | None:
    """What the model names in words, if it was taught to."""
    if not model.names_items or not work.settings.evaluate.names:
        return None
    with work.progress("naming what completes outfits") as progress:
        return measure_naming(prepared.dataset, measured.trained, measured.models[0], work.settings, progress)


def _recommendations(
    settings: RunSettings, prepared: PreparedData, scorers: ModelScorers
) -> tuple[Recommendation, ...]:
    """A few test outfits with one item removed, and what the model recommends from the test split."""
    dataset = prepared.dataset
    item_ids = tuple(dict.fromkeys(item_id for outfit in dataset.outfits_of("test") for item_id in outfit.item_ids))
    if not item_ids or not settings.evaluate.examples:
        return ()
    rng = np.random.default_rng([settings.seed, RandomStream.RECOMMENDATIONS])
    catalogue = catalogue_of(prepared, settings, dataset.items_of(item_ids), dataset.name)
    vocabulary = load_vocabulary(settings.describe.vocabulary)
    stylist = Stylist(catalogue, scorers, settings.recommend, vocabulary, text_encoder().encode_texts)
    examples = []
    for outfit in _most_photographed(dataset, settings.evaluate.examples, rng):
        position = int(rng.integers(len(outfit.item_ids)))
        removed = outfit.item_ids[position]
        context = outfit.item_ids[:position] + outfit.item_ids[position + 1 :]
        items, want = dataset.items_of(context), dataset.items[removed].category
        completion = stylist.complete(items, want, settings.recommend.top_k, reasons=False)
        if not completion.suggestions:  # two pairs of shoes in one outfit, or nothing else of the category
            continue
        suggestions = tuple((suggestion.item.id, suggestion.score) for suggestion in completion.suggestions)
        shortlist = "everything" if completion.ranked >= completion.candidates else "without-language-model"
        examples.append(Recommendation(context, want, suggestions, shortlist, removed))
    return tuple(examples)


def _most_photographed(dataset: Dataset, count: int, rng: np.random.Generator) -> list[Outfit]:
    outfits = [outfit for outfit in dataset.outfits_of("test") if len(outfit.item_ids) >= 3]

    def photos(outfit: Outfit) -> int:
        return sum(item.image is not None for item in dataset.items_of(outfit.item_ids))

    drawn = [outfits[n] for n in rng.permutation(len(outfits))]
    return sorted(drawn, key=photos, reverse=True)[:count]
