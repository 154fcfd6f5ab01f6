"""``coordi evaluate`` with another system's scores beside the model, and what is said when they don't fit."""

from __future__ import annotations

import csv
import json
import subprocess
from pathlib import Path

import pytest

from ..commands import Command, coordi
from ..sample import write_small_sample

__all__ = ["coordi"]


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data") / "sample"
    return write_small_sample(folder, {"train": 24, "valid": 8, "test": 12})


@pytest.fixture
def run(coordi: Command, sample: Path, tiny_folder: Path, tmp_path: Path) -> Command:
    def call(*options: str) -> subprocess.CompletedProcess[str]:
        arguments = [
            "evaluate", "--data", str(sample), "--model", "base", "--out", str(tmp_path / "measured"), *options,
            f"model.base={tiny_folder}", "evaluate.bootstrap=100", "evaluate.retrieval_pool=4",
            "evaluate.baselines=quick",
        ]  # fmt: skip
        return coordi(*arguments)

    return call


def fill_in(template: Path, filled: Path, leave_out: int = 0) -> None:
    """Give every question the same score but the last few, which get none."""
    with template.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with filled.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, ["question_id", "candidate", "score"])
        writer.writeheader()
        for place, row in enumerate(rows[: len(rows) - leave_out]):
            writer.writerow({**row, "score": place % 7})


def test_another_system_is_put_beside_the_model_by_a_csv(run: Command, tmp_path: Path) -> None:
    done = run("--questions-only")
    assert done.returncode == 0, done.stderr
    questions = tmp_path / "measured" / "questions"
    asked = [json.loads(line) for line in (questions / "questions.jsonl").read_text(encoding="utf-8").splitlines()]
    assert {(one["task"], one["protocol"]) for one in asked} >= {
        ("compatibility", "pairs"), ("compatibility", "one-swapped"), ("fill_in_the_blank", "random"),
        ("retrieval", "same-category"),
    }  # fmt: skip
    assert not any("compatible" in one or "answer" in one for one in asked)

    short = tmp_path / "short.csv"
    fill_in(questions / "scores-template.csv", short, leave_out=3)
    refused = run("--scores", str(short))
    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("coordi: ")
    assert "short.csv" in refused.stderr
    assert "3" in refused.stderr.splitlines()[-1]
    assert not (tmp_path / "measured" / "report.json").exists()

    fill_in(questions / "scores-template.csv", tmp_path / "my-model.csv")
    done = run("--scores", str(tmp_path / "my-model.csv"), "--json")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    for task in report["tasks"].values():
        for protocol in task.values():
            assert "my-model" in protocol["baselines"]
    again = run("--scores", str(tmp_path / "my-model.csv"))
    assert "all stages: finished before" in again.stderr
    with (tmp_path / "measured" / "scores.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["scorer"] for row in rows} >= {"base", "my-model", "chance", "category-pairs"}
    alone = run()
    assert alone.returncode == 0, alone.stderr
    without = json.loads((tmp_path / "measured" / "report.json").read_text(encoding="utf-8"))
    assert "my-model" not in without["tasks"]["compatibility"]["random"]["baselines"]
    assert without["tasks"]["compatibility"]["random"]["auc"] == report["tasks"]["compatibility"]["random"]["auc"]


def test_a_release_protocol_without_its_files_is_one_clear_line(run: Command) -> None:
    done = run("--protocol", "release")
    assert done.returncode == 1
    assert "'sample' has no question files for its test split" in done.stderr.splitlines()[-1]


def test_style_pairs_are_measured_by_kind_beside_shared_words(
    coordi: Command, tiny_folder: Path, tmp_path: Path
) -> None:
    table = tmp_path / "pairs.tsv"
    rows = [
        f"{row} {n}"
        for n in range(6)
        for row in (
            "season\twhite wool coat\tgrey wool beanie\tblue flip-flops",
            "colour\tred dress\tblack heels\tpink dress heels",
        )
    ]
    table.write_text("kind\toutfit\tgood\tbad\n" + "\n".join(rows) + "\nstyle\tshirt\tjeans\tsofa\n", encoding="utf-8")
    out = str(tmp_path / "measured")
    command = ["evaluate", "--data", str(table), "--model", "base", "--out", out, "--protocol", "style-pairs"]
    done = coordi(*command, "--json", f"model.base={tiny_folder}", "evaluate.bootstrap=100")
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    figures = report["tasks"]["fill_in_the_blank"]["style-pairs"]
    assert (figures["n"], figures["choices"], report["tasks"]["compatibility"]) == (12, 2, {})
    assert [(row["value"], row["n"]) for row in figures["breakdown"]["kind"]] == [("season", 6), ("colour", 6)]
    assert set(figures["baselines"]) == {"chance", "shared-words"}
    # The beanie shares "wool" with the coat, the wrong heels "dress" with the dress.
    assert figures["baselines"]["shared-words"]["accuracy"] == 0.5
    assert figures["warnings"][0] == (
        "1 of the 13 fill-in-the-blank questions of 'style-pairs': an item in it names nothing that is worn."
    )
    command[command.index(out)] = str(tmp_path / "other")
    refused = coordi(*command[:-1], "random", f"model.base={tiny_folder}")
    assert refused.returncode == 1
    assert "asks about a .tsv of style pairs alone" in refused.stderr


def test_a_test_split_alone_is_measured_with_the_models_own_threshold(
    coordi: Command, tiny_folder: Path, tmp_path: Path
) -> None:
    folder = write_small_sample(tmp_path / "sample", {"train": 0, "valid": 0, "test": 12})
    done = coordi(
        "evaluate", "--data", str(folder), "--model", "base", "--out", str(tmp_path / "measured"), "--json",
        f"model.base={tiny_folder}", "evaluate.bootstrap=100", "evaluate.retrieval_pool=0",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    figures = report["tasks"]["compatibility"]["random"]
    assert (figures["n"], figures["threshold"], figures["baselines"]) == (24, 0.5, {})
    assert figures["warnings"][0].startswith("There is no validation split: the threshold is 0.5 of a model's own")
    texts = [warning["text"] for warning in report["warnings"]]
    assert (
        "The baseline is left out: it needs a validation split that chooses its threshold, and there is none." in texts
    )
