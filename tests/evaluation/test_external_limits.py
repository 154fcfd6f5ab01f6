"""Files of scores that would be taken for coordi's own, and scores as large as are accepted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.config import EvaluateSettings
from coordi.errors import EvaluationError
from coordi.evaluation.external import ExternalScores, exported_id
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluation.summary import SCORER_WORDS
from coordi.types import Dataset

from .scorers import measure

SETTINGS = EvaluateSettings(protocols=("pairs",), bootstrap=100, retrieval_pool=0)


@pytest.mark.parametrize("name", [*SCORER_WORDS, "Base", "ORDER "])
def test_a_file_named_like_a_scorer_of_coordi_is_refused(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"{name}.csv"
    path.write_text("question_id,candidate,score\na,,1\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match=f"{name}.csv is named like '{name.strip().lower()}'.*: rename the file"):
        ExternalScores.read(path)
    assert ExternalScores.read(path.rename(tmp_path / f"my-{name}.csv")).name == f"my-{name}"


def read_back(part: ProtocolQuestions, scores: NDArray[np.float64], folder: Path) -> ExternalScores:
    questions = (*part.valid, *part.test)
    rows = [f"{exported_id(one)},,{score}" for one, score in zip(questions, scores, strict=True)]
    (folder / "mine.csv").write_text("\n".join(["question_id,candidate,score", *rows]), encoding="utf-8")
    return ExternalScores.read(folder / "mine.csv")


def test_the_largest_scores_are_measured_like_any_other(wardrobe: Dataset, tmp_path: Path) -> None:
    (part,) = draw_questions(wardrobe, SETTINGS, 17)
    truth = np.array([one.compatible for one in (*part.valid, *part.test)])
    noise = np.random.default_rng(5).normal(size=len(truth))
    plain, large = (
        measure([part], [read_back(part, (truth + noise / 2) * scale, tmp_path)], SETTINGS, 3) for scale in (1.0, 1e99)
    )
    one, other = (found.tasks["compatibility"]["pairs"] for found in (plain, large))
    assert (other["auc"], other["accuracy"], other["ci95"]) == (one["auc"], one["accuracy"], one["ci95"])
    assert other["threshold"] == pytest.approx(one["threshold"] * 1e99)
    assert other["calibration"]["brier"] == pytest.approx(one["calibration"]["brier"])
    parted = measure([part], [read_back(part, np.where(truth, 1e100, -1e100), tmp_path)], SETTINGS, 3)
    figures = parted.tasks["compatibility"]["pairs"]
    assert (figures["auc"], figures["accuracy"], figures["threshold"]) == (1, 1, 0)
    assert figures["calibration"]["brier"] < 0.01
