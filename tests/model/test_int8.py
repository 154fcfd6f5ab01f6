from __future__ import annotations

import numpy as np
import pytest

from coordi.config import RunSettings
from coordi.errors import ModelError
from coordi.model.base import Base
from coordi.model.engines import PeftEngine, has_fast_int8, to_int8
from coordi.model.prefix_cache import PromptRunner, backbone_and_head
from coordi.prompts import PromptRenderer, answer_tokens

from .conftest import epoch

torch = pytest.importorskip("torch")


@pytest.mark.parametrize("bias", [True, False])
def test_a_layer_keeps_what_eight_bits_of_its_weights_say(bias: bool) -> None:
    torch.manual_seed(1)
    layer = torch.nn.Linear(96, 40, bias=bias)
    inputs = torch.randn(2, 7, 96)
    inputs[0, 3, 5] = 300.0  # one large state beside many small ones, as these models have them
    inputs[1, 2] = 0.0
    block = torch.nn.ModuleDict({"inner": torch.nn.ModuleDict({"linear": layer})})
    with torch.no_grad():
        plain = layer(inputs)
        network = _network([block])
        to_int8(network)
        created = block["inner"]["linear"]
        assert type(created).__name__ == "Int8Linear"
        assert created.weight.dtype is torch.int8
        rounded = (created.weight.t().float() * created.scale[:, None]).contiguous()
        same_weights = torch.nn.functional.linear(inputs, rounded, layer.bias)
        result = created(inputs)
    assert result.shape == (2, 7, 40)
    # Beside the rounding of the weights hardly anything is lost, even next to the large state.
    largest = inputs.abs().amax(dim=2, keepdim=True)
    assert ((result - same_weights).abs() <= 3e-4 * largest + 1e-6).all()
    assert (result - plain).abs().max() < 0.02 * plain.abs().max()


@pytest.mark.slow
def test_a_model_answers_as_before(tiny_base: Base, tiny_settings: RunSettings) -> None:
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    def ask(arithmetic: str) -> np.ndarray:
        settings = tiny_settings.model.model_copy(update={"arithmetic": arithmetic})
        loaded = PeftEngine().for_scoring(tiny_base, None, settings)
        kinds = {type(layer).__name__ for layer in backbone_and_head(loaded.model)[0].layers.modules()}
        assert ("Int8Linear" in kinds) == (arithmetic == "int8")
        assert ("Linear" in kinds) == (arithmetic != "int8")
        renderer = PromptRenderer(loaded.tokenizer, 128)
        prompts = [renderer.render(entry).prompt_ids for entry in epoch(3)]
        logits = PromptRunner(loaded.model, answer_tokens(renderer)).logits(prompts)
        return np.asarray(logits[:, 0] - logits[:, 1])

    plain, bytes_ = ask("float32"), ask("int8")
    assert not np.array_equal(plain, bytes_)
    assert spearmanr(plain, bytes_).statistic >= 0.99  # random weights, which answer by chance


def test_auto_takes_what_is_faster_here(tiny_base: Base, tiny_settings: RunSettings) -> None:
    settings = tiny_settings.model.model_copy(update={"arithmetic": "auto"})
    loaded = PeftEngine().for_scoring(tiny_base, None, settings)
    kinds = {type(layer).__name__ for layer in loaded.model.modules()}
    assert ("Int8Linear" in kinds) == (has_fast_int8() and not torch.cuda.is_available())


def test_int8_where_it_cannot_be_had(
    tiny_base: Base, tiny_settings: RunSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("coordi.model.engines.UNPACK_UP_TO", 1)  # as if the model were too large to unpack
    settings = tiny_settings.model.model_copy(update={"arithmetic": "int8"})
    with pytest.raises(ModelError, match=r"int8, which is for small models on a CPU; set model\.arithmetic=auto"):
        PeftEngine().for_scoring(tiny_base, None, settings)


def _network(blocks: list[object]) -> object:
    class Decoder:
        layers = blocks

    class Network:
        base_model = Decoder()

    return Network()
