"""Fine-tunes a LoRA adapter: one loop for both heads and every engine, on one process or several."""

from __future__ import annotations

import hashlib
import importlib.util
import math
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import Progress, clear_write_errors, hash_file, no_progress, read_json, write_json
from coordi.config import FinetuneSettings, RunSettings
from coordi.encoders.base import sigmoid
from coordi.errors import MissingDependencyError, ModelError, TrainingError, require
from coordi.model.base import Base, check_base, quiet_libraries, resolve_base
from coordi.model.checkpoints import Checkpoint, Checkpoints, Interruption, copy_files
from coordi.model.engines import Engine, choose_engine, compute_dtype, load_tokenizer
from coordi.model.heads import AnswerHead, GroupHead, Head, TrainingData, draw_training_data
from coordi.model.memory import check_memory
from coordi.model.prefix_cache import check_logits, full_memory_named
from coordi.model.scoring import ORIGIN
from coordi.model.trained import find_start
from coordi.prompts import NO, YES, Instruction
from coordi.types import RandomStream

if TYPE_CHECKING:
    import torch
    from accelerate import Accelerator

CURVE = "curve.json"
ADAPTER = "adapter"
STARTED = "started.json"
CHECKPOINTS = "checkpoints"
LOGS = "logs"  # of TensorBoard
_MIN_PROBABILITY = 1e-12  # keeps a logarithm finite
_MAX_GRADIENT_NORM = 1.0
_TRACKED = {"learning_rate", "batch_size", "epochs", "lora_rank", "lora_alpha", "lora_dropout"}
_OF_SCORING = {"arithmetic", "batch_tokens", "allow_download"}  # settings of a model that change no training
_CHECKPOINT_SHARE = 0.01  # of the time that checkpoints may take


@dataclass(frozen=True, slots=True)
class CurvePoint:
    """One evaluation of the validation split, after ``step`` optimizer steps on so many examples."""

    step: int
    examples: int
    train_loss: float  # mean since the last evaluation, in nats: per token of an answer, or per group for a pooled head
    valid_loss: float  # mean of -log P(truth) with P over yes and no alone, in nats; log 2 is guessing
    valid_auc: float


class FinetuneResult(NamedTuple):
    """Folder of the best adapter, in PEFT's layout; every evaluation of the validation split; optimizer steps."""

    adapter: Path
    curve: tuple[CurvePoint, ...]
    steps: int


class Preflight(NamedTuple):
    """What fine-tuning needs of the settings on this machine: an engine, why this one, the base model, the head."""

    engine: Engine
    reason: str
    base: Base
    head: Head
    start: Path | None  # folder of the adapter whose training is continued


def preflight(settings: RunSettings) -> Preflight:
    """Refuse settings that can't be fine-tuned with on this machine; a base that may be downloaded is. A ``ModelError``
    if a demanded engine can't run, or the base is missing, doesn't fit the settings, or has no tokens for yes and no.
    """
    # Unsloth must be imported before transformers, so the engine comes first.
    engine, reason = choose_engine(settings.model, settings.finetune.head, settings.prompt.max_length)
    base = resolve_base(settings.model)
    check_base(base, settings)
    check_memory(base, settings)
    start = None if settings.finetune.start is None else find_start(settings.finetune, base)
    tokenizer, most, form = load_tokenizer(base), settings.prompt.max_length, settings.prompt.form
    head = GroupHead(tokenizer, most) if settings.finetune.head == "pooled" else AnswerHead(tokenizer, most, form)
    return Preflight(engine, reason, base, head, start)


