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
from coordi.model.checkpoints import Checkpoint, Checkpoints
from coordi.model.engines import Loaded, choose_engine, engine_for_head, load_tokenizer
from coordi.model.interruption import Interruption
from coordi.model.lessons import Lessons, make_lessons
from coordi.model.pooled_training import Groups, PooledQuestions, make_groups, new_pooled_trainer, pooled_network
from coordi.model.preference import Preferences, make_preferences, new_preference_trainer
from coordi.model.quiet import quiet
from coordi.model.reading import check_reading
from coordi.model.starting import check_start, take_up
from coordi.model.trainer import diverged, new_trainer
from coordi.model.training_state import Turn, check_gradients, check_weights, go_back, training_state
from coordi.model.watch import ADAPTER, AnswerQuestions, CurvePoint, Questions, Watch, best, drawn_questions
from coordi.progress import Progress, silent
from coordi.prompts.answers import YES
from coordi.prompts.rendering import ListRenderer, PromptRenderer
from coordi.prompts.templates import Instruction

BEGUN = "begun.json"
CHECKPOINTS = "checkpoints"
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


@dataclass(frozen=True, slots=True)
class _Site:
    """Where a training keeps what it makes, and how it speaks."""

    out: Path
    watch: Watch
    checkpoints: Checkpoints
    progress: Progress
    interruption: Interruption
    say: Callable[[str], None]


def finetune(
    examples_for_epoch: Callable[[int], Sequence[Instruction]],
    valid: Sequence[Instruction],
    settings: RunSettings,
    out: Path,
    progress: Progress = silent,
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
    checkpoints = Checkpoints(out / CHECKPOINTS, fingerprint)
    speed = None
    if _is_finished(out, fingerprint):
        watch.restore()
    else:
        site = _Site(out, watch, checkpoints, progress, Interruption(say), say)
        begun = _begin(site, fingerprint)
        loaded = engine.for_training(base, settings.model, settings.finetune, settings.seed)
        if not pooled:
            check_reading(loaded.model, base.name)
        take_up(loaded.model, settings.finetune)
        speed = _train(loaded, lessons, settings, site, begun)
    with writing(out):
        for name in (_TRAINER, CHECKPOINTS):
            shutil.rmtree(out / name, ignore_errors=True)
    progress(lessons.steps, lessons.steps)
    curve = tuple(watch.curve)
    return FinetuneResult(
        out / ADAPTER, curve, best(curve), engine.name, reason, lessons.steps, speed, dict(renderer.shortened)
    )


def _train(
    loaded: Loaded, lessons: Taught, settings: RunSettings, site: _Site, begun: Checkpoint | None
) -> float | None:
    """Train, from a checkpoint if there is one; gives the tokens per second."""
    with quiet(), writing(site.out), site.interruption.held():
        folder = site.out / _TRAINER
        network = loaded.model
        if isinstance(lessons, Groups):
            network = pooled_network(loaded.model, ListRenderer.before)
            run = _Run(site, network, settings.finetune, lessons)
            trainer = new_pooled_trainer(network, lessons, settings.finetune, settings.seed, run, folder)
        else:
            run = _Run(site, network, settings.finetune, lessons)
            if isinstance(lessons, Preferences):
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

    def __init__(self, site: _Site, model: Any, settings: FinetuneSettings, lessons: Taught) -> None:
        self._site = site
        self._model = model
        self._batch_size = settings.batch_size
        self._lessons = lessons
        self._looks = look_steps(lessons.steps, settings.evaluations)
        self._turn = Turn(settings.checkpoint_minutes * 60)
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
    with writing(site.out):
        for name in (_TRAINER, ADAPTER, CHECKPOINTS):
            shutil.rmtree(site.out / name, ignore_errors=True)
        write_json(site.out / BEGUN, begun)
    return None
