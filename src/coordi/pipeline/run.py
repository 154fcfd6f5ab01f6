"""The commands that work in an output folder, each going on from the last finished stage."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from coordi.artifacts import is_finished, stage_folder
from coordi.errors import ArtifactError
from coordi.pipeline import stages
from coordi.pipeline.measuring import MeasuredModel, measure_model, write_findings
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
                material = stages.prepare(work, inputs)
                adapter = stages.finetune_model(work, material, inputs)
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
        return stages.finetune_model(work, stages.prepare(work, inputs), inputs)


def evaluate(work: Workspace, model: MeasuredModel) -> Path:
    """Measure a model that was made before; gives the report's path.

    Outfits that the model was trained on are left out of what is measured, and counted.

    Args:
        work: With the model's own settings, so that it is asked as it was taught.
        model: What is measured.

    Raises:
        CoordiError: What any stage raises; stages finished before are kept.
    """
    with claimed(work, {"model": model.identity()}) as inputs:
        if is_finished(work.out):
            work.say(f"all stages: done before, in {work.out}")
        else:
            with stage_folder(work.out, work.record(inputs)):
                material = stages.prepare(work, inputs)
                if model.adapter is not None:
                    material = stages.without_trained_on(material, model.adapter)
                _measure(work, material, model, inputs)
    return work.out / REPORT


def _measure(work: Workspace, material: stages.Material, model: MeasuredModel, inputs: Mapping[str, str]) -> None:
    evaluation = measure_model(work, material, model, inputs)
    write_findings(work, material, model, evaluation)
