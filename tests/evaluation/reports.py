"""Reports to look at: a small one worked out by hand, and a wide one with every scorer, protocol and task."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from coordi.config import RunSettings
from coordi.evaluation.question_sets import ProtocolQuestions, draw_questions
from coordi.evaluation.report import Recommendation, ReportData, TrainingPoint
from coordi.evaluation.scoring import RawScores, ReportWarning
from coordi.types import CompatibilityQuestion, Dataset, Description, FitbQuestion, Item, Label

from .scorers import measure

SETTINGS = RunSettings.model_validate({"evaluate": {"bootstrap": 100, "examples": 4}})


class TableScorer:
    """Says what a table says of the outfit's items in order."""

    gives_probabilities = False

    def __init__(self, name: str, table: dict[str, float], otherwise: float = 0.5) -> None:
        self.name = name
        self._table = table
        self._otherwise = otherwise

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.array([self._table.get(",".join(item.id for item in outfit), self._otherwise) for outfit in outfits])


def make_question(item_ids: str, outfit_id: str, compatible: bool) -> CompatibilityQuestion:
    return CompatibilityQuestion(f"{outfit_id}-{compatible}", outfit_id, tuple(item_ids.split(",")), compatible)


VALID = (make_question("0,1", "valid-0", True), make_question("2,7", "valid-0", False))
TEST = (
    make_question("168,169", "test-0", True),
    make_question("168,173", "test-0", False),
    make_question("172,173", "test-1", True),
    make_question("172,169", "test-1", False),
)
BLANKS = (
    FitbQuestion("q", "test-0", ("168",), ("169", "173"), 0),
    FitbQuestion("r", "test-1", ("172",), ("169", "173"), 1),
)
# The threshold is 0.5. Right: 168,169 by 0.4 and 172,169 by 0.2; wrong: 168,173 by 0.1 and 172,173 by 0.3.
MODEL = {"0,1": 0.7, "2,7": 0.3, "168,169": 0.9, "168,173": 0.6, "172,173": 0.2, "172,169": 0.3}


HOSTILE = "<script>alert('x')</script> & co"


def small_report(wardrobe: Dataset, folder: Path) -> ReportData:
    """Four questions, two blanks, a model and its base; item 172 has a photo, 173 a hostile title."""
    photo = folder / "photo.jpg"
    Image.new("RGB", (300, 200), "teal").save(photo)
    items = dict(wardrobe.items)
    items["172"] = replace(items["172"], image=photo)
    items["173"] = replace(items["173"], title=HOSTILE)
    questions = ProtocolQuestions("random", VALID, TEST, BLANKS)
    scorers = [TableScorer("fine-tuned", MODEL), TableScorer("base", {}, 0.5)]
    return ReportData(
        command="coordi run --data clothes --out 'a <b>'",
        dataset=replace(wardrobe, items=items),
        evaluation=measure([questions], scorers, SETTINGS.evaluate, 3),
        model={"name": "fine-tuned", "base": "bundled"},
        settings=SETTINGS.model_dump(mode="json"),
        training=(TrainingPoint(0, None, 0.7, 0.5), TrainingPoint(10, 0.6, 0.6, 0.6), TrainingPoint(20, 0.5)),
        descriptions={"172": Description("172", {"colour": (Label("teal", 0.81), Label("navy", 0.12))})},
        recommendations=(Recommendation(("172",), "bag", (("175", 0.75), ("171", 0.5)), "titles", removed="175"),),
        versions={"coordi": "0.1.0"},
    )


class NoisyScorer:
    """Sees by how many pairs an outfit is of one style, through noise of its own; ``strength`` 0 sees noise alone."""

    def __init__(self, name: str, strength: float) -> None:
        self.name = name
        self.gives_probabilities = True
        self._strength = strength

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        return np.array([self._score(outfit) for outfit in outfits])

    def _score(self, outfit: Sequence[Item]) -> float:
        styles = [item.title.split()[0] for item in outfit]
        pairs = [first == second for first, second in combinations(styles, 2)]
        noise = np.random.default_rng(
            zlib.crc32(" ".join([self.name, *sorted(item.id for item in outfit)]).encode())
        ).normal()
        return float(1 / (1 + np.exp(-(self._strength * (float(np.mean(pairs)) - 0.5) + noise))))