def finetune(
    examples_for_epoch: Callable[[int], Sequence[Instruction]],
    valid: Sequence[Instruction],
    settings: RunSettings,
    out: Path,
    progress: Progress = no_progress,
    say: Callable[[str], None] = lambda line: None,
) -> FinetuneResult:
    """Fine-tune an adapter on the base model that the settings name.

    A call that was interrupted in any way is resumed from its newest complete checkpoint by the same call, and ends as
    an undisturbed one would; a finished one isn't done again. With other examples or settings it starts anew. The same
    seed on the same machine gives the same adapter. Ctrl-C waits for the step to end and a checkpoint to be written; a
    second one doesn't. Under ``torchrun`` every process makes the same call; the first one writes.
    ``examples_for_epoch`` must give the same for the same epoch, from 0. ``out`` receives ``adapter/`` and
    ``curve.json``, and while training ``checkpoints/``.

    Raises:
        TrainingError: If there is nothing to train on or to validate with, or a number isn't finite any more.
        ModelError: If the base model can't be loaded.
        PromptError: If an example can't be shortened enough.
        ArtifactError: If something can't be written, as on a full disk; the checkpoints so far stay.
    """
    ready, options = preflight(settings), settings.finetune
    head, base = ready.head, ready.base
    data = draw_training_data(examples_for_epoch, head, options)
    validation = Validation(head, draw_questions(valid, options.valid_questions, settings.seed))
    accelerator = new_accelerator(options, out)
    if not accelerator.is_main_process:
        progress, say = no_progress, lambda line: None
    files = TrainingFolder(out, base, _fingerprint(ready, settings, data, validation))
    if not files.is_finished():
        run = _Run(data, validation, files, options, accelerator, progress, say)
        run.train_all(ready, settings)
        accelerator.free_memory()  # what is evaluated next needs the GPU
    if accelerator.is_main_process:
        with clear_write_errors(out):
            shutil.rmtree(out / CHECKPOINTS, ignore_errors=True)
    accelerator.wait_for_everyone()
    progress(data.steps, data.steps)
    return FinetuneResult(files.adapter, tuple(files.curve), data.steps)


def new_accelerator(settings: FinetuneSettings, out: Path) -> Accelerator:
    """Set up the processes, mixed precision and the tracker."""
    torch = require("torch", "train")
    accelerate = require("accelerate", "train")
    track = None if settings.track == "none" else settings.track
    if track is not None and importlib.util.find_spec(track) is None:
        raise MissingDependencyError(
            f"finetune.track is '{track}', which isn't installed; run: pip install {track}, or set finetune.track=none"
        )
    if track == "wandb":  # it logs to its maker's server unless told otherwise
        os.environ.setdefault("WANDB_MODE", "offline")
        os.environ.setdefault("WANDB_DIR", str(out))
    gpu = torch.cuda.is_available()
    precision = ("bf16" if compute_dtype() is torch.bfloat16 else "fp16") if gpu else "no"
    accelerator: Accelerator = accelerate.Accelerator(
        cpu=not gpu, mixed_precision=precision, log_with=track, project_dir=str(out / LOGS)
    )
    return accelerator


