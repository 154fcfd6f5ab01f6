"""A tokenizer whose tokens are words, so that lengths can be counted by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

CHAT = (
    "{% for message in messages %}{{ '<s> ' + message['role'] + ' ' + message['content'] + ' </s> ' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<s> assistant ' }}{% endif %}"
)
OWN_SYSTEM = "{% if messages[0]['role'] != 'system' %}<s> system you are a very helpful model </s> {% endif %}"
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system message') }}{% endif %}"


def word_tokenizer(
    chat_template: str | None, words: tuple[str, ...] = ("yes", "no"), *, digits_alone: bool = False
) -> PreTrainedTokenizerFast:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = ["<unk>", "<s>", "</s>", *words]
    tokenizer = Tokenizer(models.WordLevel({word: i for i, word in enumerate(vocabulary)}, unk_token="<unk>"))
    split = pre_tokenizers.WhitespaceSplit()
    alone = [split, pre_tokenizers.Digits(individual_digits=True)]
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(alone) if digits_alone else split
    fast = PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )
    fast.chat_template = chat_template
    return fast


@pytest.fixture
def chat_tokenizer() -> PreTrainedTokenizerFast:
    return word_tokenizer(CHAT)


@pytest.fixture
def plain_tokenizer() -> PreTrainedTokenizerFast:
    return word_tokenizer(None)
