"""A catalogue is built of every good row, tells of every bad one, and is brought up to date by what changed."""

from __future__ import annotations

import csv
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from coordi.artifacts import Progress, connect, is_finished, no_progress, quoted, read_json, read_manifest
from coordi.config import DataSettings, DescribeSettings, PromptSettings
from coordi.data.photos import open_photo
from coordi.data.sample import sample_folder, write_sample
from coordi.encoders.labels import Labeller
from coordi.errors import ArtifactError, DataError, EncoderError, RecommendationError
from coordi.recommend.build import (
    LONG_TITLE,
    SEVERAL,
    CatalogueJob,
    DescriptionPipeline,
    add_to_catalogue,
    build_catalogue,
    info_of,
    read_feed,
    refresh_catalogue,
    remove_from_catalogue,
)
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.rules import Rules

from ..hub_server import PIN, Hub
from ..hub_server import constants as constants
from ..hub_server import server as server
from ..sample import write_several_garments

Row = dict[str, Any]
GOOD: tuple[Row, ...] = (
    {"sku": "a", "name": "Red pleated skirt", "type": "skirts", "image": "a.jpg", "price": 20, "brand": "Kim"},
    {"sku": "b", "name": "Blue shirt", "type": "shirts", "image": "b.jpg", "price": 30, "brand": "Lee"},
    {"sku": "c", "name": "Leather boots", "type": "boots", "image": "", "price": 90, "brand": "Kim"},
)
COLUMNS = (*GOOD[0], "gender", "stock")


@contextmanager
def quietly(label: str) -> Iterator[Progress]:
    yield no_progress


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture(scope="module")
def pipeline() -> DescriptionPipeline:
    return DescriptionPipeline.of(DescribeSettings(), PromptSettings())


