from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coordi.artifacts import cache_folder
from coordi.data.polyvore import columns_of, extract_photos, read_columns
from coordi.errors import DataError


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path / "cache"))


def _table(path: Path, **columns: list[Any]) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def test_photos_of_the_items_that_are_wanted_are_written_once(tmp_path: Path) -> None:
    images = [{"bytes": b"one", "path": "x.jpg"}, {"bytes": b"two", "path": None}, None, {"bytes": None, "path": "y"}]
    first = _table(tmp_path / "1.parquet", item_id=["a", "../b", "c", "d"], image=images)
    second = _table(tmp_path / "2.parquet", item_id=["a", "e", "f"], image=[b"again", b"five", b"six"])
    wanted = {"a", "../b", "c", "d", "e"}
    photos = extract_photos([first, second], "item_id", wanted)
    assert {name: path.read_bytes() for name, path in photos.items()} == {"a": b"one", "../b": b"two", "e": b"five"}
    assert {path.parent.parent for path in photos.values()} == {cache_folder() / "photos"}
    assert len(list(cache_folder().rglob("*.*"))) == 3

    photos["a"].write_bytes(b"kept")
    assert extract_photos([first], "item_id", {"a"})["a"].read_bytes() == b"kept"
    _table(first, item_id=["a"], image=[b"another file"])
    assert extract_photos([first], "item_id", {"a"})["a"].read_bytes() == b"another file"


def test_columns_that_a_file_may_lack_are_passed_over(tmp_path: Path) -> None:
    first = _table(tmp_path / "1.parquet", item_id=["a"], title=["x"], image=[b"1"])
    second = _table(tmp_path / "2.parquet", item_id=["b"])
    assert columns_of(second) == ("item_id",)
    rows = [{"item_id": "a", "title": "x"}, {"item_id": "b"}]
    assert list(read_columns([first, second], ("item_id",), ("title",))) == rows
    with pytest.raises(DataError, match=r"2\.parquet has the columns item_id; it lacks title and image, which coordi"):
        list(read_columns([first, second], ("item_id", "title", "image")))


def test_a_row_without_an_id_is_of_no_item(tmp_path: Path) -> None:
    table = _table(tmp_path / "1.parquet", item_id=["a", None], image=[b"one", b"two"])
    assert set(extract_photos([table], "item_id", {"a", "None", ""})) == {"a"}


def test_a_file_that_isnt_one_or_lacks_the_photos_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"t\.parquet has the columns item_id; it lacks item_ID and image"):
        extract_photos([_table(tmp_path / "t.parquet", item_id=["a"])], "item_ID", {"a"})
    (tmp_path / "t.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match=r"t\.parquet isn't a whole Parquet file: .*; get it again"):
        extract_photos([tmp_path / "t.parquet"], "item_id", {"a"})


def test_a_damaged_page_is_named(tmp_path: Path) -> None:
    table = _table(tmp_path / "t.parquet", item_id=[f"item {number}" for number in range(60)], image=[b"photo"] * 60)
    content = bytearray(table.read_bytes())
    content[4:300] = bytes(range(1, 149)) * 2
    table.write_bytes(content)
    assert columns_of(table) == ("item_id", "image")
    for read in (lambda: list(read_columns([table], ("item_id",))), lambda: extract_photos([table], "item_id", {"a"})):
        with pytest.raises(DataError, match=r"t\.parquet isn't a whole Parquet file"):
            read()
