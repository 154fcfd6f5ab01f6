"""The cache of vectors: exact, lasting, of one encoder, and nothing of the photos in it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

from coordi.encoders.photo_embeddings import EmbeddingCache, encoding_key
from coordi.errors import ArtifactError

from .colours import ColourEncoder

DIGESTS = [bytes([number]) * 32 for number in range(5)]
VECTORS = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)


def test_vectors_come_back_exactly_in_the_order_asked(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "v.sqlite", 3, save_every=2) as cache:
        cache.add(DIGESTS, VECTORS)
        assert cache.knows(DIGESTS[0])
        assert not cache.knows(b"x" * 32)
    with EmbeddingCache(tmp_path / "v.sqlite", 3) as again:
        assert len(again) == 5
        np.testing.assert_array_equal(again.vectors([DIGESTS[3], DIGESTS[0], DIGESTS[3]]), VECTORS[[3, 0, 3]])
        assert again.vectors([]).shape == (0, 3)


def test_what_isnt_saved_yet_is_known_and_nothing_is_saved_by_halves(tmp_path: Path) -> None:
    with (
        EmbeddingCache(tmp_path / "v.sqlite", 3, save_every=4) as cache,
        EmbeddingCache(tmp_path / "v.sqlite", 3) as other,
    ):
        cache.add(DIGESTS[:2], VECTORS[:2])
        assert len(other) == 0
        np.testing.assert_array_equal(cache.vectors(DIGESTS[:2]), VECTORS[:2])
        cache.add(DIGESTS[2:4], VECTORS[2:4])
        assert len(other) == 4
        assert other.knows(DIGESTS[3])


def test_more_than_one_question_of_vectors(tmp_path: Path) -> None:
    digests = [number.to_bytes(32, "big") for number in range(1203)]
    rows = np.arange(1203, dtype=np.float32)[:, None]
    with EmbeddingCache(None, 1) as cache:
        cache.add(digests, rows)
        np.testing.assert_array_equal(cache.vectors(digests[::-1]), rows[::-1])


def test_a_damaged_file_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "v.sqlite").write_text("this is no database, at some length " * 20)
    with pytest.raises(ArtifactError, match=r"v\.sqlite can't be used: .*delete the file"):
        EmbeddingCache(tmp_path / "v.sqlite", 3)


def test_a_lost_or_short_vector_is_one_clear_line(tmp_path: Path) -> None:
    with EmbeddingCache(tmp_path / "v.sqlite", 3) as cache:
        cache.add(DIGESTS, VECTORS)
    with sqlite3.connect(tmp_path / "v.sqlite") as database:
        database.execute("UPDATE vectors SET vector = x'00' WHERE photo = ?", (DIGESTS[1],))
    database.close()
    with (
        EmbeddingCache(tmp_path / "v.sqlite", 3) as cache,
        pytest.raises(ArtifactError, match=r"v\.sqlite lacks vectors.*delete it"),
    ):
        cache.vectors(DIGESTS)


def test_a_folder_that_cant_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="can't be written"):
        EmbeddingCache(tmp_path / "file" / "v.sqlite", 3)


def test_another_encoder_has_another_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COORDI_CACHE", str(tmp_path))

    class Other(ColourEncoder):
        identity = "d" * 64

    assert encoding_key(ColourEncoder()) == encoding_key(ColourEncoder())
    assert encoding_key(ColourEncoder()) != encoding_key(Other())
    with EmbeddingCache.of(ColourEncoder()) as one, EmbeddingCache.of(Other()) as other:
        assert one.path != other.path
        assert one.path is not None
        assert one.path.is_relative_to(tmp_path)


@pytest.mark.parametrize("bit", [0, 20, 57, 95, 100])
def test_a_vector_with_a_flipped_bit_is_not_used_and_is_saved_again(tmp_path: Path, bit: int) -> None:
    """A wrong vector looks like any other: nothing else would ever find it."""
    with EmbeddingCache(tmp_path / "v.sqlite", 3) as cache:
        cache.add(DIGESTS, VECTORS)
    database = sqlite3.connect(tmp_path / "v.sqlite")
    ((row,),) = database.execute("SELECT vector FROM vectors WHERE photo = ?", (DIGESTS[1],)).fetchall()
    flipped = bytearray(row)
    flipped[bit // 8] ^= 1 << bit % 8
    database.execute("UPDATE vectors SET vector = ? WHERE photo = ?", (bytes(flipped), DIGESTS[1]))
    database.commit()
    database.close()
    with EmbeddingCache(tmp_path / "v.sqlite", 3) as cache:
        assert [cache.knows(digest) for digest in DIGESTS] == [True, False, True, True, True]
        with pytest.raises(ArtifactError, match="lacks vectors"):
            cache.vectors(DIGESTS)
        cache.add(DIGESTS[1:2], VECTORS[1:2])
    with EmbeddingCache(tmp_path / "v.sqlite", 3) as cache:
        np.testing.assert_array_equal(cache.vectors(DIGESTS), VECTORS)
