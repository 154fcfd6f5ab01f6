from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coordi.errors import ModelError, PromptError
from coordi.prompts import PromptRenderer, answer_tokens, choose_instruction, compatibility_instruction

from .conftest import CHAT, NO_SYSTEM, OWN_SYSTEM, word_tokenizer

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

ASKED = compatibility_instruction(["red skirt", "boots"], True)


def test_the_chat_template_is_used_where_there_is_one(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    text = PromptRenderer(chat_tokenizer, 64).text(ASKED)
    assert text.endswith(f"<s> user {ASKED.question}\n- red skirt\n- boots </s> <s> assistant ")


def test_the_alpaca_form_is_used_elsewhere(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    text = PromptRenderer(plain_tokenizer, 99).text(ASKED)
    assert text.startswith("Below is an instruction that describes a task, paired with an input")
    assert f"### Instruction:\n{ASKED.question}\n\n### Input:\n- red skirt\n- boots\n\n### Response:\n" in text


def test_a_templates_own_system_message_is_left_out() -> None:
    assert "helpful" not in PromptRenderer(word_tokenizer(OWN_SYSTEM + CHAT), 64).text(ASKED)


def test_a_template_that_refuses_a_system_message_gets_none() -> None:
    text = PromptRenderer(word_tokenizer(NO_SYSTEM + CHAT), 64).text(ASKED)
    assert text.startswith("<s> user Do these")


def test_the_answer_stands_right_after_the_prompt(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    rendered = PromptRenderer(chat_tokenizer, 64).render(ASKED)
    tokens = chat_tokenizer.convert_ids_to_tokens([*rendered.prompt_ids[-2:], *rendered.answer_ids])
    assert tokens == ["<s>", "<unk>", "yes", "</s>"]
    assert PromptRenderer(chat_tokenizer, 64).render(compatibility_instruction(["a", "b"])).answer_ids == ()


def test_texts_lose_words_evenly_before_any_item_goes(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    long = compatibility_instruction(["a b c d e f g h", "i j k l", "m n"], True)
    whole = PromptRenderer(chat_tokenizer, 99).render(long)
    length = len(whole.prompt_ids) + len(whole.answer_ids)
    renderer = PromptRenderer(chat_tokenizer, length - 6)
    cut = renderer.render(long)
    assert len(cut.prompt_ids) + len(cut.answer_ids) == length - 6
    assert (cut.words_cut, cut.items_dropped) == (6, 0)
    assert cut.answer_ids == whole.answer_ids


def test_items_go_from_the_end_when_words_are_not_enough(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    long = compatibility_instruction([f"a{i} b{i} c{i}" for i in range(6)], False)
    whole = PromptRenderer(chat_tokenizer, 99).render(long)
    renderer = PromptRenderer(chat_tokenizer, len(whole.prompt_ids) + len(whole.answer_ids) - 11)
    cut = renderer.render(long)
    assert cut.items_dropped == 2
    assert cut.answer_ids == whole.answer_ids


def test_a_word_of_many_tokens_loses_letters_before_any_item_goes() -> None:
    tokenizer = word_tokenizer(CHAT, digits_alone=True)
    short = PromptRenderer(tokenizer, 999).render(compatibility_instruction(["1" * 8, "red boots"], True))
    most = len(short.prompt_ids) + len(short.answer_ids)
    renderer = PromptRenderer(tokenizer, most)
    cut = renderer.render(compatibility_instruction(["1" * 300, "red boots"], True))
    assert cut.items_dropped == 0
    assert len(cut.prompt_ids) + len(cut.answer_ids) <= most
    assert cut.prompt_ids[-8:] == short.prompt_ids[-8:]  # the boots stay whole


def test_a_question_that_does_not_fit_is_an_error(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(PromptError, match=r"even with its items shortened, of 10 that are free.*prompt\.max_length"):
        PromptRenderer(chat_tokenizer, 12).render(ASKED)


@settings(deadline=None, max_examples=40)
@given(
    st.lists(st.lists(st.sampled_from("abcdef"), min_size=1, max_size=9), min_size=1, max_size=7), st.integers(45, 90)
)
def test_shortening_keeps_question_candidates_and_answer(items: list[list[str]], most: int) -> None:
    tokenizer = word_tokenizer(CHAT, ("Which", "letter.", "A.", "B.", "C.", "D.", "C"))
    asked = choose_instruction([" ".join(words) for words in items], ["w x y z"] * 4, 2)
    rendered = PromptRenderer(tokenizer, most).render(asked)
    tokens = tokenizer.convert_ids_to_tokens([*rendered.prompt_ids, *rendered.answer_ids])
    assert len(tokens) <= most
    assert [token for token in tokens if token in {"Which", "letter.", "A.", "B.", "C.", "D.", "C", "</s>"}] == [
        "Which", "letter.", "A.", "B.", "C.", "D.", "</s>", "C", "</s>",
    ]  # fmt: skip


def test_answers_are_told_apart_by_their_first_tokens(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    tokens = answer_tokens(PromptRenderer(chat_tokenizer, 64))
    assert chat_tokenizer.convert_ids_to_tokens(list(tokens)) == ["yes", "no"]


def test_a_model_without_the_answers_is_refused() -> None:
    with pytest.raises(ModelError, match="no token for the answer 'yes'"):
        answer_tokens(PromptRenderer(word_tokenizer(CHAT, ("si", "no")), 64))
    with pytest.raises(ModelError, match="answers no, no with the same token"):
        answer_tokens(PromptRenderer(word_tokenizer(CHAT), 64), ("no", "no"))


def test_a_template_that_loses_the_question_is_refused() -> None:
    with pytest.raises(ModelError, match="drops the user's message"):
        PromptRenderer(word_tokenizer("{{ '<s> assistant ' }}"), 64).text(ASKED)


def test_the_instruction_form_can_be_chosen_on_a_chat_base(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    renderer = PromptRenderer(chat_tokenizer, 99, "instruction")
    assert renderer.text(ASKED) == PromptRenderer(word_tokenizer(None), 99).text(ASKED)
    assert "<s> user" not in renderer.text(ASKED)
    answer = chat_tokenizer.convert_ids_to_tokens(list(renderer.render(ASKED).answer_ids))
    assert answer == ["yes", "</s>"]
    assert PromptRenderer(chat_tokenizer, 99, "chat").text(ASKED) == PromptRenderer(chat_tokenizer, 99).text(ASKED)


def test_the_chat_form_needs_a_template(plain_tokenizer: PreTrainedTokenizerFast) -> None:
    with pytest.raises(ModelError, match=r"prompt\.form is 'chat', but this base model has no chat template"):
        PromptRenderer(plain_tokenizer, 99, "chat")


def test_an_instruction_begins_with_the_token_that_the_tokenizer_puts_first() -> None:
    """Llama 3's tokenizer adds it to plain texts; in a chat its template writes it."""
    from tokenizers.processors import TemplateProcessing

    tokenizer = word_tokenizer(CHAT)
    assert PromptRenderer(tokenizer, 99, "instruction").render(ASKED).prompt_ids[0] != tokenizer.bos_token_id
    processor = TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", tokenizer.bos_token_id)])
    tokenizer.backend_tokenizer.post_processor = processor
    ids = PromptRenderer(tokenizer, 99, "instruction").render(ASKED).prompt_ids
    assert (ids[0], ids.count(ids[0])) == (tokenizer.bos_token_id, 1)


def test_recommendations_follow_the_items_and_go_first(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    long = replace(ASKED, recommended=("bottom: skirt, jeans", "shoes: boots, heels"))
    assert long.body() == "- red skirt\n- boots\nRecommended: bottom: skirt, jeans; shoes: boots, heels"
    full = PromptRenderer(chat_tokenizer, 99).render(long)
    cut = PromptRenderer(chat_tokenizer, len(full.prompt_ids) + len(full.answer_ids) - 1).render(long)
    assert (cut.words_cut, cut.items_dropped) == (0, 0)
    assert len(full.prompt_ids) - len(cut.prompt_ids) == 3  # "shoes: boots, heels"
    none = PromptRenderer(chat_tokenizer, 99).render(ASKED)
    assert PromptRenderer(chat_tokenizer, len(none.prompt_ids) + len(none.answer_ids)).render(long) == none


def test_a_control_token_in_a_title_is_only_letters(chat_tokenizer: PreTrainedTokenizerFast) -> None:
    """A title could end the turn and answer for the model."""
    renderer = PromptRenderer(chat_tokenizer, 256)
    control = [str(token) for token in chat_tokenizer.added_tokens_decoder.values() if token.special]
    assert control
    plain = renderer.render(compatibility_instruction(["red skirt", "boots"])).prompt_ids
    ids = {chat_tokenizer.bos_token_id, chat_tokenizer.eos_token_id}
    for token in control:
        hostile = renderer.render(compatibility_instruction([f"red {token} skirt", f"{token}{token} boots"])).prompt_ids
        assert [i for i in hostile if i in ids] == [i for i in plain if i in ids]
        assert f"{token[0]} {token[1:]}" in renderer.text(compatibility_instruction([f"red{token}", "boots"]))
