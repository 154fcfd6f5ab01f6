from __future__ import annotations

import io
import json
import os
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from coordi.config import DataSettings
from coordi.data.hub import COPIES, fetch, hub_name
from coordi.data.loading import load, located, recognise
from coordi.errors import DataError

from ..hub_server import PIN, Hub
from ..hub_server import constants as constants
from ..hub_server import server as server

MVASIL = "mvasil/polyvore-outfits"
ALLOWED = DataSettings(allow_download=True, revision=PIN)


def _release() -> dict[str, bytes]:
    metadata = {
        str(number): {"title": f"thing {number}", "semantic_category": kind}
        for number, kind in enumerate(("tops", "bottoms", "shoes"))
    }
    outfit = [{"set_id": "9", "items": [{"item_id": name, "index": int(name)} for name in metadata]}]
    files: dict[str, Any] = {
        "polyvore_item_metadata.json": metadata,
        "nondisjoint/test.json": outfit,
        "disjoint/test.json": outfit,
        "nondisjoint/typespaces.p": "a pickle",
        "data/other/deep/x.parquet": "not asked for",
        "README.md": "a card",
    }
    return {name: json.dumps(content).encode() for name, content in files.items()}


@pytest.mark.parametrize("name", [MVASIL, f"hf://datasets/{MVASIL}", Path(f"hf://datasets/{MVASIL}")])
def test_a_copy_is_fetched_pinned_and_read_like_a_folder(server: Hub, name: Any) -> None:
    server.files[MVASIL] = _release()
    folder = located(name, ALLOWED)
    assert recognise(folder) == "polyvore-outfits"
    dataset = load(Path(name), ALLOWED, 1)
    assert dataset.name == f"mvasil--polyvore-outfits-nondisjoint@{PIN[:12]} (nondisjoint)"
    assert [outfit.item_ids for outfit in dataset.outfits] == [("0", "1", "2")]
    fetched = {one.split(f"resolve/{PIN}/")[1] for one in server.asked if "resolve" in one}
    assert fetched == {"polyvore_item_metadata.json", "nondisjoint/test.json"}


def test_what_was_fetched_needs_no_network_and_no_permission(server: Hub) -> None:
    server.files[MVASIL] = _release()
    folder = fetch(MVASIL, ALLOWED)
    server.asked.clear()
    assert fetch(MVASIL, DataSettings(revision=PIN)) == folder
    assert server.asked == []
    with pytest.raises(DataError, match=r"isn't on this machine.*data\.allow_download=true"):
        fetch(MVASIL, DataSettings(revision=PIN, release="disjoint"))


def test_what_was_pruned_from_the_hubs_cache_is_fetched_again_if_allowed(server: Hub, tmp_path: Path) -> None:
    server.files[MVASIL] = _release()
    dataset = load(Path(MVASIL), ALLOWED, 1)
    shutil.rmtree(tmp_path / "hub")
    said = (
        rf"^{MVASIL} isn't on this machine any more \(2 files are gone .* such as test\.json\), and nothing is fetched"
    )
    with pytest.raises(DataError, match=said):
        load(Path(MVASIL), DataSettings(revision=PIN), 1)
    assert load(Path(MVASIL), ALLOWED, 1) == dataset
    assert load(Path(MVASIL), DataSettings(revision=PIN), 1) == dataset


@pytest.mark.parametrize("name", ["owj0421/polyvore", "owj0421/polyvore-outfits"])
def test_a_copy_of_two_repositories(server: Hub, name: str) -> None:
    """The revision pins the one that is named; the other stays at the commit that coordi was written against."""
    other = COPIES[name][1]
    assert other.revision is not None
    file = io.BytesIO()
    columns = {"item_id": ["0", "1"], "url_name": ["silk top", "jeans"], "category": ["tops", "bottoms"]}
    pq.write_table(pa.table(columns | {"image": [b"", b""]}), file)
    outfit = [{"set_id": "9", "items": [{"item_id": name, "index": int(name)} for name in "01"]}]
    server.files["owj0421/polyvore"] = {"data/data-0.parquet": file.getvalue()}
    server.files["owj0421/polyvore-outfits"] = {"nondisjoint_default/test.json": json.dumps(outfit).encode()}
    with pytest.raises(DataError, match=rf"{other.repository} at {other.revision[:12]} isn't there: it has no commit"):
        load(Path(name), ALLOWED, 1)
    server.commits.add(other.revision)
    dataset = load(Path(name), ALLOWED, 1)
    assert dataset.layout == "owj0421-polyvore"
    assert [outfit.item_ids for outfit in dataset.outfits] == [("0", "1")]


