"""The families of base models that presets name: their layouts at toy size, and their published chat templates.

The templates are those of the families' instruct models, without their branches for tools.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

LLAMA_32 = """{{- bos_token }}
{%- if not date_string is defined %}
    {%- if strftime_now is defined %}
        {%- set date_string = strftime_now("%d %b %Y") %}
    {%- else %}
        {%- set date_string = "26 Jul 2024" %}
    {%- endif %}
{%- endif %}
{%- if messages[0]['role'] == 'system' %}
    {%- set system_message = messages[0]['content']|trim %}
    {%- set messages = messages[1:] %}
{%- else %}
    {%- set system_message = "" %}
{%- endif %}
{{- "<|start_header_id|>system<|end_header_id|>\\n\\n" }}
{{- "Cutting Knowledge Date: December 2023\\n" }}
{{- "Today Date: " + date_string + "\\n\\n" }}
{{- system_message }}
{{- "<|eot_id|>" }}
{%- for message in messages %}
    {{- '<|start_header_id|>' + message['role'] + '<|end_header_id|>\\n\\n'+ message['content'] | trim + '<|eot_id|>' }}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}
{%- endif %}"""

QWEN_25 = """{%- if messages[0]['role'] == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0]['content'] + '<|im_end|>\\n' }}
{%- else %}
    {{- '<|im_start|>system\\nYou are Qwen, created by Alibaba Cloud. You are a helpful assistant.<|im_end|>\\n' }}
{%- endif %}
{%- for message in messages %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) or (message.role == "assistant") %}
        {{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>' + '\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
{%- endif %}"""

QWEN_3 = """{%- if messages[0].role == 'system' %}
    {{- '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}
{%- endif %}
{%- set ns = namespace(multi_step_tool=true, last_query_index=messages|length - 1) %}
{%- for message in messages[::-1] %}
    {%- set index = (messages|length - 1) - loop.index0 %}
    {%- if ns.multi_step_tool and message.role == "user" %}
        {%- set ns.multi_step_tool = false %}
        {%- set ns.last_query_index = index %}
    {%- endif %}
{%- endfor %}
{%- for message in messages %}
    {%- set content = message.content %}
    {%- if (message.role == "user") or (message.role == "system" and not loop.first) %}
        {{- '<|im_start|>' + message.role + '\\n' + content + '<|im_end|>' + '\\n' }}
    {%- elif message.role == "assistant" %}
        {%- set reasoning_content = '' %}
        {%- if loop.index0 > ns.last_query_index and (loop.last or reasoning_content) %}
            {{- '<|im_start|>' + message.role + '\\n<think>\\n' + reasoning_content.strip('\\n') }}
            {{- '\\n</think>\\n\\n' + content.lstrip('\\n') }}
        {%- else %}
            {{- '<|im_start|>' + message.role + '\\n' + content }}
        {%- endif %}
        {{- '<|im_end|>\\n' }}
    {%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
    {{- '<|im_start|>assistant\\n' }}
    {%- if enable_thinking is defined and enable_thinking is false %}
        {{- '<think>\\n\\n</think>\\n\\n' }}
    {%- endif %}
{%- endif %}"""

GEMMA_2 = (
    "{{ bos_token }}{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}"
    "{% endif %}{% for message in messages %}{% if (message['role'] == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Conversation roles must alternate user/assistant/user/assistant/...') }}{% endif %}"
    "{% if (message['role'] == 'assistant') %}{% set role = 'model' %}{% else %}{% set role = message['role'] %}"
    "{% endif %}{{ '<start_of_turn>' + role + '\n' + message['content'] | trim + '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{'<start_of_turn>model\n'}}{% endif %}"
)

GEMMA_3 = """{{ bos_token }}
{%- if messages[0]['role'] == 'system' -%}
    {%- set first_user_prefix = messages[0]['content'] + '\\n\\n' -%}
    {%- set loop_messages = messages[1:] -%}
{%- else -%}
    {%- set first_user_prefix = "" -%}
    {%- set loop_messages = messages -%}
{%- endif -%}
{%- for message in loop_messages -%}
    {%- if (message['role'] == 'user') != (loop.index0 % 2 == 0) -%}
        {{ raise_exception("Conversation roles must alternate user/assistant/user/assistant/...") }}
    {%- endif -%}
    {%- if (message['role'] == 'assistant') -%}
        {%- set role = "model" -%}
    {%- else -%}
        {%- set role = message['role'] -%}
    {%- endif -%}
    {{ '<start_of_turn>' + role + '\\n' + (first_user_prefix if loop.first else "") }}
    {{ message['content'] | trim }}
    {{ '<end_of_turn>\\n' }}
{%- endfor -%}
{%- if add_generation_prompt -%}
    {{ '<start_of_turn>model\\n' }}
{%- endif -%}"""
GEMMA_3 = GEMMA_3.replace('"") }}\n    {{ message', '"") -}}\n    {{ message').replace("trim }}\n", "trim -}}\n")

MISTRAL_03 = """{%- if messages[0]["role"] == "system" %}
    {%- set system_message = messages[0]["content"] %}
    {%- set loop_messages = messages[1:] %}
{%- else %}
    {%- set loop_messages = messages %}
{%- endif %}
{%- set user_messages = loop_messages | selectattr("role", "equalto", "user") | list %}
{%- set ns = namespace() %}
{%- set ns.index = 0 %}
{%- for message in loop_messages %}
    {%- if (message["role"] == "user") != (ns.index % 2 == 0) %}
        {{- raise_exception("After the optional system message, conversation roles must alternate") }}
    {%- endif %}
    {%- set ns.index = ns.index + 1 %}
{%- endfor %}
{{- bos_token }}
{%- for message in loop_messages %}
    {%- if message["role"] == "user" %}
        {%- if loop.last and system_message is defined %}
            {{- "[INST] " + system_message + "\\n\\n" + message["content"] + "[/INST]" }}
        {%- else %}
            {{- "[INST] " + message["content"] + "[/INST]" }}
        {%- endif %}
    {%- elif message["role"] == "assistant" %}
        {{- " " + message["content"]|trim + eos_token}}
    {%- endif %}
{%- endfor %}"""


@dataclass(frozen=True)
class Family:
    """One family: how its tokenizer, prompt and network are built.

    ``before`` and ``after`` stand around the body of a prompt, the question in ``before`` as ``{question}``.
    """

    network: str
    template: str
    specials: tuple[str, ...]
    bos: str | None
    eos: str
    end: str
    before: str
    after: str
    gap: str = ""
    extra: tuple[tuple[str, Any], ...] = ()


_HEADER = "<|start_header_id|>{}<|end_header_id|>\n\n"
_DATE = "Cutting Knowledge Date: December 2023\nToday Date: 26 Jul 2024\n\n"
_TURNS = ("<bos>", "<eos>", "<start_of_turn>", "<end_of_turn>")
_IM = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
FAMILIES = {
    "llama-3.2": Family(
        "Llama", LLAMA_32, ("<|begin_of_text|>", "<|eot_id|>", "<|start_header_id|>", "<|end_header_id|>"),
        "<|begin_of_text|>", "<|eot_id|>", "<|eot_id|>",
        "<|begin_of_text|>" + _HEADER.format("system") + _DATE + "<|eot_id|>" + _HEADER.format("user") + "{question}\n",
        "<|eot_id|>" + _HEADER.format("assistant"),
        extra=(("rope_parameters", {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 32.0,
                                    "low_freq_factor": 1.0, "high_freq_factor": 4.0,
                                    "original_max_position_embeddings": 64}),),
    ),
    "qwen-2.5": Family(
        "Qwen2", QWEN_25, _IM, None, "<|im_end|>", "<|im_end|>",
        "<|im_start|>system\n<|im_end|>\n<|im_start|>user\n{question}\n", "<|im_end|>\n<|im_start|>assistant\n",
    ),
    "qwen-3": Family(
        "Qwen3", QWEN_3, (*_IM, "<think>", "</think>"), None, "<|im_end|>", "<|im_end|>",
        "<|im_start|>user\n{question}\n", "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n",
        extra=(("head_dim", 32),),
    ),
    "gemma-2": Family(
        "Gemma2", GEMMA_2, _TURNS, "<bos>", "<eos>", "<end_of_turn>",
        "<bos><start_of_turn>user\n{question}\n", "<end_of_turn>\n<start_of_turn>model\n",
        extra=(("head_dim", 32), ("query_pre_attn_scalar", 16), ("attn_logit_softcapping", 2.0),
               ("final_logit_softcapping", 5.0), ("sliding_window", 64)),
    ),
    "gemma-3": Family(
        "Gemma3", GEMMA_3, _TURNS, "<bos>", "<eos>", "<end_of_turn>",
        "<bos><start_of_turn>user\n{question}\n", "<end_of_turn>\n<start_of_turn>model\n",
        extra=(("head_dim", 32), ("query_pre_attn_scalar", 16), ("sliding_window", 64), ("sliding_window_pattern", 2)),
    ),
    "mistral": Family(
        "Mistral", MISTRAL_03, ("<s>", "</s>", "[INST]", "[/INST]"), "<s>", "</s>", "</s>",
        "<s>[INST] {question}\n", "[/INST]", gap=" ", extra=(("sliding_window", None),),
    ),
    "mistral-windowed": Family(  # as version 0.1 had it
        "Mistral", MISTRAL_03, ("<s>", "</s>", "[INST]", "[/INST]"), "<s>", "</s>", "</s>",
        "<s>[INST] {question}\n", "[/INST]", gap=" ", extra=(("sliding_window", 64),),
    ),
}  # fmt: skip


def family_tokenizer(family: Family, words: tuple[str, ...]) -> Any:
    """A tokenizer that knows the family's special tokens, some words with and without a space before, and all bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=list(family.specials),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(["yes no\nyes\nno", *words] * 20, trainer)
    named = {"eos_token": family.eos, "pad_token": family.eos}
    if family.bos is not None:
        named["bos_token"] = family.bos
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, **named)  # type: ignore[no-untyped-call]
    fast.chat_template = family.template
    return fast


def family_network(family: Family, seed: int = 0) -> Any:
    """A network of the family's layout with three layers and random weights."""
    import torch
    import transformers

    torch.manual_seed(seed)
    config = getattr(transformers, f"{family.network}{'Text' if family.network == 'Gemma3' else ''}Config")(
        vocab_size=640,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=4,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        bos_token_id=0,
        eos_token_id=1,
        pad_token_id=1,
        initializer_range=0.2,
        **dict(family.extra),
    )
    network = getattr(transformers, f"{family.network}ForCausalLM")(config)
    with torch.no_grad():  # norms too, so that one left out is seen
        for name, weight in network.named_parameters():
            if "norm" in name:
                weight.add_(0.3 * torch.randn_like(weight))
    return network


def write_family(family: Family, folder: Path, words: tuple[str, ...]) -> None:
    """A base model in the Hugging Face layout."""
    family_network(family).save_pretrained(folder)
    family_tokenizer(family, words).save_pretrained(folder)
