"""Fine-tunes a LoRA adapter: loss on the answer only, the validation split watched, the best adapter kept."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from coordi.artifacts import read_json, write_json, writing
from coordi.config import FinetuneSettings, RunSettings
from coordi.errors import ModelError
from coordi.model.base import Base, check_base, resolve_base
from coordi.model.engines import Loaded, choose_engine, engine_for_head, load_tokenizer
from coordi.model.lessons import Lessons, make_lessons
from coordi.model.pooled_training import Groups, PooledQuestions, make_groups, new_pooled_trainer, pooled_network
from coordi.model.preference import Preferences, make_preferences, new_preference_trainer
from coordi.model.quiet import quiet
from coordi.model.reading import check_reading
from coordi.model.starting import check_start, take_up
from coordi.model.trainer import diverged, new_trainer
from coordi.model.watch import ADAPTER, AnswerQuestions, CurvePoint, Questions, Watch, best, drawn_questions
from coordi.progress import Progress, silent
from coordi.prompts.answers import YES
from coordi.prompts.rendering import ListRenderer, PromptRenderer
from coordi.prompts.templates import Instruction

BEGUN = "begun.json"
_TRAINER = "trainer"
Taught = Lessons | Groups | Preferences
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


def finetune(
    examples_for_epoch: Callable[[int], Sequence[Instruction]],
    valid: Sequence[Instruction],
    settings: RunSettings,
    out: Path,
    progress: Progress = silent,
) -> FinetuneResult:
    """Fine-tune an adapter on the base model that the settings name.

    A call that was interrupted begins anew when it is made again, so that it ends as an undisturbed one would; one that
    finished with the same arguments isn't done again. The same seed on the same machine gives the same adapter.

    Args:
        examples_for_epoch: Gives the shuffled examples of epoch 0, 1, ..., each with its answer; must give the same
            for the same epoch.
        valid: Compatibility questions with their answers.
        settings: ``finetune``, ``model``, ``prompt`` and ``seed`` count here.
        out: Folder for ``adapter/`` and ``curve.json``.
        progress: Counts optimizer steps.

    Raises:
        TrainingError: If there is nothing to train on or to watch, or the loss stops being a number; the best adapter
            so far stays in ``out``.
        ModelError: If the base model can't be loaded.
        PromptError: If an example can't be shortened enough.
    """
    pooled = settings.finetune.head == "pooled"
    # Unsloth must be imported before transformers, so the engine is chosen before anything is loaded.
    engine, reason = engine_for_head(settings.model) if pooled else choose_engine(settings.model)
    base = resolve_base(settings.model)
    check_base(base, settings)
    tokenizer = load_tokenizer(base)
    drawn = drawn_questions(valid, settings.finetune.valid_questions, settings.seed)
    start = check_start(settings.finetune, base)
    lessons: Taught
    questions: Questions
    if pooled:
        renderer: PromptRenderer = (lister := ListRenderer(tokenizer, settings.prompt.max_length))
        lessons = make_groups(examples_for_epoch, lister, settings.finetune)
        questions = PooledQuestions(lister, drawn)
    else:
        renderer = PromptRenderer(tokenizer, settings.prompt.max_length)
        make = make_preferences if settings.finetune.objective == "dpo" else make_lessons
        lessons = make(examples_for_epoch, renderer, settings.finetune)
        questions = AnswerQuestions(renderer, drawn)
    fingerprint = _fingerprint(base, settings, lessons, drawn, start)
    watch = Watch(out, base, questions, [instruction.answer == YES for instruction in drawn])
    speed = None
    if _is_finished(out, fingerprint):
        watch.restore()
    else:
        _begin(out, fingerprint)
        loaded = engine.for_training(base, settings.model, settings.finetune, settings.seed)
        if not pooled:
            check_reading(loaded.model, base.name)
        take_up(loaded.model, settings.finetune)
        speed = _train(loaded, lessons, settings, watch, progress, out)
    progress(lessons.steps, lessons.steps)
    curve = tuple(watch.curve)
    return FinetuneResult(
        out / ADAPTER, curve, best(curve), engine.name, reason, lessons.steps, speed, dict(renderer.shortened)
    )


def _train(
    loaded: Loaded,
    lessons: Taught,
    settings: RunSettings,
    watch: Watch,
    progress: Progress,
    out: Path,
) -> float | None:
    """Train; gives the tokens per second."""
    with quiet(), writing(out):
        folder = out / _TRAINER
        if isinstance(lessons, Groups):
            network = pooled_network(loaded.model, ListRenderer.before)
            run = _Run(watch, network, settings.finetune, lessons, progress)
            trainer = new_pooled_trainer(network, lessons, settings.finetune, settings.seed, run, folder)
        else:
            run = _Run(watch, loaded.model, settings.finetune, lessons, progress)
            if isinstance(lessons, Preferences):
                trainer = new_preference_trainer(loaded, lessons, settings.finetune, settings.seed, run, folder)
            else:
                trainer = new_trainer(loaded, lessons, settings.finetune, settings.seed, run, folder)
        trainer.train()
        write_json(out / BEGUN, {**read_json(out / BEGUN), "finished": True})
        shutil.rmtree(folder, ignore_errors=True)
    return run.tokens_per_second()


class _Run:
    """What happens between optimizer steps."""

    def __init__(
        self,
        watch: Watch,
        model: Any,
        settings: FinetuneSettings,
        lessons: Taught,
        progress: Progress,
    ) -> None:
        self._watch = watch
        self._model = model
        self._batch_size = settings.batch_size
        self._lessons = lessons
        self._progress = progress
        self._looks = look_steps(lessons.steps, settings.evaluations)
        self._seconds = 0.0
        self._mark = time.monotonic()
        self._done = 0

    def started(self) -> None:
        """Start the clock."""
        self._mark = time.monotonic()

    def after_step(self, step: int, mean_loss: Callable[[], float]) -> None:
        """Look at the validation split if it is time."""
        self._done = step
        self._progress(step, self._lessons.steps)
        if step not in self._looks:
            return
        self._seconds += time.monotonic() - self._mark
        loss = mean_loss()
        if not math.isfinite(loss):
            raise diverged("training", loss, step)
        try:
            self._watch.look(self._model, step, step * self._batch_size, loss)
        except ModelError as error:  # the step after a finite loss can still have thrown the weights out of range
            raise diverged("validation", math.nan, step) from error
        self._mark = time.monotonic()

    def tokens_per_second(self) -> float | None:
        """Training tokens over training time."""
        seen = self._lessons.tokens(self._done * self._batch_size)
        return round(seen / self._seconds, 1) if self._seconds else None


def look_steps(steps: int, evaluations: int) -> frozenset[int]:
    """After which steps the validation split is scored: evenly spread, the last step among them."""
    return frozenset(max(1, round(steps * look / evaluations)) for look in range(1, evaluations + 1))


def _fingerprint(
    base: Base,
    settings: RunSettings,
    lessons: Taught,
    questions: Sequence[Instruction],
    start: str | None,
) -> str:
    parts = [base.identity, settings.finetune.model_dump_json(), settings.model.model_dump_json(), settings.seed, start]
    return hashlib.sha256(json.dumps([*parts, lessons.fingerprint(), repr(questions)]).encode()).hexdigest()


def _is_finished(out: Path, fingerprint: str) -> bool:
    if not (out / BEGUN).is_file():
        return False
    return bool(read_json(out / BEGUN) == {"fingerprint": fingerprint, "finished": True})


def _begin(out: Path, fingerprint: str) -> None:
    """Clear away what an earlier, unfinished or other training left."""
    with writing(out):
        for name in (_TRAINER, ADAPTER):
            shutil.rmtree(out / name, ignore_errors=True)
        write_json(out / BEGUN, {"fingerprint": fingerprint, "finished": False})
