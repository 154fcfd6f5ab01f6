from __future__ import annotations

from pathlib import Path

import pytest

from coordi.encoders.labels import NO_GARMENT, SUBJECT, load_vocabulary
from coordi.errors import ConfigError
from coordi.types import GARMENT_CATEGORIES

GOOD = """
attributes:
  colour:
    template: "a {} thing"
    threshold: 0.2
    max_labels: 2
    labels: [red, {text: grey, synonyms: [gray]}]
"""


def written(folder: Path, text: str) -> str:
    path = folder / "words.yaml"
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_the_bundled_vocabulary_names_every_category() -> None:
    vocabulary = load_vocabulary("fashion")
    described = ["category", "colour", "pattern", "material", "style", "occasion", "formality", "subject"]
    assert list(vocabulary.attributes) == described
    categories = {entry.category for entry in vocabulary.attributes["category"].labels if entry.text != "underwear"}
    assert categories == set(GARMENT_CATEGORIES)
    assert vocabulary.category_of("category", "underwear") is None
    assert vocabulary.category_of("category", "skirt") == "bottom"
    assert vocabulary.category_of("category", "sofa") is None
    assert NO_GARMENT in [entry.text for entry in vocabulary.attributes[SUBJECT].labels]


def test_labels_may_be_plain_text(tmp_path: Path) -> None:
    colour = load_vocabulary(written(tmp_path, GOOD)).attributes["colour"]
    assert [entry.phrases for entry in colour.labels] == [("red",), ("grey", "gray")]
    assert (colour.threshold, colour.max_labels) == (0.2, 2)


def test_older_files_say_worn_for_category(tmp_path: Path) -> None:
    text = GOOD.replace("[red,", "[red, {text: bag, worn: bag}, {text: cap, category: headwear},")
    vocabulary = load_vocabulary(written(tmp_path, text))
    assert [vocabulary.category_of("colour", label) for label in ("red", "bag", "cap")] == [None, "bag", "headwear"]


def test_all_problems_are_told_at_once(tmp_path: Path) -> None:
    text = """
attributes:
  colour: {template: "no slot", threshold: 0.2, labels: [red, " Red", ""]}
  pattern: {threshold: 0.2, labels: [striped]}
"""
    with pytest.raises(ConfigError) as caught:
        load_vocabulary(written(tmp_path, text))
    message = str(caught.value)
    for part in ("'no slot'", "' Red' stands at label 1 and again at 2", "label 3 has an empty text", "has 1"):
        assert part in message


def test_wrong_types_and_unknown_keys_are_told_at_once(tmp_path: Path) -> None:
    text = """
attributes:
  colour: {treshold: 0.2, threshold: 3, labels: [red, {text: blue, category: sofa}], temperatures: {edge: 0, b: .inf}}
"""
    with pytest.raises(ConfigError) as caught:
        load_vocabulary(written(tmp_path, text))
    for part in ("treshold", "threshold", "temperatures.edge", "temperatures.b", "labels.1.category"):
        assert f"attributes.colour.{part}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [("a: [", "isn't YAML"), ("- red", "got list"), ("", "got NoneType"), ("attributes: {}", "at least")],
)
def test_what_is_not_a_vocabulary_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        load_vocabulary(written(tmp_path, text))


def test_a_missing_file_names_what_is_accepted() -> None:
    with pytest.raises(ConfigError, match=r"'nowhere\.yaml'.*'fashion'"):
        load_vocabulary("nowhere.yaml")
