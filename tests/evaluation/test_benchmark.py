"""The same questions for every scorer, figures that can be worked out by hand, and going on after an interruption."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

import coordi
from coordi.artifacts import Progress
from coordi.config import EvaluateSettings
from coordi.errors import ArtifactError, EvaluationError
from coordi.evaluation import scoring
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.types import Dataset, FitbQuestion, Item

from .scorers import ConstantScorer, TableScorer, evaluate, make_question, measure

SETTINGS = EvaluateSettings(bootstrap=100, protocols=("random", "same-category"), retrieval_pool=0)


class StyleScorer:
    """Says how many of an outfit's titles begin alike: always right in the wardrobe."""

    gives_probabilities = False

    def __init__(self, name: str = "style", stop_after: int = 10**9) -> None:
        self.name = name
        self.asked: list[tuple[str, ...]] = []
        self._stop_after = stop_after

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        if len(self.asked) + len(outfits) > self._stop_after:
            raise KeyboardInterrupt
        self.asked += [tuple(item.id for item in outfit) for outfit in outfits]
        words = [[item.title.split()[0] for item in outfit] for outfit in outfits]
        return np.array([max(map(styles.count, styles)) / len(styles) for styles in words])


def test_figures_by_hand() -> None:
    questions = ProtocolQuestions(
        "release",
        valid=(make_question("ab", "v", True), make_question("cd", "v", False)),
        test=(
            make_question("ef", "t", True),
            make_question("gh", "t", False),
            make_question("ij", "u", True),
            make_question("kl", "u", False),
        ),
        blanks=(
            FitbQuestion("q", "t", ("e",), ("f", "h"), 0),
            FitbQuestion("r", "u", ("i",), ("l", "j"), 1),
        ),
    )
    table = {"ab": 0.8, "cd": 0.4, "ef": 0.7, "gh": 0.9, "ij": 0.65, "kl": 0.1, "eh": 0.2, "il": 0.9}
    tasks = measure([questions], [TableScorer(table)], SETTINGS, seed=1).tasks
    figures = tasks["compatibility"]["release"]
    # The threshold is 0.6: gh is a false alarm. Of four pairs ef and ij lose to gh.
    assert figures["threshold"] == pytest.approx(0.6)
    assert (figures["n"], figures["positives"], figures["accuracy"]) == (4, 2, 0.75)
    assert figures["f1"] == pytest.approx(4 / 5)
    assert figures["auc"] == 0.5
    assert figures["confusion"] == {
        "true_positives": 2, "false_positives": 1, "true_negatives": 1, "false_negatives": 0,
    }  # fmt: skip
    # Outfit t alone: accuracy 1/2 and AUC 0; outfit u alone: both 1.
    assert figures["ci95"] == {"accuracy": [0.5, 1.0], "f1": pytest.approx([2 / 3, 1]), "auc": [0.0, 1.0]}
    assert figures["baselines"] == {}
    # q: ef .7 over eh .2, right; r: il .9 over ij .65, wrong.
    blanks = tasks["fill_in_the_blank"]["release"]
    assert {name: blanks[name] for name in ("n", "choices", "accuracy", "ci95", "baselines")} == {
        "n": 2, "choices": 2, "accuracy": 0.5, "ci95": [0.0, 1.0], "baselines": {},
    }  # fmt: skip
    assert tasks["retrieval"] == {}


def test_a_scorer_that_knows_the_rule_is_right_and_a_constant_one_is_at_chance(wardrobe: Dataset) -> None:
    evaluation = evaluate(wardrobe, [StyleScorer(), ConstantScorer()], SETTINGS, seed=3)
    for protocol in ("random", "same-category"):
        figures = evaluation.tasks["compatibility"][protocol]
        constant = figures["baselines"]["constant"]
        blanks = evaluation.tasks["fill_in_the_blank"][protocol]
        assert figures["auc"] > 0.9
        assert constant["auc"] == 0.5
        assert constant["accuracy"] == 0.5
        assert constant["model_ahead"]["auc"] == pytest.approx(figures["auc"] - 0.5)
        assert constant["model_ahead"]["ci95"][0] > 0
        # One style in six: a wrong candidate of the right style ties, which is a miss.
        assert blanks["accuracy"] >= 0.5
        assert blanks["baselines"]["constant"]["accuracy"] == 0
        assert figures["ci95"]["auc"][0] <= figures["auc"] <= figures["ci95"]["auc"][1]
    json.dumps(evaluation.tasks, allow_nan=False)


