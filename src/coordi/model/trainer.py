"""trl's ``SFTTrainer`` with the head run on the answer's positions alone, told to keep quiet and to keep the order."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

from coordi.config import FinetuneSettings
from coordi.errors import TrainingError, require
from coordi.model.engines import Loaded
from coordi.model.lessons import IGNORED, Lessons
from coordi.model.reading import as_told, parts

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
    loaded: Loaded, lessons: Lessons, settings: FinetuneSettings, seed: int, steps: Steps, folder: Path
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


def _arguments(settings: FinetuneSettings, lessons: Lessons, seed: int, folder: Path) -> dict[str, Any]:
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
            backbone, head = parts(model)
            states = backbone(
                input_ids=inputs["input_ids"], attention_mask=inputs["attention_mask"], use_cache=False
            ).last_hidden_state[:, :-1]  # (B, T - 1, H)
            answered = labels != IGNORED
            logits = as_told(model, head(states[answered]).float())  # (answer tokens, V)
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
