"""Who is asked: the model under test, the one it was made from, and every baseline, each made when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from coordi.artifacts import hash_file, read_json, write_json
from coordi.config import RunSettings
from coordi.describe.encoder import load_encoder
from coordi.evaluate.baselines.roster import BaselineInputs, Which, baselines, make_baseline
from coordi.evaluate.learning_curve import learning_curve
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.results import Caution
from coordi.evaluate.scorer import OutfitScorer
from coordi.model.frozen import FrozenModel
from coordi.pipeline.stages import Material

if TYPE_CHECKING:
    from coordi.model.score import LanguageModelScorer

BASELINES = "baselines.json"


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
        """SHA-256 of the adapter's weights; ``base`` if there is none."""
        return "base" if self.adapter is None else hash_file(self.adapter / "adapter_model.safetensors")


class LoadedWhenAsked:
    """A scorer that is made by its first question, so that finished scores cost no loading and no fitting."""

    def __init__(self, name: str, load: Callable[[], OutfitScorer], *, gives_probabilities: bool = True) -> None:
        self.name = name
        self.gives_probabilities = gives_probabilities
        self._load = load
        self._scorer: OutfitScorer | None = None

    def score(self, outfits: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """Compatibility of each outfit, shape ``(N,)``."""
        if self._scorer is None:
            self._scorer = self._load()
        return self._scorer.score(outfits)


def model_scorer(model: MeasuredModel, texts: Mapping[str, str], passes: int = 1) -> LoadedWhenAsked:
    """The scorer of a model, for texts by item id."""
    return LoadedWhenAsked(model.name, partial(_load, model, texts, passes))


def _load(model: MeasuredModel, texts: Mapping[str, str], passes: int = 1) -> LanguageModelScorer:
    from coordi.model.base import resolve_base
    from coordi.model.score import load_scorer

    return load_scorer(resolve_base(model.settings.model), model.adapter, texts, model.settings, passes)


class Lineup:
    """The model under test and everything that is asked beside it.

    The base model's zero-shot answers and the states that the probe reads come from one loaded model. Baselines are
    fitted once; in a run that goes on they are fitted again only if they are asked something new.
    """

    def __init__(self, material: Material, model: MeasuredModel, settings: RunSettings) -> None:
        self._material = material
        self._has_base_apart = model.adapter is not None
        self._settings = settings
        self._frozen = FrozenModel(partial(_load, replace(model, adapter=None), material.texts))
        self._under_test = model_scorer(model, material.texts) if self._has_base_apart else self._frozen
        self._left_out: dict[str, str] = {}

    def scorers(self, seed: int, folder: Path) -> tuple[OutfitScorer, ...]:
        """The model under test, then everything it is compared with, fitted with a seed.

        Args:
            seed: Of the training negatives and of what is drawn in training.
            folder: Where it is noted which baselines could be made.
        """
        which = self._settings.evaluate.baselines
        if which == "none":
            return (self._under_test,)
        base = (self._frozen,) if self._has_base_apart else ()
        return (self._under_test, *base, *self._baselines(which, self._inputs(seed), folder / BASELINES))

    def learning_curve(self, questions: Sequence[ProtocolQuestions]) -> tuple[Mapping[str, Any], ...]:
        """AUC by number of training outfits, as ``report.json`` has it; empty if it isn't asked for."""
        settings = self._settings.evaluate
        if settings.baselines != "all" or not settings.learning_curve:
            return ()
        return tuple(asdict(row) for row in learning_curve(self._inputs(self._settings.seed), questions))

    def cautions(self) -> tuple[Caution, ...]:
        """What couldn't be made on this data, and why."""
        return tuple(
            Caution(f"baseline {name}", f"The baseline is left out: {reason}.")
            for name, reason in self._left_out.items()
        )

    def _baselines(self, which: Which, inputs: BaselineInputs, noted: Path) -> tuple[OutfitScorer, ...]:
        if noted.is_file():
            known = read_json(noted)
            self._left_out |= known["left_out"]
            return tuple(
                LoadedWhenAsked(name, partial(make_baseline, name, inputs), gives_probabilities=gives)
                for name, gives in known["made"].items()
            )
        made, left_out = baselines(inputs, which)
        self._left_out |= left_out
        facts = {"made": {one.name: one.gives_probabilities for one in made}, "left_out": dict(left_out)}
        write_json(noted, facts)
        return made

    def _inputs(self, seed: int) -> BaselineInputs:
        described = self._material.described
        return BaselineInputs(
            dataset=self._material.dataset,
            texts=self._material.texts,
            photos=dict(zip(described.ids, described.embeddings, strict=True)),
            encoder=load_encoder(self._settings.describe.encoder),
            settings=self._settings.evaluate,
            seed=seed,
            states=self._frozen.states,
        )
