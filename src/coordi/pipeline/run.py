"""The commands that work in an output folder, each going on from the last finished stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from coordi.artifacts import hash_file, is_finished, read_manifest, stage_folder
from coordi.errors import ArtifactError
from coordi.evaluate.external import ExternalScores
from coordi.pipeline import stages
from coordi.pipeline.measuring import hand_out, measure_model
from coordi.pipeline.reporting import write_findings
from coordi.pipeline.scorers import MeasuredModel
from coordi.pipeline.workspace import CLAIM, Workspace, claimed

REPORT = "report.html"


def run(work: Workspace) -> Path:
    """Go the whole way; gives the report's path.

    A stage that has its manifest is not done again. The same data, settings and seed end with the same report,
    however often the run was interrupted on its way.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    with claimed(work) as inputs:
        if is_finished(work.out):
            work.say(f"all stages: done before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(inputs)):
                _check_ready(work)
                material = stages.prepare(work, inputs)
                adapter = stages.finetune_model(work, material, inputs)
                material = stages.measurable(work, material, adapter)
                model = MeasuredModel("fine-tuned", work.settings, adapter, adapter.parent / stages.CURVE)
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
    if must_exist and not (work.out / CLAIM).is_file():
        raise ArtifactError(f"nothing to resume: {work.out} holds no run of coordi; leave --resume out to begin one")
    with claimed(work) as inputs:
        _check_ready(work)
        return stages.finetune_model(work, stages.prepare(work, inputs), inputs)


def evaluate(work: Workspace, model: MeasuredModel, scores: Sequence[Path] = ()) -> Path:
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
    with claimed(work, {"model": model.identity()}) as inputs:
        with_scores = {**inputs, **{f"scores {one.name}": hash_file(one.path) for one in external}}
        if is_finished(work.out) and read_manifest(work.out)["inputs"] == with_scores:
            work.say(f"all stages: done before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(with_scores)):
                _measure(work, _material(work, model, inputs), model, with_scores, external)
    return work.out / REPORT


def hand_out_questions(work: Workspace, model: MeasuredModel) -> Path:
    """Write the questions that ``evaluate`` would ask, for other systems to score; gives their folder.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    with claimed(work, {"model": model.identity()}) as inputs:
        return hand_out(work, _material(work, model, inputs))


def _check_ready(work: Workspace) -> None:
    """Say which engine will fine-tune and why, or stop before other work is done for nothing."""
    from coordi.model.readiness import check_ready

    if not is_finished(work.out / stages.FINETUNE):
        work.say(f"engine: {check_ready(work.settings).reason}")


def _material(work: Workspace, model: MeasuredModel, inputs: Mapping[str, str]) -> stages.Material:
    material = stages.prepare(work, inputs)
    return material if model.adapter is None else stages.without_trained_on(material, model.adapter)


def _measure(
    work: Workspace,
    material: stages.Material,
    model: MeasuredModel,
    inputs: Mapping[str, str],
    external: Sequence[ExternalScores] = (),
) -> None:
    measured = measure_model(work, material, model, inputs, external)
    write_findings(work, material, model, measured)
