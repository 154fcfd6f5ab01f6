"""All that a training has to have again to go on as if it hadn't been interrupted, and that it is still sound."""

from __future__ import annotations

import random
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from coordi.errors import TrainingError, require
from coordi.model.trainer import GIVE_UP

_SHARE = 0.01  # of the time that checkpoints may take


class Turn:
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
        "weights": dict(_trained(trainer)),
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
    weights, trained = state["weights"], dict(_trained(trainer))
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
    if not _all_finite(weight.detach() for _, weight in _trained(trainer)):
        raise TrainingError(f"weights stopped being finite numbers in step {step}; {GIVE_UP}")


def _trained(trainer: Any) -> Iterator[tuple[str, Any]]:
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
            if not _all_finite(weight.grad for _, weight in _trained(trainer) if weight.grad is not None):
                raise TrainingError(f"gradients stopped being finite numbers in step {now.global_step + 1}; {GIVE_UP}")

    return GradientCheck()
