"""Runs: the whole way, fine-tuning alone, or evaluation alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from coordi.artifacts import hash_file, is_finished, read_json, read_manifest, stage_folder, versions, write_json
from coordi.config import EvaluateSettings, RunSettings
from coordi.data.leaks import Leak, audit
from coordi.data.loading import write_questions
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ArtifactError
from coordi.evaluate.benchmark import Evaluation, ReportWarning, Scorer, measure, measure_seeds
from coordi.evaluate.external import ExternalScores, write_questions_to_score
from coordi.evaluate.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluate.report import write_report
from coordi.evaluate.report_data import LearningPoint, ReportData, ShownRecommendation
from coordi.pipeline import stages
from coordi.pipeline.advisor import index_of
from coordi.pipeline.ensemble import text_encoder
from coordi.pipeline.stages import RUN_FILE, PreparedData, Workspace, claim_folder
from coordi.pipeline.trained import LoadedModel, MeasuredScorers, TrainedModel
from coordi.recommend.stylist import Stylist
from coordi.types import Dataset, Outfit

EVALUATION = "evaluation"
QUESTIONS = "questions"
LEARNING_CURVE_FILE = "learning_curve.json"


@dataclass(frozen=True, slots=True)
class Measured:
    """What an evaluation found.

    Attributes:
        evaluation: Figures and scores of the first set of questions.
        leaks: What the audit found in them before they were asked.
        seeds: Figures of every set, as ``report.json`` has them; None for one set.
        learning_curve: AUC by number of training outfits, as ``report.json`` has it.
        warnings: Of what isn't a protocol's own, such as baselines that couldn't be made.
    """

    evaluation: Evaluation
    leaks: tuple[Leak, ...]
    seeds: Mapping[str, Any] | None
    learning_curve: tuple[Mapping[str, Any], ...]
    warnings: tuple[ReportWarning, ...]


def hand_out(work: Workspace, material: PreparedData) -> Path:
    """Write the questions for other systems to score; gives their folder."""
    questions = draw_questions(material.dataset, work.settings.evaluate, work.settings.seed)
    folder = work.out / QUESTIONS
    write_questions_to_score(folder, questions, material.dataset, material.texts)
    return folder


def measure_model(
    work: Workspace,
    material: PreparedData,
    model: TrainedModel,
    inputs: Mapping[str, str],
    external: Sequence[ExternalScores] = (),
) -> Measured:
    """Ask the model and everything beside it the same questions; scores are kept as they come.

    Raises:
        EvaluationError: If scores from elsewhere don't fit the questions, before anything is asked.
    """
    settings, seed, dataset = work.settings.evaluate, work.settings.seed, material.dataset
    folder = work.out / EVALUATION
    questions = draw_questions(dataset, settings, seed)
    for one in external:
        one.check(questions)
    leaks = _audit(work, material, questions)
    with stage_folder(folder, work.record(inputs)):
        _write_questions(folder, questions)
        write_questions_to_score(work.out / QUESTIONS, questions, dataset, material.texts)
        lineup = MeasuredScorers(material, model, work.settings)
        work.say(f"measuring {model.name} and what it is compared with")
        scorers: list[Scorer] = [*lineup.scorers(seed), *external]
        with work.progress("measuring") as progress:
            evaluation = measure(questions, scorers, settings, seed, progress, folder, items=dataset.items)
        seeds = None
        if settings.seeds > 1:
            with work.progress("measuring further seeds") as progress:
                seeds = measure_seeds(
                    evaluation,
                    lambda further: (_drawn_anew(dataset, settings, further), lineup.scorers(further)),
                    settings, seed, progress, folder,
                )  # fmt: skip
        curve = _learning_curve(lineup, questions, folder / LEARNING_CURVE_FILE)
    return Measured(evaluation, leaks, seeds, curve, lineup.cautions())


def _audit(work: Workspace, material: PreparedData, parts: Sequence[ProtocolQuestions]) -> tuple[Leak, ...]:
    """Look for leaks in what will be asked and in what chooses thresholds, and say what each is worth."""
    questions = {part.protocol: part.test for part in parts if part.test}
    for part in parts:
        if part.valid and part.valid not in questions.values():  # a release may choose its threshold on drawn ones
            questions[f"{part.protocol} validation"] = part.valid
    choices = {part.protocol: part.blanks for part in parts if part.blanks}
    choices |= {f"{part.protocol} retrieval": part.retrieval for part in parts if part.retrieval}
    work.say("looking for leaks")
    with work.progress("looking for leaks") as progress:
        leaks = audit(material.dataset, questions, material.texts, blanks=choices, progress=progress)
    for leak in leaks:
        if leak.shown or leak.name == "unaudited":
            work.say(f"  {leak.name} ({leak.where}): {leak.detail}")
    return leaks


def _drawn_anew(dataset: Dataset, settings: EvaluateSettings, seed: int) -> tuple[ProtocolQuestions, ...]:
    """The questions that another seed changes: a release's own are the same for all."""
    parts = draw_questions(dataset, settings, seed)
    return tuple(part for part in parts if not part.protocol.startswith("release"))


def _learning_curve(
    lineup: MeasuredScorers, questions: Sequence[ProtocolQuestions], kept: Path
) -> tuple[Mapping[str, Any], ...]:
    """The curve, kept with what it leaves out, so that an interrupted evaluation fits nothing twice."""
    if not kept.is_file():
        write_json(kept, {"rows": lineup.learning_curve(questions), "left_out": lineup.left_out})
    known = read_json(kept)
    lineup.left_out |= known["left_out"]
    return tuple(known["rows"])