@pytest.fixture
def work(tmp_path: Path) -> CatalogueJob:
    return CatalogueJob(tmp_path / "made", "coordi catalogue build", quietly)


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A folder with photos a and b and a table of the good rows."""
    folder = tmp_path / "shop"
    folder.mkdir()
    photo(folder / "a.jpg", "red")
    photo(folder / "b.jpg", "blue")
    write(folder, GOOD)
    return folder


def photo(path: Path, colour: str) -> None:
    image = Image.new("RGB", (120, 160), "white")
    ImageDraw.Draw(image).polygon([(40, 20), (80, 20), (100, 150), (20, 150)], fill=colour)
    image.save(path)


def write(folder: Path, rows: tuple[Row, ...]) -> Path:
    path = folder / "products.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS)
        writer.writeheader()
        writer.writerows(rows)
    return path


def problems_of(folder: Path) -> list[Row]:
    return [json.loads(line) for line in (folder / "problems.jsonl").read_text(encoding="utf-8").splitlines()]


def test_good_rows_become_items_with_all_that_is_known(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    result = build_catalogue(shop, pipeline, work)
    assert (result.items, result.added, result.encoded) == (3, 3, 2)
    assert [entry["reason"] for entry in problems_of(work.folder)] == ["no photo named: kept for its title"]
    with Catalogue.open(work.folder) as index:
        assert index.ids() == ["a", "b", "c"]
        items = index.get(["a", "b", "c"])
        entry = items["a"]
        assert (entry.category, entry.price, entry.brand, entry.image) == ("bottom", 20.0, "Kim", shop / "a.jpg")
        assert entry.colours[0] == "red"
        assert items["c"].photo_embedding is None
        image = open_photo(shop / "a.jpg")
        assert entry.photo_embedding is not None
        assert float(entry.photo_embedding @ pipeline.encoder.encode_images([image])[0]) == pytest.approx(1, abs=1e-5)
        assert entry.description is not None
        labeller = Labeller(pipeline.encoder, pipeline.vocabulary)
        alone = labeller.descriptions([""], pipeline.encoder.encode_images([image]))[0].attributes
        assert list(entry.description.attributes) == list(alone)
        for name, labels in entry.description.attributes.items():
            assert [label.text for label in labels] == [label.text for label in alone[name]]
            for is_, was in zip(labels, alone[name], strict=True):  # batches round otherwise
                assert is_.probability == pytest.approx(was.probability, abs=1e-5)
        assert [near.id for near, _ in index.nearest(pipeline.encoder.encode_images([image])[0], "photo", 5)] == [
            "a",
            "b",
        ]
        assert index.info == pipeline.info("shop", str(shop), index.info.changed_at).model_copy(
            update={"name": index.info.name}
        )
    assert read_json(work.folder / "catalogue.json")["source"] == str(shop)
    assert read_manifest(work.folder)["inputs"]["encoder"] == pipeline.encoder.identity
    assert sorted(path.name for path in work.folder.iterdir()) == [
        ".lock", "catalogue.json", "items.duckdb", "manifest.json", "problems.jsonl",
    ]  # fmt: skip


BAD: tuple[tuple[Row, str, bool], ...] = (
    ({"sku": "p1", "name": "Wool coat", "type": "coats", "price": "abc"}, "price isn't a number of 0 or more", True),
    ({"sku": "p2", "name": "Wool coat", "type": "coats", "price": "-4"}, "price isn't a number of 0 or more", True),
    ({"sku": "u1", "name": "Wool coat", "type": "Gizmo"}, "no known category word", True),
    ({"sku": "u2", "name": "Thing", "type": "Gizmo"}, "neither its words nor a photo tell its category", False),
    ({"sku": "m1", "name": "Silk scarf", "image": "none.jpg"}, "photo missing: no file at its path", True),
    ({"sku": "m2", "image": "none.jpg"}, "and no words that tell what it is", False),
    ({"sku": "k1", "name": "Silk scarf", "image": "cut.jpg"}, "photo cut short or damaged: kept", True),
    ({"sku": "o1", "name": "Silk scarf", "image": "../a.jpg"}, "photo not in the source's folder", True),
    ({"sku": "a", "name": "Another skirt"}, "duplicate id, the first is kept", False),
    ({"sku": "e1", "type": "boots"}, "no title and no photo", False),
    ({"name": "No name"}, "bad row: no id", False),
    ({"sku": "n1", "name": "Red stick", "type": "Lipstick"}, "nobody wears it to be seen", False),
    ({"sku": "x" * 201, "name": "Wool coat"}, "id longer than 200 characters", False),
    ({"sku": "g1", "name": "Silk scarf", "gender": "Wimmin"}, "gender isn't a known word", True),
    ({"sku": "g2", "name": "Silk scarf", "stock": "maybe"}, "stock isn't a known word", True),
    ({"sku": "t1", "name": "HermÃ¨s silk scarf"}, "title in a wrong encoding: repaired", True),
)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_problem_is_told_with_its_line_and_good_rows_are_kept(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, kind: str
) -> None:
    (shop / "cut.jpg").write_bytes((shop / "a.jpg").read_bytes()[:400])
    rows = (*GOOD, *(row for row, _, _ in BAD))
    table = write(shop, rows)
    first = 2  # a CSV's header is its first line
    if kind != "csv":
        first = 1
        table.unlink()
        filled = [{name: str(value) for name, value in row.items() if value != ""} for row in rows]
        if kind == "jsonl":
            text = "\n".join(json.dumps(row) for row in filled)
            (shop / "products.jsonl").write_text(text + "\n{broken\n[]\n", encoding="utf-8")
        else:
            pq.write_table(pa.Table.from_pylist(filled, schema=pa.schema([(n, pa.string()) for n in COLUMNS])),
                           shop / "products.parquet")  # fmt: skip
    result = build_catalogue(shop, pipeline, work)
    listed = problems_of(work.folder)
    for line, (row, reason, usable) in enumerate(BAD, first + len(GOOD)):
        here = [entry for entry in listed if entry["line"] == line and reason in entry["reason"]]
        assert len(here) == 1, (line, row, [entry for entry in listed if entry["line"] == line])
        assert here[0]["kept"] is usable
        assert here[0]["item_id"] == row.get("sku", "")
    broken = {entry["line"]: entry["reason"] for entry in listed if entry["reason"].startswith("bad row: not")}
    after = first + len(rows)
    assert broken == ({after: "bad row: not JSON", after + 1: "bad row: not a JSON object"} if kind == "jsonl" else {})
    with Catalogue.open(work.folder) as index:
        usable_ids = [row["sku"] for row, _, usable in BAD if usable]
        assert index.ids() == ["a", "b", "c", *usable_ids]
        assert index.get(["p1"])["p1"].price is None
        assert index.get(["m1"])["m1"].image is None
        assert index.get(["t1"])["t1"].title == "Hermès silk scarf"
    assert {entry["item_id"] or entry["line"] for entry in listed if not entry["kept"]} == {
        row.get("sku", "") or line for line, (row, _, usable) in enumerate(BAD, first + len(GOOD)) if not usable
    } | set(broken)
    assert len(result.problems) == len(listed)


def test_a_photo_of_several_garments_is_noted_unless_words_name_it(
    tmp_path: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    photos = tmp_path / "photos"
    photos.mkdir()
    write_several_garments(photos / "IMG_1.png", 2)
    shutil.copy(photos / "IMG_1.png", photos / "blue skirt.png")
    build_catalogue(photos, pipeline, work)
    noted = [(entry["item_id"], entry["reason"], entry["kept"]) for entry in problems_of(work.folder)]
    assert noted == [("IMG_1", SEVERAL, True)]


@pytest.mark.slow
def test_a_folder_of_photos_gets_categories_from_its_photos(
    tmp_path: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    drawn, photos = tmp_path / "sample", tmp_path / "photos"
    write_sample(drawn)
    photos.mkdir()
    for position, path in enumerate(sorted((drawn / "images").iterdir())[:40]):
        shutil.copy(path, photos / f"IMG_{position}.jpg")
    (photos / "red shirt.jpg").write_bytes((photos / "IMG_0.jpg").read_bytes())
    (photos / "notes.txt").write_text("no photo")
    (photos / "IMG_99.jpg").write_bytes(b"\xff\xd8\xff cut")
    result = build_catalogue(photos, pipeline, work)
    listed = problems_of(work.folder)
    untold = [entry for entry in listed if entry["reason"] == "neither its words nor a photo tell its category"]
    others = {entry["item_id"] or entry["value"] for entry in listed} - {entry["item_id"] for entry in untold}
    assert others == {"notes.txt", "IMG_99"}
    assert result.items == 41 - len(untold) > 10
    with Catalogue.open(work.folder) as index:
        assert index.get(["red shirt"])["red shirt"].category == "top"
        for entry in index.get(index.ids()).values():
            assert entry.description is not None
            kinds = entry.description.attributes.get("category", ())
            if entry.id.startswith("IMG"):
                assert not kinds or entry.category == pipeline.vocabulary.category_of("category", kinds[0].text)
                assert "category_known" not in entry.extra


@pytest.mark.slow
def test_a_refresh_touches_only_what_changed(shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob) -> None:
    build_catalogue(shop, pipeline, work)
    database = (work.folder / "items.duckdb").read_bytes()
    again = refresh_catalogue(None, work)
    assert (again.added, again.changed, again.removed, again.unchanged, again.encoded) == (0, 0, 0, 3, 0)
    assert (work.folder / "items.duckdb").read_bytes() == database

    (shop / "a.jpg").write_bytes(
        (sample_folder() / "images" / "i0025.jpg").read_bytes()
    )  # a green top; the row is as it was
    new = {"sku": "d", "name": "Straw hat", "type": "hats", "image": "", "price": 15, "brand": "Lee"}
    write(shop, (new, GOOD[0], {**GOOD[1], "price": 25}))
    result = refresh_catalogue(None, work)
    assert (result.added, result.changed, result.removed, result.unchanged, result.encoded) == (1, 2, 1, 0, 1)
    with Catalogue.open(work.folder) as index:
        assert index.ids() == ["d", "a", "b"]
        items = index.get(["a", "b"])
        assert items["b"].price == 25.0
        described = items["a"].description
        assert described is not None
        assert "green" in [label.text for label in described.attributes["colour"]]
        assert items["a"].colours == ("red",)  # what the title says
    assert build_catalogue(shop, pipeline, work).unchanged == 3  # building again is the same


def test_a_refresh_describes_nothing_it_knows_even_without_a_cache(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, cache: Path
) -> None:
    build_catalogue(shop, pipeline, work)
    shutil.rmtree(cache)
    write(shop, GOOD[1:])
    result = refresh_catalogue(None, work)
    assert (result.removed, result.unchanged, result.encoded) == (1, 2, 0)


def test_a_photo_that_comes_later_is_seen_and_one_that_stays_broken_is_told_again(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    write(shop, ({**GOOD[0], "image": "later.jpg"}, {**GOOD[1], "image": "cut.jpg"}))
    (shop / "cut.jpg").write_bytes(b"\xff\xd8\xff cut")
    build_catalogue(shop, pipeline, work)
    photo(shop / "later.jpg", "red")
    result = refresh_catalogue(None, work)
    assert (result.changed, result.unchanged) == (1, 1)
    assert [entry["item_id"] for entry in problems_of(work.folder)] == ["b"]
    with Catalogue.open(work.folder) as index:
        assert index.photographed() == 1


def test_adding_keeps_what_is_there_and_replaces_by_id(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, tmp_path: Path
) -> None:
    build_catalogue(shop, pipeline, work)
    more = tmp_path / "more.csv"
    more.write_text("sku,name,type,price\nn,Wool hat,hats,9\nb,Blue linen shirt,shirts,31\nc,,boots,1\n")
    result = add_to_catalogue(more, work)
    assert (result.items, result.added, result.changed, result.removed, result.unchanged) == (4, 1, 1, 0, 2)
    with Catalogue.open(work.folder) as index:
        assert index.ids() == ["a", "b", "c", "n"]
        items = index.get(["b", "c"])
        assert items["b"].title == "Blue linen shirt"
        assert items["c"].title == "Leather boots"  # its new row can't go in
        assert index.info.source == str(shop)


def test_removing_is_all_or_nothing(shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob) -> None:
    build_catalogue(shop, pipeline, work)
    with pytest.raises(RecommendationError, match=r"no item 'bb' .* nothing was removed: its nearest ids are 'b', 'a'"):
        remove_from_catalogue(["a", "bb"], work)
    with pytest.raises(RecommendationError, match="would remove all 3 items"):
        remove_from_catalogue(["a", "b", "c"], work)
    result = remove_from_catalogue(["a", "a"], work)
    assert (result.items, result.removed) == (2, 1)
    with Catalogue.open(work.folder) as index:
        assert index.ids() == ["b", "c"]


@pytest.mark.slow
def test_every_change_says_when_it_was_made(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def date_after(day: str, change: Callable[[], object]) -> str:
        monkeypatch.setattr("coordi.recommend.build._now", lambda: f"{day}T00:00:00Z")
        change()
        assert info_of(work.folder).changed_at == read_json(work.folder / "catalogue.json")["made"]
        return info_of(work.folder).changed_at[:10]

    more = tmp_path / "more.csv"
    more.write_text("sku,name,type\nn,Wool hat,hats\n")
    assert date_after("2030-01-01", lambda: build_catalogue(shop, pipeline, work)) == "2030-01-01"
    assert date_after("2030-01-02", lambda: refresh_catalogue(None, work)) == "2030-01-01"  # nothing changed
    assert date_after("2030-01-03", lambda: add_to_catalogue(more, work)) == "2030-01-03"
    assert date_after("2030-01-04", lambda: remove_from_catalogue(["n"], work)) == "2030-01-04"


def test_an_open_index_goes_on_with_what_it_opened(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    build_catalogue(shop, pipeline, work)
    with Catalogue.open(work.folder) as before:
        remove_from_catalogue(["a"], work)
        assert before.ids() == ["a", "b", "c"]
        assert "a" in before.get(["a"])
        with Catalogue.open(work.folder) as after:
            assert after.ids() == ["b", "c"]


def test_a_feed_with_nothing_good_changes_nothing(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    build_catalogue(shop, pipeline, work)
    write(shop, ({"sku": "z", "name": "Red stick", "type": "Lipstick"},))
    with pytest.raises(DataError, match=r"nothing of .*shop can go into a catalogue: 1 times: nobody wears it"):
        refresh_catalogue(None, work)
    with Catalogue.open(work.folder) as index:
        assert len(index) == 3
    assert is_finished(work.folder)
    with pytest.raises(DataError, match="nobody wears it"):
        build_catalogue(shop, pipeline, replace(work, folder=work.folder.with_name("new")))


def test_a_folder_of_something_else_is_refused(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, tmp_path: Path
) -> None:
    build_catalogue(shop, pipeline, work)
    other = tmp_path / "other"
    shutil.copytree(shop, other)
    with pytest.raises(ArtifactError, match=rf"{work.folder} is a catalogue of {shop}, not of {other}.*refresh"):
        build_catalogue(other, pipeline, work)
    with pytest.raises(ArtifactError, match=r"is the folder of the data"):
        build_catalogue(shop, pipeline, replace(work, folder=shop))
    with pytest.raises(ArtifactError, match=r"isn't a catalogue and holds other files \(a.jpg, b.jpg, products.csv\)"):
        build_catalogue(shop, pipeline, replace(work, folder=other))
    with pytest.raises(ArtifactError, match=r"isn't a catalogue: it has no manifest.json and no catalogue.json"):
        add_to_catalogue(shop, replace(work, folder=other))
    with pytest.raises(DataError, match=r"there is no file or folder at .*nowhere"):
        build_catalogue(tmp_path / "nowhere", pipeline, replace(work, folder=tmp_path / "new"))
    assert not (tmp_path / "new").exists()


def test_a_catalogue_made_with_something_else_says_what_differs(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    words = shop.parent / "words.yaml"
    words.write_text("attributes: {colour: {threshold: 0, labels: [red, blue], template: 'a {} product'}}")
    with_words = DescriptionPipeline.of(DescribeSettings(vocabulary=str(words)), PromptSettings())
    build_catalogue(shop, with_words, work)
    with pytest.raises(ArtifactError, match=r"vocabulary was '.*words.yaml' \(\w+\) and is now 'fashion'.* --out NEW"):
        build_catalogue(shop, pipeline, work)
    words.write_text("attributes: {colour: {threshold: 0, labels: [red, green], template: 'a {} product'}}")
    with pytest.raises(ArtifactError, match=r"made with something else: the vocabulary was '.*words.yaml' \(\w+\) and"):
        refresh_catalogue(None, work)
    shorter = DescriptionPipeline.of(DescribeSettings(vocabulary=str(words)), PromptSettings(max_title_words=3))
    with pytest.raises(ArtifactError, match=r"the prompt setting max_title_words was 12 and is now 3"):
        build_catalogue(shop, shorter, work)


def test_a_catalogue_cannot_allow_its_own_downloads(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob, server: Hub
) -> None:
    """Neither a refresh nor an addition fetches the encoder that a database names, unless the user's command does."""
    build_catalogue(shop, pipeline, work)
    wish = {"encoder": "owner/name", "allow_download": True, "revision": PIN}
    with closing(duckdb.connect(str(work.folder / "items.duckdb"))) as database:
        ((about,),) = database.sql("SELECT * FROM about").fetchall()
        changed = json.dumps({**json.loads(about), "describe": {**json.loads(about)["describe"], **wish}})
        database.execute("DELETE FROM about")
        database.execute("INSERT INTO about VALUES (?)", [changed])
    changes: list[Callable[[], object]] = [
        lambda: refresh_catalogue(None, work),
        lambda: add_to_catalogue(shop, work),
    ]
    for change in changes:
        with pytest.raises(EncoderError, match=r"owner/name isn't on this machine.*allow it with --allow-download"):
            change()
    assert server.asked == []
    with pytest.raises(EncoderError, match="isn't there"):  # the control: this hub would have been asked
        refresh_catalogue(None, replace(work, data=DataSettings(photos="optional", allow_download=True)))
    assert server.asked != []


