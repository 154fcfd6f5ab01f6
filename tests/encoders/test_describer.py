from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from safetensors import safe_open
from safetensors.numpy import load

from coordi.config import DescribeSettings
from coordi.data.photos import CUT_SHORT
from coordi.encoders.describe import CatalogueDescriber, read_described
from coordi.encoders.labels import Attribute, LabelEntry, Labeller, Vocabulary
from coordi.encoders.photo_embeddings import NO_PHOTO, EmbeddingCache
from coordi.errors import ArtifactError
from coordi.types import GarmentCategory, Item

from .colours import WORDS, ColourEncoder, describe, vocabulary


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    colours = {"a": (255, 0, 0), "b": (0, 0, 255), "c": (255, 255, 0)}
    found = []
    for name, colour in colours.items():
        Image.new("RGB", (20, 30), colour).save(tmp_path / f"{name}.png")
        found.append(Item(name, name, "top", image=tmp_path / f"{name}.png"))
    (tmp_path / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0 cut")
    found.insert(1, Item("cut", "cut", "top", image=tmp_path / "cut.jpg"))
    found.insert(3, Item("none", "none", "top"))
    return found


def test_sure_labels_are_said_and_weak_ones_left_out(items: list[Item]) -> None:
    described = describe(items, ColourEncoder(), vocabulary(0.6), DescribeSettings())
    said = {
        name: [label.text for label in d.attributes.get("colour", ())] for name, d in described.descriptions.items()
    }
    assert said == {"a": ["red"], "b": ["blue"], "c": []}
    assert "colour" not in described.descriptions["c"].attributes
    # softmax of 10, 0, 0
    expected = np.exp(10) / (np.exp(10) + 2)
    assert described.descriptions["a"].attributes["colour"][0].probability == pytest.approx(expected, abs=1e-5)


def garment_types(*categories: GarmentCategory | None) -> Vocabulary:
    labels = tuple(LabelEntry(text=word, category=row) for word, row in zip(WORDS, categories, strict=True))
    return Vocabulary(attributes={"category": Attribute(threshold=0.6, labels=labels)})


def test_what_could_be_two_kinds_of_top_is_a_top() -> None:
    # red; red or green; blue
    photos = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]], dtype=np.float32)
    photos /= np.linalg.norm(photos, axis=1, keepdims=True)
    tops = Labeller(ColourEncoder(), garment_types("top", "top", "bottom"))
    said = tops.descriptions(list("abc"), photos)
    assert ["category" in one.attributes for one in said] == [True, False, True]
    assert tops.categories(said, photos) == ["top", "top", "bottom"]
    assert tops.categories([], photos[:0]) == []
    either = Labeller(ColourEncoder(), garment_types("top", "bottom", None))
    assert either.categories(said, photos) == ["top", None, None]  # as probable as not, and nothing that is worn
    assert Labeller(ColourEncoder(), vocabulary(0.6)).categories(said, photos) == [None] * 3  # it has no kinds


def test_of_a_photo_of_no_garment_nothing_else_is_said() -> None:
    class Subjects(ColourEncoder):
        def encode_texts(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
            words = {"one garment": "red", "several garments": "green", "no garment": "blue"}
            return super().encode_texts([words.get(text.removeprefix("a photo of a "), text) for text in texts])

    entries = (
        LabelEntry(text="one garment", described=False),
        LabelEntry(text="several garments"),
        LabelEntry(text="no garment"),
    )
    subject = Attribute(threshold=0.6, labels=entries)
    kinds = garment_types("top", "bottom", "shoes").attributes["category"]
    labeller = Labeller(Subjects(), Vocabulary(attributes={"category": kinds, "subject": subject}))
    photos = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0.6, 0, 0.8]], dtype=np.float32)
    said = labeller.descriptions(list("abcd"), photos)
    texts = [{name: labels[0].text for name, labels in row.attributes.items()} for row in said]
    several, nothing = {"subject": "several garments"}, {"subject": "no garment"}
    assert texts == [{"category": "red"}, {"category": "green"} | several, nothing, nothing]
    assert labeller.categories(said, photos) == ["top", "bottom", None, None]


def test_labels_that_are_judged_alone_are_not_added_up() -> None:
    class Alone(ColourEncoder):
        logit_bias = 0.0  # type: ignore[assignment]

    kinds = tuple(LabelEntry(text=word, category="top") for word in WORDS)
    labeller = Labeller(Alone(), Vocabulary(attributes={"category": Attribute(threshold=1.0, labels=kinds)}))
    photos = np.array([[1, 1, 1]], dtype=np.float32) / np.sqrt(3, dtype=np.float32)
    assert labeller.categories(labeller.descriptions(["a"], photos), photos) == [None]


def test_equal_labels_come_in_the_vocabularys_order(items: list[Item]) -> None:
    described = describe(items, ColourEncoder(), vocabulary(0.3, max_labels=3), DescribeSettings())
    assert [label.text for label in described.descriptions["c"].attributes["colour"]] == ["red", "green"]


