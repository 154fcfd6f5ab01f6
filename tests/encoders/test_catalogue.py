"""A catalogue described into a folder: the same as all at once, resumed, brought up to date, nothing done twice."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from coordi.config import DescribeSettings
from coordi.data.photos import CUT_SHORT, EMPTY, open_photo
from coordi.encoders import photo_embeddings
from coordi.encoders.describe import CatalogueDescriber, DescriptionSummary, read_described
from coordi.encoders.labels import Labeller
from coordi.encoders.photo_embeddings import EmbeddingCache
from coordi.errors import DataError
from coordi.types import Item

from .colours import ColourEncoder, vocabulary

SETTINGS = DescribeSettings(batch_size=4)


@pytest.fixture
def items(tmp_path: Path) -> list[Item]:
    """Thirty photos, the third empty and the last cut short."""
    (tmp_path / "photos").mkdir()
    found = []
    for number in range(30):
        path = tmp_path / "photos" / f"{number}.png"
        Image.new("RGB", (20, 20), (number * 8, 0, 255 - number * 8)).save(path)
        found.append(Item(f"i{number}", "", "top", image=path))
    (tmp_path / "photos" / "2.png").write_bytes(b"")
    cut = tmp_path / "photos" / "29.png"
    cut.write_bytes(cut.read_bytes()[:60])
    return found


class Dying(ColourEncoder):
    """Ends the process's work at the fourth batch, as Ctrl-C does."""

    def encode_images(self, images: Sequence[Image.Image]) -> npt.NDArray[np.float32]:
        if len(self.batches) == 3:
            raise KeyboardInterrupt
        return super().encode_images(images)


def run(items: Sequence[Item], out: Path, cache: Path, encoder: ColourEncoder, examples: int = 0) -> DescriptionSummary:
    with EmbeddingCache(cache, 3, save_every=4) as vectors:
        return CatalogueDescriber(encoder, vocabulary(0.6), SETTINGS, vectors).describe(items, out, examples)


def test_it_is_what_describing_all_at_once_gives(items: list[Item], tmp_path: Path) -> None:
    found = run(items, tmp_path / "out", tmp_path / "cache", ColourEncoder(), examples=5)
    written = read_described(tmp_path / "out")
    readable = [item for item in items if item.id not in ("i2", "i29")]
    vectors = ColourEncoder().encode_images([open_photo(item.image) for item in readable if item.image is not None])
    expected = Labeller(ColourEncoder(), vocabulary(0.6)).descriptions([item.id for item in readable], vectors)
    descriptions = {description.item_id: description for description in expected}
    assert written.descriptions == descriptions
    assert (written.ids, written.encoder) == (tuple(item.id for item in readable), ("colour", "c" * 64))
    assert [row.item_id for row in written.unreadable] == ["i2", "i29"]
    np.testing.assert_array_equal(written.embeddings, vectors)
    assert (found.photos, found.encoded) == (28, 28)
    assert found.problems() == {EMPTY: ["i2"], CUT_SHORT: ["i29"]}
    counts = [d.attributes["colour"][0].text for d in descriptions.values() if d.attributes]
    assert found.labels == {"colour": {text: counts.count(text) for text in ("blue", "red")}}
    # Spread evenly, the first and the last among them.
    assert [item.id for item, _ in found.examples] == ["i0", "i7", "i14", "i21", "i28"]
    assert all(description == descriptions[item.id] for item, description in found.examples)


def test_after_ctrl_c_it_goes_on_where_it_was(items: list[Item], tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        run(items, tmp_path / "out", tmp_path / "cache", Dying())
    assert not (tmp_path / "out" / "embeddings.safetensors").exists()
    encoder = ColourEncoder()
    found = run(items, tmp_path / "out", tmp_path / "cache", encoder)
    assert (sum(encoder.batches), found.encoded) == (28 - 12, 28 - 12)
    run(items, tmp_path / "undisturbed", tmp_path / "cache2", ColourEncoder())
    for name in ("descriptions.parquet", "embeddings.safetensors", "unreadable.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "undisturbed" / name).read_bytes()


def test_no_thread_is_left_waiting_after_an_error(
    items: list[Item], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A thread that waits would keep the process from ending."""
    monkeypatch.setattr(photo_embeddings, "IN_FLIGHT", 20 * 20)
    with pytest.raises(KeyboardInterrupt) as interrupted:
        run(items, tmp_path / "out", tmp_path / "cache", Dying())
    assert interrupted.traceback  # which keeps every frame alive
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("photo")]


def test_known_photos_cost_nothing_and_new_ones_only_themselves(items: list[Item], tmp_path: Path) -> None:
    run(items, tmp_path / "out", tmp_path / "cache", ColourEncoder())
    again = ColourEncoder()
    assert run(items, tmp_path / "again", tmp_path / "cache", again).encoded == 0
    assert again.batches == []
    assert items[5].image is not None
    Image.new("RGB", (9, 9), "lime").save(items[5].image)
    moved = tmp_path / "photos" / "moved.png"
    assert items[6].image is not None
    items[6].image.rename(moved)
    items[6] = Item("renamed", "", "top", image=moved)
    found = run(items, tmp_path / "out", tmp_path / "cache", ColourEncoder())
    assert found.encoded == 1
    written = read_described(tmp_path / "out")
    assert written.descriptions["i5"].attributes["colour"][0].text == "green"
    assert "renamed" in written.ids


def test_no_photo_or_label_is_in_the_cache(items: list[Item], tmp_path: Path) -> None:
    run(items, tmp_path / "out", tmp_path / "cache", ColourEncoder())
    kept = (tmp_path / "cache").read_bytes()
    for secret in (b"photos", b"i12", b".png", b"PNG", b"red", b"blue", str(tmp_path).encode()):
        assert secret not in kept


def test_if_no_photo_can_be_opened_the_reasons_are_said(items: list[Item], tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"none of 2 photos can be opened \(1 times: photo empty.*; 1 times: photo cut"):
        run([items[2], items[29]], tmp_path / "out", tmp_path / "cache", ColourEncoder())


def test_nothing_to_describe_is_written_as_nothing(tmp_path: Path) -> None:
    assert run([], tmp_path / "out", tmp_path / "cache", ColourEncoder(), 5).photos == 0
    assert read_described(tmp_path / "out").embeddings.shape == (0, 3)
