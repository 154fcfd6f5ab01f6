"""The formula of ``coordi doctor`` against the tensors that a step and a scored batch hold, at small scale."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map
from transformers import LlamaConfig, LlamaForCausalLM

from coordi.config import RunSettings
from coordi.errors import ModelError
from coordi.model.base import resolve_base
from coordi.model.engines import PeftEngine
from coordi.model.memory import Shape, activations_per_token, adapter_bytes, scoring_memory, training_memory
from coordi.model.prefix_cache import PromptRunner, backbone_and_head
from coordi.model.training import preflight

SHAPE = Shape(layers=6, hidden=192, inner=640, keys=48, vocabulary=512)
BATCH, LENGTH = 4, 96


class Held(TorchDispatchMode):
    """Bytes of the tensors that operations created and that are still held, and the most at any time."""

    def __init__(self, known: set[int]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._known, self._sizes = known, dict[int, int]()
        self.now = self.peak = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        tree_map(self._note, result)
        return result

    def _note(self, value: Any) -> None:
        if not isinstance(value, torch.Tensor):
            return
        storage = value.untyped_storage()
        key = storage._cdata
        if key not in self._sizes and storage.data_ptr() not in self._known:
            self._sizes[key] = storage.nbytes()
            self.now += storage.nbytes()
            self.peak = max(self.peak, self.now)
            weakref.finalize(storage, self._forget, key)

    def _forget(self, key: int) -> None:
        self.now -= self._sizes.pop(key, 0)


@contextmanager
def held(model: Any) -> Iterator[Held]:
    with Held({value.untyped_storage().data_ptr() for value in model.parameters()}) as mode:
        yield mode


def with_finetune(settings: RunSettings, **changes: Any) -> RunSettings:
    return settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})


@pytest.mark.slow
@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("dropout", [0.0, 0.2])
def test_what_a_step_holds(tiny_settings: RunSettings, checkpointing: bool, dropout: float) -> None:
    settings = with_finetune(
        tiny_settings, gradient_checkpointing=checkpointing, lora_dropout=dropout, optimizer="adamw"
    )
    llama: Any = LlamaForCausalLM
    network = llama(
        LlamaConfig(
            vocab_size=SHAPE.vocabulary, hidden_size=SHAPE.hidden, intermediate_size=SHAPE.inner,
            num_hidden_layers=SHAPE.layers, num_attention_heads=8, num_key_value_heads=2, max_position_embeddings=512,
        )
    )  # fmt: skip
    network.to(torch.bfloat16).requires_grad_(False)
    if checkpointing:
        network.gradient_checkpointing_enable({"use_reentrant": False})
        network.enable_input_require_grads()
    finetune = settings.finetune
    model: Any = peft.get_peft_model(network, peft.LoraConfig(
        r=finetune.lora_rank, lora_dropout=dropout, target_modules=list(finetune.target_modules), task_type="CAUSAL_LM"
    ))  # fmt: skip
    model.train()
    backbone, head = backbone_and_head(model)
    loss: Any
    ids = torch.randint(0, SHAPE.vocabulary, (BATCH, LENGTH))
    with held(model) as mode, torch.autocast("cpu", torch.bfloat16):
        states = backbone(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).last_hidden_state
        loss = torch.nn.functional.cross_entropy(head(states[:, -2]).float(), ids[:, -1])
        loss.backward()
    expected = BATCH * LENGTH * activations_per_token(SHAPE, settings)
    assert mode.peak == pytest.approx(expected, rel=0.12)
    numbers = sum(value.numel() for value in model.parameters() if value.requires_grad)
    assert adapter_bytes(SHAPE, settings) == numbers * 16  # weight, gradient and two moments
    assert adapter_bytes(SHAPE, with_finetune(settings, optimizer="adamw_8bit")) == numbers * 10


@pytest.mark.slow
def test_what_a_scored_batch_holds(tiny_folder: Path, tiny_settings: RunSettings) -> None:
    model = tiny_settings.model.model_copy(
        update={"quantization": "none", "batch_tokens": 64, "base": str(tiny_folder)}
    )
    settings = tiny_settings.model_copy(update={"model": model})
    loaded = PeftEngine().for_scoring(resolve_base(model), None, model)
    prompts = [[*range(100, 160), number, 7] for number in range(1, 60)]
    with held(loaded.model) as mode:
        PromptRunner(loaded.model, (11, 12), model.batch_tokens).logits(prompts)
    batch = scoring_memory(tiny_folder, settings, 62, 2, gpu=False) - sum(
        value.numel() * value.element_size() for value in loaded.model.parameters()
    )
    assert mode.peak == pytest.approx(batch, rel=0.25)


def test_the_papers_memory_grows_with_prompts(tiny_folder: Path, tiny_settings: RunSettings) -> None:
    short, long = (training_memory(tiny_folder, tiny_settings, tokens, gpu=True) for tokens in (100, 200))
    shape, size = Shape.of(tiny_folder), tiny_settings.finetune.micro_batch_size
    assert long - short == 100 * size * activations_per_token(shape, tiny_settings)


def test_a_gpu_that_is_too_small_is_named_before_anything_is_done(
    tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"is_available": True, "mem_get_info": (1000, 2000), "get_device_capability": (8, 0)}.items():
        monkeypatch.setattr(torch.cuda, name, lambda *_, _value=value: _value)
    with pytest.raises(
        ModelError, match=r"fine-tuning '.*' takes more than 0\.0 GiB, and the GPU has 0\.0 GiB; choose"
    ):
        preflight(tiny_settings)


def test_a_configuration_without_sizes_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 64}')
    with pytest.raises(ModelError, match=r"config\.json' doesn't say num_hidden_layers, intermediate_size, num_att"):
        Shape.of(tmp_path)
