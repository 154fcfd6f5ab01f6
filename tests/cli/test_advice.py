"""``coordi score`` and ``coordi recommend``: what is shown, what a program reads, what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image
from typer.testing import CliRunner

from coordi.cli.main import build_app
from coordi.errors import ArtifactError, CoordiError, DataError, ImageError, ModelError, RecommendationError
from coordi.model.base import find_gguf
from coordi.model.trained import BUNDLED

RUNNER = CliRunner()
ROWS = (
    ("s1", "Black leather ankle boots", "shoes", "120", "women", "1"),
    ("s2", "White canvas sneakers", "shoes", "49.9", "unisex", "0"),
    ("s3", "Men's brown brogues", "shoes", "89", "men", "3"),
    ("b1", "Navy tote bag", "bags", "35", "", ""),
    ("b2", "Red leather clutch", "bags", "80", "", "2"),
    ("t1", "Silk blouse", "tops", "75", "women", "5"),
)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A catalogue of words, built."""
    folder = tmp_path_factory.mktemp("shop")
    table = ["id,title,category,price,gender,stock", *(",".join(row) for row in ROWS)]
    (folder / "items.csv").write_text("\n".join(table) + "\n", encoding="utf-8")
    run("catalogue", "build", folder / "items.csv", "--out", folder / "built")
    return folder / "built"