def test_unreadable_photos_are_rows_and_the_rest_goes_on(items: list[Item]) -> None:
    described = describe(items, ColourEncoder(), vocabulary(0.6), DescribeSettings())
    assert described.ids == ("a", "b", "c")
    assert described.embeddings.shape == (3, 3)
    reasons = {row.item_id: row.reason for row in described.unreadable}
    assert set(reasons) == {"cut", "none"}
    assert "cut.jpg" in reasons["cut"]
    assert [row.kind for row in described.unreadable] == [CUT_SHORT, NO_PHOTO]


def test_photos_stream_in_batches_and_progress_ends_at_the_whole(items: list[Item]) -> None:
    encoder, seen = ColourEncoder(), []
    settings = DescribeSettings(batch_size=2)
    described = describe(items, encoder, vocabulary(0.6), settings, lambda done, total: seen.append((done, total)))
    assert encoder.batches == [2, 1]
    assert seen == [(3, 5), (5, 5)]
    whole = describe(items, ColourEncoder(), vocabulary(0.6), DescribeSettings())
    assert described.descriptions == whole.descriptions
    np.testing.assert_array_equal(described.embeddings, whole.embeddings)


def test_the_same_photo_twice_is_seen_once_and_described_twice(items: list[Item]) -> None:
    twin, encoder = Item("twin", "twin", "top", image=items[0].image), ColourEncoder()
    described = describe([*items, twin], encoder, vocabulary(0.6), DescribeSettings())
    assert encoder.batches == [3]
    assert described.ids == ("a", "b", "c", "twin")
    assert described.descriptions["twin"].attributes == described.descriptions["a"].attributes


def test_one_open_photo_is_described_alike(items: list[Item]) -> None:
    described = describe(items[:1], ColourEncoder(), vocabulary(0.6), DescribeSettings())
    assert items[0].image is not None
    vector = ColourEncoder().encode_images([Image.open(items[0].image)])
    (alone,) = Labeller(ColourEncoder(), vocabulary(0.6)).descriptions([""], vector)
    assert alone.attributes == described.descriptions["a"].attributes


def test_nothing_to_describe_gives_nothing() -> None:
    described = describe([], ColourEncoder(), vocabulary(0.6), DescribeSettings())
    assert (described.ids, described.embeddings.shape) == ((), (0, 3))


def write(folder: Path, items: list[Item], words: Vocabulary) -> None:
    with EmbeddingCache(None, 3) as cache:
        CatalogueDescriber(ColourEncoder(), words, DescribeSettings(), cache).describe(items, folder)


@pytest.mark.parametrize("count", [0, 5])
def test_what_is_written_is_read_back(items: list[Item], tmp_path: Path, count: int) -> None:
    words = vocabulary(0.3, max_labels=2)
    write(tmp_path / "out", items[:count], words)
    again = read_described(tmp_path / "out")
    photos = [item for item in items[:count] if item.id in "abc"]
    vectors = ColourEncoder().encode_images([Image.open(item.image) for item in photos if item.image is not None])
    expected = Labeller(ColourEncoder(), words).descriptions([item.id for item in photos], vectors)
    assert again.descriptions == {description.item_id: description for description in expected}
    assert again.ids == tuple(item.id for item in photos)
    assert {row.item_id for row in again.unreadable} == {item.id for item in items[:count]} - set(again.ids)
    assert again.encoder == ("colour", "c" * 64)
    np.testing.assert_array_equal(again.embeddings, vectors)


def test_vectors_are_laid_out_as_safetensors_does(items: list[Item], tmp_path: Path) -> None:
    write(tmp_path, items, vocabulary(0.6))
    with safe_open(tmp_path / "embeddings.safetensors", framework="numpy") as file:
        assert file.metadata()["ids"] == '["a", "b", "c"]'
        np.testing.assert_array_equal(file.get_tensor("vectors"), read_described(tmp_path).embeddings)
    assert load((tmp_path / "embeddings.safetensors").read_bytes()).keys() == {"vectors"}


def test_what_a_killed_run_left_half_written_is_removed(items: list[Item], tmp_path: Path) -> None:
    (tmp_path / ".embeddings.safetensors.a1b2").write_bytes(b"half")
    write(tmp_path, items[:1], vocabulary(0.6))
    assert sorted(path.name for path in tmp_path.iterdir() if path.name.startswith(".emb")) == []


@pytest.mark.parametrize("name", ["descriptions.parquet", "embeddings.safetensors", "unreadable.json"])
def test_a_broken_file_is_named(items: list[Item], tmp_path: Path, name: str) -> None:
    write(tmp_path / "out", items, vocabulary(0.6))
    (tmp_path / "out" / name).write_bytes(b"cut")
    with pytest.raises(ArtifactError, match=name):
        read_described(tmp_path / "out")
