from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from coordi.artifacts import read_manifest
from coordi.cli.main import build_app
from coordi.describe.storage import read_described
from coordi.errors import ArtifactError, ConfigError, DataError, EncoderError

RUNNER = CliRunner()


@pytest.fixture
def catalogue(tmp_path: Path) -> Path:
    folder = tmp_path / "catalogue"
    folder.mkdir()
    rows = ["id,title,category,image"]
    for name, colour in (("a", "red"), ("b", "blue")):
        image = Image.new("RGB", (120, 160), "white")
        ImageDraw.Draw(image).polygon([(40, 20), (80, 20), (100, 150), (20, 150)], fill=colour)
        image.save(folder / f"{name}.jpg")
        rows.append(f"{name},{colour} skirt,skirts,{name}.jpg")
    (folder / "items.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


def run(*arguments: str | Path) -> str:
    return RUNNER.invoke(build_app(), [str(part) for part in arguments], catch_exceptions=False).stdout


def test_describe_writes_a_finished_stage(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    found = json.loads(run("describe", "--data", catalogue, "--out", out, "--json"))
    described = read_described(out)
    assert found["photos"] == len(described.ids) == 2
    assert found["unreadable"] == []
    counts = sum(sum(labels.values()) for labels in found["labels"].values())
    assert counts == sum(len(x) for d in described.descriptions.values() for x in d.attributes.values())
    manifest = read_manifest(out)
    assert manifest["inputs"]["encoder"] == described.encoder[1]
    assert manifest["settings"]["vocabulary"] == "fashion"


def test_a_users_vocabulary_is_what_is_said(catalogue: Path, tmp_path: Path) -> None:
    words = tmp_path / "words.yaml"
    words.write_text("attributes: {hue: {threshold: 0, labels: [red, blue], template: 'a photo of a {} product'}}")
    run("describe", "--data", catalogue, "--out", tmp_path / "out", "--vocabulary", words)
    described = read_described(tmp_path / "out")
    said = sorted(d.attributes["hue"][0].text for d in described.descriptions.values())
    assert said == ["blue", "red"]


def test_finished_work_is_not_overwritten(catalogue: Path, tmp_path: Path) -> None:
    run("describe", "--data", catalogue, "--out", tmp_path / "out")
    with pytest.raises(ArtifactError, match="finished already"):
        run("describe", "--data", catalogue, "--out", tmp_path / "out")


def test_wrong_words_eyes_and_data_are_one_error_each(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="no vocabulary 'nowhere'"):
        run("describe", "--data", catalogue, "--out", out, "--vocabulary", "nowhere")
    with pytest.raises(EncoderError, match="no encoder 'nobody'"):
        run("describe", "--data", catalogue, "--out", out, "--encoder", "nobody")
    with pytest.raises(DataError):
        run("describe", "--data", tmp_path / "nowhere", "--out", out)
    assert not out.exists()


def test_encoder_evaluate_gives_the_documented_json(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    rows = ["id,articleType,gender,productDisplayName"]
    for number in range(4):
        Image.new("RGB", (64, 64), ("red", "blue")[number % 2]).save(tmp_path / "images" / f"{number}.jpg")
        rows.append(f"{number},{('Skirts', 'Jeans')[number % 2]},Women,thing")
    rows.append("7,Skirts,Women,no photo")
    Image.new("RGB", (64, 64)).save(tmp_path / "images" / "8.jpg")
    (tmp_path / "styles.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    found = json.loads(run("encoder", "evaluate", "--data", tmp_path, "--json"))
    assert set(found) == {"attributes", "unseen", "left_out", "photos_per_second"}
    assert found["left_out"] == {"rows": 1, "photos": 1, "unreadable": 0}
    assert set(found["attributes"]) == {"articleType"}  # one gender only: nothing to tell apart
    figures = found["attributes"]["articleType"]
    assert set(figures) == {"n", "classes", "accuracy", "top3", "weighted_f1", "macro_f1", "ci95", "ece"}
    assert (figures["n"], figures["classes"]) == (4, 2)
    table = run("encoder", "evaluate", "--data", tmp_path, "--min-photos", "2")
    assert "articleType" in table
    common = json.loads(run("encoder", "evaluate", "--data", tmp_path, "--min-photos", "2", "--json"))
    assert common["attributes"]["articleType"]["common"]["n"] == 4
