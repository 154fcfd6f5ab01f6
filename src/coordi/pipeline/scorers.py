"""Who is asked: the model under test, the one it was made from, and every baseline."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from coordi.artifacts import hash_file
from coordi.config import RunSettings
from coordi.describe.encoder import load_settled_encoder
from coordi.domain import Item
from coordi.evaluate.baselines.deferred import FittedWhenAsked
from coordi.evaluate.baselines.roster import BaselineInputs, baselines
from coordi.evaluate.learning_curve import learning_curve
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.results import Caution
from coordi.evaluate.scorer import OutfitScorer, ScoreSource
from coordi.model.frozen import FrozenModel
from coordi.pipeline.joining import ALONE, JOINED, WITHOUT, Joined
from coordi.pipeline.stages import Material

if TYPE_CHECKING:
    from coordi.model.score import LanguageModelScorer


@dataclass(frozen=True, slots=True)
class MeasuredModel:
    """The model under test.

    Attributes:
        name: ``fine-tuned`` or ``base``.
        settings: Of the run that made it: its base model and its prompts.
        adapter: Its adapter; None for the base model.
        curve: Its learning curve file; None if there is none.
    """

    name: str
    settings: RunSettings
    adapter: Path | None
    curve: Path | None = None

    def facts(self) -> dict[str, Any]:
        """What ``report.json`` says of it."""
        return {
            "name": self.name,
            "base": self.settings.model.base,
            "quantization": self.settings.model.quantization,
            "fine_tuned": self.adapter is not None,
        }

    def identity(self) -> str:
        """SHA-256 over everything in the adapter's folder but its card; ``base`` if there is none."""
        if self.adapter is None:
            return "base"
        parts = sorted(path for path in self.adapter.iterdir() if path.suffix in (".json", ".safetensors"))
        return hashlib.sha256("".join(f"{part.name} {hash_file(part)}\n" for part in parts).encode()).hexdigest()


def model_scorer(
    model: MeasuredModel, items: Mapping[str, Item], texts: Mapping[str, str], passes: int = 1
) -> FittedWhenAsked:
    """The scorer of a model, for items and what is said of them by id; it is loaded by its first question."""
    return FittedWhenAsked(model.name, lambda: _load(model, items, texts, passes)[0])


def _load(
    model: MeasuredModel, items: Mapping[str, Item], texts: Mapping[str, str], passes: int = 1
) -> tuple[OutfitScorer, ...]:
    """The model as it is to be used; if it is joined with anything, then alone, and the rest without it."""
    from coordi.model.base import resolve_base
    from coordi.model.score import load_scorer

    joined = None if model.adapter is None else Joined.load(model.adapter)
    alone = load_scorer(resolve_base(model.settings.model), model.adapter, texts, model.settings, passes)
    return (alone,) if joined is None else joined.scorers(alone, items, texts)


def _at(loaded: Callable[[], tuple[OutfitScorer, ...]], place: int) -> OutfitScorer:
    return loaded()[place]


def _is_joined(model: MeasuredModel) -> bool:
    return model.adapter is not None and (model.adapter / JOINED).is_file()


def _load_base(settings: RunSettings, texts: Mapping[str, str]) -> LanguageModelScorer:
    from coordi.model.base import resolve_base
    from coordi.model.score import load_answers

    return load_answers(resolve_base(settings.model), None, texts, settings)


class Lineup:
    """The model under test and everything that is asked beside it.

    The base model's zero-shot answers and the states that the probe reads come from one loaded model.

    Attributes:
        left_out: What couldn't be made on this data, and why, as far as it is known.
    """

    def __init__(self, material: Material, model: MeasuredModel, settings: RunSettings) -> None:
        self._material = material
        self._has_base_apart = model.adapter is not None
        self._settings = settings
        self._frozen = FrozenModel(partial(_load_base, model.settings, material.texts))
        self._model = model
        self.left_out: dict[str, str] = {}

    def scorers(self, seed: int) -> tuple[OutfitScorer | ScoreSource, ...]:
        """The model under test, then everything it is compared with.

        Args:
            seed: Of the baselines' training negatives and of what is drawn in training.
        """
        which = self._settings.evaluate.baselines
        under_test, *parts = self._models
        if which == "none":
            return (under_test,)
        base = (self._frozen,) if self._has_base_apart else ()
        made, left_out = baselines(self._inputs(seed), which)
        self.left_out |= left_out
        return (under_test, *parts, *base, *made)

    @cached_property
    def _models(self) -> tuple[OutfitScorer, ...]:
        """The model under test; where it is a joined one, what it is joined of beside it."""
        if not self._has_base_apart:
            return (self._frozen,)
        model, material = self._model, self._material

        @cache
        def loaded() -> tuple[OutfitScorer, ...]:
            return _load(model, material.dataset.items, material.texts)

        names = (model.name, ALONE, WITHOUT) if _is_joined(model) else (model.name,)
        return tuple(FittedWhenAsked(name, partial(_at, loaded, place)) for place, name in enumerate(names))

    def learning_curve(self, questions: Sequence[ProtocolQuestions]) -> tuple[Mapping[str, Any], ...]:
        """AUC by number of training outfits, as ``report.json`` has it; empty if it isn't asked for."""
        settings = self._settings.evaluate
        if settings.baselines != "all" or not settings.learning_curve:
            return ()
        curve = learning_curve(self._inputs(self._settings.seed), questions)
        self.left_out |= {f"{name} (learning curve)": why for name, why in curve.left_out.items()}
        return tuple(asdict(row) for row in curve.rows)

    def cautions(self) -> tuple[Caution, ...]:
        """What was left out, for the report."""
        return tuple(
            Caution(f"baseline {name}", f"The baseline is left out: {reason}.")
            for name, reason in self.left_out.items()
        )

    def _inputs(self, seed: int) -> BaselineInputs:
        described, encoder = self._material.described, load_settled_encoder(self._settings.describe)
        described.check_seen_by((encoder.name, encoder.identity))
        return BaselineInputs(
            dataset=self._material.dataset,
            texts=self._material.texts,
            photos=dict(zip(described.ids, described.embeddings, strict=True)),
            encoder=encoder,
            settings=self._settings.evaluate,
            seed=seed,
            states=self._frozen.states,
        )