@pytest.mark.parametrize("title", ["red skirt " * 100_000, "a" * 1_000_000])
def test_a_title_without_end_is_cut_and_told(tmp_path: Path, title: str) -> None:
    """It took 17 s and a GiB to describe."""
    feed = read_feed(write(tmp_path, ({"sku": "a", "name": title, "type": "skirts"}, GOOD[1])), DataSettings())
    assert [len(row.item.title) for row in feed.rows] == [2000, len("Blue shirt")]
    assert next(problem.reason for problem in feed.problems if problem.item_id == "a") == LONG_TITLE


def test_a_damaged_database_is_told(shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob) -> None:
    build_catalogue(shop, pipeline, work)
    path = work.folder / "items.duckdb"
    path.write_bytes(path.read_bytes()[:5000])
    for do in (lambda: Catalogue.open(work.folder), lambda: refresh_catalogue(None, work)):
        with pytest.raises(ArtifactError, match=r"can't be read: .* build it again with coordi catalogue build"):
            do()


def test_a_database_that_this_version_does_not_write_is_refused(
    shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob
) -> None:
    build_catalogue(shop, pipeline, work)
    for change, message in (
        ("UPDATE items SET text_embedding = '\\x00'::BLOB", "a vector in text_embedding has 1 bytes, expected"),
        (
            "UPDATE about SET info = replace(info, 'catalogue-4', 'catalogue-3')",
            "differs in format; build it again into",
        ),
    ):
        with closing(connect()) as database:
            database.execute(f"ATTACH {quoted(work.folder / 'items.duckdb')} AS changed; USE changed; {change}")
        with pytest.raises(ArtifactError, match=message), Catalogue.open(work.folder) as index:
            index.get(["a"])


def test_rules_find_what_the_table_said(shop: Path, pipeline: DescriptionPipeline, work: CatalogueJob) -> None:
    build_catalogue(shop, pipeline, work)
    with Catalogue.open(work.folder) as index:
        assert [entry.id for entry in index.page(Rules(brands=("kim",), price_max=50))[0]] == ["a"]