def test_the_threshold_comes_from_validation_alone(wardrobe: Dataset) -> None:
    (questions,) = draw_questions(wardrobe, EvaluateSettings(protocols=("random",), bootstrap=100), 3)
    scorer = StyleScorer()
    half = ProtocolQuestions("random", questions.valid, questions.test[:6], questions.blanks)
    whole, part = (
        measure([asked_], [scorer], SETTINGS, 3, wardrobe.items).protocols[0].results[0] for asked_ in (questions, half)
    )
    assert whole.threshold == part.threshold


def test_each_outfit_is_asked_once(wardrobe: Dataset) -> None:
    scorer = StyleScorer()
    settings = SETTINGS.model_copy(update={"retrieval_pool": 5})
    assert evaluate(wardrobe, [scorer], settings, seed=3).tasks["retrieval"]["same-category"]["pool"] == 5
    assert len(scorer.asked) == len(set(scorer.asked))
    wanted = {
        asked_
        for part in draw_questions(wardrobe, settings, 3)
        for asked_ in (
            *(question.item_ids for question in (*part.valid, *part.test)),
            *(
                (*choice.item_ids, candidate)
                for choice in (*part.blanks, *part.retrieval)
                for candidate in choice.candidates
            ),
        )
    }
    assert set(scorer.asked) == wanted


def test_the_same_seed_gives_the_same_figures_and_another_seed_other_ones(wardrobe: Dataset) -> None:
    first, again, other = (evaluate(wardrobe, [StyleScorer()], SETTINGS, seed).tasks for seed in (3, 3, 4))
    assert json.dumps(first) == json.dumps(again)
    assert json.dumps(first) != json.dumps(other)


def test_each_scorer_has_its_own_progress(wardrobe: Dataset) -> None:
    shown: dict[str, list[tuple[int, int]]] = {}

    @contextmanager
    def show(label: str) -> Iterator[Progress]:
        steps = shown.setdefault(label, [])
        yield lambda done, total: steps.append((done, total))

    scorer = StyleScorer()
    evaluate(wardrobe, [scorer, ConstantScorer()], SETTINGS, 3, show)
    assert list(shown) == [f"{scorer.name}, 1 of 2", f"{ConstantScorer().name}, 2 of 2"]
    for steps in shown.values():
        assert steps[-1] == (len(scorer.asked), len(scorer.asked))
        assert steps == sorted(steps)


def test_an_interrupted_evaluation_goes_on_where_it_was(
    wardrobe: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scoring, "CHUNK", 10)
    undisturbed = evaluate(wardrobe, [StyleScorer()], SETTINGS, 3)
    interrupted = StyleScorer(stop_after=35)
    with pytest.raises(KeyboardInterrupt):
        evaluate(wardrobe, [interrupted], SETTINGS, 3, folder=tmp_path)
    resumed = StyleScorer()
    evaluation = evaluate(wardrobe, [resumed], SETTINGS, 3, folder=tmp_path)
    assert len(interrupted.asked) >= 30
    assert not set(resumed.asked) & set(interrupted.asked)
    assert json.dumps(evaluation.tasks) == json.dumps(undisturbed.tasks)
    idle = StyleScorer()
    evaluate(wardrobe, [idle], SETTINGS, 3, folder=tmp_path)
    assert idle.asked == []


def test_broken_kept_scores_are_named(wardrobe: Dataset, tmp_path: Path) -> None:
    (tmp_path / "0-style.parquet").write_bytes(b"not parquet")
    with pytest.raises(ArtifactError, match=r"0-style\.parquet can't be read"):
        evaluate(wardrobe, [StyleScorer()], SETTINGS, 3, folder=tmp_path)


