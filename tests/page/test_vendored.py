"""What the page is made of: libraries as they were published, words in both languages, and nothing from elsewhere."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any, get_args

import pytest

from coordi.encoders.labels import load_vocabulary
from coordi.style.lexicon import SEASONS_OF_WARMTH
from coordi.style.occasions import occasions
from coordi.style.words import FORMALITIES
from coordi.types import GARMENT_CATEGORIES, GENDERS, FactName, FactSource

STATIC = Path(__file__).parents[2] / "src" / "coordi" / "web"
VENDORED = (STATIC / "vendor", Path(__file__).parent / "vendor")
OWN_SCRIPTS = [path for path in STATIC.rglob("*.js") if path.parent != STATIC / "vendor"]
# An SVG's name for itself, and the licences' own texts: nothing of these is asked for.
_NAMES = ("http://www.w3.org/2000/svg",)
# Keys that are put together when they are used.
_COMPOSED = (
    "category.", "attribute.", "label.", "gender.", "season.", "error.", "import.", "nav.", "score.", "upload.",
    "rule.", "filter.pinned.count", "filter.excluded.count", "fact.", "source.", "formality.", "remark.",
    "occasion.", "weather.", "named.",
)  # fmt: skip


def texts(language: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((STATIC / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return found


@pytest.mark.parametrize("folder", VENDORED, ids=["page", "tests"])
def test_vendored_files_are_those_that_were_published(folder: Path) -> None:
    entries = json.loads((folder / "vendor.json").read_text(encoding="utf-8"))
    assert {entry["file"] for entry in entries} == {path.name for path in folder.iterdir()} - {"vendor.json"}
    for entry in entries:
        assert hashlib.sha256((folder / entry["file"]).read_bytes()).hexdigest() == entry["sha256"], entry["file"]
        assert entry["version"]
        assert entry["licence"] in {"MIT", "Apache-2.0", "MPL-2.0"}
    licences = {entry["name"] for entry in entries if entry["file"].startswith("LICENSE")}
    assert licences == {entry["name"] for entry in entries}


def test_the_page_names_no_other_place() -> None:
    own = [path for path in STATIC.rglob("*") if path.is_file() and path.parent != STATIC / "vendor"]
    assert len(own) > 30
    for path in own:
        text = path.read_text(encoding="utf-8")
        for name in _NAMES:
            text = text.replace(name, "")
        assert not re.search(r"(https?:)?//[a-z0-9-]+\.[a-z]", text), path


def test_nothing_in_the_page_is_inline() -> None:
    text = (STATIC / "index.html").read_text(encoding="utf-8")
    assert not re.search(r"<style|style=|\son\w+=|<script(?![^>]*src=)", text)
    for path in OWN_SCRIPTS:
        assert not re.search(r"\bstyle=|innerHTML|dangerouslySetInnerHTML|\beval\(", path.read_text("utf-8")), path


def test_both_languages_say_the_same_things() -> None:
    english, korean = texts("en"), texts("ko")
    assert english.keys() == korean.keys()
    for key, text in english.items():
        forms = [text] if isinstance(text, str) else list(text.values())
        translated = [korean[key]] if isinstance(korean[key], str) else list(korean[key].values())
        places = {place for form in forms for place in re.findall(r"\{(\w+)\}", form)}
        assert {place for form in translated for place in re.findall(r"\{(\w+)\}", form)} == places, key
        if not isinstance(text, str):
            assert text.keys() == {"one", "other"}, key
            assert korean[key].keys() == {"other"}, key


def test_korean_is_korean() -> None:
    for key, text in texts("ko").items():
        words = text if isinstance(text, str) else text["other"]
        if re.sub(r"\{\w+\}|[\s(),:.]", "", words):
            assert re.search("[가-힣]", words), f"{key}: {words}"


def test_every_key_is_there_and_used() -> None:
    english = texts("en")
    source = "".join(path.read_text(encoding="utf-8") for path in OWN_SCRIPTS)
    used = set(re.findall(r"""["`]([a-z]+(?:\.[a-z_]+)+)["`]""", source))
    asked = set(re.findall(r"""\bt\(\s*"([a-z]+\.[a-z_.]+)\"""", source))
    assert asked, "the pattern finds no key any more"
    assert asked <= english.keys()
    assert {key for key in english if not key.startswith(_COMPOSED)} <= used


def test_the_vocabulary_is_translated() -> None:
    english = texts("en")
    vocabulary = load_vocabulary("fashion")
    expected = {f"category.{name}" for name in GARMENT_CATEGORIES} | {f"gender.{name}" for name in GENDERS}
    for name, attribute in vocabulary.attributes.items():
        expected |= {f"attribute.{name}", *(f"label.{label.text}" for label in attribute.labels)}
    expected |= {f"fact.{name}" for name in get_args(FactName)} | {f"source.{name}" for name in get_args(FactSource)}
    expected |= {f"occasion.{name}" for name in occasions()}
    expected |= {f"formality.{name}" for name in FORMALITIES}
    expected |= {f"season.{season}" for seasons in SEASONS_OF_WARMTH for season in seasons}
    assert expected <= english.keys()
