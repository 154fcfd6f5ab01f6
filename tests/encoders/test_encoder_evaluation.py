from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coordi.data.photos import open_photo
from coordi.encoders.edge import Calibration, EdgeEncoder
from coordi.encoders.evaluation import (
    MERGED,
    EvaluationOptions,
    LabelledPhoto,
    evaluate_encoder,
    holdout_photos,
    label_lists,
    label_shares,
    label_words,
    read_labelled,
)
from coordi.encoders.labels import LabelClassifier, load_vocabulary
from coordi.encoders.photo_embeddings import EmbeddingCache
from coordi.errors import DataError

REAL = Path("../shared/data/fashion-products")
needs_photos = pytest.mark.skipif(not REAL.is_dir(), reason="the fashion products aren't at ../shared/data")


class Colours:
    """Sees how red, green and blue a photo is, and reads those words; nothing else."""

    name, identity, dimension, logit_scale = "colours", "0" * 64, 3, 10.0
    logit_bias: float | None = None

    def __init__(self, calibration: Calibration | None = None) -> None:
        if calibration is not None:
            self.calibration = calibration

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        rows = [np.asarray(image.convert("RGB"), dtype=np.float32).mean(axis=(0, 1)) + 1e-3 for image in images]
        return np.stack([row / np.linalg.norm(row) for row in rows]) if rows else np.zeros((0, 3), dtype=np.float32)

    def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        words = ("red", "green", "blue")
        return np.array([[float(word in text.split()) + 1e-3 for word in words] for text in texts], dtype=np.float32)


def photos_of(folder: Path, colours: Sequence[str]) -> list[LabelledPhoto]:
    found = []
    for place, colour in enumerate(colours):
        path = folder / f"{place}.png"
        Image.new("RGB", (6, 6), colour).save(path)
        found.append(LabelledPhoto(str(place), path, {"articleType": colour.title()}))
    return found


def test_common_labels_stand_apart_and_unreadable_photos_are_counted(tmp_path: Path) -> None:
    photos = photos_of(tmp_path, ["red", "red", "red", "blue"])
    broken = LabelledPhoto("9", tmp_path / "broken.jpg", {"articleType": "Red"})
    broken.path.write_bytes(b"no photo")
    question = EvaluationOptions({"articleType": ["Blue", "Green", "Red"]}, min_photos=3)
    report = evaluate_encoder([*photos, broken], Colours(), question)
    found = report.attributes["articleType"]
    assert (found["n"], found["classes"], found["accuracy"], report.unreadable) == (4, 3, 1.0, 1)
    common = found["common"]
    assert (common["n"], common["classes"], common["labels_measured"], common["min_photos"]) == (3, 3, 1, 3)
    few = evaluate_encoder(photos, Colours(), EvaluationOptions({"articleType": ["Blue", "Red"]}, min_photos=20))
    assert "common" not in few.attributes["articleType"]


def test_known_photos_are_not_encoded_again_and_give_the_same_figures(tmp_path: Path) -> None:
    photos = photos_of(tmp_path, ["red", "blue", "green", "blue"])
    question = EvaluationOptions({"articleType": ["Blue", "Green", "Red"]})
    with EmbeddingCache(tmp_path / "cache", 3) as cache:
        first, again = (evaluate_encoder(photos, Colours(), question, cache=cache) for _ in range(2))
    assert (first.encoded, again.encoded) == (3, 0)  # the blue ones are twins
    assert first.attributes == again.attributes == evaluate_encoder(photos, Colours(), question).attributes


def test_merged_colours_of_an_encoder_that_judges_each_label_alone_stay_probabilities(tmp_path: Path) -> None:
    photos = [LabelledPhoto(p.id, p.path, {"baseColour": "Blue"}) for p in photos_of(tmp_path, ["blue", "blue"])]
    question = EvaluationOptions({"baseColour": ["Blue", "Navy Blue", "Red"]})
    encoder = Colours()
    encoder.logit_bias = -2.0
    found = evaluate_encoder(photos, encoder, question).attributes["baseColour merged"]
    # Both blues are sure by 1 / (1 + exp(-8)): together, too, and not twice that.
    assert (found["accuracy"], found["classes"]) == (1.0, 2)
    assert found["ece"] == pytest.approx(1 - 1 / (1 + np.exp(-8)), abs=1e-3)


