"""Fine-tunes a LoRA adapter, tracks the validation split and keeps the best adapter."""

from __future__ import annotations

import hashlib
import json
import math
import random
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError

from coordi.artifacts import Progress, clear_write_errors, hash_file, no_progress, read_json, write_json
from coordi.config import FinetuneSettings, RunSettings
from coordi.errors import ModelError, TrainingError, require
from coordi.model.base import Base, check_base, quiet_libraries, resolve_base
from coordi.model.checkpoints import Checkpoint, Checkpoints, Interruption, copy_files
from coordi.model.engines import Loaded, choose_engine, compute_dtype, engine_for_head, load_tokenizer
from coordi.model.prefix_cache import (
    PoolSpec,
    PromptRunner,
    apply_logit_scaling,
    backbone_and_head,
    check_logits,
    probability_of_yes,
)
from coordi.model.scoring import EPSILON, HEAD, ORIGIN, PooledHead, check_origin, fit_platt_line, sigmoid
from coordi.prompts import NO, YES, Instruction, ListRenderer, PromptRenderer, answer_tokens

WEIGHTS = "adapter_model.safetensors"
_INSIDE = ("", "adapter", "finetune/adapter")  # of an adapter's folder, what coordi finetune and coordi run make


def starting_adapter(named: str) -> Path:
    """The adapter's folder that ``finetune.start_from`` names: it, or the run's that it is in.

    Raises:
        ModelError: If there is none.
    """
    for inside in _INSIDE:
        folder = Path(named) / inside
        if (folder / WEIGHTS).is_file():
            return folder
    raise ModelError(
        f"finetune.start_from is '{named}', where no adapter is; give an adapter's folder, or one that coordi run or "
        "coordi finetune made"
    )


def check_start(settings: FinetuneSettings, base: Base) -> str | None:
    """Whether fine-tuning can go on from the adapter that the settings name; gives the hash of its weights, or None.

    Raises:
        ModelError: If there is none, it was made on another base, has a pooled head, or has other LoRA settings.
    """
    if settings.start_from is None:
        return None
    folder = starting_adapter(settings.start_from)
    check_origin(folder, base)
    if (folder / HEAD).is_file():
        raise ModelError(
            f"the adapter '{folder}' has a pooled head and was never taught to answer in words; start from one that "
            "was made with finetune.head=answer"
        )
    config = read_json(folder / "adapter_config.json")
    layers = config.get("layers_to_transform")
    made = {
        "lora_rank": config.get("r"),
        "lora_alpha": config.get("lora_alpha"),
        "target_modules": tuple(sorted(config.get("target_modules") or ())),
        "first_layer": min(layers) if isinstance(layers, list) and layers else 0,
    }
    for name, value in made.items():
        wanted = getattr(settings, name)
        if value != (tuple(sorted(wanted)) if isinstance(wanted, tuple) else wanted):
            raise ModelError(
                f"the adapter '{folder}' was made with finetune.{name}={value}, the settings say {wanted}; set "
                f"finetune.{name} as it was"
            )
    return hash_file(folder / WEIGHTS)


def take_up(model: Any, settings: FinetuneSettings) -> None:
    """Give a new adapter the weights of the one that the settings name, if they name one.

    Raises:
        ModelError: If they don't fit.
    """
    if settings.start_from is None:
        return
    peft = require("peft", "train")
    load_file = require("safetensors.torch", "train").load_file
    folder = starting_adapter(settings.start_from)
    try:
        result = peft.set_peft_model_state_dict(model, load_file(str(folder / WEIGHTS)))
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"the adapter '{folder}' can't be taken up: {str(error).splitlines()[0]}") from error
    missing = [name for name in result.missing_keys if "lora_" in name]
    if result.unexpected_keys or missing:
        strange = (result.unexpected_keys or missing)[0]
        raise ModelError(f"the adapter '{folder}' doesn't fit the base model: '{strange}' has no counterpart")


# What every error says that ends a training whose numbers have run away.
GIVE_UP = (
    "the best adapter and the last checkpoint so far are kept, but going on from there would end the same way: begin "
    "another run, with another --out, and set a lower finetune.learning_rate"
)


class Steps(Protocol):
    """What is done between optimizer steps."""

    def started(self) -> None:
        """Training begins now."""
        ...

    def after_step(self, step: int, mean_loss: Callable[[], float]) -> None:
        """A step was taken; ``mean_loss`` gives and forgets the mean loss since it was last called."""
        ...


def new_trainer(
    loaded: Loaded, lessons: EncodedExamples, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
) -> Any:
    """A trainer that sees the lessons once, in their order; call ``train`` on it."""
    datasets = require("datasets", "train")
    trl = require("trl", "train")
    require("accelerate", "train")
    dataset = datasets.Dataset.from_dict({"input_ids": lessons.input_ids, "labels": lessons.labels})
    trainer = _answer_trainer(trl.SFTTrainer)(
        model=loaded.model,
        args=trl.SFTConfig(**_arguments(settings, lessons, seed, folder)),
        train_dataset=dataset,
        processing_class=loaded.tokenizer,
    )
    for weight in trainer.model.parameters():
        if weight.requires_grad:
            # trl turns the adapter of a 4-bit model into bfloat16, whose eight bits lose most of a small step.
            weight.data = weight.data.float()
    return without_printing(trainer, steps)


def without_printing(trainer: Any, steps: Steps) -> Any:
    """A trainer that hands its events on instead of printing them; it needs a ``mean_loss``."""
    transformers = require("transformers", "train")
    trainer.remove_callback(transformers.trainer_callback.PrinterCallback)
    trainer.remove_callback(transformers.trainer_callback.ProgressCallback)
    trainer.add_callback(_between_steps(transformers.TrainerCallback, trainer, steps))
    return trainer


def diverged(which: str, loss: float, step: int) -> TrainingError:
    """The error for a loss that is no number."""
    return TrainingError(f"the {which} loss is {loss} at step {step}; {GIVE_UP}")


def quiet_arguments(settings: FinetuneSettings, steps: int, seed: int, folder: Path) -> dict[str, Any]:
    """What any of transformers' trainers is told: the settings, and to write, measure and print nothing by itself."""
    torch = require("torch", "train")
    gpu = bool(torch.cuda.is_available())
    return {
        "output_dir": str(folder),
        "seed": seed,
        "max_steps": steps,
        "per_device_train_batch_size": settings.micro_batch_size,
        "gradient_accumulation_steps": settings.batch_size // settings.micro_batch_size,
        "learning_rate": settings.learning_rate,
        "weight_decay": settings.weight_decay,
        "optim": "adamw_8bit" if settings.optimizer == "adamw_8bit" else "adamw_torch",
        "lr_scheduler_type": "constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        "warmup_steps": round(settings.warmup_ratio * steps),
        "use_cpu": not gpu,
        "remove_unused_columns": False,
        "save_strategy": "no",
        "eval_strategy": "no",
        "logging_strategy": "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": gpu,
    }


