"""Watches the validation split while a model is fine-tuned: the learning curve, and the best adapter so far."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import read_json, write_json, writing
from coordi.errors import TrainingError
from coordi.model.base import Base
from coordi.model.checkpoints import copy_files
from coordi.model.reading import AnswerReader, probability_of_yes
from coordi.model.score import ORIGIN
from coordi.prompts.answers import NO, YES, answer_tokens
from coordi.prompts.rendering import PromptRenderer
from coordi.prompts.templates import Instruction

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
        return probability_of_yes(AnswerReader(model, self._tokens.ids).logits(self._prompts))

    def save(self, model: Any, folder: Path) -> None:
        """See ``Questions.save``."""
        model.save_pretrained(folder, save_embedding_layers=False)


class Watch:
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
        with writing(self.adapter):
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
            with writing(folder):
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
