from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.describe.edge import EdgeEncoder
from coordi.describe.labelled_photos import (
    evaluate_encoder,
    expected_calibration_error,
    figures,
    held_out_photos,
    is_held_out,
    label_lists,
    label_words,
    read_labelled,
)
from coordi.errors import DataError

REAL = Path("../shared/data/fashion-products")


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


def test_a_folder_without_labels_or_photos_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"styles\.csv can't be read"):
        read_labelled(tmp_path)
    folder = folder_with(tmp_path, "7,Shirts,Men,x\n")
    with pytest.raises(DataError, match="1 rows were read"):
        read_labelled(folder)
    (folder / "styles.csv").write_text("number,kind\n1,Shirts\n")
    with pytest.raises(DataError, match=r"\['number', 'kind'\]"):
        read_labelled(folder)


def test_figures_agree_with_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(3)
    shares = generator.dirichlet(np.ones(6), size=200)
    truth = np.where(generator.random(200) < 0.6, shares.argmax(1), generator.integers(5, size=200))
    found = figures(truth, shares, np.random.default_rng(0))
    guess = shares.argmax(1)
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(truth, guess))
    for average in ("weighted", "macro"):
        expected = metrics.f1_score(truth, guess, average=average, zero_division=0)
        assert found[f"{average}_f1"] == pytest.approx(expected)
    for name in ("accuracy", "weighted_f1", "macro_f1"):
        low, high = found["ci95"][name]
        assert low < found[name] < high
    assert (found["n"], found["classes"]) == (200, 6)


def test_calibration_error_by_hand() -> None:
    # Two at 0.9 of which one is right (gap 0.4), two at 0.2 of which none is (gap 0.2).
    right = np.array([True, False, False, False])
    assert expected_calibration_error(right, np.array([0.9, 0.9, 0.2, 0.2])) == pytest.approx(0.3)
    assert expected_calibration_error(np.array([True, True]), np.array([1.0, 1.0])) == 0


def test_about_15_percent_are_held_out_by_id_alone() -> None:
    held = [is_held_out(number) for number in range(10_000)]
    assert 0.14 < np.mean(held) < 0.16
    assert held[:12] == [is_held_out(number) for number in range(12)]


def test_held_out_needs_numbers_and_something_left(tmp_path: Path) -> None:
    photos = read_labelled(folder_with(tmp_path, "1,Shirts,Men,x\n2,Tops,Women,x\n3,Tops,Women,x\n"))
    kept = [photo for photo in photos if is_held_out(int(photo.id))]
    if kept:
        assert held_out_photos(photos) == tuple(kept)
    else:
        with pytest.raises(DataError, match="none of the 3"):
            held_out_photos(photos)


def test_labels_as_people_write_them() -> None:
    assert [label_words(label) for label in ("Tshirts", "Navy Blue")] == ["t-shirts", "navy blue"]


@pytest.mark.skipif(not REAL.is_dir(), reason="the fashion products aren't at ../shared/data")
def test_the_edge_encoder_is_sensible_on_real_photos_it_never_saw(edge: EdgeEncoder) -> None:
    every = read_labelled(REAL)
    photos = held_out_photos(every)
    chosen = [photos[place] for place in np.random.default_rng(5).choice(len(photos), size=200, replace=False)]
    report = evaluate_encoder(chosen, edge, label_lists(every), seed=5)
    assert report.attributes["articleType"]["classes"] == 75
    assert report.unreadable == 0
    assert report.attributes["articleType"]["accuracy"] > 0.65
    assert report.attributes["masterCategory"]["accuracy"] > 0.9
    assert report.attributes["baseColour"]["accuracy"] > 0.4
    assert report.photos_per_second > 0
