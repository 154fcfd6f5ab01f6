from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from coordi.cli import data
from coordi.errors import ConfigError, DataError

REAL = Path(__file__).resolve().parents[2].parent / "shared" / "data" / "polyvore-maryland"


def _app() -> typer.Typer:
    app = typer.Typer(pretty_exceptions_enable=False)
    data.register(app)
    app.command("other")(lambda: None)
    return app


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    folder = tmp_path / "shop"
    folder.mkdir()
    kinds = ("top", "bottom", "shoes")
    ids = np.random.default_rng(0).permutation(60)  # those of one outfit don't lie near one another
    rows = [f"{ids[number]},[red] thing {number},{kinds[number % 3]}" for number in range(60)]
    (folder / "items.csv").write_text("\n".join(["id,title,category", *rows, "60,oak,sofa"]))
    outfits = [json.dumps({"id": f"o{number}", "items": [str(ids[3 * number + place]) for place in range(3)]})
               for number in range(20)]  # fmt: skip
    (folder / "outfits.jsonl").write_text("\n".join(outfits))
    return folder


def test_info_shows_funnel_counts_balance_and_leaks(shop: Path) -> None:
    result = CliRunner().invoke(_app(), ["data", "info", str(shop)])
    assert result.exit_code == 0, result.output
    for words in ("shop: recognised as catalogue", "nobody wears it", "60 items, 0 with a photo", "same-category"):
        assert words in result.stdout
    said = " ".join(result.stdout.split())
    assert "leaks: none found, but not all could be looked for not audited: too few questions" in said
    assert "8 of test random, " in said


def test_json_stands_alone_on_standard_output(shop: Path) -> None:
    result = CliRunner().invoke(_app(), ["data", "info", str(shop), "--json"])
    found = json.loads(result.stdout)
    assert found["outfits"] == {"train": 14, "valid": 2, "test": 4}
    assert found["categories"]["top"] == {"train": 14, "valid": 2, "test": 4, "all": 20}
    assert [row["reason"] for row in found["funnel"] if row["dropped"]] == [
        "nobody wears it to be seen (rugs, lipstick, underwear, ...)"
    ]
    train = next(row for row in found["questions"] if (row["split"], row["protocol"]) == ("train", "random"))
    assert (train["compatibility"], train["positives"], train["blanks"]) == (28, 14, 14)
    assert found["text_only"] is True
    assert [leak["name"] for leak in found["leaks"]] == ["unaudited"]


def test_a_split_too_small_for_questions_is_said_rather_than_fatal(shop: Path) -> None:
    lines = (shop / "outfits.jsonl").read_text().splitlines()[:3]
    (shop / "outfits.jsonl").write_text("\n".join(lines))
    result = CliRunner().invoke(_app(), ["data", "info", str(shop)])
    assert result.exit_code == 0, result.output
    assert "too few" in result.stdout


def test_what_no_model_is_shown_is_told_apart(shop: Path) -> None:
    """Ids that count up tell which items belong together; nobody who reads titles can know."""
    kinds = ("top", "bottom", "shoes")
    rows = [f"{number},thing {number},{kinds[number % 3]}" for number in range(300)]
    (shop / "items.csv").write_text("\n".join(["id,title,category", *rows]))
    outfits = [json.dumps({"id": f"o{number}", "items": [str(3 * number + place) for place in range(3)]})
               for number in range(100)]  # fmt: skip
    (shop / "outfits.jsonl").write_text("\n".join(outfits))
    result = CliRunner().invoke(_app(), ["data", "info", str(shop)])
    shown, unshown = result.stdout.split("would tell answers, but coordi shows it to no model:")
    assert "numbers of item ids that lie near one another tell the answer: AUC 1.00" in " ".join(unshown.split())
    assert "ids (" not in shown


def test_settings_of_the_data_alone_are_taken(shop: Path) -> None:
    result = CliRunner().invoke(_app(), ["data", "info", str(shop), "--json", "data.test_outfits=3"])
    assert json.loads(result.stdout)["outfits"]["test"] == 3
    for override in ("seed=3", "evaluate.choices=3", "dataset=x"):
        refused = CliRunner().invoke(_app(), ["data", "info", str(shop), "data.split=released", override])
        assert isinstance(refused.exception, ConfigError)
        assert f"'{override}' is not a data setting; use one of data.photos, " in str(refused.exception)
        assert "--seed" in str(refused.exception)


def test_every_protocol_is_drawn_and_audited(shop: Path) -> None:
    found = json.loads(CliRunner().invoke(_app(), ["data", "info", str(shop), "--json"]).stdout)
    asked = {row["protocol"]: row["blanks"] for row in found["questions"] if row["split"] == "test"}
    assert asked == {"random": 4, "same-category": 4, "one-swapped": 0, "pairs": 0}
    (note,) = found["leaks"]
    assert {"test pairs", "test one-swapped", "test random blanks"} <= set(note["where"].split(", "))
    assert "test pairs blanks" not in note["where"]


def test_photos_required_is_passed_on(shop: Path) -> None:
    result = CliRunner().invoke(_app(), ["data", "info", str(shop), "--photos", "required"])
    assert isinstance(result.exception, DataError)
    assert "no photo" in str(result.exception)
    usage = CliRunner().invoke(_app(), ["data", "info", str(shop), "--photos", "some"])
    assert usage.exit_code == 2


@pytest.mark.slow
def test_the_real_release() -> None:
    if not REAL.is_dir():
        pytest.skip(f"the real data isn't at {REAL}")
    result = CliRunner().invoke(_app(), ["data", "info", str(REAL), "--json"])
    found = json.loads(result.stdout)
    assert found["layout"] == "polyvore-maryland"
    assert found["text_only"] is True
    names = {leak["name"] for leak in found["leaks"]}
    assert {"titles", "words", "categories", "ids"} <= names
    assert not names & {"order", "balance", "repeats", "duplicates"}
    # Sellers' names stand in titles, and the release's own negatives mix sellers.
    assert "test release" in {leak["where"] for leak in found["leaks"] if leak["name"] == "words"}
    assert "size" not in names
    assert {leak["shown"] for leak in found["leaks"] if leak["name"] == "ids"} == {False}
    assert all(2 * row["positives"] == row["compatibility"] for row in found["questions"])
