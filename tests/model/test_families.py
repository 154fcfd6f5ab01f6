"""Every family that a preset names, at toy size and with its published chat template: asked, taught, scored."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from coordi.config import RunSettings
from coordi.encoders.complements import ComplementRecommender
from coordi.encoders.edge import EdgeEncoder
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ModelError
from coordi.model.base import Base, resolve_base
from coordi.model.engines import PeftEngine, load_tokenizer
from coordi.model.generation import ComplementWriter, NameRequest
from coordi.model.prefix_cache import PoolSpec, PromptRunner, attention_window, backbone_and_head, check_logits
from coordi.model.scoring import LanguageModelScorer, load_answers, load_scorer
from coordi.model.training import finetune
from coordi.prompts import PromptRenderer, answer_tokens, compatibility_instruction, complement_instruction

from .conftest import COLOURS, KINDS, epoch, items_of
from .families import FAMILIES, Family, write_family

WORDS = ("Do these clothes go together? Answer yes or no.\n- ", *COLOURS, *KINDS)
QUESTION = compatibility_instruction(["red skirt", "boots"], True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    created: dict[str, Path] = {}

    def folder(name: str) -> Path:
        if name not in created:
            created[name] = tmp_path_factory.mktemp(name)
            write_family(FAMILIES[name], created[name], WORDS)
        return created[name]

    return folder


@pytest.fixture(params=list(FAMILIES))
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def family(name: str) -> Family:
    return FAMILIES[name]


@pytest.fixture
def settings(name: str, folders: Callable[[str], Path]) -> RunSettings:
    return RunSettings.model_validate(
        {
            "model": {"base": str(folders(name)), "engine": "peft", "arithmetic": "float32", "quantization": "none"},
            "prompt": {"max_length": 256},
            "finetune": {
                "max_steps": 3, "batch_size": 8, "micro_batch_size": 4, "learning_rate": 1e-3, "evaluations": 1,
                "lora_rank": 4, "warmup_ratio": 0.0, "optimizer": "adamw",
            },
        }
    )  # fmt: skip


@pytest.fixture
def base(settings: RunSettings) -> Base:
    return resolve_base(settings.model)


@pytest.fixture
def renderer(base: Base, settings: RunSettings) -> PromptRenderer:
    return PromptRenderer(load_tokenizer(base), settings.prompt.max_length)


def test_a_prompt_is_what_the_family_was_taught(family: Family, renderer: PromptRenderer) -> None:
    before = family.before.format(question=QUESTION.question)
    assert renderer.text(QUESTION) == f"{before}- red skirt\n- boots{family.after}"


def test_an_answer_is_written_as_the_template_writes_it(family: Family, renderer: PromptRenderer) -> None:
    rendered = renderer.render(QUESTION)
    tokenizer: Any = renderer.tokenizer
    assert tokenizer.decode(rendered.answer_ids) == f"{family.gap}yes{family.end}"
    assert len(rendered.answer_ids) == 2  # the word and the end of the turn
    questions: Any = [{"role": "user", "content": f"{QUESTION.question}\n{QUESTION.body()}"}]
    expected = [*questions, {"role": "assistant", "content": "yes"}]
    options = {"tokenize": False, "enable_thinking": False, "date_string": "26 Jul 2024"}
    if "system\n<|im_end|>" not in family.before:  # there an empty one stands for the template's own
        full = tokenizer.apply_chat_template(expected, **options)
        assert full.startswith(f"{renderer.text(QUESTION)}{family.gap}yes{family.end}")


def test_a_prompt_begins_with_one_first_token_and_no_second(family: Family, renderer: PromptRenderer) -> None:
    ids = renderer.render(QUESTION).prompt_ids
    first = renderer.tokenizer.bos_token_id
    assert ids.count(first) == (0 if first is None else 1)


def test_a_prompt_is_the_same_every_day(renderer: PromptRenderer, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers.utils import chat_template_utils

    class Tomorrow(chat_template_utils.datetime):  # type: ignore[name-defined,misc]
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return cls(2031, 1, 2)

    today = renderer.text(QUESTION)
    monkeypatch.setattr(chat_template_utils, "datetime", Tomorrow)
    chat_template_utils._compile_jinja_template.cache_clear()
    assert PromptRenderer(renderer.tokenizer, 256).text(QUESTION) == today


def plainly(base: Base, prompts: list[tuple[int, ...]], answers: tuple[int, ...], layer: int) -> Any:
    """Logits and states by the model's own forward pass in float32, with its own attention, a prompt at a time."""
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, attn_implementation="eager")
    network.eval()
    logits, states = [], []
    for prompt in prompts:
        with torch.no_grad():
            out = network(input_ids=torch.tensor([list(prompt)]), output_hidden_states=True)
        logits.append(out.logits[0, -1, list(answers)].numpy())
        states.append(out.hidden_states[layer][0, 5:].mean(dim=0).numpy())
    return np.array(logits), np.array(states)


