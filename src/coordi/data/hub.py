"""Copies of Polyvore on the Hugging Face hub, fetched only where that is allowed."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, NamedTuple

from coordi.artifacts import cache_folder, clear_write_errors, write_json
from coordi.config import DataSettings
from coordi.data.categories import (
    NO_GARMENT,
    MarylandCategory,
    category_of,
    classify,
    maryland_categories,
    maryland_category,
)
from coordi.data.polyvore import (
    QUESTION_SPLITS,
    VERSIONS,
    OutfitsRelease,
    chosen_version,
    columns_of,
    extract_photos,
    id_of,
    read_columns,
    release_source,
    split_files,
)
from coordi.data.source import Funnel, Source, SourceItem, SourceOutfit
from coordi.errors import CoordiError, DataError, require
from coordi.types import SPLITS

COMPLETE = ".complete.json"
_COMMIT = re.compile(r"[0-9a-f]{40}")
_OFFLINE = "HF_HUB_OFFLINE"
_WORDS = {"dataset": "data set", "model": "model"}
_PAGES = {"dataset": "https://huggingface.co/datasets/", "model": "https://huggingface.co/"}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a commit of 40 hexadecimal digits; None where the user has to give one, by ``setting``.
    ``choose`` gets the repository in words and its file names, and returns those wanted; ``access`` tells what
    restricted access needs.
    """

    name: str
    kind: Literal["dataset", "model"]
    commit: str | None
    setting: str
    error: type[CoordiError]
    choose: Callable[[str, list[str]], list[str]]
    access: str = ""


def fetch_repositories(folder: Path, repositories: Sequence[Repository], allowed: bool, advice: str) -> Path:
    """The folder with links to files in the hub's own cache; nothing is fetched if all of them are still there. The
    first repository is the one that the user names; ``advice`` says what to do where the network isn't ``allowed``.

    Raises:
        CoordiError: Of the repository's type: it isn't there and may not be fetched, isn't pinned, or can't be fetched.
        MissingDependencyError: If huggingface_hub isn't installed.
        ArtifactError: If the cache can't be written.
    """
    first = repositories[0]
    for each in repositories:
        if (each.commit or allowed) and not _COMMIT.fullmatch(each.commit or ""):
            raise each.error(
                f"the revision is {each.commit!r}; give the commit of {each.name} to pin, 40 hexadecimal digits, "
                f"with {each.setting}: {_PAGES[each.kind]}{each.name}/commits/main lists them"
            )
    pruned = sorted(path for path in folder.rglob("*") if path.is_symlink() and not path.exists())
    if (folder / COMPLETE).is_file() and not pruned:
        return folder
    if not allowed:
        lack = ""
        if pruned:
            lack = f" any more ({len(pruned)} files are gone from the hub's cache, such as {pruned[0].name})"
        raise first.error(f"{first.name} isn't on this machine{lack}, and nothing is fetched unless allowed; {advice}")
    with online() as hub:
        files = {f"{each.name}@{each.commit}": _fetch_files(hub, each, folder) for each in repositories}
    write_json(folder / COMPLETE, files)
    return folder


@contextmanager
def online() -> Iterator[ModuleType]:
    """Let huggingface_hub reach the network for the while, whenever it was imported: it reads the variable only then,
    and asks its constant before every request.
    """
    hub: Any = require("huggingface_hub")
    constants: Any = require("huggingface_hub.constants")
    variable, constant = os.environ.get(_OFFLINE), constants.HF_HUB_OFFLINE
    os.environ[_OFFLINE], constants.HF_HUB_OFFLINE = "0", False
    try:
        yield hub
    finally:
        constants.HF_HUB_OFFLINE = constant
        os.environ.pop(_OFFLINE)
        if variable is not None:
            os.environ[_OFFLINE] = variable


