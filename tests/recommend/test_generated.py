"""What a model wrote, matched to a catalogue: one thing, two, none, another category, and a thing that isn't there."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from coordi.encoders.edge import EdgeEncoder
from coordi.errors import RecommendationError
from coordi.recommend.answers import Completion
from coordi.recommend.generated import words_of_name
from coordi.recommend.rules import Rules
from coordi.recommend.stylist import Stylist
from coordi.types import GarmentCategory, Label

from .shelves import ALL, VOCABULARY, Judge, described, index_of, longest_title, stylist_of

SHELF: tuple[tuple[str, str, GarmentCategory], ...] = (
    ("t1", "white silk blouse", "top"),
    ("b1", "blue jeans", "bottom"),
    ("s1", "black leather ankle boots", "shoes"),
    ("s2", "white canvas sneakers", "shoes"),
    ("s3", "red suede ankle boots", "shoes"),
    ("g1", "navy tote bag", "bag"),
)
RECOMMENDED = (Label("heels", 0.6), Label("boots", 0.3))


def ask(names: Mapping[str, str], want: GarmentCategory | None = "shoes", **rules: object) -> Completion:
    shelf = described(*SHELF)
    encoder = EdgeEncoder.bundled()
    catalogue = index_of(shelf, encoder.dimension)
    stylist = Stylist(catalogue, Judge(longest_title, names=names), ALL, VOCABULARY, encoder.encode_texts)
    return stylist.complete(shelf[:2], want, 3, Rules.model_validate(rules), reasons=False, generate=True)


def ids(answer: Completion) -> list[str]:
    return [entry.item.id for entry in answer.suggestions]


def test_what_is_named_is_found_by_its_words() -> None:
    answer = ask({"shoes": "Red suede ankle boots"})
    (generated,) = answer.generated
    assert ids(answer)[0] == "s3"
    assert (generated.want, generated.text, generated.words, generated.note) == (
        "shoes", "Red suede ankle boots", "Red suede ankle boots", "",
    )  # fmt: skip
    assert generated.prompt == "the prompt"
    assert len(generated.recommended) == 3
    assert {item.category for item in generated.shortlist} == {"shoes"}
    assert [entry.score for entry in answer.suggestions] == [
        len(entry.item.title) / 100 for entry in answer.suggestions
    ]
    assert (answer.candidates, answer.ranked, answer.judge) == (3, 3, "language-model")


def test_rules_hold_for_what_is_named() -> None:
    assert "s3" not in ids(ask({"shoes": "red suede ankle boots"}, excluded=["s3"]))


def test_each_category_that_can_be_added_is_named_and_the_best_of_each_come_first() -> None:
    answer = ask({"shoes": "white sneakers", "bag": "navy tote"}, want=None)
    assert [generated.want for generated in answer.generated] == ["shoes", "bag"]
    assert ids(answer)[:2] == ["s2", "g1"]


@pytest.mark.parametrize(
    ("text", "words", "note"),
    [
        ("", "heels", "The model named nothing; searched for 'heels', which the image encoder recommends."),
        ("...", "heels", "The model named nothing that is worn ('...'); searched for 'heels'"),
        ("Yes.", "heels", "The model named nothing that is worn ('Yes.'); searched for 'heels'"),
        ("a velvet sofa", "heels", "The model named nothing that is worn ('a velvet sofa'); searched for 'heels'"),
        ("navy tote bag", "heels", "The model named 'navy tote bag', which is no shoes; searched for 'heels'"),
        ("lux royal", "lux royal heels", "No known kind of garment is in 'lux royal'; searched for its words with"),
        (
            "a tote bag and black boots", "black boots",
            "The model named 2 things ('a tote bag and black boots'); searched for 'black boots'.",
        ),
    ],
)  # fmt: skip
def test_the_next_best_is_done_and_said(text: str, words: str, note: str) -> None:
    named = words_of_name(text, "shoes", RECOMMENDED)
    assert named.words == words
    assert named.note.startswith(note)


def test_labels_in_brackets_and_two_colours_are_one_thing() -> None:
    for text in ("black and white sneakers", "royal pumps (heels, pink, casual)", "boots, black"):
        assert words_of_name(text, "shoes", RECOMMENDED)[::2] == (text, "")
    assert words_of_name("", "shoes", ()).note == "The model named nothing; searched for 'shoes', which is wanted."


def test_the_wanted_category_before_a_name_is_no_part_of_it() -> None:
    named = words_of_name("shoes: black ankle boots", "shoes", ())
    assert named == words_of_name("black ankle boots", "shoes", ())
    assert named.kind is not None
    assert named.kind.name == "ankle boots"


def test_what_the_catalogue_lacks_is_said() -> None:
    (sandals,) = ask({"shoes": "tan leather sandals"}).generated
    assert sandals.note == "No 'sandals' is among the shoes here; what is nearest by words follows."
    (boots,) = ask({"shoes": "green ankle boots"}).generated
    assert boots.note == "No ankle boots in green is here; what is nearest by words follows."


def test_nothing_left_says_why_and_only_the_language_model_names() -> None:
    answer = ask({}, want="watch")
    assert (answer.suggestions, answer.generated) == ((), ())
    assert answer.nothing.startswith("nothing of watch is in the catalogue")
    shelf = described(*SHELF)
    with pytest.raises(RecommendationError, match="only the language model names items"):
        stylist_of(shelf, Judge(longest_title)).complete(shelf[:2], language_model=False, generate=True)
