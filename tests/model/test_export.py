"""Exported models answer as the engine that they come from, in the programs that they are for."""

from __future__ import annotations

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file

from coordi.api import load
from coordi.artifacts import read_json, write_json
from coordi.errors import ModelError
from coordi.model.base import Base, find_gguf, resolve_base
from coordi.model.engines import load_tokenizer
from coordi.model.export import GGUF_FILE, MODELFILE, _modelfile, export
from coordi.model.scoring import PooledScorer, load_answers, load_any_scorer, load_scorer
from coordi.model.trained import BUNDLED, find_model
from coordi.prompts import InstructionMaker, PromptRenderer, complement_instruction
from coordi.types import Item

pytestmark = [pytest.mark.slow, pytest.mark.skipif(find_gguf() is None, reason="the bundled model isn't installed")]

WORDS = (
    "navy wool blazer", "white leather sneakers", "red silk dress", "black ankle boots", "beige trench coat",
    "blue jeans", "gold hoop earrings", "Vestido rojo talla 38", "한복 저고리", "belt 2 for 30 €", "straw hat",
)  # fmt: skip


@pytest.fixture(autouse=True)
def in_4_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """The precision of exports on every processor."""
    monkeypatch.setattr("coordi.model.decoder.multiplies_bytes", lambda: False)


@pytest.fixture(scope="module")
def outfits() -> list[list[Item]]:
    """50 questions."""
    model = load()
    items = [model.item_of_words(words) for words in WORDS]
    return [list(pair) for pair in combinations(items, 2)][:50]


