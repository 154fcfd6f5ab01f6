"""Copies of the Polyvore releases on the Hugging Face hub: fetched file by file, pinned to a commit, only if allowed.

What is fetched stays in the hub's own cache. A folder of links in coordi's cache puts the files of one data set into
the layout that the readers know, so that a fetched copy and a folder of the user's are read by the same code.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType

from coordi.artifacts import cache_folder, write_json
from coordi.config import DataSettings
from coordi.data.hub_transfer import COMMIT, COMPLETE, Repository, fetch_files, gone, online
from coordi.data.polyvore_outfits import VERSIONS
from coordi.errors import DataError

_PREFIX = re.compile(r"hf:/{1,2}datasets/")  # a Path squeezes the two slashes into one


@dataclass(frozen=True, slots=True)
class HubPart:
    """A repository, or some files of it.

    Attributes:
        repository: ``owner/name``.
        revision: The commit that coordi was written against; None if it isn't known, so that the user must give one.
        files: Patterns of the files that are used; ``{version}`` is the version of Polyvore Outfits.
    """

    repository: str
    revision: str | None
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class HubCopy:
    """A data set on the hub, of one repository or more.

    Attributes:
        parts: The first is the one that the user names and pins.
        access: What to do where access is restricted; empty if it isn't.
    """

    parts: tuple[HubPart, ...]
    access: str = ""

    @property
    def has_versions(self) -> bool:
        """Whether it holds both versions of Polyvore Outfits, of which one is fetched."""
        return any("{version}" in pattern for part in self.parts for pattern in part.files)


_OWJ_ITEMS = HubPart("owj0421/polyvore", "8d3809239c7b235db712559b590a6342af1679fd", ("data/*.parquet",))
_OWJ_OUTFITS = HubPart(
    "owj0421/polyvore-outfits", "5aabda5174c244792a97f0cab6b6f14c60c8d1b9",
    ("{version}_default/*.json", "{version}_compatibility/*.json", "{version}_fill_in_the_blank/*.json"),
)  # fmt: skip
_MARQO = HubPart("Marqo/polyvore", "8c782ee447faf2d2a0402ac883cf07d3b3f43e1c", ("data/*.parquet",))
COPIES: dict[str, HubCopy] = {
    "mvasil/polyvore-outfits": HubCopy(
        (
            HubPart(
                "mvasil/polyvore-outfits", None,
                ("polyvore_item_metadata.json", "polyvore_outfit_titles.json", "categories.csv", "{version}/*.json",
                 "{version}/compatibility_*.txt", "data/{version}/*.parquet"),
            ),
        ),
        access="its authors give access for research: ask for it on https://huggingface.co/datasets/"
        "mvasil/polyvore-outfits, then log in with 'hf auth login' or set HF_TOKEN",
    ),
    "owj0421/polyvore": HubCopy((_OWJ_ITEMS, _OWJ_OUTFITS)),
    "owj0421/polyvore-outfits": HubCopy((_OWJ_OUTFITS, _OWJ_ITEMS)),
    "Marqo/polyvore": HubCopy((_MARQO,)),
}  # fmt: skip
"""Every copy that coordi reads, by the name that the user gives."""


def hub_name(path: Path | str) -> str | None:
    """The data set that ``hf://datasets/OWNER/NAME`` or plain ``OWNER/NAME`` names; None for anything else.

    A plain name means the hub only where there is no such file or folder and coordi knows it.

    Raises:
        DataError: If a name with ``hf://`` isn't one that coordi reads.
    """
    text = str(path)
    found = _PREFIX.match(text)
    if found is None:
        return text if text in COPIES and not Path(text).exists() else None
    name = text[found.end() :]
    if name not in COPIES:
        raise DataError(f"coordi doesn't read the hub's data set '{name}'; accepted are {', '.join(COPIES)}")
    return name


def fetch(name: str, settings: DataSettings) -> Path:
    """The folder of a copy, fetched unless it was before and all of it is still in the hub's cache.

    Args:
        name: One of ``COPIES``.
        settings: ``allow_download``, ``revision`` (of the repository that is named) and ``release``
            (None: ``nondisjoint``).

    Raises:
        DataError: If it isn't there yet and may not be fetched, isn't pinned, or can't be fetched.
        MissingDependencyError: If huggingface_hub isn't installed.
        ArtifactError: If the cache can't be written.
    """
    copy = COPIES[name]
    if not settings.allow_download and settings.revision is None and copy.parts[0].revision is None:
        raise _not_allowed(name)  # before asking for a commit, without which no folder can be there
    pins = [_pin(part, settings if part is copy.parts[0] else DataSettings()) for part in copy.parts]
    release = settings.release or VERSIONS[0]
    version = f"-{release}" if copy.has_versions else ""
    folder = cache_folder() / "hub" / f"{name.replace('/', '--')}{version}@{'-'.join(pin[:12] for pin in pins)}"
    fetched, pruned = (folder / COMPLETE).is_file(), gone(folder)
    if fetched and not pruned:
        return folder
    if not settings.allow_download:
        raise _not_allowed(name, pruned)
    files: dict[str, list[str]] = {}
    with online(DataError) as hub:
        for part, pin in zip(copy.parts, pins, strict=True):
            files[f"{part.repository}@{pin}"] = _fetch_part(hub, part, pin, copy.access, folder, release)
    write_json(folder / COMPLETE, files)
    return folder


def _not_allowed(name: str, pruned: Sequence[Path] = ()) -> DataError:
    lack = f" any more ({len(pruned)} files are gone from the hub's cache, such as {pruned[0].name})" if pruned else ""
    return DataError(
        f"{name} isn't on this machine{lack}, and nothing is fetched unless allowed; set data.allow_download=true, or "
        "give a folder that holds it"
    )


def _pin(part: HubPart, settings: DataSettings) -> str:
    pin = settings.revision or part.revision
    if pin is None or not COMMIT.fullmatch(pin):
        raise DataError(
            f"data.revision is {settings.revision!r}; give the commit of {part.repository} to pin, 40 hexadecimal "
            f"digits: https://huggingface.co/datasets/{part.repository}/commits/main lists them"
        )
    return pin


def _fetch_part(hub: ModuleType, part: HubPart, pin: str, access: str, folder: Path, version: str) -> list[str]:
    patterns = [pattern.format(version=version) for pattern in part.files]

    def choose(where: str, listed: list[str]) -> list[str]:
        # fnmatch's star also matches a slash, which would take "data/more/x.parquet" for "data/*.parquet".
        wanted = [
            file
            for file in listed
            if any(fnmatchcase(file, one) and file.count("/") == one.count("/") for one in patterns)
        ]
        if not wanted:
            raise DataError(f"{where} holds none of {', '.join(patterns)}; pin the commit that docs/data.md names")
        return wanted

    return fetch_files(
        hub, Repository(part.repository, "dataset", pin, "data.revision", DataError, access), folder, choose
    )
