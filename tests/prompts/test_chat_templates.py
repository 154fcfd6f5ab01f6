"""A chat template is a program that came with a model: what transformers makes of it, within limits."""

from __future__ import annotations

import sys
import time
from typing import Any

import pytest

from coordi.errors import ModelError
from coordi.prompts import render_chat

from ..model.families import FAMILIES

USER = {"role": "user", "content": "Do these go together? <b>"}
ANSWER = {"role": "assistant", "content": "yes"}


@pytest.mark.parametrize(
    ("template", "reason"),
    [
        ("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", "ran for more than 1 s"),
        (
            "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
            "took more than 256 MiB",
        ),
        ("{{ 'a' * 10000000000 }}", "multiplies text"),
        ("{{ 9 ** 9 ** 9 }}", "multiplies text, or large numbers"),
        ("{{ '%9999999999d' % 3 }}", "multiplies text"),
        ("{{ '{:>9999999999}'.format(3) }}", "'format' of 'str' object is unsafe"),
        ("{{ 'a'.center(9999999999) }}", "'center' of 'str' object is unsafe"),
        ("{{ 'a'|center(9999999999) }}", "No filter named 'center'"),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", "recursion|more than 1 s"),
        (f"{{{{ {'(' * 5000}1{')' * 5000} }}}}", "recursion"),
        ("a" * 200_001, "200,001 letters, at most 200,000"),
        ("{{ ''.__class__.__mro__ }}", "__class__"),
        ("{{ messages + 1 }}", "can only concatenate list"),
        ("{% if %}", "Expected an expression"),
    ],
)
def test_a_hostile_template_is_ended_within_two_seconds(template: str, reason: str) -> None:
    before, begin = sys.gettrace(), time.monotonic()
    with pytest.raises(ModelError, match=rf"chat template can't be used: .*({reason}).*prompt\.form=instruction"):
        render_chat(template, [USER])
    assert time.monotonic() - begin < 2
    assert sys.gettrace() is before


@pytest.mark.parametrize("name", list(FAMILIES))
def test_published_templates_say_what_they_say_in_transformers(name: str) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    template = FAMILIES[name].template
    options: dict[str, Any] = {"bos_token": "<s>", "eos_token": "</s>", "date_string": "26 Jul 2024"}
    for messages in ([USER], [USER, ANSWER]):
        for ask in (True, False):
            rendered: Any = render_jinja_template(
                conversations=[messages], chat_template=template, add_generation_prompt=ask, **options
            )
            assert render_chat(template, messages, add_generation_prompt=ask, **options) == rendered[0][0]


def test_a_training_template_is_read_too() -> None:
    template = "{{ messages[0].content }}{% generation %}{{ messages|tojson }}{% endgeneration %}"
    assert render_chat(template, [{"content": "é"}]) == 'é[{"content": "é"}]'
