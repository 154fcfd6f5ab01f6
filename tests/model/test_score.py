from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from coordi.artifacts import write_json
from coordi.config import RunSettings
from coordi.encoders.base import sigmoid
from coordi.encoders.complements import ComplementRecommender
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ModelError, PromptError
from coordi.model.base import Base
from coordi.model.engines import Loaded, PeftEngine
from coordi.model.generation import ComplementWriter, NameRequest
from coordi.model.prefix_cache import PoolSpec, PromptRunner, prefix_groups, shared_prefix_length
from coordi.model.scoring import LanguageModelScorer, load_scorer
from coordi.model.training import finetune
from coordi.prompts import PromptRenderer, answer_tokens, compatibility_instruction
from coordi.types import Item

from .conftest import COLOURS, KINDS, epoch, items_of

ITEMS = items_of(*(f"{colour} {kind}" for colour, kind in zip(COLOURS * 4, KINDS * 3, strict=True)))
OUTFITS = [[ITEMS[n] for n in numbers] for numbers in ((0, 1), (2, 3, 4, 5, 6), (7, 1, 9), (3, 2), (0, 1))]


@pytest.fixture
def loaded(tiny_base: Base, tiny_settings: RunSettings) -> Loaded:
    return PeftEngine().for_scoring(tiny_base, None, tiny_settings.model)


def test_batches_with_a_shared_prefix_equal_whole_prompts_one_by_one(loaded: Loaded) -> None:
    import torch

    renderer = PromptRenderer(loaded.tokenizer, 128)
    prompts = [renderer.render(entry).prompt_ids for entry in epoch(3)]
    answers = answer_tokens(renderer)
    reader = PromptRunner(loaded.model, answers, batch_tokens=300)
    joint = reader.logits(prompts)
    with torch.no_grad():
        alone = [loaded.model(input_ids=torch.tensor([list(p)])).logits[0, -1, list(answers)] for p in prompts]
    np.testing.assert_allclose(joint, torch.stack(alone).numpy(), atol=1e-3)
    assert joint.std(axis=0).min() > 0.01


def _completions(renderer: PromptRenderer) -> list[tuple[int, ...]]:
    """Outfits with four candidates each, which begin alike, and some that are alone."""
    outfits = [["0", "1", "4", "6"], ["2", "3", "5", "7"]]
    questions = [[*outfit, candidate] for outfit in outfits for candidate in ("8", "9", "10", "11")]
    questions += [["3", "2"], ["7", "1", "9"]]
    return [
        renderer.render(compatibility_instruction([ITEMS[int(item)].text for item in entry])).prompt_ids
        for entry in questions
    ]


def test_prompts_of_one_outfit_share_it_and_equal_whole_prompts(loaded: Loaded) -> None:
    import torch

    renderer = PromptRenderer(loaded.tokenizer, 128)
    prompts = _completions(renderer)
    result, _ = prefix_groups(prompts, shared_prefix_length(prompts))
    assert sorted(len(family.rows) for family in result)[-2:] == [4, 4]
    answers = answer_tokens(renderer)
    for layer in (1, 2, 3):
        read = PromptRunner(loaded.model, answers, batch_tokens=120).read(prompts, PoolSpec(layer, 4))
        for row, prompt in enumerate(prompts):
            with torch.no_grad():
                out = loaded.model(input_ids=torch.tensor([list(prompt)]), output_hidden_states=True)
            np.testing.assert_allclose(read.logits[row], out.logits[0, -1, list(answers)].numpy(), atol=1e-3)
            if layer < 3:  # transformers gives the last layer's states after the final norm
                mean = out.hidden_states[layer][0, 4:].mean(dim=0).numpy()
                np.testing.assert_allclose(read.states[row], mean, atol=1e-4)
        only = PromptRunner(loaded.model, ()).read(prompts, PoolSpec(layer, 4))
        np.testing.assert_allclose(only.states, read.states, atol=1e-4)
        assert only.logits.shape == (len(prompts), 0)


def test_a_layer_that_is_not_there(loaded: Loaded) -> None:
    with pytest.raises(ModelError, match="layers 1 to 3 that can be read, got 4"):
        PromptRunner(loaded.model, (1, 2)).read([(1, 2)], PoolSpec(4))


def test_a_prompt_without_a_token_to_average_over(loaded: Loaded) -> None:
    with pytest.raises(ModelError, match="a prompt of 2 tokens has none after the first 2"):
        PromptRunner(loaded.model, (1, 2)).read([(1, 2), (1, 2, 3)], PoolSpec(1, 2))


def test_p_of_yes_is_the_softmax_of_two_answers() -> None:
    logits = np.array([[0.0, 0.0], [np.log(3.0), 0.0], [-1e9, 1e9]])
    np.testing.assert_allclose(sigmoid(logits[:, 0] - logits[:, 1]), [0.5, 0.75, 0.0], atol=1e-12)


def test_scores_keep_the_order_and_do_not_depend_on_company(tiny_base: Base, tiny_settings: RunSettings) -> None:
    scorer = load_scorer(tiny_base, None, tiny_settings)
    scores = scorer.score(OUTFITS)
    assert scores.shape == (5,)
    assert scores[0] == pytest.approx(scores[4], abs=1e-9)
    alone = np.array([scorer.score([outfit])[0] for outfit in OUTFITS])
    np.testing.assert_allclose(scores, alone, atol=1e-4)
    assert scorer.score([]).shape == (0,)


