"""Files of one repository on the Hugging Face hub, at one commit, linked into a folder of coordi's cache.

Used for data sets and for checkpoints. What is fetched stays in the hub's own cache, which may be pruned at any time.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from coordi.artifacts import writing
from coordi.errors import CoordiError, require

COMMIT = re.compile(r"[0-9a-f]{40}")
COMPLETE = ".complete.json"
_OFFLINE = "HF_HUB_OFFLINE"
_SAID = {"dataset": "data set", "model": "model"}
_PAGES = {"dataset": "https://huggingface.co/datasets/", "model": "https://huggingface.co/"}


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository at a commit.

    Attributes:
        name: ``owner/name``.
        kind: What the hub calls it.
        commit: 40 hexadecimal digits.
        setting: How the user gives the commit, for messages.
        error: What is raised where it can't be fetched.
        access: What to do where access is restricted; empty if it isn't.
    """

    name: str
    kind: Literal["dataset", "model"]
    commit: str
    setting: str
    error: type[CoordiError]
    access: str = ""


@contextmanager
def online(error: type[CoordiError]) -> Iterator[ModuleType]:
    """huggingface_hub with the network allowed, for a while.

    Raises:
        CoordiError: Of the given type, if the library was loaded offline in this process.
        MissingDependencyError: If it isn't installed.
    """
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "0"  # coordi's command sets it to 1; the library reads it when it is first imported
    try:
        hub = require("huggingface_hub", "train")
        if require("huggingface_hub.constants", "train").HF_HUB_OFFLINE:
            raise error(
                f"huggingface_hub is offline in this process ({_OFFLINE} was set when it was loaded); run again with "
                f"{_OFFLINE}=0 to fetch data"
            )
        yield hub
    finally:
        os.environ.pop(_OFFLINE)
        if before is not None:
            os.environ[_OFFLINE] = before


def fetch_files(
    hub: ModuleType, repository: Repository, folder: Path, choose: Callable[[str, list[str]], list[str]]
) -> list[str]:
    """Fetch some files of a repository and link them into a folder under their own names.

    Args:
        hub: From ``online``.
        repository: Where they are.
        folder: Where the links go.
        choose: Gets the repository in words and all its files, and gives those that are wanted; may raise.

    Returns:
        The names of the files.

    Raises:
        CoordiError: Of the repository's type, if it is gated, isn't there, or the network fails.
        ArtifactError: If the cache can't be written.
    """
    errors = require("huggingface_hub.errors", "train")
    page, name, pin = _PAGES[repository.kind], repository.name, repository.commit
    where = f"the hub's {_SAID[repository.kind]} {name} at {pin[:12]}"
    error = repository.error
    try:
        api = hub.HfApi()
        wanted = choose(where, api.list_repo_files(name, revision=pin, repo_type=repository.kind))
        for file in wanted:
            fetched = api.hf_hub_download(name, file, revision=pin, repo_type=repository.kind)
            _link(folder / file, Path(fetched))
    except errors.GatedRepoError as raised:
        how = repository.access or f"ask for access on {page}{name}"
        raise error(f"{where} is gated; {how}") from raised
    except errors.RepositoryNotFoundError as raised:
        raise error(f"{where} isn't there, or not for you; {repository.access or 'check the name'}") from raised
    except errors.RevisionNotFoundError as raised:
        raise error(f"{where} isn't there: it has no commit {pin}; check {repository.setting}") from raised
    except (errors.EntryNotFoundError, errors.HTTPError, OSError, ValueError) as raised:
        said = str(raised).strip().splitlines() or [type(raised).__name__]
        raise error(f"{where} can't be fetched: {said[0]}; check the network and run again") from raised
    return wanted


def gone(folder: Path) -> Sequence[Path]:
    """Links to files that the hub's cache no longer holds."""
    return sorted(path for path in folder.rglob("*") if path.is_symlink() and not path.exists())


def _link(path: Path, fetched: Path) -> None:
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        path.symlink_to(fetched.resolve())