def run(*arguments: str | Path) -> str:
    result = RUNNER.invoke(build_app(), [str(part) for part in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.mark.slow
def test_what_completes_an_outfit_as_a_program_reads_it(shop: Path) -> None:
    found = json.loads(run("recommend", "t1", "blue skinny jeans", "--catalogue", shop, "--quick", "-k", "3", "--json"))
    assert (found["judge"], found["categories"]) == ("without-language-model", ["shoes", "bag"])
    assert (found["candidates"], found["ranked"], found["shortlist"]) == (4, 4, "everything")
    assert [one["text"] for one in found["outfit"]] == ["top: silk blouse", "bottom: blue skinny jeans"]
    ids = [one["id"] for one in found["suggestions"]]
    assert len(ids) == 3
    assert "s3" not in ids  # made for men, and the blouse is for women
    first = found["suggestions"][0]
    assert 0 <= first["score"] <= 1
    assert {one["item"] for one in first["reason"]["items"]} == {"t1", "blue skinny jeans"}
    assert first["reason"]["text"].endswith(".")


@pytest.mark.slow
def test_rules_are_options(shop: Path) -> None:
    def ids(*options: str) -> list[str]:
        found = json.loads(run("recommend", "t1", "--catalogue", shop, "--quick", "--json", *options))
        return sorted(one["id"] for one in found["suggestions"])

    assert ids("--want", "Shoes") == ["s1", "s2"]
    assert ids("--want", "shoes", "--want", "bag", "--max-price", "60") == ["b1", "s2"]
    assert ids("--want", "shoes", "--in-stock") == ["s1"]
    assert ids("--want", "shoes", "--gender", "men") == ["s2", "s3"]
    assert ids("--want", "bag", "--not-colour", "red") == ["b1"]
    assert ids("--unwanted", "shoes", "--exclude", "b1") == ["b2"]
    assert ids("--want", "bag", "--pin", "s1") == ["b1", "b2", "s1"]


def test_whole_looks(shop: Path) -> None:
    rules = ("--catalogue", shop, "--quick", "--want", "bag", "--not-gender", "men")
    found = json.loads(run("recommend", "blue jeans", "--looks", "-k", "1", "--json", *rules))
    (look,) = found["looks"]
    assert found["around"] == {"given": "blue jeans", "text": "bottom: blue jeans"}
    assert [one["category"] for one in look["added"]] == ["top", "shoes", "bag"]
    assert look["lacks"] == []
    assert {one["item"] for one in look["reason"]["items"]} == {"blue jeans", *(one["id"] for one in look["added"])}
    lines = run("recommend", "white shirt", "--looks", "-k", "1", *rules).splitlines()
    assert lines[0].endswith("  top: white shirt")
    assert "      Nothing found of: bottom." in lines
    assert lines[-1] == "1 look, judged without the language model"


def test_words_of_no_known_garment_are_scored_and_named() -> None:
    result = RUNNER.invoke(build_app(), ["score", "frobnicator", "blue jeans", "--quick"])
    assert result.exit_code == 0
    assert "'frobnicator' is no garment that coordi knows; it is judged by its words alone" in " ".join(
        result.output.split()
    )


def test_whole_looks_are_around_one_item(shop: Path) -> None:
    result = RUNNER.invoke(build_app(), ["recommend", "t1", "b1", "--looks", "--catalogue", str(shop)])
    assert result.exit_code == 2
    assert "got 2" in result.output
    with pytest.raises(RecommendationError, match="no look"):
        run("recommend", "t1", "--looks", "--quick", "--catalogue", shop, "--brand", "Acme")


def test_what_people_read(shop: Path) -> None:
    told = run("recommend", "t1", "blue jeans", "--catalogue", shop, "--quick", "--want", "shoes", "--max-price", "60")
    first, why, last, *rules = told.splitlines()
    assert first.endswith("shoes: white canvas sneakers, 49.90  [s2]")
    assert why.strip().startswith(("They ", "Their ", "Helped by", "Held back by", "No single item"))
    assert last == "1 of 1 candidates ranked without the language model; looked for: shoes"
    assert rules[0].strip() == "price at most 60: leaves out 2, 1 left"


def test_an_occasion_and_weather_are_options(shop: Path) -> None:
    wish = ("--occasion", "office", "--weather", "46 F, rain", "--want", "shoes", "--catalogue", shop, "--quick")
    told = run("recommend", "t1", "blue jeans", *wish).splitlines()
    assert told[0].startswith("Understood: office, 46 F, rain; dress code smart casual to cocktail; the outfit breaks")
    assert [line[-4:] for line in told if line.endswith("]")] == ["[s1]"]
    assert told[-1].strip() == "office: leaves out 1, 1 left"
    found = json.loads(run("recommend", "t1", "--json", *wish))
    assert (found["understood"]["occasions"], found["understood"]["weather"]) == (["office"], ["46 F", "rain"])
    looks = run("recommend", "t1", "--looks", "-k", "1", "--occasion", "beach wedding", "--catalogue", shop, "--quick")
    assert "beach gives way to wedding guest" in looks.splitlines()[0]


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("t1", "--occasion", "ofice"), RecommendationError, "occasion: no occasion 'ofice'; nearest: office"),
        (("t1", "--weather", "60 C"), RecommendationError, "weather: the temperature is 60 C; accepted are -50 C"),
        (
            ("t1", "--want", "shoes", "--occasion", "black tie"),
            RecommendationError,
            "(Understood: black tie; dress code",
        ),
        (("t1", "--want", "hats"), RecommendationError, "no category 'hats', but 'headwear' has such things"),
        (("t1", "--colour", "blurple"), RecommendationError, "no colour 'blurple': accepted are black, white"),
        (("t1", "--gender", "gents"), RecommendationError, "no gender 'gents': accepted are women, men"),
        (("t1", "--want", "bag", "--unwanted", "bag"), RecommendationError, "'bag' is both asked for and refused"),
        (("t1", "--max-price", "-1"), RecommendationError, "price_max: must be greater than or equal to 0"),
        (("s1", "--want", "shoes"), RecommendationError, "the outfit already has shoes; want something else"),
        (("t1", "--want", "watch"), RecommendationError, "nothing of watch is in the catalogue"),
        (("t1", "--want", "bag", "--max-price", "1"), RecommendationError, "'price at most 1' leaves out 2, 0 left"),
        (("t1", "--pin", "zz"), RecommendationError, "no item 'zz' to pin: accepted are the ids of the catalogue's 6"),
        (("a purple sofa",), DataError, "'a purple sofa' names nothing that is worn"),
        (("nowhere/none.jpg",), ImageError, "none.jpg"),
    ],
)
def test_refusals(shop: Path, arguments: tuple[str, ...], error: type[CoordiError], said: str) -> None:
    with pytest.raises(error) as told:
        run("recommend", *arguments, "--catalogue", shop, "--quick")
    assert said in str(told.value)


