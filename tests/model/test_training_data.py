from __future__ import annotations

from collections.abc import Sequence

import pytest
import torch

from coordi.config import FinetuneSettings, RunSettings
from coordi.errors import TrainingError
from coordi.model.base import Base
from coordi.model.engines import PeftEngine, load_tokenizer
from coordi.model.heads import IGNORED, AnswerHead, GroupHead, draw_training_data
from coordi.prompts import NO, YES, Instruction, compatibility_instruction, complement_instruction

from .conftest import epoch

SETTINGS = FinetuneSettings(epochs=2.0, batch_size=8, micro_batch_size=4)


@pytest.fixture
def head(tiny_base: Base) -> AnswerHead:
    return AnswerHead(load_tokenizer(tiny_base), 128)


def test_every_example_keeps_its_label_on_the_answer_alone(head: AnswerHead) -> None:
    data = draw_training_data(epoch, head, SETTINGS)
    assert len(data.examples) == data.steps * 8 == 96
    batch = head.batch(data.examples)
    answers = []
    for example, labels, mask in zip(data.examples, batch["labels"], batch["attention_mask"], strict=True):
        length = len(example.texts[0])
        assert mask.tolist() == [1] * length + [0] * (len(mask) - length)
        learned = [label for label in labels.tolist() if label != IGNORED]
        assert labels[length - len(learned) : length].tolist() == learned
        assert list(example.texts[0][-len(learned) :]) == learned
        answers.append(head.renderer.tokenizer.decode(learned))
    assert sorted(set(answers)) == ["no", "yes"]
    assert answers.count("yes") == 48


def test_answers_survive_a_length_that_cuts_prompts(head: AnswerHead) -> None:
    full = draw_training_data(epoch, head, SETTINGS)
    longest = max(example.tokens for example in full.examples) - 5
    short = draw_training_data(epoch, AnswerHead(head.renderer.tokenizer, longest), SETTINGS)
    assert max(example.tokens for example in short.examples) <= longest
    assert {example.answer_length for example in short.examples} == {1}
    ends = {example.texts[0][-1] for example in full.examples}
    assert {example.texts[0][-1] for example in short.examples} == ends


def test_each_epoch_is_drawn_anew_and_order_is_the_same_between_steps(head: AnswerHead) -> None:
    drawn: list[int] = []

    def draw(number: int) -> Sequence[Instruction]:
        drawn.append(number)
        return epoch(number)

    data = draw_training_data(draw, head, SETTINGS)
    assert drawn == [0, 1]
    first = sorted(head.prompt(instruction) for instruction in epoch(0)[:8])
    assert sorted(row.texts[0][: -row.answer_length] for row in data.step(1)) == first
    lengths = [example.tokens for example in data.step(1)]
    assert lengths == sorted(lengths)


def test_max_steps_ends_early(head: AnswerHead) -> None:
    assert draw_training_data(epoch, head, SETTINGS.model_copy(update={"max_steps": 3})).steps == 3


def test_nothing_to_learn_from(head: AnswerHead) -> None:
    with pytest.raises(TrainingError, match="0 examples"):
        draw_training_data(lambda number: [], head, SETTINGS)
    with pytest.raises(TrainingError, match="has no answer"):
        draw_training_data(lambda number: [compatibility_instruction(["a", "b"])], head, SETTINGS)
    with pytest.raises(TrainingError, match="all 2 training examples have the answer 'yes'"):
        draw_training_data(lambda number: [compatibility_instruction(["a", "b"], True)] * 2, head, SETTINGS)


def test_an_outfit_without_negatives_is_no_group(head: AnswerHead) -> None:
    groups = GroupHead(head.renderer.tokenizer, 128)
    yes, no = (compatibility_instruction(["red skirt", "red bag"], answer) for answer in (True, False))
    assert (yes.answer, no.answer) == (YES, NO)
    data = draw_training_data(lambda _: (yes, yes, no), groups, FinetuneSettings(batch_size=8, epochs=8))
    assert [len(example.texts) for example in data.examples] == [2] * 8
    with pytest.raises(TrainingError, match="gives 0 outfits with a negative"):
        draw_training_data(lambda _: (yes, yes), groups, FinetuneSettings())


def test_a_long_name_weighs_as_much_as_a_yes(head: AnswerHead, tiny_base: Base, tiny_settings: RunSettings) -> None:
    """The loss of a batch is the sum of each example's mean over its answer's tokens."""
    loaded = PeftEngine().for_scoring(tiny_base, None, tiny_settings.model)
    network = head.network(loaded.model)
    name = complement_instruction(["red skirt"], "shoes", "black boots and white sandals")
    examples = [head.encode((row,)) for row in (compatibility_instruction(["red skirt", "boots"], True), name)]
    assert [example.answer_length > 2 for example in examples] == [False, True]
    with torch.no_grad():
        both = float(network(**head.batch(examples)))
        alone = [float(network(**head.batch([example]))) for example in examples]
        logits = loaded.model(torch.tensor([examples[1].texts[0]])).logits[0]
    targets = torch.tensor(examples[1].texts[0][-examples[1].answer_length :])
    rows = logits[-examples[1].answer_length - 1 : -1]
    assert alone[1] == pytest.approx(float(torch.nn.functional.cross_entropy(rows, targets)), abs=1e-4)
    assert both == pytest.approx(sum(alone), abs=1e-4)