@pytest.mark.parametrize("items", [3, 14], ids=["short", "longer than the window"])
@pytest.mark.slow
def test_batched_reading_gives_what_the_model_itself_says(
    items: int, base: Base, settings: RunSettings, renderer: PromptRenderer
) -> None:
    loaded = PeftEngine().for_scoring(base, None, settings.model)
    rng = np.random.default_rng(3)
    texts = sorted(f"{colour} {kind}" for colour in COLOURS for kind in KINDS)
    outfit = [texts[int(number)] for number in rng.permutation(len(texts))[:items]]
    # Two outfits of different lengths with candidates, which are read on from what each begins with.
    questions = [[*begun, entry, texts[-1]] for begun in (outfit, outfit[::-2]) for entry in texts[:6]]
    prompts = [renderer.render(compatibility_instruction(entry)).prompt_ids for entry in questions]
    answers = answer_tokens(renderer)
    read = PromptRunner(loaded.model, answers).read(prompts, PoolSpec(2, 5))
    logits, states = plainly(base, prompts, answers, 2)
    np.testing.assert_allclose(read.logits, logits, atol=1e-3)
    np.testing.assert_allclose(read.states, states, atol=1e-3)
    if items > 3 and (window := attention_window(backbone_and_head(loaded.model)[0].config)) is not None:
        assert max(map(len, prompts)) > window


@pytest.mark.parametrize("quantization", ["none", "nf4"])
@pytest.mark.slow
def test_the_word_is_taught_and_scored(
    tmp_path: Path, quantization: str, base: Base, settings: RunSettings, renderer: PromptRenderer
) -> None:
    model = settings.model.model_copy(update={"quantization": quantization})
    settings = settings.model_copy(update={"model": model})
    first = answer_tokens(renderer)
    result = finetune(epoch, epoch(99), settings, tmp_path)
    outfits = [items_of("red skirt", "navy boots"), items_of("pink skirt", "navy boots", "green coat")]
    scorer = load_scorer(base, result.adapter, settings)
    scores = scorer.score(outfits)
    assert np.isfinite(scores).all()
    assert not np.allclose(scores, load_answers(base, None, settings).score(outfits), atol=1e-4)
    if quantization == "none":
        # The first loss is the model's own: what the trainer reads is what the model says, soft-capping and all.
        entry = settings.model_copy(
            update={"finetune": settings.finetune.model_copy(update={"max_steps": 1, "micro_batch_size": 8})}
        )
        expected = finetune(epoch, epoch(99), entry, tmp_path / "one").curve[0].train_loss
        assert expected == pytest.approx(_own_loss(base, renderer, first), abs=2e-3)


def _own_loss(base: Base, renderer: PromptRenderer, answers: tuple[int, ...]) -> float:
    from transformers import AutoModelForCausalLM

    network: Any = AutoModelForCausalLM.from_pretrained(base.folder, dtype=torch.float32, attn_implementation="eager")
    network.eval()
    losses = []
    for lesson in epoch(0)[:8]:
        with torch.no_grad():
            logits = network(input_ids=torch.tensor([list(renderer.render(lesson).prompt_ids)])).logits[0, -1]
        target = answers[("yes", "no").index(str(lesson.answer))]
        losses.append(-float(logits.log_softmax(-1)[target]))
    return float(np.mean(losses))


@pytest.mark.slow
def test_the_pooled_head_is_taught_and_scored(tmp_path: Path, base: Base, settings: RunSettings) -> None:
    changes = {"head": "pooled", "last_layer": 3, "max_steps": 2, "batch_size": 4, "gradient_checkpointing": True}
    settings = settings.model_copy(update={"finetune": settings.finetune.model_copy(update=changes)})
    examples = [
        compatibility_instruction(["red skirt", kind], fits)
        for kind in ("red bag", "red coat")
        for fits in (True, False)
    ]
    result = finetune(lambda _: examples, epoch(99), settings, tmp_path)
    scores = load_scorer(base, result.adapter, settings).score([items_of("red skirt", "red bag")])
    assert np.isfinite(scores).all()


def test_a_name_ends_where_the_family_ends_its_turn(base: Base, settings: RunSettings, family: Family) -> None:
    loaded = PeftEngine().for_scoring(base, None, settings.model)
    renderer = PromptRenderer(loaded.tokenizer, 256)
    ends: Any = loaded.tokenizer.convert_ids_to_tokens(list(renderer.end_ids()))
    assert ends[0] == family.end
    assert family.eos in ends
    answer = renderer.render(complement_instruction(["red skirt"], "shoes", "black boots")).answer_ids
    assert answer[-1] == renderer.end_ids()[0]
    recommender = ComplementRecommender(EdgeEncoder.bundled(), load_vocabulary("fashion"))
    writer = ComplementWriter(LanguageModelScorer("x", loaded.model, renderer), recommender, max_tokens=4)
    requests = [NameRequest(tuple(items_of("red skirt")), "shoes"), NameRequest(tuple(items_of("boots", "bag")), "top")]
    written = writer.write(requests)
    assert [writer.write([request])[0].text for request in requests] == [row.text for row in written]


def test_a_kind_that_makes_its_logits_in_another_way_is_refused() -> None:
    import transformers

    llama: Any = transformers.LlamaForCausalLM

    class Strange(llama):  # type: ignore[misc]
        def forward(self, *args: Any, **kwargs: Any) -> Any:
            out = super().forward(*args, **kwargs)
            out.logits = out.logits * 3
            return out

    config = transformers.LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1, num_attention_heads=2
    )
    strange: Any = Strange(config)
    plain: Any = llama(config)
    check_logits(strange, "odd")  # a kind that is known isn't asked
    config.model_type = "strange"  # type: ignore[misc]
    check_logits(plain, "odd")
    with pytest.raises(ModelError, match=r"'odd' is of type 'strange', which computes its logits in a way.*gemma2"):
        check_logits(strange, "odd")
