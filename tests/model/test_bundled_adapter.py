from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import coordi
from coordi.artifacts import read_json
from coordi.config import RunSettings
from coordi.data.loading import load
from coordi.data.questions import compatibility_questions
from coordi.data.sample import write_sample
from coordi.model.base import INSTALL, find_gguf, resolve_base
from coordi.model.scoring import load_scorer
from coordi.model.trained import BUNDLED, find_model
from coordi.prompts import item_text

pytestmark = pytest.mark.skipif(
    find_gguf() is None, reason=f"the bundled language model isn't installed; run: {INSTALL}"
)


def settings(arithmetic: str) -> RunSettings:
    result = find_model("bundled").settings
    return result.model_copy(update={"model": result.model.model_copy(update={"arithmetic": arithmetic})})


def test_it_is_small_and_says_what_it_is() -> None:
    assert sum(path.stat().st_size for path in BUNDLED.iterdir()) < 6 * 2**20
    card = (BUNDLED / "README.md").read_text(encoding="utf-8")
    for word in ("## Data", "## Figures", "## Limits", "make adapter"):
        assert word in card
    assert len(read_json(BUNDLED / "trained_on.json")) > 800


@pytest.mark.slow
def test_scores_in_bytes_rank_as_in_floats(tmp_path: Path) -> None:
    from scipy.stats import spearmanr  # type: ignore[import-untyped]
    from sklearn.metrics import roc_auc_score

    result = settings("float32")
    write_sample(tmp_path)
    dataset = load(tmp_path, result.data.model_copy(update={"photos": "optional"}), result.seed)
    items = [replace(item, text=item_text(item, None, result.prompt)) for item in dataset.items.values()]
    described = replace(dataset, items={item.id: item for item in items})
    questions = compatibility_questions(dataset, "test", "random", result.seed)[:60]
    outfits = [described.items_of(question.item_ids) for question in questions]
    base = resolve_base(result.model)
    floats, bytes_ = (
        load_scorer(base, BUNDLED, settings(arithmetic)).score(outfits) for arithmetic in ("float32", "int8")
    )
    truth = [question.compatible for question in questions]
    assert spearmanr(floats, bytes_).statistic >= 0.995
    assert abs(roc_auc_score(truth, floats) - roc_auc_score(truth, bytes_)) <= 0.005
    assert np.ptp(floats) > 0.3  # it does tell outfits apart


@pytest.mark.parametrize("language_model", [True, False])
def test_the_classic_is_above_all_orange(language_model: bool) -> None:
    model = coordi.load()
    classic = ("white top", "blue jeans", "black heels", "black bag")
    orange = tuple(f"orange {words.split()[1]}" for words in classic)
    scores = [model.score(outfit, language_model=language_model).score for outfit in (classic, orange)]
    assert scores[0] > scores[1]


@pytest.mark.parametrize(
    ("outfit", "right", "wrong"),
    [
        (("black evening gown",), "silver stilettos", "brown hiking boots"),
        (("charcoal wool suit",), "black leather oxford shoes", "flip-flops"),
        (("navy blazer", "grey wool trousers"), "brown leather loafers", "navy flip-flops"),
        (("men's formal white shirt", "black formal trousers"), "black formal shoes", "black flip-flops"),
        (("wool winter coat", "wool scarf"), "ankle boots", "flip-flops"),
        (("tuxedo jacket", "tuxedo trousers"), "patent leather dress shoes", "running shoes"),
        (("denim jacket", "white t-shirt", "blue jeans"), "white sneakers", "silver stilettos"),
    ],
)
def test_what_breaks_a_dress_code_scores_clearly_lower(outfit: tuple[str, ...], right: str, wrong: str) -> None:
    """The first adapter, of 0.1.0, had differences from -0.19 to 0.042 here."""
    model = coordi.load()
    assert model.score((*outfit, right)).score > model.score((*outfit, wrong)).score + 0.05


def test_names_of_brands_and_sellers_count_as_no_shared_words() -> None:
    words = read_json(BUNDLED / "ensemble.json")["idf"]
    assert not {"yoins", "topshop", "chicnova", "gucci", "nike", "chicwish", "romwe"} & set(words)
    assert {"leather", "striped", "lace", "bikini"} <= set(words)