@pytest.mark.parametrize("name", COPIES)
def test_nothing_is_fetched_unless_allowed(server: Hub, name: str) -> None:
    with pytest.raises(DataError, match=rf"^{name} isn't on this machine.*data\.allow_download=true"):
        load(Path(name), DataSettings(), 1)
    assert server.asked == []


@pytest.mark.parametrize("revision", [None, "main", "8c782ee", PIN.upper()])
def test_a_copy_is_pinned_to_a_whole_commit(server: Hub, revision: str | None) -> None:
    said = rf"the revision is {revision!r}; give the commit of {MVASIL} to pin, 40 .* with data\.revision"
    with pytest.raises(DataError, match=said):
        fetch(MVASIL, DataSettings(allow_download=True, revision=revision))
    assert server.asked == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (403, "GatedRepo", "is gated; its authors give access for research: ask for it on https://huggingface"),
        (401, "RepoNotFound", "isn't there, or not for you; its authors give access"),
        (404, "RevisionNotFound", rf"isn't there: it has no commit {PIN}; check data\.revision"),
        (418, "Teapot", "can't be fetched: .*418.*; check the network"),
    ],
)
def test_what_the_hub_refuses_is_said(server: Hub, status: int, code: str, said: str) -> None:
    server.errors[MVASIL] = (status, code)
    with pytest.raises(DataError, match=rf"^the hub's data set {MVASIL} at {PIN[:12]} {said}"):
        fetch(MVASIL, ALLOWED)


def test_a_repository_without_the_files_is_said(server: Hub) -> None:
    server.files["Marqo/polyvore"] = {"README.md": b"empty", "data/more/x.parquet": b""}
    with pytest.raises(DataError, match=r"Marqo/polyvore at 0123456789ab holds none of data/\*\.parquet; pin"):
        fetch("Marqo/polyvore", ALLOWED)


def test_no_network_is_said(server: Hub, monkeypatch: pytest.MonkeyPatch, constants: Any) -> None:
    monkeypatch.setattr(constants, "ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DataError, match=r"can't be fetched: .*; check the network and run again"):
        fetch("Marqo/polyvore", ALLOWED)


def test_the_library_may_have_been_imported_offline(
    server: Hub, monkeypatch: pytest.MonkeyPatch, constants: Any
) -> None:
    """As where a model's tokenizer was loaded first; afterwards this process is offline again."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(DataError, match=r"isn't there, or not for you"):  # so the server was asked
        fetch("Marqo/polyvore", ALLOWED)
    assert server.asked
    assert constants.HF_HUB_OFFLINE is True
    assert os.environ["HF_HUB_OFFLINE"] == "1"


def test_names_of_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert hub_name("Marqo/polyvore") == hub_name("hf://datasets/Marqo/polyvore") == "Marqo/polyvore"
    assert hub_name("someone/else") is None
    assert hub_name(tmp_path) is None
    with pytest.raises(DataError, match=r"doesn't read the hub's data set 'someone/else'; accepted are mvasil/"):
        hub_name("hf://datasets/someone/else")
    with pytest.raises(DataError, match=r"no file or folder at someone/else; accepted .*on the hub \(mvasil/polyvore"):
        load(Path("someone/else"), DataSettings(), 1)
    (tmp_path / "Marqo" / "polyvore").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert hub_name("Marqo/polyvore") is None
    assert hub_name("hf://datasets/Marqo/polyvore") == "Marqo/polyvore"


def test_every_known_commit_is_whole() -> None:
    pins = {part.repository: part.revision for copy in COPIES.values() for part in copy}
    assert all(pin is None or (len(pin) == 40 and set(pin) <= set("0123456789abcdef")) for pin in pins.values())
    assert [name for name, pin in pins.items() if pin is None] == [MVASIL]
