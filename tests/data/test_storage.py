from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import pytest

from coordi.data.loading import read_dataset, read_stored, write_dataset, write_questions
from coordi.data.questions import compatibility_questions, fill_in_the_blank_questions
from coordi.errors import ArtifactError
from coordi.types import (
    CompatibilityQuestion,
    Dataset,
    FitbQuestion,
    FunnelRow,
    Item,
    Outfit,
    QuestionFile,
    ReleaseQuestions,
)

Wardrobe = Callable[..., Dataset]


def test_everything_comes_back_as_it_was(tmp_path: Path) -> None:
    items = {
        "b": Item(
            "b", "hermès «bag»", "bag", "Totes", Path("/photos/b.jpg"), 0.1, MappingProxyType({"z": "1", "a": "é"})
        ),
        "a": Item("a", "", "top"),
    }
    outfits = (Outfit("2", ("b", "a"), "valid", "monday"), Outfit("1", ("a", "b"), "train"))
    funnel = (FunnelRow("items", "read", 2, 2, dropped=False), FunnelRow("outfits", "why (x, 'y')", 3, 2))
    released = (
        ReleaseQuestions(
            "release", "test", (CompatibilityQuestion("q", "1", ("b", "a"), compatible=False),),
            (FitbQuestion("r", "2", ("b",), ("b", "a"), 1),),
            QuestionFile(5, MappingProxyType({"why (é)": 3, "a": 1})), QuestionFile(2, MappingProxyType({"b": 1})),
        ),
        ReleaseQuestions("release", "valid", (), ()),
    )  # fmt: skip
    dataset = Dataset("närrisch", "photos", items, outfits, funnel, text_only=True, released=released)
    write_dataset(tmp_path / "data", dataset)
    found = read_dataset(tmp_path / "data")
    assert found == dataset
    assert list(found.items) == ["b", "a"]
    assert list(found.released[0].compatibility_file.losses) == ["why (é)", "a"]


@pytest.mark.slow
def test_the_real_release_comes_back(real: Dataset, tmp_path: Path) -> None:
    write_dataset(tmp_path, real)
    assert read_dataset(tmp_path) == real


def test_a_catalogue_without_outfits_comes_back(tmp_path: Path) -> None:
    dataset = Dataset("x", "catalogue", {"a": Item("a", "t", "top")}, (), (), text_only=False)
    write_dataset(tmp_path, dataset)
    assert read_dataset(tmp_path) == dataset


def test_questions_come_back(wardrobe: Wardrobe, tmp_path: Path) -> None:
    dataset = wardrobe({"test": 12})
    asked = compatibility_questions(dataset, "test", "random", 1)
    blanks = fill_in_the_blank_questions(dataset, "test", "random", 1)
    path = tmp_path / "questions-test-random.parquet"
    write_questions(path, asked)
    write_questions(tmp_path / "blanks.parquet", blanks)
    write_questions(tmp_path / "none.parquet", ())
    assert read_stored(path, CompatibilityQuestion) == asked
    assert read_stored(tmp_path / "blanks.parquet", FitbQuestion) == blanks
    assert read_stored(tmp_path / "none.parquet", CompatibilityQuestion) == ()
    with pytest.raises(ArtifactError, match=r"blanks\.parquet has the columns .*candidates"):
        read_stored(tmp_path / "blanks.parquet", CompatibilityQuestion)


@pytest.mark.parametrize(
    "name",
    ["items.parquet", "outfits.parquet", "released-test-release.parquet", "released-test-release-blanks.parquet",
     "dataset.json"],
)  # fmt: skip
@pytest.mark.parametrize("content", [None, b"", b"{}", b"PAR1"])
def test_a_missing_or_broken_file_is_named(
    wardrobe: Wardrobe, tmp_path: Path, name: str, content: bytes | None
) -> None:
    dataset = replace(wardrobe({"test": 2}), released=(ReleaseQuestions("release", "test", (), ()),))
    write_dataset(tmp_path, dataset)
    (tmp_path / name).unlink()
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(ArtifactError, match=name):
        read_dataset(tmp_path)