class TrainingLoop:
    """The network, its optimizer and its schedule; several processes share every step's examples."""

    def __init__(
        self, model: Any, head: Head, data: TrainingData, settings: FinetuneSettings, seed: int,
        accelerator: Accelerator,
    ) -> None:  # fmt: skip
        transformers = require("transformers", "train")
        if accelerator.num_processes > settings.batch_size:
            raise TrainingError(
                f"finetune.batch_size is {settings.batch_size}, fewer than the {accelerator.num_processes} processes; "
                "start fewer processes or set a larger batch"
            )
        self._head, self._data, self._seed, self._accelerator = head, data, seed, accelerator
        self._micro_batch_size, self._track_steps = settings.micro_batch_size, settings.track_steps
        self.network = head.network(model)
        for weight in self._trained().values():
            # A 4-bit model's adapter may come in bfloat16, whose eight bits lose most of a small step.
            weight.data = weight.data.float()
        optimizer = _new_optimizer(self.network, model, settings)
        name = "constant_with_warmup" if settings.schedule == "constant" else settings.schedule
        warmup = round(settings.warmup_ratio * data.steps)
        self._scheduler = transformers.get_scheduler(name, optimizer, warmup, data.steps)
        self._model = accelerator.prepare_model(self.network, device_placement=False)
        self._optimizer = accelerator.prepare_optimizer(optimizer)
        self._loss_sum, self._loss_count = 0.0, 0
        self._tracked = (0.0, 0)

    def step(self, number: int) -> None:
        """Take an optimizer step, counted from 1; raises a ``TrainingError`` if a number isn't finite."""
        torch = require("torch", "train")
        accelerator, examples = self._accelerator, self._data.step(number)
        weight = len(examples)  # number of losses
        loss = self._backward(number, examples[accelerator.process_index :: accelerator.num_processes], weight)
        if not math.isfinite(loss):
            raise _diverged(f"the training loss is {loss} at step {number}")
        norm = accelerator.clip_grad_norm_(self._trained().values(), _MAX_GRADIENT_NORM)
        # In float16 the gradient scaler skips such a step and lowers its scale.
        if accelerator.scaler is None and not math.isfinite(norm):
            raise _diverged(f"gradients stopped being finite numbers in step {number}")
        rate = self._scheduler.get_last_lr()[0]
        self._optimizer.step()
        if not self._optimizer.step_was_skipped:
            self._scheduler.step()
        self._optimizer.zero_grad()
        largest = torch.stack([weight.detach().abs().max() for weight in self._trained().values()])
        if not bool(torch.isfinite(largest).all()):
            raise _diverged(f"weights stopped being finite numbers in step {number}")
        self._loss_sum += loss
        self._loss_count += weight
        self._track(number, loss, weight, {"learning_rate": rate, "gradient_norm": float(norm)})

    def _track(self, number: int, loss: float, weight: int, values: Mapping[str, float]) -> None:
        """Log the mean loss of the last ``track_steps`` steps, and the other values of this one."""
        self._tracked = (self._tracked[0] + loss, self._tracked[1] + weight)
        if number % self._track_steps == 0:
            total, count = self._tracked
            self._accelerator.log({"loss": total / count, **values}, number)
            self._tracked = (0.0, 0)

    def _backward(self, number: int, examples: Sequence[Any], weight: int) -> float:
        """Gradients of a step's mean loss; returns the sum of the losses over all processes."""
        import torch

        accelerator, size = self._accelerator, self._micro_batch_size
        seeds = np.random.SeedSequence([self._seed, RandomStream.DROPOUT, number, accelerator.process_index])
        torch.manual_seed(int(seeds.generate_state(1)[0]))
        self._model.train()
        device = next(iter(self._trained().values())).device
        total = torch.zeros((), device=device)
        for start in range(0, len(examples), size):
            batch = self._head.batch(examples[start : start + size])
            is_last = start + size >= len(examples)
            with nullcontext() if is_last else accelerator.no_sync(self._model):
                loss = self._model(**{name: tensor.to(device) for name, tensor in batch.items()})
                # Processes average their gradients.
                accelerator.backward(loss * (accelerator.num_processes / weight))
            total += loss.detach()
        return float(accelerator.reduce(total, "sum"))

    def mean_loss(self) -> float:
        """Mean loss since the last call; nan if there was no step."""
        mean = self._loss_sum / self._loss_count if self._loss_count else math.nan
        self._loss_sum, self._loss_count = 0.0, 0
        return mean

    def state(self) -> dict[str, Any]:
        """What a checkpoint needs: the trained weights, never the base model, and the optimizer's state."""
        scaler = self._accelerator.scaler
        return {
            "weights": self._trained(),
            "optimizer": self._optimizer.state_dict(),
            "scheduler": self._scheduler.state_dict(),
            "scaler": scaler.state_dict() if scaler is not None else None,
            "losses": [self._loss_sum, self._loss_count],
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Continue from what ``state`` returned."""
        import torch

        with torch.no_grad():
            for name, weight in self._trained().items():
                weight.copy_(state["weights"][name])
        self._optimizer.load_state_dict(state["optimizer"])
        self._scheduler.load_state_dict(state["scheduler"])
        if state["scaler"] is not None and self._accelerator.scaler is not None:
            self._accelerator.scaler.load_state_dict(state["scaler"])
        self._loss_sum, self._loss_count = state["losses"]

    def _trained(self) -> dict[str, torch.nn.Parameter]:
        return {name: weight for name, weight in self.network.named_parameters() if weight.requires_grad}


def _new_optimizer(network: Any, model: Any, settings: FinetuneSettings) -> torch.optim.Optimizer:
    """AdamW; a head outside of the model starts from zero and has a learning rate of its own."""
    inside = set(map(id, model.parameters()))
    groups: list[dict[str, Any]] = [{"params": [weight for weight in model.parameters() if weight.requires_grad]}]
    if head := [weight for weight in network.parameters() if id(weight) not in inside]:
        groups.append({"params": head, "lr": settings.head_learning_rate})
    eight_bits = settings.optimizer == "adamw_8bit"
    kind = require("bitsandbytes", "train").optim.AdamW8bit if eight_bits else require("torch", "train").optim.AdamW
    optimizer: torch.optim.Optimizer = kind(groups, lr=settings.learning_rate, weight_decay=settings.weight_decay)
    return optimizer


def _diverged(reason: str) -> TrainingError:
    return TrainingError(
        f"{reason}; the best adapter and the last checkpoint so far are kept, but resuming from there would end the "
        "same way: start another run, with another --out, and set a lower finetune.learning_rate"
    )


class Validation:
    """Validation questions with their truth ``(N,)``, scored by a model in training."""

    def __init__(self, head: Head, questions: Sequence[Instruction]) -> None:
        self.questions = questions
        self.truth = np.array([question.answer == YES for question in questions], dtype=bool)
        yes, count = int(self.truth.sum()), len(questions)
        if yes in (0, count):
            raise TrainingError(
                f"the validation split needs questions answered {YES} and {NO}, got {yes} and {count - yes} of "
                f"{count}; see: coordi data info"
            )
        self.head = head
        self._prompts = [head.prompt(question) for question in questions]

    def logits(self, network: Any, accelerator: Accelerator) -> NDArray[np.float64]:
        """Log odds of yes of each question, ``(N,)``; every process scores its share."""
        processes = accelerator.num_processes
        try:
            share: Any = self.head.logits(network, self._prompts[accelerator.process_index :: processes])
        except ModelError as error:  # raised below, by all processes
            share = error
        logits = np.zeros(len(self._prompts))
        gather = require("accelerate.utils", "train").gather_object
        for index, part in enumerate(gather([share])):
            if isinstance(part, ModelError):
                raise part
            logits[index::processes] = part
        return logits

    def point(self, logits: NDArray[np.float64], step: int, examples: int, train_loss: float) -> CurvePoint:
        """Loss and AUC of the logits."""
        yes = sigmoid(logits)
        correct = np.maximum(np.where(self.truth, yes, 1 - yes), _MIN_PROBABILITY)
        auc = require("sklearn.metrics", "train").roc_auc_score(self.truth, yes)
        return CurvePoint(step, examples, train_loss, float(-np.log(correct).mean()), float(auc))


class TrainingFolder:
    """Files of a training: its curve, its best adapter (from the first evaluation on), its checkpoints, its start."""

    def __init__(self, out: Path, base: Base, fingerprint: str) -> None:
        self.curve: list[CurvePoint] = []
        self.adapter = out / ADAPTER
        self.checkpoints = Checkpoints(out / CHECKPOINTS, fingerprint)
        self._out, self._base, self._fingerprint = out, base, fingerprint

    def is_finished(self) -> bool:
        """Whether this very training has ended; if so, its curve is read."""
        if finished := self._was_started(finished=True):
            self.curve = [CurvePoint(**point) for point in read_json(self._out / CURVE)]
        return finished

    def mark(self, *, finished: bool) -> None:
        """Write whether the training is finished."""
        write_json(self._out / STARTED, {"fingerprint": self._fingerprint, "finished": finished})

    def resume(self, say: Callable[[str], None]) -> Checkpoint | None:
        """Go back to the newest complete checkpoint; without one, what an earlier training left is removed."""
        checkpoint = self.checkpoints.newest(say) if self._was_started(finished=False) else None
        if checkpoint is not None:
            say(f"fine-tuning is resumed after step {checkpoint.step}")
        elif (self._out / STARTED).is_file():
            say("fine-tuning starts at its first step: there is no complete checkpoint of these settings and examples")
        with clear_write_errors(self._out):
            if checkpoint is None or checkpoint.adapter is None:
                shutil.rmtree(self.adapter, ignore_errors=True)
            else:
                with self._new_adapter() as fresh:
                    copy_files(checkpoint.adapter, fresh)
            (self._out / CURVE).unlink(missing_ok=True)
            if checkpoint is None:
                shutil.rmtree(self._out / CHECKPOINTS, ignore_errors=True)
                self.mark(finished=False)
            elif checkpoint.state["curve"]:
                write_json(self._out / CURVE, checkpoint.state["curve"])
        return checkpoint

    def add(self, point: CurvePoint, save: Callable[[Path], None]) -> None:
        """Add a point to the curve, and save the adapter if it is the best so far."""
        self.curve.append(point)
        if best_point(self.curve) is point:
            with clear_write_errors(self.adapter), self._new_adapter() as fresh:
                save(fresh)
                (fresh / "README.md").unlink(missing_ok=True)  # PEFT's empty model card
                config = read_json(fresh / "adapter_config.json")
                config["base_model_name_or_path"] = self._base.public_name
                config["target_modules"] = sorted(config["target_modules"])  # a set, written in any order
                write_json(fresh / "adapter_config.json", config)
                write_json(fresh / ORIGIN, {"base": self._base.name, "identity": self._base.identity})
        write_json(self._out / CURVE, [asdict(entry) for entry in self.curve])

    def _was_started(self, *, finished: bool) -> bool:
        record = {"fingerprint": self._fingerprint, "finished": finished}
        return (self._out / STARTED).is_file() and bool(read_json(self._out / STARTED) == record)

    @contextmanager
    def _new_adapter(self) -> Iterator[Path]:
        """Yield a folder that replaces the adapter once the block ends; if it fails, the earlier adapter stays."""
        fresh = self._out / f".{ADAPTER}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        try:
            yield fresh
            shutil.rmtree(self.adapter, ignore_errors=True)
            fresh.rename(self.adapter)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)


def best_point(curve: Sequence[CurvePoint]) -> CurvePoint:
    """The point whose adapter is saved: highest AUC, then lowest loss, then the earliest."""
    return max(curve, key=lambda point: (point.valid_auc, -point.valid_loss, -point.step))


def validation_steps(steps: int, evaluations: int) -> frozenset[int]:
    """The steps after which the validation split is scored: evenly spread, the last step among them."""
    return frozenset(max(1, round(steps * number / evaluations)) for number in range(1, evaluations + 1))


def draw_questions(valid: Sequence[Instruction], limit: int | None, seed: int) -> list[Instruction]:
    """Draw at most ``limit`` questions, as many answered yes as no as far as there are."""
    if limit is None or len(valid) <= limit:
        return list(valid)
    rng = np.random.default_rng([seed, RandomStream.VALIDATION_QUESTIONS])
    sides = [
        rng.permutation([index for index, question in enumerate(valid) if question.answer == word])
        for word in (YES, NO)
    ]
    few = min(limit // 2, *map(len, sides))
    drawn = [side[: max(few, limit - max(few, min(len(other), limit - few)))] for side, other in (sides, sides[::-1])]
    return [valid[index] for index in sorted(np.concatenate(drawn).tolist())]


@dataclass
class _Run:
    data: TrainingData
    validation: Validation
    files: TrainingFolder
    settings: FinetuneSettings
    accelerator: Accelerator
    progress: Progress
    say: Callable[[str], None]

    def __post_init__(self) -> None:
        self._evaluations = validation_steps(self.data.steps, self.settings.evaluations)
        self._last_save, self._save_seconds = time.monotonic(), 0.0
        self._interruption = Interruption(self.say)

    def train_all(self, ready: Preflight, settings: RunSettings) -> None:
        """Load the base, and train it from its newest checkpoint to the end."""
        checkpoint, out = self._start(), self.files.adapter.parent
        with redirect_stdout(sys.stderr), quiet_libraries(), clear_write_errors(out), full_memory_named():
            loaded = ready.engine.for_training(ready.base, settings.model, self.settings, settings.seed)
            if self.settings.head == "answer":
                check_logits(loaded.model, ready.base.name)
            loop = TrainingLoop(loaded.model, ready.head, self.data, self.settings, settings.seed, self.accelerator)
            if ready.start is not None and checkpoint is None:
                ready.head.restore(loop.network, ready.start)
            self._train(loop, checkpoint)

    def _start(self) -> Checkpoint | None:
        checkpoint = self.files.resume(self.say) if self.accelerator.is_main_process else None
        step = [checkpoint.step if checkpoint else None]
        require("accelerate.utils", "train").broadcast_object_list(step)
        if checkpoint is None and step[0] is not None:
            checkpoint = self.files.checkpoints.load(step[0])
        self.files.curve = [CurvePoint(**point) for point in checkpoint.state["curve"]] if checkpoint else []
        return checkpoint

    def _train(self, loop: TrainingLoop, checkpoint: Checkpoint | None) -> None:
        self.accelerator.init_trackers("coordi", self.settings.model_dump(include=_TRACKED))
        first = 0
        if checkpoint is not None:
            first = checkpoint.step
            loop.restore(checkpoint.state["loop"])
            self.progress(first, self.data.steps)
            if first in self._evaluations and first not in {point.step for point in self.files.curve}:
                self._evaluate(loop, first)  # the checkpoint was written before it
        for step in range(first + 1, self.data.steps + 1):
            with self._interruption.deferred():
                loop.step(step)
                self._save(loop, step)
            if step in self._evaluations:
                self._evaluate(loop, step)
        for tracker in self.accelerator.trackers:  # end_training would end the processes' group too
            tracker.finish()
        if self.accelerator.is_main_process:
            self.files.mark(finished=True)

    def _save(self, loop: TrainingLoop, step: int) -> None:
        """Write a checkpoint where one is due: before every evaluation, by time, and on Ctrl-C."""
        self.progress(step, self.data.steps)
        interrupted = self._any(self._interruption.requested)
        minutes = self.settings.checkpoint_minutes
        pause = max(minutes * 60, self._save_seconds / _CHECKPOINT_SHARE) if minutes else 0.0
        started = time.monotonic()
        if step in self._evaluations or interrupted or self._any(started - self._last_save >= pause):
            if self.accelerator.is_main_process:
                state = {"loop": loop.state(), "curve": [asdict(point) for point in self.files.curve]}
                self.files.checkpoints.save(step, state, self.files.adapter)
            self._last_save = time.monotonic()
            self._save_seconds = self._last_save - started
        if interrupted:
            self.accelerator.wait_for_everyone()  # a process that ends sooner would have the others killed
            self.say(f"step {step} of {self.data.steps} is saved: the same command resumes after it")
            raise KeyboardInterrupt

    def _any(self, flag: bool) -> bool:
        """Whether a flag is true in any process."""
        torch = require("torch", "train")
        return bool(self.accelerator.reduce(torch.tensor(int(flag), device=self.accelerator.device), "sum"))

    def _evaluate(self, loop: TrainingLoop, step: int) -> None:
        try:
            logits = self.validation.logits(loop.network, self.accelerator)
        except ModelError as error:  # finite weights can be so large that the logits aren't
            raise _diverged(f"the validation loss is nan at step {step}") from error
        point = self.validation.point(logits, step, step * self.data.batch_size, loop.mean_loss())
        if self.accelerator.is_main_process:
            truth, head = self.validation.truth, self.validation.head
            self.files.add(point, lambda folder: head.save(loop.network, folder, logits, truth))
        else:
            self.files.curve.append(point)
        self.accelerator.log({"valid_loss": point.valid_loss, "valid_auc": point.valid_auc}, step)


def _fingerprint(ready: Preflight, settings: RunSettings, data: TrainingData, validation: Validation) -> str:
    finetune = settings.finetune.model_dump_json(
        exclude={"checkpoint_minutes", "track", "track_steps"}
    )  # which change nothing
    parts = [
        ready.base.identity,
        finetune,
        settings.model.model_dump_json(exclude=_OF_SCORING),
        settings.seed,
        data.examples,
    ]
    if ready.start is not None:
        parts.append([hash_file(path) for path in sorted(ready.start.glob("*.safetensors"))])
    return hashlib.sha256(repr([*parts, validation.questions]).encode()).hexdigest()
