"""An output folder belongs to one run with one set of settings and data."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from coordi.artifacts import RUN_FILE, Progress, Record, no_progress, read_json, stage_folder
from coordi.config import RunSettings
from coordi.errors import ArtifactError, DataError
from coordi.pipeline.workspace import Workspace, claim_folder, fingerprint, process_rank


@contextlib.contextmanager
def quiet(_label: str) -> Iterator[Progress]:
    yield no_progress


@pytest.fixture
def work(tmp_path: Path) -> Workspace:
    data = tmp_path / "data"
    data.mkdir()
    (data / "items.csv").write_text("id,title\n1,red shirt\n", encoding="utf-8")
    (data / "photo.jpg").write_bytes(b"1234")
    return Workspace(data, tmp_path / "out", RunSettings(), "coordi run", lambda _: None, quiet)


def test_the_same_run_may_go_on(work: Workspace) -> None:
    with claim_folder(work) as first:
        pass
    with claim_folder(work) as second:
        pass
    assert first == second
    assert set(first) == {"items.csv", "photos"}


@pytest.mark.parametrize(("size", "rank"), [("2", 1), ("1", 0), (None, 0)])
def test_a_rank_alone_is_not_torchrun(size: str | None, rank: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    if size is not None:
        monkeypatch.setenv("WORLD_SIZE", size)
    assert process_rank() == rank


@pytest.fixture
def begun(work: Workspace) -> Workspace:
    """A run with one finished stage."""
    with claim_folder(work), stage_folder(work.out / "data", Record("c", {})):
        pass
    return work


def test_a_first_mistake_does_not_lock_the_folder(work: Workspace) -> None:
    with claim_folder(replace(work, settings=RunSettings(seed=18))):
        assert read_json(work.out / RUN_FILE)["settings"]["seed"] == 18
    with claim_folder(work):
        assert read_json(work.out / RUN_FILE)["settings"]["seed"] == work.settings.seed


def test_the_output_may_lie_in_the_datas_folder(work: Workspace) -> None:
    inside = replace(work, out=work.data / "out")
    with claim_folder(inside) as inputs, stage_folder(inside.out / "data", Record("c", {})):
        (inside.out / "data" / "items.csv").write_text("id\n", encoding="utf-8")
    with claim_folder(inside) as again:
        assert again == inputs  # the output is no part of the data


def test_a_changed_vocabulary_is_refused(work: Workspace, tmp_path: Path) -> None:
    words = tmp_path / "words.yaml"
    words.write_text("a: 1", encoding="utf-8")
    mine = replace(work, settings=RunSettings.model_validate({"describe": {"vocabulary": str(words)}}))
    with claim_folder(mine), stage_folder(mine.out / "data", Record("c", {})):
        pass
    words.write_text("a: 2", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"inputs\.vocabulary was"), claim_folder(mine):
        pass


def test_other_settings_are_refused_with_the_difference(begun: Workspace) -> None:
    work = begun
    other = replace(work, settings=RunSettings(seed=18))
    with pytest.raises(ArtifactError, match=r"settings\.seed was 17, now 18"), claim_folder(other):
        pass


@pytest.mark.parametrize(("name", "content"), [("items.csv", "id,title\n1,blue shirt\n"), ("photo.jpg", "12345")])
def test_changed_data_is_refused(begun: Workspace, name: str, content: str) -> None:
    work = begun
    (work.data / name).write_text(content, encoding="utf-8")
    with pytest.raises(ArtifactError, match="started with something else: inputs"), claim_folder(work):
        pass


def test_somebody_elses_files_are_left_alone(work: Workspace) -> None:
    work.out.mkdir()
    (work.out / "thesis.tex").write_text("x", encoding="utf-8")
    with pytest.raises(ArtifactError, match=r"holds other files \(thesis\.tex\)"), claim_folder(work):
        pass
    assert (work.out / "thesis.tex").read_text(encoding="utf-8") == "x"


def test_two_runs_at_once_are_refused(work: Workspace) -> None:
    with (
        claim_folder(work),
        pytest.raises(ArtifactError, match=r"another coordi \(process \d+\) is at work"),
        claim_folder(work),
    ):
        pass
    with claim_folder(work):
        pass


def test_missing_data_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"no data at '.*nowhere'"):
        fingerprint(tmp_path / "nowhere")