class PartialScores:
    """Scores from a file, of the blanks of one protocol alone."""

    name = "=cmd()|x, <b>"

    def scores(self, part: ProtocolQuestions) -> RawScores | None:
        if part.protocol != "random":
            return None
        blanks = np.zeros((len(part.blanks), 4))
        blanks[np.arange(len(blanks)), part.answers] = 1
        return RawScores(blanks=blanks)


# Strength by scorer: the first is under test, and the strongest plain one is "category-pairs".
STRENGTHS = {
    "fine-tuned": 3.0, "base": 0.5, "chance": 0.0, "size": 0.1, "order": 0.2, "popularity": 0.3, "category-pairs": 6.0,
    "title-cosine": 2.5, "sentence-cosine": 2.0, "encoder-similarity": 1.5, "set-transformer": 4.0, "frozen-probe": 1.0,
}  # fmt: skip


def wide_report(wardrobe: Dataset, seed: int = 17, strength: float = 3.0) -> ReportData:
    """Twelve scorers and one from a file, all protocols with a release's, and retrieval.

    Args:
        wardrobe: The data.
        seed: Of the questions.
        strength: Of the model under test.
    """
    settings = SETTINGS.model_copy(update={"seed": seed})
    measured = settings.evaluate.model_copy(update={"retrieval_pool": 6, "bootstrap": 1000})
    drawn = draw_questions(wardrobe, measured, seed)
    release = replace(drawn[0], protocol="release", warnings=("3 of the release's 27 questions: an item is gone.",))
    blanks_alone = replace(drawn[0], protocol="release-odd one/<i>", valid=(), test=(), retrieval=(), warnings=())
    scorers = [NoisyScorer(name, value) for name, value in (STRENGTHS | {"fine-tuned": strength}).items()]
    evaluation = measure(
        [*drawn, release, blanks_alone], [*scorers, PartialScores()], measured, seed, items=wardrobe.items
    )
    return ReportData(
        command="coordi run --data wardrobe --out wide",
        dataset=wardrobe,
        evaluation=evaluation,
        model={"name": "fine-tuned"},
        settings=settings.model_copy(update={"evaluate": measured}).model_dump(mode="json"),
        versions={"coordi": "0.1.0"},
        warnings=(ReportWarning("baselines", "encoder-vectors were left out: no photo <b>."),),
    )


def figures(auc: float, **baselines: tuple[float, float | None]) -> dict[str, Any]:
    """Compatibility figures; each baseline has its AUC and the Holm-adjusted p-value of the difference."""

    def one(value: float) -> dict[str, Any]:
        ends = [round(value - 0.1, 6), min(1.0, value + 0.1)]
        return {
            "n": 400, "positives": 200, "accuracy": value, "f1": value, "auc": value, "threshold": 0.5,
            "ci95": {"accuracy": ends, "f1": ends, "auc": ends},
        }  # fmt: skip

    def ahead(value: float, p_holm: float | None) -> dict[str, Any]:
        by = auc - value
        return {
            "auc": by,
            "ci95": [by - 0.1, by + 0.1],
            "p_value": p_holm,
            "p_holm": p_holm,
            "smallest_difference": 0.15,
        }

    return one(auc) | {
        "smallest_difference": 0.12,
        "baselines": {
            name.replace("_", "-"): one(value) | {"model_ahead": ahead(value, p_holm)}
            for name, (value, p_holm) in baselines.items()
        },
    }


class Page(HTMLParser):
    """Collects what a test looks at, and fails on tags that don't match."""

    VOID = frozenset({"meta", "img", "link", "br", "input", "circle", "path", "use"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.words += data.split()

    @property
    def text(self) -> str:
        return " ".join(self.words)
