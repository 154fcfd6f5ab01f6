from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image, ImageDraw
from typer.testing import CliRunner

from coordi.artifacts import read_manifest
from coordi.cli.main import build_app
from coordi.encoders.describe import read_described
from coordi.errors import ArtifactError, ConfigError, DataError, EncoderError

RUNNER = CliRunner()


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache of each test's own: vectors kept by one would make another's work free."""
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


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


@pytest.mark.slow
def test_the_same_command_brings_a_finished_folder_up_to_date(catalogue: Path, tmp_path: Path, cache: Path) -> None:
    command = ("describe", "--data", catalogue, "--out", tmp_path / "out", "--json")
    assert json.loads(run(*command))["encoded"] == 2
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir() if path.name != "manifest.json"}
    assert json.loads(run(*command))["encoded"] == 0
    for name, content in before.items():
        assert (tmp_path / "out" / name).read_bytes() == content
    Image.new("RGB", (60, 60), "green").save(catalogue / "c.jpg")
    with (catalogue / "items.csv").open("a", encoding="utf-8") as file:
        file.write("c,green skirt,skirts,c.jpg\n")
    found = json.loads(run(*command))
    assert (found["photos"], found["encoded"]) == (3, 1)
    assert read_described(tmp_path / "out").ids == ("a", "b", "c")
    # Elsewhere, too, as the vectors are in the cache.
    assert json.loads(run("describe", "--data", catalogue, "--out", tmp_path / "new", "--json"))["encoded"] == 0
    assert len(list(cache.rglob("*.sqlite"))) == 1


@pytest.mark.slow
def test_finished_work_of_another_kind_is_not_overwritten(catalogue: Path, tmp_path: Path) -> None:
    run("describe", "--data", catalogue, "--out", tmp_path / "out")
    words = tmp_path / "words.yaml"
    words.write_text("attributes: {hue: {threshold: 0, labels: [red, blue]}}")
    with pytest.raises(ArtifactError, match=r"finished already, with something else: vocabulary was .*, now"):
        run("describe", "--data", catalogue, "--out", tmp_path / "out", "--vocabulary", words)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "manifest.json").write_text('{"command": "coordi finetune", "inputs": {}}')
    with pytest.raises(ArtifactError, match="finished already"):
        run("describe", "--data", catalogue, "--out", tmp_path / "other")
    with pytest.raises(ArtifactError, match="is the folder of the data"):
        run("describe", "--data", catalogue, "--out", catalogue)


@pytest.mark.slow
def test_an_unfinished_folder_goes_on_only_with_what_it_was_begun_with(catalogue: Path, tmp_path: Path) -> None:
    out, words = tmp_path / "out", tmp_path / "words.yaml"
    run("describe", "--data", catalogue, "--out", out)
    (out / "manifest.json").unlink()  # as after kill -9
    words.write_text("attributes: {hue: {threshold: 0, labels: [red, blue]}}")
    with pytest.raises(ArtifactError, match=r"begun already, with something else: vocabulary was .*, now"):
        run("describe", "--data", catalogue, "--out", out, "--vocabulary", words)
    moved = catalogue.rename(tmp_path / "moved")
    with pytest.raises(ArtifactError, match=rf"begun already, with something else: data was {catalogue}, now {moved};"):
        run("describe", "--data", moved, "--out", out)
    moved.rename(catalogue)
    assert json.loads(run("describe", "--data", catalogue, "--out", out, "--json"))["encoded"] == 0
    assert read_manifest(out)["inputs"]["data"] == str(catalogue)


def test_somebody_elses_files_are_left_alone(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / "descriptions.html").write_text("a novel")
    with pytest.raises(ArtifactError, match=r"holds other files \(descriptions\.html\); choose an empty or new folder"):
        run("describe", "--data", catalogue, "--out", out)
    assert [path.name for path in out.iterdir()] == ["descriptions.html"]
    (out / "describe.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"describe\.json is somebody else's; choose an empty or new folder"):
        run("describe", "--data", catalogue, "--out", out)


@pytest.mark.slow
def test_two_processes_in_one_folder_are_refused_and_a_killed_one_holds_nothing(
    catalogue: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    code = "import sys, time; from pathlib import Path; from coordi.artifacts import lock_folder\n"
    code += "with lock_folder(Path(sys.argv[1])): print('held', flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE) as other:
        try:
            assert other.stdout is not None
            assert other.stdout.readline() == b"held\n"
            with pytest.raises(ArtifactError, match=rf"another coordi \(process {other.pid}\) is at work in {out}"):
                run("describe", "--data", catalogue, "--out", out)
            assert sorted(path.name for path in out.iterdir()) == [".lock"]
        finally:
            other.kill()
    assert json.loads(run("describe", "--data", catalogue, "--out", out, "--json"))["photos"] == 2


def test_a_folder_of_photos_gets_a_page_and_a_word_about_every_file(tmp_path: Path) -> None:
    folder = tmp_path / "wardrobe"
    (folder / "shoes").mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (60, 80), (40 * number, 90, 20)).save(folder / "shoes" / f"IMG_{number}.jpg")
    (folder / "cut.jpg").write_bytes((folder / "shoes" / "IMG_1.jpg").read_bytes()[:400])
    (folder / "IMG_9.JXL").write_bytes(b"\xff\x0a\0\0\0\0")
    (folder / "notes.txt").write_text("socks")
    result = RUNNER.invoke(build_app(), ["describe", "--data", str(folder), "--out", str(tmp_path / "out")],
                           catch_exceptions=False)  # fmt: skip
    assert "6 photos described (6 encoded now, 0 from the cache), 1 not opened" in result.stdout
    assert "not opened 1: photo cut short or damaged (cut)" in result.stderr
    assert "left out 1: photo is JPEG XL, which isn't opened: save it as JPEG or PNG (IMG_9.JXL)" in result.stderr
    assert "(notes.txt)" in result.stderr
    page = (tmp_path / "out" / "descriptions.html").read_text(encoding="utf-8")
    assert page.count("data:image/jpeg;base64,") == 6
    assert "photo cut short or damaged" in page
    assert "IMG_9.JXL" in page
    unreadable = json.loads((tmp_path / "out" / "unreadable.json").read_text(encoding="utf-8"))
    assert [(row["item_id"], row["kind"]) for row in unreadable] == [("cut", "photo cut short or damaged")]


def test_wrong_words_eyes_and_data_are_one_error_each(catalogue: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(ConfigError, match="no vocabulary 'nowhere'"):
        run("describe", "--data", catalogue, "--out", out, "--vocabulary", "nowhere")
    with pytest.raises(EncoderError, match="no encoder 'nobody'"):
        run("describe", "--data", catalogue, "--out", out, "--encoder", "nobody")
    with pytest.raises(DataError, match=r"there is no file or folder at .*nowhere"):
        run("describe", "--data", tmp_path / "nowhere", "--out", out)
    assert not out.exists()


def test_encoder_evaluate_says_what_its_user_can_type(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (64, 64)).save(tmp_path / "images" / "1.jpg")
    (tmp_path / "styles.csv").write_text("id,gender\n1,Women\n", encoding="utf-8")
    with pytest.raises(EncoderError, match=r"allow it with --allow-download .* --revision"):
        run("encoder", "evaluate", "--data", tmp_path, "--encoder", "someone/else")
    with pytest.raises(EncoderError, match=r"the revision is 'main'; give the commit of someone/else .* --revision"):
        run("encoder", "evaluate", "--data", tmp_path, "--encoder", "someone/else", "--allow-download",
            "--revision", "main")  # fmt: skip


@pytest.mark.slow
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
    assert set(found) == {"attributes", "left_out", "may_be_trained_on", "photos_per_second", "encoded"}
    assert found["left_out"] == {"rows": 1, "photos": 1, "unreadable": 0}
    assert set(found["attributes"]) == {"articleType"}  # one gender only: nothing to tell apart
    figures = found["attributes"]["articleType"]
    assert set(figures) == {"n", "classes", "accuracy", "top3", "weighted_f1", "macro_f1", "ci95", "ece"}
    assert (figures["n"], figures["classes"]) == (4, 2)
    table = run("encoder", "evaluate", "--data", tmp_path, "--min-photos", "2")
    assert "articleType" in table
    common = json.loads(run("encoder", "evaluate", "--data", tmp_path, "--min-photos", "2", "--json"))
    assert common["attributes"]["articleType"]["common"]["n"] == 4