def _arguments(settings: FinetuneSettings, lessons: EncodedExamples, seed: int, folder: Path) -> dict[str, Any]:
    torch = require("torch", "train")
    gpu = bool(torch.cuda.is_available())
    bf16 = gpu and bool(torch.cuda.is_bf16_supported())
    return quiet_arguments(settings, lessons.steps, seed, folder) | {
        # trl turns this on unless told otherwise, at a third more time.
        "gradient_checkpointing": settings.gradient_checkpointing,
        "bf16": bf16,
        "fp16": gpu and not bf16,
        # Examples come as tokens with their labels, made to fit by the prompt's own rule: trl's cut would take the
        # answer, which stands at the end.
        "dataset_kwargs": {"skip_prepare_dataset": True},
        "max_length": None,
        # Few different lengths: memory that was freed at one length is of use at the next (measured: dev/LOG.md).
        "pad_to_multiple_of": 32,
        "loss_type": "nll",
    }


def padded(texts: Sequence[Sequence[int]], multiple: int) -> dict[str, Any]:
    """Token ids, right-padded with zeros, and the attention mask, both ``(N, T)``; T is a multiple of a number.

    Few different lengths: memory that was freed at one length is of use at the next (measured: dev/LOG.md).
    """
    torch = require("torch", "train")
    width = -(-max(map(len, texts)) // multiple) * multiple
    ids = torch.zeros((len(texts), width), dtype=torch.long)
    mask = torch.zeros((len(texts), width), dtype=torch.long)
    for row, text in enumerate(texts):
        ids[row, : len(text)] = torch.tensor(text)
        mask[row, : len(text)] = 1
    return {"input_ids": ids, "attention_mask": mask}


class InOrder:
    """What coordi's trainers have in common, beside a parent of transformers: examples in order, and a mean loss."""

    state: Any
    train_dataset: Any
    _loss_sum = 0.0
    _losses = 0

    def count_loss(self, total: float, count: int) -> None:
        """Add a batch's loss, in sum over so many examples or tokens.

        Raises:
            TrainingError: If it isn't a finite number.
        """
        if not math.isfinite(total):
            raise diverged("training", total, self.state.global_step + 1)
        self._loss_sum += total
        self._losses += count

    def mean_loss(self) -> float:
        """Mean of what was counted since this was last called; nan if nothing was."""
        mean = self._loss_sum / self._losses if self._losses else math.nan
        self._loss_sum, self._losses = 0.0, 0
        return mean

    def _get_train_sampler(self, *args: Any, **kwargs: Any) -> Any:
        from torch.utils.data import SequentialSampler

        return SequentialSampler(self.train_dataset)


def _answer_trainer(parent: Any) -> Any:
    """A subclass of ``SFTTrainer``; made here because trl is imported late."""

    class AnswerTrainer(InOrder, parent):  # type: ignore[misc]
        """Computes the loss from the answer's positions, so that the head isn't run on whole prompts."""

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean negative log-likelihood per answer token of the whole batch."""
            import torch

            labels = inputs["labels"][:, 1:]  # (B, T - 1)
            model = self.accelerator.unwrap_model(model)
            backbone, head = backbone_and_head(model)
            states = backbone(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).last_hidden_state[:, :-1]  # (B, T - 1, H)
            answered = labels != IGNORED
            logits = apply_logit_scaling(model, head(states[answered]).float())  # (answer tokens, V)
            loss = torch.nn.functional.cross_entropy(logits, labels[answered], reduction="sum")
            count = labels[answered].numel()
            self.count_loss(loss.item(), count)
            mean = loss / (count if num_items_in_batch is None else num_items_in_batch)
            return (mean, {}) if return_outputs else mean

    return AnswerTrainer


def _between_steps(parent: Any, trainer: Any, steps: Steps) -> Any:
    class BetweenSteps(parent):  # type: ignore[misc]
        """Hands the trainer's events on."""

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            steps.started()

        def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            steps.after_step(state.global_step, trainer.mean_loss)

    return BetweenSteps()


IGNORED = -100  # PyTorch's label for a position without loss
# A word and the end of the turn. Such an answer is read from the word's position and never written out, and the end,
# learned within a few steps, would be half of the loss from then on.
_WORD_AND_END = 2
_Row = TypeVar("_Row")


@dataclass(frozen=True, slots=True)
class EncodedExamples:
    """Everything that is seen in training, in order.

    Attributes:
        input_ids: Prompt and answer of each example.
        labels: The answer's tokens at the answer's positions, ``IGNORED`` elsewhere; of an answer of one word, the word
            without the end of the turn.
        steps: Optimizer steps; there are ``steps * batch_size`` examples.
    """

    input_ids: list[list[int]]
    labels: list[list[int]]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all examples, to know again what an interrupted training had begun with."""
        return hashlib.sha256(repr((self.input_ids, self.labels)).encode()).hexdigest()

    def tokens(self, examples: int) -> int:
        """Tokens of the first so many examples."""
        return sum(map(len, self.input_ids[:examples]))


def encode_examples(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: PromptRenderer, settings: FinetuneSettings
) -> EncodedExamples:
    """Draw epochs until there is enough for every step.

    The examples of one step are sorted by length, so that micro-batches hold little padding; which examples share a
    step is left as drawn.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ...; each with its answer.
        renderer: With the model's tokenizer.
        settings: Epochs, the limit on steps, the batch size.

    Raises:
        TrainingError: If an epoch is empty, all answers are the same word, or an example has no answer.
        PromptError: If an example can't be shortened enough.
    """
    examples, steps = drawn_examples(examples_for_epoch, settings)
    encoded = [_encode(example, renderer) for example in examples]
    ordered = sorted_in_steps(encoded, settings.batch_size, lambda pair: len(pair[0]))
    return EncodedExamples([ids for ids, _ in ordered], [labels for _, labels in ordered], steps)


def sorted_in_steps(rows: Sequence[_Row], batch_size: int, length: Callable[[_Row], int]) -> list[_Row]:
    """The rows of each step by their length, so that micro-batches hold little padding; steps stay as they are."""
    return [
        row for start in range(0, len(rows), batch_size) for row in sorted(rows[start : start + batch_size], key=length)
    ]


def drawn_examples(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], settings: FinetuneSettings
) -> tuple[list[Instruction], int]:
    """Examples of as many epochs as all steps need, ``steps * batch_size`` of them, and the steps.

    Raises:
        TrainingError: If an epoch is empty, or all answers of the first one are the same word.
    """
    first = examples_for_epoch(0)
    if not first:
        raise TrainingError("there is nothing to train on: the training split gives 0 examples; see: coordi data info")
    answers = {example.answer for example in first}
    if len(first) > 1 and len(answers) == 1 and answers <= {YES, NO}:
        raise TrainingError(
            f"all {len(first)} training examples are answered '{answers.pop()}', so there is nothing to tell apart; "
            "see: coordi data info"
        )
    steps = max(1, round(settings.epochs * len(first) / settings.batch_size))
    steps = min(steps, settings.max_steps or steps)
    examples, epoch = list(first), 0
    while len(examples) < steps * settings.batch_size:
        epoch += 1
        drawn = examples_for_epoch(epoch)
        if not drawn:
            raise TrainingError(f"epoch {epoch} gives 0 examples, the first one gave {len(first)}")
        examples += drawn
    return examples[: steps * settings.batch_size], steps


def _encode(example: Instruction, renderer: PromptRenderer) -> tuple[list[int], list[int]]:
    rendered = renderer.render(example)
    if not rendered.answer_ids:
        raise TrainingError(f"a training example has no answer: '{example.question}' about {len(example.items)} items")
    answer = list(without_end(rendered.answer_ids))
    return [*rendered.prompt_ids, *answer], [IGNORED] * len(rendered.prompt_ids) + answer


def without_end(answer: Sequence[int]) -> tuple[int, ...]:
    """An answer's tokens as they are learned: one word without the end of the turn, several with it."""
    return tuple(answer[:1] if len(answer) == _WORD_AND_END else answer)


_WIDTHS = 16  # few different lengths: memory that was freed at one length is of use at the next
Spot = tuple[int, int]
Pick = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Preference:
    """A prompt with a right and a wrong answer.

    Two answers of one token each are told apart at one place: the prompt is then read once.

    Attributes:
        texts: What is read: the prompt, or the prompt with either answer but its last token.
        spots: Places that an answer's tokens are told at, as (number of the text, position).
        picks: Tokens of both answers, as (number of the spot, token, 1 for the right answer and -1 for the wrong one).
    """

    texts: tuple[tuple[int, ...], ...]
    spots: tuple[Spot, ...]
    picks: tuple[Pick, ...]


@dataclass(frozen=True, slots=True)
class EncodedPreferences:
    """Everything that is seen in training, in order.

    Attributes:
        pairs: Of each example its two answers.
        steps: Optimizer steps; there are ``steps * batch_size`` pairs.
    """

    pairs: list[Preference]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all pairs."""
        return hashlib.sha256(repr(self.pairs).encode()).hexdigest()

    def tokens(self, pairs: int) -> int:
        """Tokens of the first so many pairs, as they are read."""
        return sum(len(text) for pair in self.pairs[:pairs] for text in pair.texts)


def encode_preferences(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: PromptRenderer, settings: FinetuneSettings
) -> EncodedPreferences:
    """Draw epochs until there is enough for every step; see ``coordi.model.training.make_lessons``.

    Raises:
        TrainingError: If an epoch is empty, all answers are the same word, or an example lacks one of the answers.
        PromptError: If an example can't be shortened enough.
    """
    examples, steps = drawn_examples(examples_for_epoch, settings)
    pairs = [_pair(example, renderer) for example in examples]
    return EncodedPreferences(sorted_in_steps(pairs, settings.batch_size, lambda pair: len(pair.texts[0])), steps)


def _pair(example: Instruction, renderer: PromptRenderer) -> Preference:
    if example.answer is None or example.rejected is None:
        raise TrainingError(
            f"finetune.objective is dpo, but a training example has the right answer {example.answer!r} and the wrong "
            f"one {example.rejected!r}: '{example.question}' about {len(example.items)} items"
        )
    # The prompt is shortened for the longer answer, so that both stand after the same one.
    longer = max(example.answer, example.rejected, key=lambda word: len(renderer.answer_ids(word, ends=True)))
    prompt = renderer.render(_with_answer(example, longer)).prompt_ids
    right, wrong = (without_end(renderer.answer_ids(word, ends=True)) for word in (example.answer, example.rejected))
    last = len(prompt) - 1
    if len(right) == len(wrong) == 1:
        return Preference((prompt,), ((0, last),), ((0, right[0], 1), (0, wrong[0], -1)))
    texts = tuple((*prompt, *answer[:-1]) for answer in (right, wrong))
    spots = tuple(
        (number, last + place) for number, answer in enumerate((right, wrong)) for place in range(len(answer))
    )
    tokens = [(token, sign) for answer, sign in ((right, 1), (wrong, -1)) for token in answer]
    return Preference(texts, spots, tuple((spot, token, sign) for spot, (token, sign) in enumerate(tokens)))


def _with_answer(example: Instruction, answer: str) -> Instruction:
    return replace(example, answer=answer)


def preference_loss(margins: Any, reference: Any, beta: float) -> Any:
    """Mean of ``-log sigmoid(beta * (margin - reference))``, a scalar tensor.

    Args:
        margins: ``log P(right) - log P(wrong)`` of each pair by the model that learns, ``(N,)``.
        reference: The same by the model as training began, ``(N,)``.
        beta: How tightly the one is held to the other.

    References:
        Rafailov et al., Direct Preference Optimization: Your Language Model is Secretly a Reward Model, 2023, eq. 7.
    """
    return require("torch", "train").nn.functional.softplus(-beta * (margins - reference)).mean()


def margins(model: Any, batch: dict[str, Any]) -> Any:
    """``log P(right) - log P(wrong)`` of each pair of a batch, ``(N,)``; the head is run on the spots alone."""
    torch = require("torch", "train")
    backbone, head = backbone_and_head(model)
    states = backbone(
        input_ids=batch["input_ids"], attention_mask=batch["attention_mask"], use_cache=False
    ).last_hidden_state  # (R, T, H)
    at = states[batch["spot_rows"], batch["spot_places"]]  # (S, H)
    logs = apply_logit_scaling(model, head(at).float()).log_softmax(dim=-1)  # (S, V)
    picked = logs[batch["pick_spots"], batch["pick_tokens"]] * batch["pick_signs"]  # (K,)
    return torch.zeros(int(batch["pairs"]), device=picked.device).index_add(0, batch["pick_pairs"], picked)


def collate(pairs: Sequence[Preference]) -> dict[str, Any]:
    """Texts of all pairs one after the other, right-padded, and where in them both answers are told."""
    torch = require("torch", "train")
    texts: list[tuple[int, ...]] = []
    spots: list[Spot] = []
    picks: list[tuple[int, int, int, int]] = []
    for number, pair in enumerate(pairs):
        picks += [(len(spots) + spot, token, sign, number) for spot, token, sign in pair.picks]
        spots += [(len(texts) + text, place) for text, place in pair.spots]
        texts += pair.texts
    rows, places = torch.tensor(spots).T
    where, tokens, signs, whose = torch.tensor(picks).T
    return {
        **padded(texts, _WIDTHS), "spot_rows": rows, "spot_places": places, "pick_spots": where,
        "pick_tokens": tokens, "pick_signs": signs, "pick_pairs": whose, "pairs": torch.tensor(len(pairs)),
    }  # fmt: skip


def new_preference_trainer(
    loaded: Loaded, preferences: EncodedPreferences, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
) -> Any:
    """A trainer that sees the pairs once, in their order; call ``train`` on it.

    The reference is the model as it is handed over: an adapter that is new, or one that training goes on from.
    """
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    require("accelerate", "train")
    gpu = bool(torch.cuda.is_available())
    bf16 = gpu and bool(torch.cuda.is_bf16_supported())
    for weight in _trained(loaded.model):
        weight.data = weight.data.float()
    arguments = quiet_arguments(settings, preferences.steps, seed, folder) | {"bf16": bf16, "fp16": gpu and not bf16}
    trainer = _preference_trainer(transformers.Trainer)(
        model=loaded.model,
        args=transformers.TrainingArguments(**arguments),
        train_dataset=[{"pair": pair} for pair in preferences.pairs],
        data_collator=lambda rows: collate([row["pair"] for row in rows]),
    )
    trainer.model_accepts_loss_kwargs = False  # each micro-batch weighs the same, as all are of one size
    trainer.beta = settings.dpo_beta
    trainer.began = [weight.data.clone() for weight in _trained(loaded.model)]
    return without_printing(trainer, steps)


def _trained(model: Any) -> list[Any]:
    return [weight for weight in model.parameters() if weight.requires_grad]


@contextmanager
def as_it_began(model: Any, began: Sequence[Any]) -> Iterator[None]:
    """Give a model the trained weights that it began with, without dropout, and its own back."""
    weights = _trained(model)
    own = [weight.data for weight in weights]
    was_training = model.training
    model.eval()
    for weight, first in zip(weights, began, strict=True):
        weight.data = first
    try:
        yield
    finally:
        for weight, data in zip(weights, own, strict=True):
            weight.data = data
        model.train(was_training)


def _preference_trainer(parent: Any) -> Any:
    """A subclass of transformers' ``Trainer``; made here because it is imported late."""

    class PreferenceTrainer(InOrder, parent):  # type: ignore[misc]
        """Prefers right answers to wrong ones."""

        beta = 0.1
        began: Sequence[Any] = ()

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean over pairs; see ``preference_loss``."""
            import torch

            model = self.accelerator.unwrap_model(model)
            with torch.no_grad(), as_it_began(model, self.began):
                reference = margins(model, inputs)
            loss = preference_loss(margins(model, inputs), reference, self.beta)
            self.count_loss(loss.item(), 1)
            return (loss, {}) if return_outputs else loss

    return PreferenceTrainer


@dataclass(frozen=True, slots=True)
class EncodedGroups:
    """Everything that is seen in training, in order.

    Attributes:
        prompts: By group its prompts as tokens, the positive first.
        steps: Optimizer steps; there are ``steps * batch_size`` groups.
    """

    prompts: list[list[tuple[int, ...]]]
    steps: int

    def fingerprint(self) -> str:
        """Hash of all groups."""
        return hashlib.sha256(repr(self.prompts).encode()).hexdigest()

    def tokens(self, groups: int) -> int:
        """Tokens of the first so many groups."""
        return sum(len(prompt) for group in self.prompts[:groups] for prompt in group)


def encode_groups(
    examples_for_epoch: Callable[[int], Sequence[Instruction]], renderer: ListRenderer, settings: FinetuneSettings
) -> EncodedGroups:
    """Draw epochs until there is enough for every step.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ...; each positive is followed by its negatives.
        renderer: With the model's tokenizer.
        settings: Epochs, the limit on steps, the batch size.

    Raises:
        TrainingError: If an epoch holds no positive with a negative.
        PromptError: If an example can't be shortened enough.
    """
    groups = _groups(examples_for_epoch(0), renderer, 0)
    steps = max(1, round(settings.epochs * len(groups) / settings.batch_size))
    steps = min(steps, settings.max_steps or steps)
    epoch = 0
    while len(groups) < steps * settings.batch_size:
        epoch += 1
        groups += _groups(examples_for_epoch(epoch), renderer, epoch)
    return EncodedGroups(groups[: steps * settings.batch_size], steps)


def _groups(examples: Sequence[Instruction], renderer: ListRenderer, epoch: int) -> list[list[tuple[int, ...]]]:
    groups: list[list[tuple[int, ...]]] = []
    for example in examples:
        prompt = renderer.prompt(example)
        if example.answer == YES:
            groups.append([prompt])
        elif groups:
            groups[-1].append(prompt)
    groups = [group for group in groups if len(group) > 1]
    if not groups:
        raise TrainingError(
            f"there is nothing to train on: epoch {epoch} of the training split gives 0 outfits with a negative; see: "
            "coordi data info"
        )
    return groups


class PooledQuestions:
    """Validation questions for a model with a pooled head; see ``Watch``."""

    def __init__(self, renderer: ListRenderer, valid: Sequence[Instruction]) -> None:
        self._heard_from = renderer.before
        self._prompts = [renderer.prompt(instruction) for instruction in valid]
        self._truth = np.array([instruction.answer == YES for instruction in valid])
        self._logits = np.zeros(0)

    def ask(self, network: Any) -> NDArray[np.float64]:
        """P(yes) of each question by the head as it is, shape ``(N,)``."""
        head = network.head_now()
        reader = PromptRunner(network.model, ())
        with _fast():
            states = reader.read(self._prompts, PoolSpec(head.layer, self._heard_from), answer=False).states
        self._logits = head.logits(states)
        return sigmoid(self._logits)

    def save(self, network: Any, folder: Path) -> None:
        """Write the adapter and the head, with probabilities that fit the questions that were asked last."""
        network.model.save_pretrained(folder, save_embedding_layers=False)
        slope, offset = fit_platt_line(self._logits, self._truth)
        network.head_now(slope, offset).save(folder)


def _fast() -> Any:
    """Matrix products in bfloat16 where the hardware has it, as a context."""
    torch = require("torch", "train")
    kind = compute_dtype()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.autocast(device, kind, enabled=kind is torch.bfloat16)


def pooled_network(model: Any, skip: int) -> Any:
    """A model, cut off after its last trained layer, with a new head on it as one ``torch.nn.Module``.

    Args:
        model: A causal language model with an adapter.
        skip: Tokens at the beginning of each prompt that don't count.
    """
    torch = require("torch", "train")

    class PooledNetwork(torch.nn.Module):  # type: ignore[misc,name-defined]
        """Logits ``(N,)`` of prompts, right-padded to ``(N, T)``."""

        def __init__(self) -> None:
            super().__init__()
            self.model = model
            backbone, _ = backbone_and_head(model)
            self.layer = len(backbone.layers)
            backbone.norm = torch.nn.Identity()  # the head reads what leaves the last layer itself
            size = int(backbone.config.hidden_size)
            device = next(backbone.parameters()).device
            self.norm = torch.nn.LayerNorm(size, eps=EPSILON, device=device)
            self.unit = torch.nn.Linear(size, 1, device=device)
            torch.nn.init.zeros_(self.unit.weight)  # before anything is learned, all outfits are alike
            torch.nn.init.zeros_(self.unit.bias)

        def forward(self, input_ids: Any, attention_mask: Any) -> Any:
            backbone, _ = backbone_and_head(self.model)
            counted = attention_mask.clone()
            counted[:, :skip] = 0
            with _fast():
                states = backbone(
                    input_ids=input_ids, attention_mask=attention_mask, use_cache=False
                ).last_hidden_state  # (N, T, H)
            mean = (states.float() * counted[:, :, None]).sum(dim=1) / counted.sum(dim=1, keepdim=True)
            return self.unit(self.norm(mean))[:, 0]

        def head_now(self, slope: float = 1.0, offset: float = 0.0) -> PooledHead:
            """The head's numbers as they are."""
            gain, shift, weight, bias = (
                one.detach().float().cpu().numpy().copy()
                for one in (self.norm.weight, self.norm.bias, self.unit.weight[0], self.unit.bias)
            )
            return PooledHead(self.layer, gain, shift, weight, bias, slope, offset)

    return PooledNetwork()


def new_pooled_trainer(
    network: Any, groups: EncodedGroups, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
) -> Any:
    """A trainer that sees the groups once, in their order; call ``train`` on it."""
    transformers = require("transformers", "train")
    require("accelerate", "train")
    arguments = quiet_arguments(settings, groups.steps, seed, folder)
    trainer = _group_trainer(transformers.Trainer)(
        model=network,
        args=transformers.TrainingArguments(**arguments),
        train_dataset=[{"prompts": group} for group in groups.prompts],
        data_collator=_collate,
    )
    trainer.head_learning_rate = settings.head_learning_rate
    return without_printing(trainer, steps)


def _collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Prompts of all groups one after the other, padded to few different lengths, and how many each group has."""
    torch = require("torch", "train")
    prompts = [prompt for row in rows for prompt in row["prompts"]]
    return {**padded(prompts, _POOLED_TRAINING_WIDTHS), "sizes": torch.tensor([len(row["prompts"]) for row in rows])}


_POOLED_TRAINING_WIDTHS = 16


def _group_trainer(parent: Any) -> Any:
    """A subclass of transformers' ``Trainer``; made here because it is imported late."""

    class GroupTrainer(InOrder, parent):  # type: ignore[misc]
        """Tells outfits from their negatives, one by one and side by side."""

        head_learning_rate = 1e-3

        def compute_loss(
            self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None
        ) -> Any:
            """Mean over groups; see ``group_loss``."""
            logits = model(inputs["input_ids"], inputs["attention_mask"])
            loss = group_loss(logits, inputs["sizes"])
            self.count_loss(loss.item(), 1)
            return (loss, {}) if return_outputs else loss

        def create_optimizer(self, *args: Any, **kwargs: Any) -> Any:
            """The head learns at a rate of its own: it begins from nothing."""
            network = self.accelerator.unwrap_model(self.model)
            head = {id(one) for part in (network.norm, network.unit) for one in part.parameters()}
            trained = [one for one in network.parameters() if one.requires_grad]
            kind, options = self.get_optimizer_cls_and_kwargs(self.args, network)
            decay = {"weight_decay": self.args.weight_decay}
            groups = [
                {"params": [one for one in trained if id(one) not in head], **decay},
                {"params": [one for one in trained if id(one) in head], **decay, "lr": self.head_learning_rate},
            ]
            self.optimizer = kind(groups, **options)
            return self.optimizer

    return GroupTrainer


def group_loss(logits: Any, sizes: Any) -> Any:
    """How far outfits aren't told from their negatives: a mean over groups, as a scalar tensor.

    Each group adds the cross-entropy of its answers, the positive weighing as much as all its negatives, and the mean
    of ``-log sigmoid(positive - negative)`` over its negatives.

    Args:
        logits: ``(N,)``, group after group, the positive first.
        sizes: Logits of each group, ``(G,)``.

    References:
        Rendle et al., BPR: Bayesian Personalized Ranking from Implicit Feedback, 2009 (the second part).
    """
    softplus = require("torch", "train").nn.functional.softplus
    losses = []
    for group in logits.split(sizes.tolist()):
        yes, no = group[0], group[1:]
        answers = (softplus(-yes) + softplus(no).mean()) / 2
        losses.append(answers + softplus(no - yes).mean())
    return sum(losses) / len(losses)


_SHARE = 0.01  # of the time that checkpoints may take


class CheckpointTimer:
    """When the next checkpoint is due: after a while, and so that writing them takes a small share of the time."""

    def __init__(self, seconds: float) -> None:
        """Take the seconds between two; after every step if 0."""
        self._seconds = seconds
        self._last = time.monotonic()
        self._took = 0.0

    def has_come(self) -> bool:
        """Whether it is time."""
        return not self._seconds or time.monotonic() - self._last >= max(self._seconds, self._took / _SHARE)

    @contextmanager
    def taken(self) -> Iterator[None]:
        """Measure the writing of one."""
        began = time.monotonic()
        yield
        self._last = time.monotonic()
        self._took = self._last - began


def training_state(trainer: Any) -> dict[str, Any]:
    """What one of coordi's trainers has come to, between two steps: trained weights alone, never the base model."""
    scaler = trainer.accelerator.scaler
    return {
        "weights": dict(_training_state_trained(trainer)),
        "optimizer": trainer.optimizer.state_dict(),
        "scheduler": trainer.lr_scheduler.state_dict(),
        "scaler": scaler.state_dict() if scaler is not None else None,
        "losses": [trainer._loss_sum, trainer._losses],
        "random": _random_state(),
    }


def go_back(trainer: Any, state: Mapping[str, Any], step: int) -> None:
    """Make a new trainer go on from a state: its weights now, the rest when ``train`` is called.

    Args:
        trainer: A new one with the whole training's examples.
        state: From ``training_state``.
        step: Optimizer steps that were taken.

    Raises:
        TrainingError: If the state is of another model.
    """
    torch = require("torch", "train")
    transformers = require("transformers", "train")
    weights, trained = state["weights"], dict(_training_state_trained(trainer))
    if {name: tuple(one.shape) for name, one in weights.items()} != {
        name: tuple(one.shape) for name, one in trained.items()
    }:
        raise TrainingError(
            f"the checkpoint of step {step} holds {len(weights)} weights that aren't the {len(trained)} to be trained; "
            "delete the checkpoints and run the command again"
        )
    with torch.no_grad():
        for name, weight in trained.items():
            weight.copy_(weights[name])
    trainer._loss_sum, trainer._losses = state["losses"]
    done = step * trainer.args.per_device_train_batch_size * trainer.args.gradient_accumulation_steps
    trainer.train_dataset = torch.utils.data.Subset(trainer.train_dataset, range(done, len(trainer.train_dataset)))
    trainer.add_callback(_going_on(transformers.TrainerCallback, trainer, state, step))


def check_gradients(trainer: Any) -> None:
    """Make a trainer stop before a step whose gradients aren't finite; the step isn't taken.

    In float16 such steps are left out by the gradient scaler, which then lowers its scale, so there it is left alone.
    """
    transformers = require("transformers", "train")
    trainer.add_callback(_gradient_check(transformers.TrainerCallback, trainer))


def check_weights(trainer: Any, step: int) -> None:
    """Look at the weights after a step.

    Raises:
        TrainingError: If one isn't finite.
    """
    if not _all_finite(weight.detach() for _, weight in _training_state_trained(trainer)):
        raise TrainingError(f"weights stopped being finite numbers in step {step}; {GIVE_UP}")


def _training_state_trained(trainer: Any) -> Iterator[tuple[str, Any]]:
    network = trainer.accelerator.unwrap_model(trainer.model)
    return ((name, weight) for name, weight in network.named_parameters() if weight.requires_grad)


def _all_finite(tensors: Iterable[Any]) -> bool:
    torch = require("torch", "train")
    largest = [torch.linalg.vector_norm(one, float("inf")) for one in tensors if one.numel()]
    return not largest or bool(torch.isfinite(torch.stack(largest)).all())


def _random_state() -> dict[str, Any]:
    """Of the generators that belong to the whole process, from which libraries draw."""
    torch = require("torch", "train")
    kind, key, *rest = np.random.get_state()  # noqa: NPY002
    return {
        "python": random.getstate(),
        "numpy": (str(kind), np.asarray(key).tolist(), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def _restore_random_state(state: Mapping[str, Any]) -> None:
    torch = require("torch", "train")
    random.setstate(state["python"])
    kind, key, *rest = state["numpy"]
    np.random.set_state((kind, np.array(key, np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])


def _going_on(parent: Any, trainer: Any, state: Mapping[str, Any], step: int) -> Any:
    class GoingOn(parent):  # type: ignore[misc]
        """Gives a trainer back what it makes anew when it begins."""

        begins = True

        def on_train_begin(self, args: Any, now: Any, control: Any, **kwargs: Any) -> None:
            now.global_step = step
            trainer.optimizer.load_state_dict(state["optimizer"])
            trainer.lr_scheduler.load_state_dict(state["scheduler"])
            if state["scaler"] is not None and trainer.accelerator.scaler is not None:
                trainer.accelerator.scaler.load_state_dict(state["scaler"])

        def on_step_begin(self, args: Any, now: Any, control: Any, **kwargs: Any) -> None:
            if self.begins:  # not sooner: setting up the data loader draws numbers too
                _restore_random_state(state["random"])
            self.begins = False

    return GoingOn()


def _gradient_check(parent: Any, trainer: Any) -> Any:
    class GradientCheck(parent):  # type: ignore[misc]
        """Stops before a step that would ruin the weights."""

        def on_pre_optimizer_step(self, args: Any, now: Any, control: Any, **kwargs: Any) -> None:
            if trainer.accelerator.scaler is not None:
                return
            if not _all_finite(
                weight.grad for _, weight in _training_state_trained(trainer) if weight.grad is not None
            ):
                raise TrainingError(f"gradients stopped being finite numbers in step {now.global_step + 1}; {GIVE_UP}")

    return GradientCheck()


CURVE = "curve.json"
ADAPTER = "adapter"
_STREAM = 72  # of the run's seed, for the drawn validation questions
_LEAST = 1e-12  # keeps a logarithm finite


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One look at the validation split.

    Attributes:
        step: Optimizer steps taken.
        examples: Training examples seen.
        train_loss: Mean loss since the last look, in nats: per answer token, or per group for a pooled head.
        valid_loss: Mean of ``-log P(truth)`` with P over yes and no alone, in nats; log 2 is guessing.
        valid_auc: Area under the ROC curve of P(yes); 0.5 is guessing.
    """

    step: int
    examples: int
    train_loss: float
    valid_loss: float
    valid_auc: float


class Questions(Protocol):
    """Validation questions as a kind of model is asked them."""

    def ask(self, model: Any) -> NDArray[np.float64]:
        """P(yes) of each by the model as it is, shape ``(N,)``."""
        ...

    def save(self, model: Any, folder: Path) -> None:
        """Write what was trained into a folder."""
        ...


class AnswerQuestions:
    """Validation questions for a model that answers in words."""

    def __init__(self, renderer: PromptRenderer, valid: Sequence[Instruction]) -> None:
        self._tokens = answer_tokens(renderer)
        self._prompts = [renderer.render(instruction).prompt_ids for instruction in valid]

    def ask(self, model: Any) -> NDArray[np.float64]:
        """See ``Questions.ask``."""
        return probability_of_yes(PromptRunner(model, self._tokens.ids).logits(self._prompts))

    def save(self, model: Any, folder: Path) -> None:
        """See ``Questions.save``."""
        model.save_pretrained(folder, save_embedding_layers=False)


class ValidationTracker:
    """Scores the validation questions, keeps the curve on disk and the best adapter beside it.

    The best is the one of the highest AUC, at the same AUC of the lowest loss.
    """

    def __init__(self, out: Path, base: Base, questions: Questions, truth: Sequence[bool]) -> None:
        """Take what is watched.

        Args:
            out: Folder of the curve and the adapter.
            base: What the adapter is made on.
            questions: Validation questions.
            truth: Their answers.

        Raises:
            TrainingError: If not both answers occur.
        """
        if len(set(truth)) < 2:
            raise TrainingError(
                f"the validation split needs questions answered {YES} and {NO}, got {sum(truth)} and "
                f"{len(truth) - sum(truth)} of {len(truth)}; see: coordi data info"
            )
        self.curve: list[CurvePoint] = []
        self._out = out
        self._base = base
        self._questions = questions
        self._truth = np.array(truth, dtype=bool)

    @property
    def adapter(self) -> Path:
        """Folder of the best adapter so far; it isn't there before the first look."""
        return self._out / ADAPTER

    def restore(self) -> None:
        """Take up the curve of a finished training."""
        self.curve = [CurvePoint(**point) for point in read_json(self._out / CURVE)]

    def kept(self) -> list[dict[str, Any]]:
        """The curve for a checkpoint."""
        return [asdict(point) for point in self.curve]

    def go_back(self, curve: Sequence[Mapping[str, Any]], adapter: Path | None) -> None:
        """Take up the curve and the best adapter of a checkpoint; what was seen after it is forgotten.

        Args:
            curve: From ``kept``.
            adapter: Folder of the best adapter by then.
        """
        self.curve = [CurvePoint(**point) for point in curve]
        with clear_write_errors(self.adapter):
            if adapter is None:
                shutil.rmtree(self.adapter, ignore_errors=True)
            else:
                self._replace_adapter(lambda fresh: copy_files(adapter, fresh))
            (self._out / CURVE).unlink(missing_ok=True)
        if self.curve:
            write_json(self._out / CURVE, self.kept())

    def look(self, model: Any, step: int, examples: int, train_loss: float) -> CurvePoint:
        """Score the validation questions with a model as it is, and keep its adapter if it is the best so far."""
        from sklearn.metrics import roc_auc_score

        yes = self._questions.ask(model)
        point = CurvePoint(step, examples, train_loss, _loss(yes, self._truth), float(roc_auc_score(self._truth, yes)))
        self.curve.append(point)
        if best(self.curve) is point:
            self._keep_adapter(model)
        write_json(self._out / CURVE, self.kept())
        return point

    def _keep_adapter(self, model: Any) -> None:
        """Write the adapter as it is in the place of the last one."""

        def write(fresh: Path) -> None:
            self._questions.save(model, fresh)
            (fresh / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
            config = read_json(fresh / "adapter_config.json")
            config["base_model_name_or_path"] = self._base.name  # not a path on this machine
            config["target_modules"] = sorted(config["target_modules"])  # a set, written in any order
            write_json(fresh / "adapter_config.json", config)
            write_json(fresh / ORIGIN, {"base": self._base.name, "identity": self._base.identity})

        self._replace_adapter(write)

    def _replace_adapter(self, write: Callable[[Path], object]) -> None:
        """Write an adapter beside the last one and put it in its place; if that fails, the last one stays."""
        folder, fresh, old = (self._out / name for name in (ADAPTER, f".{ADAPTER}.new", f".{ADAPTER}.old"))
        try:
            with clear_write_errors(folder):
                for leftover in (fresh, old):
                    shutil.rmtree(leftover, ignore_errors=True)
                write(fresh)
                if folder.exists():
                    folder.rename(old)
                fresh.rename(folder)
                shutil.rmtree(old, ignore_errors=True)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def best(curve: Sequence[CurvePoint]) -> CurvePoint:
    """The point whose adapter is kept: highest AUC, then lowest loss, then the earliest."""
    return max(curve, key=lambda point: (point.valid_auc, -point.valid_loss, -point.step))


def drawn_questions(valid: Sequence[Instruction], most: int | None, seed: int) -> list[Instruction]:
    """At most so many questions, drawn with the seed, as many answered yes as no as far as there are."""
    if most is None or len(valid) <= most:
        return list(valid)
    rng = np.random.default_rng([seed, _STREAM])
    sides = [rng.permutation([i for i, one in enumerate(valid) if one.answer == word]) for word in (YES, NO)]
    few = min(most // 2, *map(len, sides))
    kept = [side[: max(few, most - max(few, min(len(other), most - few)))] for side, other in (sides, sides[::-1])]
    return [valid[index] for index in sorted(int(index) for side in kept for index in side)]


def _loss(yes: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    return float(-np.log(np.maximum(np.where(truth, yes, 1 - yes), _LEAST)).mean())


BEGUN = "begun.json"
CHECKPOINTS = "checkpoints"
_TRAINER = "trainer"
TrainingData = EncodedExamples | EncodedGroups | EncodedPreferences
"""What is seen in training, as each objective has it."""


@dataclass(frozen=True, slots=True)
class FinetuneResult:
    """What came out.

    Attributes:
        adapter: Folder of the best adapter, in PEFT's layout.
        curve: Every look at the validation split.
        best: The look whose adapter was kept.
        engine: Name of the engine.
        reason: Why it was chosen.
        steps: Optimizer steps.
        tokens_per_second: Training tokens over training time, looks left out; None if nothing was left to train.
        shortened: Prompts that had words cut (``"words"``) or items dropped (``"items"``).
    """

    adapter: Path
    curve: tuple[CurvePoint, ...]
    best: CurvePoint
    engine: str
    reason: str
    steps: int
    tokens_per_second: float | None
    shortened: dict[str, int]


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a training keeps what it makes, and how it speaks."""

    out: Path
    watch: ValidationTracker
    checkpoints: Checkpoints
    progress: Progress
    interruption: Interruption
    say: Callable[[str], None]


def finetune(
    examples_for_epoch: Callable[[int], Sequence[Instruction]],
    valid: Sequence[Instruction],
    settings: RunSettings,
    out: Path,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
) -> FinetuneResult:
    """Fine-tune an adapter on the base model that the settings name.

    A call that was interrupted in any way goes on from its newest whole checkpoint when it is made again with the same
    arguments, and ends as an undisturbed one would; one that finished isn't done again. With other examples or settings
    it begins anew. The same seed on the same machine gives the same adapter. Ctrl-C waits for the step to end and a
    checkpoint to be written; a second one doesn't.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ..., each with its answer; must give the same
            for the same epoch.
        valid: Compatibility questions with their answers.
        settings: ``finetune``, ``model``, ``prompt`` and ``seed`` count here.
        out: Folder for ``adapter/`` and ``curve.json``, and while training for ``checkpoints/``.
        progress: Counts optimizer steps.
        say: Shows a line to the user: from which step it goes on, and which checkpoint is damaged.

    Raises:
        TrainingError: If there is nothing to train on or to watch, or the loss, a gradient or a weight stops being a
            number; the best adapter and the last checkpoint so far stay in ``out``.
        ModelError: If the base model can't be loaded.
        PromptError: If an example can't be shortened enough.
        ArtifactError: If something can't be written, as on a full disk; the checkpoints so far stay.
    """
    pooled = settings.finetune.head == "pooled"
    # Unsloth must be imported before transformers, so the engine is chosen before anything is loaded.
    engine, reason = engine_for_head(settings.model) if pooled else choose_engine(settings.model)
    base = resolve_base(settings.model)
    check_base(base, settings)
    tokenizer = load_tokenizer(base)
    drawn = drawn_questions(valid, settings.finetune.valid_questions, settings.seed)
    start = check_start(settings.finetune, base)
    lessons: TrainingData
    questions: Questions
    if pooled:
        renderer: PromptRenderer = (lister := ListRenderer(tokenizer, settings.prompt.max_length))
        lessons = encode_groups(examples_for_epoch, lister, settings.finetune)
        questions = PooledQuestions(lister, drawn)
    else:
        renderer = PromptRenderer(tokenizer, settings.prompt.max_length)
        make = encode_preferences if settings.finetune.objective == "dpo" else encode_examples
        lessons = make(examples_for_epoch, renderer, settings.finetune)
        questions = AnswerQuestions(renderer, drawn)
    fingerprint = _fingerprint(base, settings, lessons, drawn, start)
    watch = ValidationTracker(out, base, questions, [instruction.answer == YES for instruction in drawn])
    checkpoints = Checkpoints(out / CHECKPOINTS, fingerprint)
    speed = None
    if _is_finished(out, fingerprint):
        watch.restore()
    else:
        site = _Site(out, watch, checkpoints, progress, Interruption(say), say)
        begun = _begin(site, fingerprint)
        loaded = engine.for_training(base, settings.model, settings.finetune, settings.seed)
        if not pooled:
            check_logits(loaded.model, base.name)
        take_up(loaded.model, settings.finetune)
        speed = _train(loaded, lessons, settings, site, begun)
    with clear_write_errors(out):
        for name in (_TRAINER, CHECKPOINTS):
            shutil.rmtree(out / name, ignore_errors=True)
    progress(lessons.steps, lessons.steps)
    curve = tuple(watch.curve)
    return FinetuneResult(
        out / ADAPTER, curve, best(curve), engine.name, reason, lessons.steps, speed, dict(renderer.shortened)
    )


def _train(
    loaded: Loaded, lessons: TrainingData, settings: RunSettings, site: _Site, begun: Checkpoint | None
) -> float | None:
    """Train, from a checkpoint if there is one; gives the tokens per second."""
    with quiet_libraries(), clear_write_errors(site.out), site.interruption.held():
        folder = site.out / _TRAINER
        network = loaded.model
        if isinstance(lessons, EncodedGroups):
            network = pooled_network(loaded.model, ListRenderer.before)
            run = _Run(site, network, settings.finetune, lessons)
            trainer = new_pooled_trainer(network, lessons, settings.finetune, settings.seed, run, folder)
        else:
            run = _Run(site, network, settings.finetune, lessons)
            if isinstance(lessons, EncodedPreferences):
                trainer = new_preference_trainer(loaded, lessons, settings.finetune, settings.seed, run, folder)
            else:
                trainer = new_trainer(loaded, lessons, settings.finetune, settings.seed, run, folder)
        run.trainer = trainer
        check_gradients(trainer)
        if begun is not None:
            go_back(trainer, begun.state["trainer"], begun.step)
            run.go_on(begun.step)
        if begun is None or begun.step < lessons.steps:
            trainer.train()
        write_json(site.out / BEGUN, {**read_json(site.out / BEGUN), "finished": True})
    return run.tokens_per_second()


class _Run:
    """What happens between optimizer steps.

    Attributes:
        trainer: Whose steps they are; to be set before it trains.
    """

    trainer: Any

    def __init__(self, site: _Site, model: Any, settings: FinetuneSettings, lessons: TrainingData) -> None:
        self._site = site
        self._model = model
        self._batch_size = settings.batch_size
        self._lessons = lessons
        self._looks = validation_steps(lessons.steps, settings.evaluations)
        self._turn = CheckpointTimer(settings.checkpoint_minutes * 60)
        self._seconds = 0.0
        self._mark = time.monotonic()
        self._first = 0
        self._done = 0

    def go_on(self, step: int) -> None:
        """Take up the count after a checkpoint, with the look that it stands before."""
        self._first = self._done = step
        self._site.progress(step, self._lessons.steps)
        seen = self._site.watch.curve
        if step in self._looks and not (seen and seen[-1].step == step):
            with self._site.interruption.at_once():  # the checkpoint is there
                self._look(step, self.trainer.mean_loss)

    def started(self) -> None:
        """Start the clock."""
        self._mark = time.monotonic()

    def after_step(self, step: int, mean_loss: Callable[[], float]) -> None:
        """Keep a checkpoint and look at the validation split if it is time."""
        check_weights(self.trainer, step)
        self._done = step
        self._site.progress(step, self._lessons.steps)
        looks, asked = step in self._looks, self._site.interruption.asked
        if looks or asked or self._turn.has_come():
            with self._turn.taken():
                state = {"trainer": training_state(self.trainer), "curve": self._site.watch.kept()}
                self._site.checkpoints.save(step, state, self._site.watch.adapter)
        if self._site.interruption.asked:
            self._site.say(f"step {step} of {self._lessons.steps} is kept: the same command goes on from there")
        self._site.interruption.obey()
        if looks:
            self._seconds += time.monotonic() - self._mark
            with self._site.interruption.at_once():  # a checkpoint has just been written
                self._look(step, mean_loss)
            self._mark = time.monotonic()

    def _look(self, step: int, mean_loss: Callable[[], float]) -> None:
        loss = mean_loss()
        if not math.isfinite(loss):
            raise diverged("training", loss, step)
        try:
            self._site.watch.look(self._model, step, step * self._batch_size, loss)
        except ModelError as error:  # finite weights can still be so large that what the model says is not
            raise diverged("validation", math.nan, step) from error

    def tokens_per_second(self) -> float | None:
        """Training tokens over training time, since the training went on."""
        seen = self._lessons.tokens(self._done * self._batch_size)
        seen -= self._lessons.tokens(self._first * self._batch_size)
        return round(seen / self._seconds, 1) if self._seconds else None


def validation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """After which steps the validation split is scored: evenly spread, the last step among them."""
    return frozenset(max(1, round(steps * look / evaluations)) for look in range(1, evaluations + 1))


def _fingerprint(
    base: Base,
    settings: RunSettings,
    lessons: TrainingData,
    questions: Sequence[Instruction],
    start: str | None,
) -> str:
    finetune = settings.finetune.model_dump_json(exclude={"checkpoint_minutes"})  # which changes nothing
    parts = [base.identity, finetune, settings.model.model_dump_json(), settings.seed, start]
    return hashlib.sha256(json.dumps([*parts, lessons.fingerprint(), repr(questions)]).encode()).hexdigest()


def _is_finished(out: Path, fingerprint: str) -> bool:
    if not (out / BEGUN).is_file():
        return False
    return bool(read_json(out / BEGUN) == {"fingerprint": fingerprint, "finished": True})


def _begin(site: _Site, fingerprint: str) -> Checkpoint | None:
    """Go back to the newest whole checkpoint, or clear away what an earlier or other training left."""
    begun = {"fingerprint": fingerprint, "finished": False}
    if (site.out / BEGUN).is_file():
        if read_json(site.out / BEGUN) == begun:
            found = site.checkpoints.newest(site.say)
            if found is not None:
                site.say(f"fine-tuning goes on after step {found.step}")
                site.watch.go_back(found.state["curve"], found.adapter)
                return found
        site.say("fine-tuning begins at its first step: there is no whole checkpoint of these settings and examples")
    with clear_write_errors(site.out):
        for name in (_TRAINER, ADAPTER, CHECKPOINTS):
            shutil.rmtree(site.out / name, ignore_errors=True)
        write_json(site.out / BEGUN, begun)
    return None