def test_an_item_without_text_and_a_lone_item(loaded: Loaded) -> None:
    scorer = LanguageModelScorer("x", loaded.model, PromptRenderer(loaded.tokenizer, 128))
    with pytest.raises(ModelError, match="item '77' has no text; describe it first"):
        scorer.score([[ITEMS[0], Item("77", "red shirt", "top")]])
    with pytest.raises(PromptError, match="got 1"):
        scorer.score([ITEMS[:1]])


@pytest.mark.slow
def test_a_saved_adapter_scores_and_only_on_its_own_base(
    tmp_path: Path, tiny_base: Base, tiny_settings: RunSettings
) -> None:
    adapter = finetune(epoch, epoch(99), tiny_settings, tmp_path).adapter
    tuned = load_scorer(tiny_base, adapter, tiny_settings)
    plain = load_scorer(tiny_base, None, tiny_settings)
    assert np.abs(tuned.score(OUTFITS) - plain.score(OUTFITS)).max() > 0.01
    other = Base("another", tiny_base.folder, "0" * 64)
    with pytest.raises(ModelError, match=r"trained on the base .*not on 'another' \(000000000000\)"):
        load_scorer(other, adapter, tiny_settings)
    write_json(adapter / "coordi.json", [])
    with pytest.raises(ModelError, match="doesn't name its base model"):
        load_scorer(tiny_base, adapter, tiny_settings)
    with pytest.raises(ModelError, match=r"has no adapter_model\.safetensors"):
        load_scorer(tiny_base, tmp_path, tiny_settings)


def test_a_model_of_broken_numbers_is_told(loaded: Loaded) -> None:
    import torch

    renderer = PromptRenderer(loaded.tokenizer, 128)
    prompt = renderer.render(compatibility_instruction(["red bag", "coat"])).prompt_ids
    with torch.no_grad():
        loaded.model.get_parameter("model.norm.weight").fill_(float("nan"))
    with pytest.raises(ModelError, match="isn't a finite number"):
        PromptRunner(loaded.model, answer_tokens(renderer)).logits([prompt])


def test_naming_gives_one_line_whatever_shares_the_batch(loaded: Loaded) -> None:
    scorer = LanguageModelScorer("x", loaded.model, PromptRenderer(loaded.tokenizer, 128))
    recommender = ComplementRecommender(EdgeEncoder.bundled(), load_vocabulary("fashion"))
    writer = ComplementWriter(scorer, recommender, max_tokens=8)
    shorts = [
        NameRequest(tuple(items_of(f"{colour} {kind}")), "shoes") for colour, kind in zip(COLOURS, KINDS, strict=False)
    ]
    long = NameRequest(tuple(items_of("red skirt", "white shirt", "black boots", "navy coat")), "bag")
    single = [writer.write([request])[0] for request in shorts]
    together = writer.write([long, *shorts])[1:]
    assert [(row.prompt, row.text) for row in together] == [(row.prompt, row.text) for row in single]
    assert len({row.text for row in single}) > 1
    assert all(row.text and "\n" not in row.text for row in single)
    alone = single[0]
    assert alone.prompt.count(f"- {COLOURS[0]} {KINDS[0]}\nWanted: shoes") == 1
    assert [label.text for label in alone.recommended] != []
    assert alone.query.shape == (EdgeEncoder.bundled().dimension,)


def test_a_base_models_own_penalty_changes_no_name(loaded: Loaded) -> None:
    scorer = LanguageModelScorer("x", loaded.model, PromptRenderer(loaded.tokenizer, 128))
    writer = ComplementWriter(scorer, ComplementRecommender(EdgeEncoder.bundled(), load_vocabulary("fashion")), 8)
    requests = [NameRequest((item,), "shoes") for item in ITEMS[:4]]
    names = [row.text for row in writer.write(requests)]
    model: Any = loaded.model
    model.generation_config.repetition_penalty = 1000.0
    assert [row.text for row in writer.write(requests)] == names


def test_the_prompt_of_a_name_is_the_one_that_was_read(loaded: Loaded) -> None:
    renderer = PromptRenderer(loaded.tokenizer, 128)
    scorer = LanguageModelScorer("x", loaded.model, renderer)
    writer = ComplementWriter(scorer, ComplementRecommender(EdgeEncoder.bundled(), load_vocabulary("fashion")), 8)
    (row,) = writer.write([NameRequest(tuple(items_of("red skirt " * 90)), "shoes")])
    tokens = loaded.tokenizer(row.prompt, add_special_tokens=False)["input_ids"]
    assert 100 < len(tokens) < 120
    assert row.prompt.count("red skirt") > 1


def test_a_full_gpu_says_what_to_set_while_a_name_is_written(loaded: Loaded, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    def fail(**options: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    scorer = LanguageModelScorer("x", loaded.model, PromptRenderer(loaded.tokenizer, 128))
    writer = ComplementWriter(scorer, ComplementRecommender(EdgeEncoder.bundled(), load_vocabulary("fashion")), 8)
    monkeypatch.setattr(loaded.model, "generate", fail)
    with pytest.raises(ModelError, match=r"CUDA out of memory; .*model\.quantization=nf4"):
        writer.write([NameRequest((ITEMS[0],), "shoes")])