def test_a_label_outside_the_list_and_a_lone_label_are_left_out(tmp_path: Path) -> None:
    photos = photos_of(tmp_path, ["red", "blue", "green"])
    report = evaluate_encoder(photos, Colours(), EvaluationOptions({"articleType": ["Blue", "Red"]}))
    assert report.attributes["articleType"]["n"] == 2
    assert evaluate_encoder(photos, Colours(), EvaluationOptions({"articleType": ["Red"]})).attributes == {}


def test_nothing_that_opens_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"")
    photo = LabelledPhoto("a", tmp_path / "a.jpg", {"articleType": "Red"})
    with pytest.raises(DataError, match="none of the 1"):
        evaluate_encoder([photo], Colours(), EvaluationOptions({"articleType": ["Blue", "Red"]}))


def test_a_columns_temperature_divides_log_odds() -> None:
    rows = Colours().encode_images([Image.new("RGB", (4, 4), (200, 180, 0))])
    cool = Colours(Calibration(temperatures={"articleType": 2.0}))
    plain, cooled = (label_shares(encoder, "articleType", ["Red", "Green"], rows) for encoder in (Colours(), cool))
    odds = [float(np.log(shares[0, 0] / shares[0, 1])) for shares in (plain, cooled)]
    assert odds[0] / odds[1] == pytest.approx(2.0, abs=1e-3)


def test_merged_groups_are_labels_that_do_not_go_by_another_name_themselves() -> None:
    for groups in MERGED.values():
        assert not set(groups.values()) & set(groups)


@needs_photos
@pytest.mark.slow
def test_the_edge_encoder_is_sensible_on_real_photos_it_never_saw(edge: EdgeEncoder) -> None:
    every = read_labelled(REAL)
    photos = holdout_photos(every)
    chosen = [photos[place] for place in np.random.default_rng(5).choice(len(photos), size=150, replace=False)]
    report = evaluate_encoder(chosen, edge, EvaluationOptions(label_lists(every), seed=5))
    assert report.attributes["articleType"]["classes"] == 75
    assert report.unreadable == 0
    assert report.attributes["articleType"]["accuracy"] > 0.65
    assert report.attributes["masterCategory"]["accuracy"] > 0.9
    colour, grouped = report.attributes["baseColour"], report.attributes["baseColour merged"]
    assert 0.4 < colour["accuracy"] < grouped["accuracy"]
    assert grouped["classes"] < colour["classes"]
    assert report.photos_per_second > 0


@needs_photos
@pytest.mark.parametrize(
    ("name", "column"), [("category", "articleType"), ("colour", "baseColour"), ("occasion", "usage")]
)
@pytest.mark.slow
def test_what_is_described_is_right_as_often_as_its_probability_says(
    edge: EdgeEncoder, name: str, column: str, some_vectors: tuple[list[LabelledPhoto], npt.NDArray[np.float32]]
) -> None:
    photos, rows = some_vectors
    attribute = load_vocabulary("fashion").attributes[name]
    owner = {phrase: place for place, entry in enumerate(attribute.labels) for phrase in entry.phrases}
    truth = np.array([owner.get(label_words(photo.labels[column]), -1) for photo in photos])
    shares = LabelClassifier.of_attribute(name, attribute, edge).probabilities(rows)
    right, sure = shares.argmax(axis=1) == truth, shares.max(axis=1)
    assert abs(float(right.mean() - sure.mean())) < 0.05
    uncalibrated = attribute.model_copy(update={"temperatures": {}})
    plain = LabelClassifier.of_attribute(name, uncalibrated, edge).probabilities(rows).max(axis=1)
    # 200 photos tell temperatures near 1 from 1 within a hundredth only.
    assert abs(float(right.mean() - plain.mean())) > abs(float(right.mean() - sure.mean())) - 0.01


@pytest.fixture(scope="module")
def some_vectors(edge: EdgeEncoder) -> tuple[list[LabelledPhoto], npt.NDArray[np.float32]]:
    """Photos of all three columns that the encoder never saw, and their vectors."""
    photos = holdout_photos(read_labelled(REAL))
    chosen = [photos[place] for place in np.random.default_rng(5).choice(len(photos), size=200, replace=False)]
    chosen = [photo for photo in chosen if {"articleType", "baseColour", "usage"} <= set(photo.labels)]
    return chosen, edge.encode_images([open_photo(photo.path) for photo in chosen])
