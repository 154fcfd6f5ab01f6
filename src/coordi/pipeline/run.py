"""Runs in an output folder: all stages, fine-tuning alone, or evaluation alone. READ THIS FIRST."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from coordi.artifacts import RUN_FILE, hash_file, is_finished, read_manifest, stage_folder
from coordi.errors import ArtifactError
from coordi.evaluation.benchmark import check_installed
from coordi.evaluation.external import ExternalScores
from coordi.model.trained import ADAPTER, CURVE, FINETUNE, TrainedModel
from coordi.pipeline import stages
from coordi.pipeline.stages import PreparedData
from coordi.pipeline.workspace import Workspace, claim_folder, process_rank

REPORT = "report.html"


def run(work: Workspace) -> Path:
    """Prepare the data, fine-tune, evaluate and report; returns the report's path.

    Finished stages are skipped. However often a run was interrupted, its data, settings and seed give the same report.
    """
    if process_rank():
        _join_training(work)
        return work.out / REPORT
    with claim_folder(work) as inputs:
        if is_finished(work.out):
            work.say(f"all stages: finished before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(inputs)):
                _preflight(work)
                prepared = stages.without_start(stages.prepare(work, inputs), work.settings)
                adapter = stages.finetune_model(work, prepared, inputs)
                model = TrainedModel("fine-tuned", work.settings, adapter, adapter.parent / CURVE)
                stages.evaluate_model(work, prepared, model, inputs)
    return work.out / REPORT


def finetune(work: Workspace, must_exist: bool = False) -> Path:
    """Prepare the data and fine-tune; returns the adapter's folder. ``run`` with the same settings resumes from it.

    With ``must_exist``, an output folder without a run is an ``ArtifactError``.
    """
    if must_exist and not (work.out / RUN_FILE).is_file():
        raise ArtifactError(f"nothing to resume: {work.out} holds no run of coordi; leave out --resume to start one")
    if process_rank():
        return _join_training(work)
    with claim_folder(work) as inputs:
        _preflight(work)
        return stages.finetune_model(work, stages.without_start(stages.prepare(work, inputs), work.settings), inputs)


def evaluate(work: Workspace, model: TrainedModel, scores: Sequence[Path] = ()) -> Path:
    """Evaluate a trained model, whose own settings ``work`` has; returns the report's path.

    Outfits that the model was trained on are left out and counted. ``scores`` are CSV files of other systems; if
    they don't fit the questions, that is an ``EvaluationError`` before anything is scored. If more are added later in
    the same folder, saved scores are used again.
    """
    check_installed()
    external = [ExternalScores.read(path) for path in scores]
    with claim_folder(work, {"model": model.identity()}) as inputs:
        inputs = {**inputs, **{f"scores {part.name}": hash_file(part.path) for part in external}}
        if is_finished(work.out) and read_manifest(work.out)["inputs"] == inputs:
            work.say(f"all stages: finished before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(inputs)):
                stages.evaluate_model(work, _test_data(work, model, inputs), model, inputs, external)
    return work.out / REPORT


def export_questions(work: Workspace, model: TrainedModel) -> Path:
    """Write the questions of ``evaluate`` for other systems to score; returns their folder."""
    with claim_folder(work, {"model": model.identity()}) as inputs:
        return stages.export_questions(work, _test_data(work, model, inputs).dataset)


def _preflight(work: Workspace) -> None:
    """Show which engine will fine-tune and why, or raise before other work is done in vain."""
    from coordi.model.training import preflight

    if not is_finished(work.out / FINETUNE):
        work.say(f"engine: {preflight(work.settings).reason}")


def _join_training(work: Workspace) -> Path:
    """Fine-tune as a further process of ``torchrun`` on the data that the first process prepares."""
    folder = work.out / FINETUNE
    while not is_finished(folder):
        if is_finished(work.out / stages.DESCRIPTIONS):
            prepared = stages.without_start(stages.prepared_data(work.out, work.settings), work.settings)
            stages.train(work, prepared.dataset)
            break
        time.sleep(0.2)
    return folder / ADAPTER


def _test_data(work: Workspace, model: TrainedModel, inputs: Mapping[str, str]) -> PreparedData:
    prepared = stages.prepare(work, inputs)
    return prepared if model.adapter is None else stages.without_trained_on(prepared, model.adapter)
