from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.encoders.evaluation import (
    LabelledPhoto,
    holdout_photos,
    is_holdout,
    label_words,
    left_out,
    read_labelled,
    with_new_titles,
)
from coordi.errors import DataError


def folder_with(folder: Path, rows: str) -> Path:
    (folder / "images").mkdir()
    for name in ("1", "2", "3"):
        Image.new("RGB", (8, 8), "red").save(folder / "images" / f"{name}.jpg")
    (folder / "styles.csv").write_text("id,articleType,gender,productDisplayName\n" + rows, encoding="utf-8")
    return folder


def test_rows_with_bare_commas_missing_labels_and_repeats(tmp_path: Path) -> None:
    rows = "1,Shirts,Men,Shirt, blue, large\n2,NA,,Odd\n2,Shirts,Men,again\n9,Shirts,Men,no photo\n"
    photos = read_labelled(folder_with(tmp_path, rows))
    assert {photo.id: dict(photo.labels) for photo in photos} == {
        "1": {"articleType": "Shirts", "gender": "Men"},
        "2": {},
    }


def test_rows_without_a_photo_and_photos_without_a_row_are_counted(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "1,Shirts,Men,x\n1,Tops,Men,again\n8,Tops,Women,no photo\n9,Tops,Women,no photo\n")
    assert left_out(folder, read_labelled(folder)) == {"rows": 2, "photos": 2}


def test_a_byte_order_mark_and_spaces_do_not_hide_a_column(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "")
    (folder / "styles.csv").write_text("\ufeffid, articleType ,gender\n 1 , Shirts ,NA\n", encoding="utf-8")
    assert [(p.id, dict(p.labels)) for p in read_labelled(folder)] == [("1", {"articleType": "Shirts"})]


def test_an_id_that_leads_out_of_the_folder_is_no_photo(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "secret.jpg")
    folder = folder_with(tmp_path, "1,Shirts,Men,x\n../secret,Tops,Men,x\n")
    assert [photo.id for photo in read_labelled(folder)] == ["1"]


def test_a_folder_without_labels_or_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"styles\.csv can't be read"):
        read_labelled(tmp_path)
    folder = folder_with(tmp_path, "7,Shirts,Men,x\n")
    with pytest.raises(DataError, match="1 rows were read"):
        read_labelled(folder)
    (folder / "styles.csv").write_text("number,kind\n1,Shirts\n")
    with pytest.raises(DataError, match=r"\['number', 'kind'\]"):
        read_labelled(folder)


def test_about_15_percent_are_held_out_by_id_alone() -> None:
    held = [is_holdout(number) for number in range(10_000)]
    assert 0.14 < np.mean(held) < 0.16
    # Another split would turn photos that were trained on into photos to be measured on.
    digest = hashlib.sha256("".join(str(int(one)) for one in held).encode()).hexdigest()
    assert digest == "277f8e806f21de43643d1c5883eb72b7116702f0bf77b3ea21532096a531f269"


def test_held_out_needs_numbers_and_something_left(tmp_path: Path) -> None:
    inside = next(number for number in range(1, 999) if not is_holdout(number))
    outside = next(number for number in range(1, 999) if is_holdout(number))

    def photos(*ids: object) -> tuple[LabelledPhoto, ...]:
        return tuple(LabelledPhoto(str(one), tmp_path / f"{one}.jpg", {}) for one in ids)

    assert [one.id for one in holdout_photos(photos(inside, outside))] == [str(outside)]
    with pytest.raises(DataError, match="none of the 1 photos was held out"):
        holdout_photos(photos(inside))
    with pytest.raises(DataError, match="'shirt-7' isn't an id of the fashion products"):
        holdout_photos(photos(outside, "shirt-7"))


def test_twins_of_trained_photos_are_told_by_their_titles(tmp_path: Path) -> None:
    inside = next(number for number in range(1, 999) if not is_holdout(number))
    first, second = [number for number in range(1, 999) if is_holdout(number)][:2]
    titles = {inside: "Navy shirt, slim", first: "navy  Shirt, slim", second: "Navy shirt, wide"}
    rows = "".join(f"{number},Shirts,Men,{title}\n" for number, title in titles.items())
    folder = folder_with(tmp_path, rows)
    for path, number in zip(sorted((folder / "images").iterdir()), (inside, first, second), strict=True):
        path.rename(folder / "images" / f"{number}.jpg")
    every = read_labelled(folder)
    assert [one.title for one in every] == ["Navy shirt, slim", "navy  Shirt, slim", "Navy shirt, wide"]
    assert with_new_titles(holdout_photos(every), every) == {str(second)}


def test_photos_of_other_endings_are_found(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "1,Shirts,Men,x\n2,Tops,Women,x\n")
    for path, name in zip(sorted((folder / "images").iterdir()), ("1.JPG", "2.png"), strict=False):
        path.rename(folder / "images" / name)
    assert [one.path.name for one in read_labelled(folder)] == ["1.JPG", "2.png"]


def test_labels_as_people_write_them() -> None:
    assert [label_words(label) for label in ("Tshirts", "Navy Blue")] == ["t-shirts", "navy blue"]