def _write_questions(folder: Path, parts: Sequence[ProtocolQuestions]) -> None:
    for part in parts:
        write_questions(folder / f"questions-valid-{part.protocol}.parquet", part.valid)
        write_questions(folder / f"questions-test-{part.protocol}.parquet", part.test)
        write_questions(folder / f"blanks-test-{part.protocol}.parquet", part.blanks)
        if part.retrieval:
            write_questions(folder / f"retrieval-test-{part.protocol}.parquet", part.retrieval)


_RECOMMEND_STREAM = 601  # of the run's seed


def write_findings(work: Workspace, material: PreparedData, model: TrainedModel, measured: Measured) -> None:
    """Write the report in all its forms into the output folder."""
    work.say("writing the report")
    report = ReportData(
        command=work.command,
        dataset=material.dataset,
        evaluation=measured.evaluation,
        model=model.facts(),
        settings=work.settings.model_dump(mode="json"),
        leaks=measured.leaks,
        training=_reporting_learning_curve(model.curve),
        descriptions=material.described.descriptions,
        recommendations=_recommendations(work.settings, material, model),
        versions=versions(),
        warnings=measured.warnings,
        seeds=measured.seeds,
        learning_curve=measured.learning_curve,
    )
    write_report(work.out, report)


def _reporting_learning_curve(path: Path | None) -> tuple[LearningPoint, ...]:
    if path is None or not path.is_file():
        return ()
    return tuple(
        LearningPoint(point["step"], point["train_loss"], point["valid_loss"], point["valid_auc"])
        for point in read_json(path)
    )


def _recommendations(
    settings: RunSettings, material: PreparedData, model: TrainedModel
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
        want = dataset.items[outfit.item_ids[place]].category
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


REPORT = "report.html"


def run(work: Workspace) -> Path:
    """Go the whole way; gives the report's path.

    A stage that has its manifest is not done again. The same data, settings and seed end with the same report,
    however often the run was interrupted on its way.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    with claim_folder(work) as inputs:
        if is_finished(work.out):
            work.say(f"all stages: done before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(inputs)):
                _check_ready(work)
                material = stages.prepare(work, inputs)
                adapter = stages.finetune_model(work, material, inputs)
                material = stages.measurable(work, material, adapter)
                model = TrainedModel("fine-tuned", work.settings, adapter, adapter.parent / stages.CURVE)
                _measure(work, material, model, inputs)
    return work.out / REPORT


def finetune(work: Workspace, must_exist: bool = False) -> Path:
    """Go as far as the adapter; gives its folder. ``run`` with the same settings goes on from there.

    Args:
        work: Where to read and write.
        must_exist: Only go on with what is in the output folder.

    Raises:
        ArtifactError: If ``must_exist`` and there is nothing to go on with.
        CoordiError: What any stage raises; stages finished before are kept.
    """
    if must_exist and not (work.out / RUN_FILE).is_file():
        raise ArtifactError(f"nothing to resume: {work.out} holds no run of coordi; leave --resume out to begin one")
    with claim_folder(work) as inputs:
        _check_ready(work)
        return stages.finetune_model(work, stages.prepare(work, inputs), inputs)


def evaluate(work: Workspace, model: TrainedModel, scores: Sequence[Path] = ()) -> Path:
    """Measure a model that was made before; gives the report's path.

    Outfits that the model was trained on are left out of what is measured, and counted. What was asked before in the
    same folder isn't asked again when scores of another system are put beside it later.

    Args:
        work: With the model's own settings, so that it is asked as it was taught.
        model: What is measured.
        scores: Scores of other systems, as CSV files.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    external = [ExternalScores.read(path) for path in scores]
    with claim_folder(work, {"model": model.identity()}) as inputs:
        with_scores = {**inputs, **{f"scores {one.name}": hash_file(one.path) for one in external}}
        if is_finished(work.out) and read_manifest(work.out)["inputs"] == with_scores:
            work.say(f"all stages: done before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(with_scores)):
                _measure(work, _material(work, model, inputs), model, with_scores, external)
    return work.out / REPORT


def hand_out_questions(work: Workspace, model: TrainedModel) -> Path:
    """Write the questions that ``evaluate`` would ask, for other systems to score; gives their folder.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    with claim_folder(work, {"model": model.identity()}) as inputs:
        return hand_out(work, _material(work, model, inputs))


def _check_ready(work: Workspace) -> None:
    """Say which engine will fine-tune and why, or stop before other work is done for nothing."""
    from coordi.model.preflight import preflight

    if not is_finished(work.out / stages.FINETUNE):
        work.say(f"engine: {preflight(work.settings).reason}")


def _material(work: Workspace, model: TrainedModel, inputs: Mapping[str, str]) -> stages.PreparedData:
    material = stages.prepare(work, inputs)
    return material if model.adapter is None else stages.without_trained_on(material, model.adapter)


def _measure(
    work: Workspace,
    material: stages.PreparedData,
    model: TrainedModel,
    inputs: Mapping[str, str],
    external: Sequence[ExternalScores] = (),
) -> None:
    measured = measure_model(work, material, model, inputs, external)
    write_findings(work, material, model, measured)
