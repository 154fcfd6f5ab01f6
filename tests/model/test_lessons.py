from __future__ import annotations

from collections.abc import Sequence

import pytest

from coordi.config import FinetuneSettings
from coordi.errors import TrainingError
from coordi.model.base import Base
from coordi.model.engines import load_tokenizer
from coordi.model.training import IGNORED, EncodedExamples, encode_examples
from coordi.prompts import Instruction, PromptRenderer, compatibility_instruction

from .conftest import epoch

SETTINGS = FinetuneSettings(epochs=2.0, batch_size=8, micro_batch_size=4)


@pytest.fixture
def renderer(tiny_base: Base) -> PromptRenderer:
    return PromptRenderer(load_tokenizer(tiny_base), 128)


def test_every_example_keeps_its_label_on_the_answer_alone(renderer: PromptRenderer) -> None:
    lessons = encode_examples(epoch, renderer, SETTINGS)
    assert len(lessons.labels) == lessons.steps * 8 == 96
    answers = []
    for ids, labels in zip(lessons.input_ids, lessons.labels, strict=True):
        said = [label for label in labels if label != IGNORED]
        assert ids[-len(said) :] == said
        assert len(labels) == len(ids)
        answers.append(renderer.tokenizer.decode(said))
    assert sorted(set(answers)) == ["no", "yes"]
    assert answers.count("yes") == 48


def test_answers_survive_a_length_that_cuts_prompts(renderer: PromptRenderer, tiny_base: Base) -> None:
    whole = encode_examples(epoch, renderer, SETTINGS)
    most = max(map(len, whole.input_ids)) - 5
    short = encode_examples(epoch, PromptRenderer(renderer.tokenizer, most), SETTINGS)
    assert max(map(len, short.input_ids)) <= most
    said = [[label for label in labels if label != IGNORED] for labels in short.labels]
    assert all(len(answer) == 1 for answer in said)


def test_each_epoch_is_drawn_anew_and_order_is_kept_between_steps(renderer: PromptRenderer) -> None:
    asked: list[int] = []

    def draw(number: int) -> Sequence[Instruction]:
        asked.append(number)
        return epoch(number)

    lessons = encode_examples(draw, renderer, SETTINGS)
    assert asked == [0, 1]
    first = sorted([*renderer.render(one).prompt_ids] for one in epoch(0)[:8])
    assert sorted(ids[: len(ids) - labels_of(labels)] for ids, labels in pairs(lessons)[:8]) == first
    lengths = [len(ids) for ids in lessons.input_ids[:8]]
    assert lengths == sorted(lengths)


def labels_of(labels: list[int]) -> int:
    return sum(label != IGNORED for label in labels)


def pairs(lessons: EncodedExamples) -> list[tuple[list[int], list[int]]]:
    return list(zip(lessons.input_ids, lessons.labels, strict=True))


def test_max_steps_ends_early(renderer: PromptRenderer) -> None:
    assert encode_examples(epoch, renderer, SETTINGS.model_copy(update={"max_steps": 3})).steps == 3


def test_nothing_to_learn_from(renderer: PromptRenderer) -> None:
    with pytest.raises(TrainingError, match="0 examples"):
        encode_examples(lambda number: [], renderer, SETTINGS)
    with pytest.raises(TrainingError, match="has no answer"):
        encode_examples(lambda number: [compatibility_instruction(["a", "b"])], renderer, SETTINGS)
