"""Checkpoints from a hub, which is a small server of the test's own."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from coordi.config import DescribeSettings
from coordi.encoders.base import (
    PINNED_COMMITS,
    REPOSITORIES,
    fetch_checkpoint,
    load_encoder,
    load_settled_encoder,
    repository_of,
)
from coordi.errors import EncoderError

from ..hub_server import PIN, Hub
from ..hub_server import constants as constants
from ..hub_server import server as server

pytest.importorskip("torch", reason="needs the train extra")

FASHION_CLIP = "patrickjohncyh/fashion-clip"
MARQO = "Marqo/marqo-fashionSigLIP"


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def fetched(server: Hub) -> set[str]:
    return {one.split("/resolve/")[1].split("/", 1)[1] for one in server.asked if "/resolve/" in one}


@pytest.mark.slow
def test_fashion_clip_is_fetched_pinned_and_read_like_a_folder(
    server: Hub, tiny_clip: Path, photos: list[Image.Image]
) -> None:
    more = {
        "pytorch_model.bin": b"pickle",
        "own.py": b"code",
        "README.md": b"",
        "onnx/model.onnx": b"",
        "x.msgpack": b"",
    }
    server.files[FASHION_CLIP] = {**contents(tiny_clip), **more}
    settings = DescribeSettings(encoder="fashion-clip", allow_download=True, revision=PIN)
    encoder = load_settled_encoder(settings)
    expected = load_encoder(str(tiny_clip))
    assert encoder.identity == expected.identity
    assert (encoder.name, expected.name) == (f"{FASHION_CLIP}@{PIN[:12]}", str(tiny_clip))
    np.testing.assert_array_equal(encoder.encode_images(photos), expected.encode_images(photos))
    assert fetched(server) == {
        "config.json", "model.safetensors", "preprocessor_config.json", "vocab.json", "merges.txt",
        "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.slow
def test_what_was_fetched_needs_no_network_and_no_permission(server: Hub, tiny_clip: Path, tmp_path: Path) -> None:
    server.files[FASHION_CLIP] = contents(tiny_clip)
    folder = fetch_checkpoint(FASHION_CLIP, True, PIN)
    server.asked.clear()
    assert fetch_checkpoint(FASHION_CLIP, False, PIN) == folder
    assert server.asked == []
    shutil.rmtree(tmp_path / "hub")  # the library's cache may be pruned at any time
    with pytest.raises(EncoderError, match=r"isn't on this machine.*describe\.allow_download=true"):
        fetch_checkpoint(FASHION_CLIP, False, PIN)
    load_encoder(FASHION_CLIP, allow_download=True, revision=PIN)


def test_the_known_commit_is_taken_where_none_is_given(server: Hub, tiny_clip: Path) -> None:
    server.files[FASHION_CLIP] = contents(tiny_clip)
    server.commits.add(PINNED_COMMITS[FASHION_CLIP])
    folder = fetch_checkpoint(FASHION_CLIP, True, None)
    assert folder.name.endswith(f"@{PINNED_COMMITS[FASHION_CLIP][:12]}")
    # The library's first request of a process is about itself.
    paths = [path for path in server.asked if FASHION_CLIP in path]
    assert paths
    assert all(PINNED_COMMITS[FASHION_CLIP] in path for path in paths)


@pytest.mark.slow
def test_of_fashion_siglip_only_what_is_read_is_fetched(
    server: Hub, tiny_checkpoints: Mapping[str, Path], photos: list[Image.Image]
) -> None:
    files = contents(tiny_checkpoints["open_clip"])
    server.files[MARQO] = {**files, "model.safetensors": b"the same again", "open_clip_pytorch_model.bin": b"pickle"}
    encoder = load_encoder(MARQO, allow_download=True, revision=PIN)
    expected = load_encoder(str(tiny_checkpoints["open_clip"]))
    np.testing.assert_array_equal(encoder.encode_images(photos), expected.encode_images(photos))
    assert fetched(server) == {
        "config.json", "open_clip_config.json", "open_clip_model.safetensors", "tokenizer.json",
        "tokenizer_config.json",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["fashion-clip", FASHION_CLIP, "someone/else"])
def test_nothing_is_fetched_unless_allowed(server: Hub, name: str) -> None:
    said = r"isn't on this machine, and nothing is fetched unless allowed; allow it with --allow-download"
    with pytest.raises(EncoderError, match=said):
        load_settled_encoder(DescribeSettings(encoder=name))
    assert server.asked == []


@pytest.mark.parametrize("revision", [None, "main", "8c782ee", PIN.upper()])
def test_a_checkpoint_is_pinned_to_a_whole_commit(server: Hub, revision: str | None) -> None:
    with pytest.raises(
        EncoderError, match=rf"the revision is {revision!r}; give the commit of a/b to pin, 40.*--revision"
    ):
        load_encoder("a/b", allow_download=True, revision=revision)
    assert server.asked == []


def test_pickle_is_not_even_fetched(server: Hub) -> None:
    server.files["a/b"] = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    with pytest.raises(EncoderError, match=r"holds no model\.safetensors but pytorch_model\.bin, which is pickle"):
        load_encoder("a/b", allow_download=True, revision=PIN)
    assert fetched(server) == set()


def test_what_the_hub_refuses_is_said(server: Hub) -> None:
    for status, code, said in (
        (403, "GatedRepo", r"is gated; ask for access on https://huggingface\.co/a/b"),
        (401, "RepoNotFound", "isn't there, or not for you; check the name"),
        (404, "RevisionNotFound", rf"isn't there: it has no commit {PIN}; check --revision"),
        (418, "Teapot", "can't be fetched: .*418.*; check the network"),
    ):
        server.errors["a/b"] = (status, code)
        with pytest.raises(EncoderError, match=rf"^the hub's model a/b at {PIN[:12]} {said}"):
            load_encoder("a/b", allow_download=True, revision=PIN)


def test_names() -> None:
    assert repository_of("fashion-clip") == FASHION_CLIP
    assert repository_of(MARQO) == MARQO
    for other in ("edge", "a/b/c", "../x", "./x", "a/", "/a", "a/.b", ""):
        assert repository_of(other) is None
    assert all(len(pin) == 40 and set(pin) <= set("0123456789abcdef") for pin in PINNED_COMMITS.values())
    assert set(REPOSITORIES.values()) <= set(PINNED_COMMITS)


def test_a_folder_of_that_name_comes_first(
    server: Hub, tiny_clip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(tiny_clip, tmp_path / "someone" / "else")
    assert load_encoder("someone/else").identity == load_encoder(str(tiny_clip)).identity
    assert server.asked == []