def test_scorers_of_one_name_are_refused(wardrobe: Dataset) -> None:
    with pytest.raises(EvaluationError, match=r"\['constant', 'constant'\]"):
        evaluate(wardrobe, [ConstantScorer(), ConstantScorer()], SETTINGS, 3)
    with pytest.raises(EvaluationError, match="got none"):
        evaluate(wardrobe, [], SETTINGS, 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_score_that_is_not_finite_is_refused(wardrobe: Dataset, value: float) -> None:
    with pytest.raises(EvaluationError, match=f"constant returned {value}"):
        evaluate(wardrobe, [ConstantScorer(value)], SETTINGS, 3)


def test_scores_of_another_shape_are_refused(wardrobe: Dataset) -> None:
    class Short(ConstantScorer):
        def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
            return np.zeros(1)

    with pytest.raises(EvaluationError, match=r"shape \(1,\) for"):
        evaluate(wardrobe, [Short()], SETTINGS, 3)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_a_split_without_questions_is_refused(split: str) -> None:
    both = (make_question("ab", "v", True), make_question("cd", "v", False))
    given = {"valid": both, "test": both, split: both[:1]}
    questions = ProtocolQuestions("random", given["valid"], given["test"], ())
    with pytest.raises(EvaluationError, match=f"the {split} split has 1 random questions, 1 of them compatible"):
        measure([questions], [ConstantScorer()], SETTINGS, 3)


@pytest.mark.parametrize("task", ["blanks", "retrieval"])
def test_choices_of_different_sizes_are_refused_and_a_task_that_is_not_asked_is_absent(task: str) -> None:
    both = (make_question("ab", "v", True), make_question("cd", "v", False))
    uneven = (
        FitbQuestion("q", "v", ("a",), ("b", "c"), 0),
        FitbQuestion("r", "v", ("a",), ("b", "c", "d"), 0),
    )
    whole = ProtocolQuestions("random", both, both)
    with pytest.raises(EvaluationError, match=r"\(random\) must all have as many candidates, got \[2, 3\]"):
        measure(
            [replace(whole, blanks=uneven) if task == "blanks" else replace(whole, retrieval=uneven)],
            [ConstantScorer()],
            SETTINGS,
            3,
        )
    tasks = measure([whole], [ConstantScorer()], SETTINGS, 3).tasks
    assert list(tasks["compatibility"]) == ["random"]
    assert tasks["fill_in_the_blank"] == tasks["retrieval"] == {}


def test_every_protocol_of_the_data_is_measured_by_default(wardrobe: Dataset) -> None:
    tasks = evaluate(wardrobe, [StyleScorer()], EvaluateSettings(bootstrap=100, retrieval_pool=6), 3).tasks
    assert list(tasks["compatibility"]) == ["random", "same-category", "one-swapped", "pairs"]
    assert list(tasks["fill_in_the_blank"]) == ["random", "same-category"]
    assert list(tasks["retrieval"]) == ["same-category"]
    categories = tasks["compatibility"]["random"]["breakdown"]["category"]
    assert [row["value"] for row in categories] == ["top", "bottom", "shoes", "bag"]


def test_any_callable_on_outfits_is_measured(wardrobe: Dataset, tmp_path: Path) -> None:
    def same_style(outfits: Sequence[Sequence[Item]]) -> list[float]:
        return [float(-len({item.title.split()[0] for item in outfit})) for outfit in outfits]

    found = coordi.evaluate(same_style, wardrobe, seed=3, **SETTINGS.model_dump())
    assert found["compatibility"]["random"]["auc"] > 0.9
    assert set(found) == {"compatibility", "fill_in_the_blank", "retrieval"}
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    with pytest.raises(EvaluationError, match=r"<lambda> returned scores of shape \(1,\)"):
        coordi.evaluate(lambda outfits: [1.0], wardrobe, **SETTINGS.model_dump())


def test_a_callable_is_measured_on_a_path(tmp_path: Path) -> None:
    items = [f'"{n}","{style} {kind} {n}","{kind}"' for n, (style, kind) in enumerate(
        (style, kind) for outfit in range(40) for style in (("red", "blue", "green", "grey")[outfit % 4],)
        for kind in ("Shirts", "Jeans", "Boots")
    )]  # fmt: skip
    (tmp_path / "products.csv").write_text("\n".join(["id,title,category", *items]), encoding="utf-8")
    outfits = [json.dumps({"id": str(n), "items": [str(3 * n + k) for k in range(3)]}) for n in range(40)]
    (tmp_path / "outfits.jsonl").write_text("\n".join(outfits), encoding="utf-8")
    found = coordi.evaluate(lambda outfits: [len(outfit) for outfit in outfits], str(tmp_path), **SETTINGS.model_dump())
    assert found["compatibility"]["random"]["auc"] == 0.5
