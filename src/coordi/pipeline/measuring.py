"""The stage that measures a model beside everything it must beat, on the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import read_json, stage_folder, write_json
from coordi.config import EvaluateSettings
from coordi.data.leaks import Leak, audit
from coordi.data.storage import write_questions
from coordi.domain import Dataset
from coordi.evaluate.benchmark import Scorer, measure
from coordi.evaluate.external import ExternalScores
from coordi.evaluate.question_export import write_questions_to_score
from coordi.evaluate.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluate.results import Caution, Evaluation
from coordi.evaluate.seeds import measure_seeds
from coordi.pipeline.scorers import Lineup, MeasuredModel
from coordi.pipeline.stages import Material
from coordi.pipeline.workspace import Workspace

EVALUATION = "evaluation"
QUESTIONS = "questions"
CURVE = "learning_curve.json"


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
    warnings: tuple[Caution, ...]


def hand_out(work: Workspace, material: Material) -> Path:
    """Write the questions for other systems to score; gives their folder."""
    questions = draw_questions(material.dataset, work.settings.evaluate, work.settings.seed)
    folder = work.out / QUESTIONS
    write_questions_to_score(folder, questions, material.dataset, material.texts)
    return folder


def measure_model(
    work: Workspace,
    material: Material,
    model: MeasuredModel,
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
        lineup = Lineup(material, model, work.settings)
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
        curve = _learning_curve(lineup, questions, folder / CURVE)
    return Measured(evaluation, leaks, seeds, curve, lineup.cautions())


def _audit(work: Workspace, material: Material, parts: Sequence[ProtocolQuestions]) -> tuple[Leak, ...]:
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
    lineup: Lineup, questions: Sequence[ProtocolQuestions], kept: Path
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