def test_a_catalogue_told_in_another_way_than_the_model_was_taught_is_refused(shop: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    shutil.copytree(BUNDLED, model)
    settings = json.loads((model / "settings.json").read_text(encoding="utf-8"))
    settings["prompt"]["max_title_words"] = 3
    (model / "settings.json").write_text(json.dumps(settings), encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"max_title_words was 8 and is now 3.*--model MODEL"):
        run("recommend", "t1", "--catalogue", shop, "--quick", "--model", model)
    run("catalogue", "build", shop.parent / "items.csv", "--out", tmp_path / "own", "--model", model)
    run("recommend", "t1", "--catalogue", tmp_path / "own", "--quick", "--model", model)


def test_a_feed_that_was_cut_short_removes_nothing_unless_allowed(tmp_path: Path) -> None:
    feed = tmp_path / "feed.csv"
    rows = [f"i{n},{colour} shirt,tops" for n, colour in enumerate(("red", "blue", "green", "black") * 6)]
    feed.write_text("\n".join(["id,title,category", *rows]) + "\n", encoding="utf-8")
    run("catalogue", "build", feed, "--out", tmp_path / "built")
    feed.write_text("\n".join(["id,title,category", *rows[:5]]) + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"19 of the 24 items .* may be cut short.*--may-shrink"):
        run("catalogue", "refresh", tmp_path / "built")
    assert json.loads(run("catalogue", "info", tmp_path / "built", "--json"))["items"] == 24
    run("catalogue", "refresh", tmp_path / "built", "--may-shrink")
    assert json.loads(run("catalogue", "info", tmp_path / "built", "--json"))["items"] == 5


def test_a_source_that_has_moved_is_the_new_source(tmp_path: Path) -> None:
    for name in ("one.csv", "two.csv"):
        (tmp_path / name).write_text("id,title,category\na,red shirt,tops\nb,blue jeans,jeans\n", encoding="utf-8")
    run("catalogue", "build", tmp_path / "one.csv", "--out", tmp_path / "built")
    run("catalogue", "refresh", tmp_path / "built", tmp_path / "two.csv")
    (tmp_path / "one.csv").unlink()
    for command in (("refresh", tmp_path / "built"), ("build", tmp_path / "two.csv", "--out", tmp_path / "built")):
        done = json.loads(run("catalogue", *command, "--json"))
        assert (done["unchanged"], done["added"], done["removed"]) == (2, 0, 0)
        assert json.loads(run("catalogue", "info", tmp_path / "built", "--json"))["source"].endswith("two.csv")


def test_any_data_is_a_catalogue_described_once(shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    command = ("recommend", "s1", "--catalogue", str(shop.parent / "items.csv"), "--quick", "--want", "bag", "--json")
    assert run(*command) == run(*command)
    assert len(list((tmp_path / "cache" / "catalogues").iterdir())) == 1


def test_a_quick_score_says_what_judged(tmp_path: Path) -> None:
    command = ("score", "navy wool blazer", "white cotton shirt", "neon swimsuit", "--quick")
    found = json.loads(run(*command, "--json"))
    assert (found["model"], found["judge"]) == ("without-language-model", "without-language-model")
    assert [one["given"] for one in found["items"]] == ["navy wool blazer", "white cotton shirt", "neon swimsuit"]
    assert found["weakest"] in (None, *(one["given"] for one in found["items"]))
    assert found["cautions"] == ["'swimwear' beside 'top'"] or found["cautions"] == ["'top' beside 'swimwear'"]
    assert run(*command).splitlines()[0].endswith("  without the language model")


def test_a_score_says_what_speaks_for_it_and_against_it() -> None:
    command = ("score", "navy wool coat", "white flip-flops", "blue jeans", "--quick")
    lines = run(*command).splitlines()
    of_items = "navy wool coat (autumn, winter, usual), white flip-flops (summer, usual)"
    assert f"Against it: they are for other seasons: {of_items}" in lines
    assert ("For it: their colours are of one family: navy wool coat (navy blue, you), blue jeans (blue, you)") in lines
    remarks = json.loads(run(*command, "--json"))["remarks"]
    assert [(row["rule"], row["speaks_for"], row["items"]) for row in remarks] == [
        ("dress codes apart", False, [0, 1]), ("seasons apart", False, [0, 1]), ("colours of a family", True, [0, 2]),
    ]  # fmt: skip
    assert remarks[1]["text"].startswith("they are for other seasons: ")


def test_a_photo_that_nobody_can_tell_is_refused_with_the_way_out(tmp_path: Path) -> None:
    Image.new("RGB", (64, 64), "white").save(tmp_path / "blank.png")
    with pytest.raises(
        DataError, match=r"the photo '.*blank.png' shows no(thing that is sure| garment); say in words what it is"
    ):
        run("score", tmp_path / "blank.png", "white shirt", "--quick")


@pytest.mark.slow
def test_naming_in_words_needs_a_model_that_writes(shop: Path) -> None:
    arguments = ["recommend", "t1", "--catalogue", str(shop), "--generate"]
    with pytest.raises(ModelError, match=r"has a pooled head, which gives a score and no words"):
        run(*arguments)
    for other in ("--quick", "--looks"):
        result = RUNNER.invoke(build_app(), [*arguments, other])
        assert result.exit_code == 2
        assert f"leave out {other}" in " ".join(result.output.replace("│", " ").split())


@pytest.mark.slow
@pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")
def test_a_model_that_was_not_taught_to_name_items_says_so(shop: Path) -> None:
    arguments = ["recommend", "t1", "--catalogue", str(shop), "--want", "shoes", "--model", "base", "--generate"]
    result = RUNNER.invoke(build_app(), [*arguments, "-k", "2"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    text = " ".join(result.output.split())
    assert "this model wasn't taught to name items" in text
    assert "shoes: the image encoder recommends" in text
    assert "the model names '" in text
    assert "candidates nearest to the words scored by the base model" in text
