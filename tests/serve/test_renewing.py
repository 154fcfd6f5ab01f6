"""A running server takes up its catalogue when that has changed, and goes on with the old one if it can't."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from coordi.api import Model, load
from coordi.artifacts import Progress, no_progress
from coordi.config import PromptSettings
from coordi.model.features import GroupSums
from coordi.model.generation import NameRequest, Written
from coordi.recommend.build import CatalogueJob, DescriptionPipeline, build_catalogue, refresh_catalogue
from coordi.recommend.catalogue import Catalogue
from coordi.recommend.catalogue_file import ITEMS_FILE, check_fits
from coordi.serve.batching import BatchingScorers, scorer_batcher
from coordi.types import EmbeddingSort, Item

from .conftest import Start

ROWS = {"a": "Red pleated skirt", "b": "White shirt", "c": "Black leather boots", "d": "Navy tote bag"}
ITEMS = "/api/v1/catalogue/items"


@contextmanager
def quietly(label: str) -> Iterator[Progress]:
    yield no_progress


def write(table: Path, ids: str) -> Path:
    table.write_text("\n".join(["id,title", *(f"{entry},{ROWS[entry]}" for entry in ids)]), encoding="utf-8")
    return table


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CatalogueJob:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))
    return CatalogueJob(tmp_path / "made", "coordi catalogue build", quietly, may_shrink=True)


@pytest.fixture
def table(tmp_path: Path) -> Path:
    return tmp_path / "shop.csv"


def pipeline_of(model: Model, prompt: PromptSettings | None = None) -> DescriptionPipeline:
    settings = model.trained.settings
    return DescriptionPipeline.of(settings.describe, prompt or settings.prompt)


@pytest.fixture
def opened(bare: Model, work: CatalogueJob, table: Path) -> Model:
    """With a built catalogue of a skirt and a shirt."""
    build_catalogue(write(table, "ab"), pipeline_of(bare), work)
    return load(catalogue=work.folder)


@pytest.mark.slow
def test_what_is_asked_afterwards_is_of_the_new_catalogue(
    opened: Model, start: Start, table: Path, work: CatalogueJob
) -> None:
    started = start(opened)
    assert not started.service.renew()  # nothing has changed
    assert started.client.get(ITEMS).json()["total"] == 2
    assert started.client.get(f"{ITEMS}/c").status_code == 404
    write(table, "bcd")
    refresh_catalogue(None, work)
    assert started.client.get(ITEMS).json()["total"] == 2  # nobody has looked
    assert started.service.renew()
    assert [item["id"] for item in started.client.get(ITEMS).json()["items"]] == ["b", "c", "d"]
    assert started.client.get(f"{ITEMS}/a").status_code == 404
    after = started.client.get("/api/v1/ready").json()
    catalogue = started.service.model.catalogue
    assert catalogue is not None
    assert (after["items"], after["catalogue_made"]) == (3, catalogue.info.changed_at)
    quick = {"items": [{"id": "b"}], "language_model": False}
    suggested = started.client.post("/api/v1/complete", json=quick).json()["suggestions"]
    assert {entry["item"]["id"] for entry in suggested} == {"c", "d"}
    assert not started.service.renew()


@pytest.mark.slow
def test_a_question_goes_on_with_the_catalogue_it_began_with(
    opened: Model, start: Start, table: Path, work: CatalogueJob
) -> None:
    service = start(opened).service
    before = service.model
    write(table, "cd")
    refresh_catalogue(None, work)
    assert service.renew()
    result = before.stylist.complete(before.find_items(["a"]), language_model=False)
    assert [entry.item.id for entry in result.suggestions] == ["b"]


@pytest.mark.slow
def test_what_is_likened_is_centred_in_the_new_catalogue(
    opened: Model, start: Start, table: Path, work: CatalogueJob, bare: Model
) -> None:
    service = start(opened).service
    write(table, "abcd")
    refresh_catalogue(None, work)
    assert service.renew()
    outfit = service.model.find_items(["b", "d", "a"])
    fresh = load(catalogue=work.folder)
    expected = fresh.score(outfit, language_model=False).score
    assert service.model.score(outfit, language_model=False).score == pytest.approx(expected)
    assert opened.score(outfit, language_model=False).score != pytest.approx(expected)


@pytest.mark.slow
def test_one_that_cannot_be_opened_leaves_the_old_one_and_is_told_once(
    opened: Model, start: Start, work: CatalogueJob, table: Path
) -> None:
    started = start(opened)
    lines: list[str] = []
    database, usable = work.folder / ITEMS_FILE, work.folder / "kept"
    database.rename(usable)
    (work.folder / "broken").write_bytes(usable.read_bytes()[:4096])
    (work.folder / "broken").replace(database)
    started.service.renew_in_background(lines.append, every=0.01)
    wait_for(lines, "can't be opened, so the previous one stays in use")
    time.sleep(0.2)
    (line,) = lines
    assert str(work.folder) in line
    assert started.client.get(ITEMS).json()["total"] == 2
    assert started.client.get("/api/v1/ready").json()["catalogue_is_old"]
    usable.replace(database)
    write(table, "abc")
    refresh_catalogue(None, work)
    wait_for(lines, "the catalogue has changed: 3 items from now on")
    assert started.client.get(ITEMS).json()["total"] == 3
    assert not started.client.get("/api/v1/ready").json()["catalogue_is_old"]


@pytest.mark.slow
def test_a_request_is_of_one_catalogue_all_the_way(
    opened: Model, start: Start, table: Path, work: CatalogueJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The item is pinned and gone before anything is suggested: it stays in what is answered."""
    started = start(opened)
    look_up = Catalogue.get

    def and_renew(index: Catalogue, ids: Sequence[str]) -> dict[str, Item]:
        result = look_up(index, ids)
        started.service.renew()
        return result

    monkeypatch.setattr(Catalogue, "get", and_renew)
    write(table, "bc")
    refresh_catalogue(None, work)
    request = {"items": [{"text": "red shoes"}], "rules": {"pinned": ["a"]}, "language_model": False}
    answer = started.client.post("/api/v1/complete", json=request)
    assert answer.status_code == 200, answer.text
    assert [entry["item"]["id"] for entry in answer.json()["suggestions"]] == ["a", "b"]
    refused = started.client.post("/api/v1/complete", json=request)
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "unknown_item")