def _fetch_files(hub: ModuleType, repository: Repository, folder: Path) -> list[str]:
    """Fetch files into the hub's own cache, and link them into a folder under their own names; these names."""
    errors = require("huggingface_hub.errors", "train")
    name, error, access = repository.name, repository.error, repository.access
    pin = {"revision": repository.commit, "repo_type": repository.kind}
    where = f"the hub's {_WORDS[repository.kind]} {name} at {str(repository.commit)[:12]}"
    try:
        wanted = repository.choose(where, hub.HfApi().list_repo_files(name, **pin))
        snapshot = Path(hub.snapshot_download(name, **pin, allow_patterns=wanted))
    except errors.GatedRepoError as raised:
        how = access or f"ask for access on {_PAGES[repository.kind]}{name}"
        raise error(f"{where} is gated; {how}") from raised
    except errors.RepositoryNotFoundError as raised:
        raise error(f"{where} isn't there, or not for you; {access or 'check the name'}") from raised
    except errors.RevisionNotFoundError as raised:
        how = f"it has no commit {repository.commit}; check {repository.setting}"
        raise error(f"{where} isn't there: {how}") from raised
    except (errors.EntryNotFoundError, errors.HTTPError, OSError, ValueError) as raised:
        reason = str(raised).strip().splitlines() or [type(raised).__name__]
        raise error(f"{where} can't be fetched: {reason[0]}; check the network and run again") from raised
    for file in wanted:
        path = folder / file
        with clear_write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.unlink(missing_ok=True)
            path.symlink_to((snapshot / file).resolve())
    return wanted


CopyLayout = Literal["owj0421-polyvore", "marqo-polyvore"]
_OUTFITS_HUB = "https://huggingface.co/datasets/owj0421/polyvore-outfits"
_OWJ_COLUMNS, _OWJ_MORE = ("item_id", "url_name", "category"), ("title", "description")
_MARQO_COLUMNS = ("item_ID", "category", "text")
_SET_AND_INDEX = re.compile(r"(.+)_(\d+)")


def copy_layout(folder: Path) -> CopyLayout | None:
    """Which copy a folder holds; None if it holds neither."""
    if any((folder / f"{version}_default").is_dir() for version in VERSIONS):
        return "owj0421-polyvore"
    for table in _tables(folder):
        names = columns_of(table)
        if "item_ID" in names:
            return "marqo-polyvore"
        if {"item_id", "url_name"} <= set(names):
            return "owj0421-polyvore"
    return None


def read_owj(folder: Path, settings: DataSettings) -> Source:
    """Read ``owj0421/polyvore`` with the outfits of ``owj0421/polyvore-outfits``."""
    there = [name for name in VERSIONS if split_files(folder, f"{name}_default/{{}}.json", SPLITS)]
    version = chosen_version(folder, settings, there, "_default", _OUTFITS_HUB)
    tables = _tables(folder)
    rows = [(id_of(row, "item_id"), row) for row in read_columns(tables, _OWJ_COLUMNS, _OWJ_MORE)]

    release = OutfitsRelease(
        name=f"{folder.name} ({version})",
        layout="owj0421-polyvore",
        outfits=split_files(folder, f"{version}_default/{{}}.json", SPLITS),
        compatibility=split_files(folder, f"{version}_compatibility/{{}}.json", QUESTION_SPLITS),
        blanks=split_files(folder, f"{version}_fill_in_the_blank/{{}}.json", QUESTION_SPLITS),
        items_file="data/*.parquet",
        without_id=sum(not item_id for item_id, _ in rows),
    )
    facts = {item_id: {**row, "semantic_category": row.get("category")} for item_id, row in rows if item_id}
    return release_source(release, facts, lambda names: extract_photos(tables, "item_id", set(names)), folder)


def read_marqo(folder: Path) -> Source:
    """Read ``Marqo/polyvore``: items with photo, title and category, in outfits without a split."""
    tables = _tables(folder)
    rows = [(id_of(row, "item_ID"), row) for row in read_columns(tables, _MARQO_COLUMNS)]
    items: dict[str, SourceItem] = {}
    twice: list[str] = []
    for item_id, row in rows:
        if item_id in items:
            twice.append(item_id)
        elif item_id:
            items[item_id] = _marqo_item(item_id, row)
    photos = extract_photos(tables, "item_ID", {item.id for item in items.values() if item.category != NO_GARMENT})
    funnel = Funnel()
    funnel.read("items", len(rows))
    funnel.drop("items", "no item_ID", sum(not item_id for item_id, _ in rows))
    funnel.drop("items", "duplicate id, the first is kept", twice)
    sets: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for item_id in items:
        if match := _SET_AND_INDEX.fullmatch(item_id):
            sets[match[1]].append((int(match[2]), item_id))
    outfits = tuple(SourceOutfit(name, tuple(own for _, own in sorted(rows)), None) for name, rows in sets.items())
    funnel.read("outfits", len(outfits))
    pictured = tuple(replace(item, image=photos.get(item.id)) for item in items.values())
    return Source(folder.name, "marqo-polyvore", pictured, outfits, funnel, keeps_single_items=not outfits)


def _tables(folder: Path) -> list[Path]:
    return sorted((folder / "data").glob("*.parquet"))