@pytest.fixture(scope="module")
def answering(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An adapter on the bundled model that answers in words, with random weights that move its answers."""
    import torch

    from coordi.model.engines import PeftEngine

    settings = find_model("bundled").settings
    finetune = settings.finetune.model_copy(update={"head": "answer", "first_layer": 0, "last_layer": None})
    settings = settings.model_copy(update={"finetune": finetune})
    base = resolve_base(settings.model)
    network: Any = PeftEngine().for_training(base, settings.model, finetune, 3).model
    torch.manual_seed(0)
    for name, weights in network.named_parameters():
        if "lora_B" in name:
            weights.data.normal_(std=0.02)
    folder = tmp_path_factory.mktemp("answering")
    network.save_pretrained(folder)
    write_json(folder / "coordi.json", {"base": "bundled", "identity": base.identity})
    write_json(folder / "settings.json", settings.model_dump(mode="json"))
    return folder


@pytest.fixture(scope="module")
def expected(answering: Path, outfits: list[list[Item]]) -> NDArray[np.float64]:
    """P(yes) of the engine with torch, with the base's weights as they are."""
    settings = find_model(str(answering)).settings
    plain = settings.model.model_copy(update={"quantization": "none", "arithmetic": "float32", "engine": "peft"})
    scores = load_scorer(resolve_base(plain), answering, settings.model_copy(update={"model": plain})).score(outfits)
    assert np.ptp(scores) > 0.1  # the questions have different answers
    return scores


def test_an_adapter_that_answers_in_words_runs_without_torch(
    answering: Path, outfits: list[list[Item]], expected: NDArray[np.float64]
) -> None:
    scorer = load_any_scorer(answering, find_model(str(answering)).settings)
    assert isinstance(scorer, PooledScorer)
    assert np.abs(scorer.score(outfits) - expected).max() < 0.005
    # Alone, a question has the same answer.
    assert np.abs(scorer.score(outfits[:1]) - scorer.score(outfits)[:1]).max() < 1e-5


@pytest.mark.parametrize("head", ["answer", "pooled"])
def test_onnx_needs_neither_torch_nor_the_bundled_models_package(
    head: str, answering: Path, outfits: list[list[Item]], tmp_path: Path
) -> None:
    model = find_model(str(answering if head == "answer" else BUNDLED))
    out = tmp_path / "exported"
    export(model, "onnx", out)
    assert model.adapter is not None
    here = load_any_scorer(model.adapter, model.settings).score(outfits[:3])
    texts = [[item.title for item in outfit] for outfit in outfits[:3]]
    code = (
        "import sys, json\n"
        "sys.modules |= dict.fromkeys(('torch', 'transformers', 'peft', 'gguf', 'onnx'))\n"
        "import coordi.model.base as base\n"
        "base.find_gguf = lambda: None\n"
        "from coordi.api import load\n"
        "from coordi.model.trained import find_model\n"
        "from coordi.model.scoring import load_any_scorer\n"
        "words, model = load(), find_model(sys.argv[1])\n"
        "outfits = [[words.item_of_words(text) for text in outfit] for outfit in json.loads(sys.argv[2])]\n"
        "print(json.dumps(load_any_scorer(model.adapter, model.settings).score(outfits).tolist()))\n"
    )
    command = [sys.executable, "-c", code, str(out), json.dumps(texts)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    np.testing.assert_allclose(json.loads(run.stdout), here, atol=1e-6)


def test_a_damaged_export_is_refused(tmp_path: Path) -> None:
    model = find_model("bundled")
    out = tmp_path / "exported"
    export(model, "onnx", out)
    network = out / "decoder" / "decoder.onnx"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged.*coordi export"):
        load_any_scorer(out, model.settings)


def test_an_export_is_of_the_adapter_and_the_head_beside_it(tmp_path: Path) -> None:
    model = find_model("bundled")
    for name in ("decoder/manifest.json", "adapter_model.safetensors", "pooled_head.json"):
        out = tmp_path / Path(name).name
        export(model, "onnx", out)
        assert load_any_scorer(out, model.settings)
        if name == "decoder/manifest.json":
            write_json(out / name, {})
        elif name == "pooled_head.json":
            write_json(out / name, {**read_json(out / name), "layer": 12})
        else:
            weights = load_file(out / name)
            save_file({key: 0 * value for key, value in weights.items()}, out / name)
        with pytest.raises(ModelError, match="not the decoder of the adapter beside it"):
            load_any_scorer(out, model.settings)


def test_merged_weights_answer_alike(
    answering: Path, outfits: list[list[Item]], expected: NDArray[np.float64], tmp_path: Path
) -> None:
    model = find_model(str(answering))
    export(model, "merged", tmp_path / "merged")
    settings = model.settings.model_copy(
        update={
            "model": model.settings.model.model_copy(
                update={"base": str(tmp_path / "merged"), "quantization": "none", "arithmetic": "float32"}
            )
        }
    )
    base: Base = resolve_base(settings.model)
    assert np.abs(load_answers(base, None, settings).score(outfits) - expected).max() < 0.02


def test_a_gguf_answers_alike_in_llama_cpp(
    answering: Path, outfits: list[list[Item]], expected: NDArray[np.float64], tmp_path: Path
) -> None:
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp's package xllamacpp isn't installed")
    from scipy.stats import spearmanr  # type: ignore[import-untyped]

    model = find_model(str(answering))
    export(model, "gguf", tmp_path / "gguf")
    scorer = load_any_scorer(answering, model.settings)
    server = llama_cpp(xllamacpp, tmp_path / "gguf")
    instructions = InstructionMaker(model.settings.prompt.facts)
    prompts = [scorer.renderer.text(instructions.compatibility(outfit)) for outfit in outfits]
    scores = np.array([_p_yes(server, prompt) for prompt in prompts])
    assert np.abs(scores - expected).max() < 0.02
    assert spearmanr(scores, expected).statistic > 0.99
    modelfile = (tmp_path / "gguf" / MODELFILE).read_text(encoding="utf-8")
    template = modelfile.split('TEMPLATE """')[1].split('"""')[0]
    question = instructions.compatibility(outfits[0])
    assert template.replace("{{ .Prompt }}", f"{question.question}\n{question.body()}") == prompts[0]
    assert 'PARAMETER stop "<|im_end|>"' in modelfile


def test_a_gguf_of_an_instruction_form_writes_and_answers_as_trained(
    answering: Path, outfits: list[list[Item]], tmp_path: Path
) -> None:
    xllamacpp = pytest.importorskip("xllamacpp", reason="llama.cpp's package xllamacpp isn't installed")
    adapter, few = shutil.copytree(answering, tmp_path / "adapter"), outfits[:8]
    settings = read_json(adapter / "settings.json")
    settings["prompt"]["form"] = "instruction"
    write_json(adapter / "settings.json", settings)
    model = find_model(str(adapter))
    scorer = load_any_scorer(adapter, model.settings)
    export(model, "gguf", tmp_path / "gguf")
    questions = [InstructionMaker(model.settings.prompt.facts).compatibility(outfit) for outfit in few]
    name = complement_instruction(questions[0].items, "bag")

    modelfile = (tmp_path / "gguf" / MODELFILE).read_text(encoding="utf-8")
    template, system = (modelfile.split(f'{word} """')[1].split('"""')[0] for word in ("TEMPLATE", "SYSTEM"))
    for question in (questions[0], name):
        filled = template.replace("{{ .System }}", question.question).replace("{{ .Prompt }}", question.body())
        assert filled == scorer.renderer.text(question)
    assert system == questions[0].question

    tokenizer = load_tokenizer(resolve_base(model.settings.model))
    tokenizer.chat_template = chat_template_of(tmp_path / "gguf" / GGUF_FILE)
    for question, said in ((questions[0], None), (questions[0], questions[0].question), (name, name.question)):
        messages = [{"role": "user", "content": question.body()}]
        if said is not None:
            messages.insert(0, {"role": "system", "content": said})
        assert tokenizer.apply_chat_template(messages, tokenize=False) == scorer.renderer.text(question)

    server = llama_cpp(xllamacpp, tmp_path / "gguf")
    answers = [
        server.handle_chat_completions(
            {"messages": [{"role": "user", "content": question.body()}], "max_tokens": 1, "logprobs": True,
             "top_logprobs": 200, "temperature": 0.0}
        )
        for question in questions
    ]  # fmt: skip
    scores = scorer.score(few)
    assert np.ptp(scores) > 0.05
    assert np.abs(np.array([p_yes(answer) for answer in answers]) - scores).max() < 0.02


@pytest.mark.parametrize("form", ["chat", "instruction"])
def test_a_modelfile_of_a_model_that_names_items_leaves_room_and_shows_what_is_recommended(
    answering: Path, form: str
) -> None:
    plain = find_model(str(answering))
    tokenizer = load_tokenizer(resolve_base(plain.settings.model))
    assert "PARAMETER num_predict 4\n" in _modelfile(PromptRenderer(tokenizer, 512), plain)
    finetune = plain.settings.finetune.model_copy(update={"tasks": {"compatibility": 0.7, "complement": 0.3}})
    prompt = plain.settings.prompt.model_copy(update={"form": form, "recommended": 1})
    settings = plain.settings.model_copy(update={"finetune": finetune, "prompt": prompt})
    modelfile = _modelfile(PromptRenderer(tokenizer, 512, prompt.form), replace(plain, settings=settings))
    assert "PARAMETER num_predict 32\n" in modelfile
    assert "\n#   Recommended: " in modelfile
    assert ("### Instruction:\n{{ .System }}\n" in modelfile) == (form == "instruction")


def llama_cpp(xllamacpp: Any, folder: Path) -> Any:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(folder / GGUF_FILE)
    parameters.n_ctx, parameters.n_parallel, parameters.verbosity = 1024, 1, -1
    return xllamacpp.Server(parameters)


def chat_template_of(path: Path) -> str:
    from gguf import GGUFReader

    return str(GGUFReader(path).fields["tokenizer.chat_template"].contents())


def _p_yes(server: Any, prompt: str) -> float:
    return p_yes(server.handle_completions({"prompt": prompt, "max_tokens": 1, "logprobs": 200, "temperature": 0.0}))


def p_yes(answer: Any) -> float:
    rows = answer["choices"][0]["logprobs"]["content"][0]["top_logprobs"]
    logits = {row["token"]: row["logprob"] for row in rows}
    return 1 / (1 + math.exp(logits["no"] - logits["yes"]))


def test_what_a_format_cannot_hold_is_refused(tmp_path: Path) -> None:
    bundled, base = find_model("bundled"), find_model("base")
    with pytest.raises(ModelError, match=r"pooled head.*finetune\.head=answer"):
        export(bundled, "gguf", tmp_path / "gguf")
    with pytest.raises(ModelError, match="no adapter"):
        export(base, "adapter", tmp_path / "base")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    for out in (tmp_path / "full", tmp_path / "full" / "mine.txt"):
        with pytest.raises(ModelError, match="isn't an empty folder"):
            export(bundled, "adapter", out)
    assert [path.name for path in tmp_path.iterdir()] == ["full"]  # nothing half-written


def test_an_exported_adapter_is_used_as_it_was(tmp_path: Path) -> None:
    export(find_model("bundled"), "adapter", tmp_path / "copy")
    copy = find_model(str(tmp_path / "copy"))
    assert copy.identity() == find_model("bundled").identity()
    assert (tmp_path / "copy" / "README.md").is_file()