@pytest.mark.slow
def test_looking_goes_on_after_any_error(
    opened: Model, start: Start, table: Path, work: CatalogueJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = start(opened)
    lines: list[str] = []
    left = [MemoryError("too little memory")]

    def check(*given: object) -> None:
        if left:
            raise left.pop()
        check_fits(*given)  # type: ignore[arg-type]

    monkeypatch.setattr("coordi.api.check_fits", check)
    write(table, "abc")
    refresh_catalogue(None, work)
    started.service.renew_in_background(lines.append, every=0.01)
    wait_for(lines, "3 items from now on")
    assert "MemoryError too little memory" in lines[0]
    started.service.close()
    assert started.service.join(30)


def test_one_that_is_told_otherwise_is_not_taken_up(
    opened: Model, start: Start, work: CatalogueJob, table: Path, bare: Model, tmp_path: Path
) -> None:
    started = start(opened)
    other = replace(work, folder=tmp_path / "other")
    build_catalogue(write(table, "abcd"), pipeline_of(bare, PromptSettings(max_title_words=2)), other)
    (other.folder / ITEMS_FILE).replace(work.folder / ITEMS_FILE)
    lines: list[str] = []
    started.service.renew_in_background(lines.append, every=0.01)
    wait_for(lines, "max_title_words")
    assert started.client.get(ITEMS).json()["total"] == 2


class CatalogueSize:
    """Scorers that return the number of items in their catalogue, and note the thread that calls them."""

    name = "size"
    gives_probabilities = True

    def __init__(self, size: int, threads: set[str]) -> None:
        self._size = size
        self._threads = threads

    @property
    def model(self) -> CatalogueSize:
        return self

    @property
    def quick(self) -> CatalogueSize:
        return self

    @property
    def explaining(self) -> CatalogueSize:
        return self

    def for_catalogue(self, sums: GroupSums) -> CatalogueSize:
        return CatalogueSize(sum(count for count, _ in sums.texts.values()), self._threads)

    def score(self, outfits: Sequence[Sequence[Item]]) -> NDArray[np.float64]:
        self._threads.add(threading.current_thread().name)
        return np.full(len(outfits), self._size / 100)

    def directions(self, outfit: Sequence[Item]) -> dict[EmbeddingSort, NDArray[np.float32]]:
        return {"text": np.zeros(3, dtype=np.float32)}

    def write(self, requests: Sequence[NameRequest]) -> list[Written]:
        return []


def test_scorers_of_two_catalogues_share_a_thread_and_no_call(opened: Model) -> None:
    threads: set[str] = set()
    batcher = scorer_batcher(8)
    entry = BatchingScorers(CatalogueSize(0, threads), batcher)
    assert opened.catalogue is not None
    other = entry.for_catalogue(opened.catalogue.group_sums)
    item = opened.item_of_words("white shirt")
    assert entry.model.score([[item]]).tolist() == [0.0]
    assert other.model.score([[item]]).tolist() == [0.02]
    assert threads == {"language-model"}
    assert batcher.calls == 2
    batcher.close()


def wait_for(lines: Sequence[str], words: str) -> None:
    end = time.monotonic() + 30
    while not any(words in line for line in lines) and time.monotonic() < end:
        time.sleep(0.01)
    assert words in lines[-1]