def _marqo_item(item_id: str, row: Mapping[str, Any]) -> SourceItem:
    title, kind = str(row.get("text") or ""), str(row.get("category") or "")
    category_row, category = _rows_by_name().get(kind.casefold()), classify(kind)
    if category_row is not None:
        category = maryland_category(category_row.id, title)
    elif category is None:
        category = category_of(title)
    return SourceItem(item_id, title, category, kind)


@cache
def _rows_by_name() -> Mapping[str, MarylandCategory]:
    return {row.name.casefold(): row for row in reversed(tuple(maryland_categories().values()))}


_PREFIX = re.compile(r"hf:/{1,2}datasets/")  # a Path squeezes the two slashes into one


class HubPart(NamedTuple):
    """A repository, or the files of it that match patterns, in which ``{version}`` is that of Polyvore Outfits.
    ``revision`` is the commit that coordi was written against; None if the user must give one.
    """

    repository: str
    revision: str | None
    files: tuple[str, ...]
    access: str = ""


_OWJ_ITEMS = HubPart("owj0421/polyvore", "8d3809239c7b235db712559b590a6342af1679fd", ("data/*.parquet",))
_OWJ_OUTFITS = HubPart(
    "owj0421/polyvore-outfits", "5aabda5174c244792a97f0cab6b6f14c60c8d1b9",
    ("{version}_default/*.json", "{version}_compatibility/*.json", "{version}_fill_in_the_blank/*.json"),
)  # fmt: skip
_MARQO = HubPart("Marqo/polyvore", "8c782ee447faf2d2a0402ac883cf07d3b3f43e1c", ("data/*.parquet",))
_MVASIL = HubPart(
    "mvasil/polyvore-outfits", None,
    ("polyvore_item_metadata.json", "polyvore_outfit_titles.json", "categories.csv", "{version}/*.json",
     "{version}/compatibility_*.txt", "data/{version}/*.parquet"),
    "its authors give access for research: ask for it on https://huggingface.co/datasets/mvasil/polyvore-outfits, "
    "then log in with 'hf auth login' or set HF_TOKEN",
)  # fmt: skip
COPIES: dict[str, tuple[HubPart, ...]] = {
    "mvasil/polyvore-outfits": (_MVASIL,),
    "owj0421/polyvore": (_OWJ_ITEMS, _OWJ_OUTFITS),
    "owj0421/polyvore-outfits": (_OWJ_OUTFITS, _OWJ_ITEMS),
    "Marqo/polyvore": (_MARQO,),
}
"""Every copy that coordi reads, by the name that the user gives: that of its first part."""


def hub_name(path: Path | str) -> str | None:
    """The data set that ``hf://datasets/OWNER/NAME`` names, or a known ``OWNER/NAME`` that is no path."""
    text = str(path)
    match = _PREFIX.match(text)
    if match is None:
        return text if text in COPIES and not Path(text).exists() else None
    name = text[match.end() :]
    if name not in COPIES:
        raise DataError(f"coordi doesn't read the hub's data set '{name}'; accepted are {', '.join(COPIES)}")
    return name


def fetch(name: str, settings: DataSettings) -> Path:
    """The folder of one of ``COPIES``; ``data.release`` is ``nondisjoint`` by default. See ``fetch_repositories``."""
    release = settings.release or VERSIONS[0]
    repositories = []
    for number, part in enumerate(COPIES[name]):
        pin = part.revision if number or settings.revision is None else settings.revision
        choose = partial(_choose, [pattern.format(version=release) for pattern in part.files])
        repositories.append(
            Repository(part.repository, "dataset", pin, "data.revision", DataError, choose, part.access)
        )
    has_versions = any("{version}" in pattern for part in COPIES[name] for pattern in part.files)
    version = f"-{release}" if has_versions else ""
    pins = "-".join(str(each.commit)[:12] for each in repositories)
    folder = cache_folder() / "hub" / f"{name.replace('/', '--')}{version}@{pins}"
    advice = "set data.allow_download=true, or give a folder that holds it"
    return fetch_repositories(folder, repositories, settings.allow_download, advice)


def _choose(patterns: Sequence[str], where: str, listed: list[str]) -> list[str]:
    # fnmatch's star also matches a slash, which would take "data/more/x.parquet" for "data/*.parquet".
    wanted = [
        file
        for file in listed
        if any(fnmatchcase(file, pattern) and file.count("/") == pattern.count("/") for pattern in patterns)
    ]
    if not wanted:
        raise DataError(f"{where} holds none of {', '.join(patterns)}; pin the commit that docs/data.md names")
    return wanted
