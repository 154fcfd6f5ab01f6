import pytest

from coordi.errors import PromptError
from coordi.prompts import choose_instruction, compatibility_instruction, complement_instruction


def test_compatibility_says_items_in_the_given_order_and_the_answer_apart() -> None:
    asked = compatibility_instruction(["red skirt", "boots"], True)
    assert asked.body() == "- red skirt\n- boots"
    assert asked.answer == "yes"
    assert compatibility_instruction(["a", "b"], False).answer == "no"
    assert compatibility_instruction(["a", "b"]).answer is None


def test_choosing_letters_its_candidates() -> None:
    asked = choose_instruction(["skirt"], ["boots", "sandals", "bag"], 2)
    assert asked.body() == "- skirt\nA. boots\nB. sandals\nC. bag"
    assert asked.answer == "C"


def test_naming_says_what_is_wanted_after_the_items() -> None:
    asked = complement_instruction(["skirt"], "shoes", "black boots")
    assert asked.body() == "- skirt\nWanted: shoes"
    assert asked.answer == "black boots"


def test_too_little_to_ask_about() -> None:
    with pytest.raises(PromptError, match=r"2 items or more.* got 1"):
        compatibility_instruction(["a"])
    with pytest.raises(PromptError, match="got 0"):
        complement_instruction([], "bag")
    with pytest.raises(PromptError, match="got 1 and 1"):
        choose_instruction(["a"], ["b"])
    with pytest.raises(PromptError, match=r"among 2 candidates, got 2"):
        choose_instruction(["a"], ["b", "c"], 2)
