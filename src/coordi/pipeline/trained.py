"""Trained models by name, and everything a model is measured beside."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import asdict, dataclass
from functools import cache, cached_property, partial
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from coordi.artifacts import hash_file, read_json
from coordi.config import EvaluateSettings, RunSettings, apply_overrides, load_settings
from coordi.encoders.base import load_settled_encoder
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ConfigError, ModelError
from coordi.evaluate.baselines import BaselineInputs, LazyScorer, build_baselines, learning_curve
from coordi.evaluate.benchmark import ReportWarning
from coordi.evaluate.question_sets import ProtocolQuestions
from coordi.evaluate.scoring import OutfitScorer, ScoreSource
from coordi.model.scoring import BaseModelScorer, item_orders
from coordi.pipeline.ensemble import (
    ENSEMBLE_FILE,
    LANGUAGE_MODEL,
    WITHOUT_LANGUAGE_MODEL,
    CategoryCentering,
    Ensemble,
    LogisticModel,
    log_odds,
    photo_only_correction,
)
from coordi.pipeline.stages import ADAPTER, CURVE, FINETUNE, SETTINGS, PreparedData
from coordi.recommend.catalogue import Catalogue
from coordi.types import Item

if TYPE_CHECKING:
    from coordi.model.scoring import LanguageModelScorer


@dataclass(frozen=True, slots=True)
class TrainedModel:
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
    model: TrainedModel, items: Mapping[str, Item], texts: Mapping[str, str], passes: int = 1
) -> LazyScorer:
    """The scorer of a model, for items and what is said of them by id; it is loaded by its first question."""
    return LazyScorer(model.name, lambda: _load(model, items, texts, passes)[0])


def _load(
    model: TrainedModel, items: Mapping[str, Item], texts: Mapping[str, str], passes: int = 1
) -> tuple[OutfitScorer, ...]:
    """The model as it is to be used; if it is joined with anything, then alone, and the rest without it."""
    from coordi.model.base import resolve_base
    from coordi.model.scoring import load_scorer

    joined = None if model.adapter is None else Ensemble.load(model.adapter)
    alone = load_scorer(resolve_base(model.settings.model), model.adapter, texts, model.settings, passes)
    return (alone,) if joined is None else joined.scorers(alone, items, texts)


def _at(loaded: Callable[[], tuple[OutfitScorer, ...]], place: int) -> OutfitScorer:
    return loaded()[place]


def _is_joined(model: TrainedModel) -> bool:
    return model.adapter is not None and (model.adapter / ENSEMBLE_FILE).is_file()


def _load_base(settings: RunSettings, texts: Mapping[str, str]) -> LanguageModelScorer:
    from coordi.model.base import resolve_base
    from coordi.model.scoring import load_answers

    return load_answers(resolve_base(settings.model), None, texts, settings)


class MeasuredScorers:
    """The model under test and everything that is asked beside it.

    The base model's zero-shot answers and the states that the probe reads come from one loaded model.

    Attributes:
        left_out: What couldn't be made on this data, and why, as far as it is known.
    """

    def __init__(self, material: PreparedData, model: TrainedModel, settings: RunSettings) -> None:
        self._material = material
        self._has_base_apart = model.adapter is not None
        self._settings = settings
        self._frozen = BaseModelScorer(partial(_load_base, model.settings, material.texts))
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
        made, left_out = build_baselines(self._inputs(seed), which)
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

        names = (model.name, LANGUAGE_MODEL, WITHOUT_LANGUAGE_MODEL) if _is_joined(model) else (model.name,)
        return tuple(LazyScorer(name, partial(_at, loaded, place)) for place, name in enumerate(names))

    def learning_curve(self, questions: Sequence[ProtocolQuestions]) -> tuple[Mapping[str, Any], ...]:
        """AUC by number of training outfits, as ``report.json`` has it; empty if it isn't asked for."""
        settings = self._settings.evaluate
        if settings.baselines != "all" or not settings.learning_curve:
            return ()
        curve = learning_curve(self._inputs(self._settings.seed), questions)
        self.left_out |= {f"{name} (learning curve)": why for name, why in curve.left_out.items()}
        return tuple(asdict(row) for row in curve.rows)

    def cautions(self) -> tuple[ReportWarning, ...]:
        """What was left out, for the report."""
        return tuple(
            ReportWarning(f"baseline {name}", f"The baseline is left out: {reason}.")
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


BUNDLED = Path(__file__).parents[1] / "model" / "adapter"
"""The bundled adapter's folder; its README.md says what it was trained on and how well it does."""
_DEFAULT_PRESET = "edge"
_FREE = ("data.", "evaluate.", "recommend.")


def find_model(name: str, overrides: Sequence[str] = ()) -> TrainedModel:
    """The model that a command's ``--model`` names.

    How it is measured is not the model's own: that is as ``EvaluateSettings`` has it unless overridden, so that every
    model is measured alike.

    Args:
        name: ``bundled`` for the adapter that comes with coordi, ``base`` for the model it was made on, a folder that
            ``coordi run`` or ``coordi finetune`` made, or the folder of an adapter.
        overrides: ``key=value`` settings over the model's own. An adapter's base, prompts and encoder stay as they
            were when it was made.

    Raises:
        ConfigError: If an override is wrong, or isn't the user's to set.
        ModelError: If it is none of them, or its fine-tuning isn't finished.
    """
    if name == "base":
        settings = apply_overrides(_measured_alike(load_settings(_DEFAULT_PRESET)), overrides)
        return TrainedModel("base", settings, None)
    if name == "bundled":
        return TrainedModel("fine-tuned", _settings_of(BUNDLED, overrides), BUNDLED)
    folder = Path(name)
    for adapter in (folder / FINETUNE / ADAPTER, folder / ADAPTER, folder):
        if (adapter / "adapter_config.json").is_file():
            return TrainedModel("fine-tuned", _settings_of(adapter, overrides), adapter, adapter.parent / CURVE)
    reason = "its fine-tuning isn't finished" if (folder / FINETUNE).is_dir() else "no adapter is in it"
    if not folder.exists():
        reason = "no such folder"
    raise ModelError(
        f"no model at '{name}': {reason}; accepted are a folder that coordi run or coordi finetune made, an adapter's "
        "folder, 'bundled' or 'base'"
    )


def _settings_of(adapter: Path, overrides: Sequence[str]) -> RunSettings:
    path = adapter / SETTINGS
    if not path.is_file():
        raise ModelError(
            f"'{adapter}' has no {SETTINGS}: its fine-tuning isn't finished, or another tool made it; run coordi "
            "finetune again"
        )
    try:
        own = {key: value for key, value in read_json(path).items() if key != "evaluate"}
        settings = RunSettings.model_validate(own)
    except ValidationError as error:
        raise ModelError(
            f"'{path}' was written by another version of coordi ({error.error_count()} settings don't fit); fine-tune "
            "again"
        ) from error
    for override in overrides:
        if not override.startswith(_FREE):
            raise ConfigError(
                f"'{override}' can't be set for a fine-tuned model, which is asked as it was taught; accepted are keys "
                f"that begin with {' or '.join(_FREE)}"
            )
    return apply_overrides(_measured_alike(settings), overrides)


def _measured_alike(settings: RunSettings) -> RunSettings:
    return settings.model_copy(update={"evaluate": EvaluateSettings()})


_REMEMBERED = 20_000
"""Answers of the language model that are kept: some megabytes."""

Texts = tuple[str, ...]


class LoadedModel:
    """Scores outfits of described items; see ``recommend.item_scorer.ItemScorer``.

    The language model is loaded by the first question that needs it, or by ``load``. It is asked by what is said of the
    items and nothing else, so what it answered holds whatever catalogue an item is from. Questions from several threads
    wait for each other.

    Attributes:
        name: ``fine-tuned`` or ``base``.
    """

    def __init__(self, model: TrainedModel) -> None:
        """Take the model that ``find_model`` found.

        Raises:
            ModelError: If what it is joined with can't be read.
        """
        self.name = model.name
        self._model = model
        own = None if model.adapter is None else Ensemble.load(model.adapter)
        # A model that isn't joined answers alone; for who wants no language model the bundled adapter's parts speak.
        bundled = own or Ensemble.load(BUNDLED)
        if bundled is None:
            raise ValueError(f"the bundled adapter in {BUNDLED} isn't joined with anything")
        self._parts = bundled
        self._line: LogisticModel | None = None if own is None else own.told.joined
        self._asked = _Asked(model)
        settings = model.settings
        self._usual_elsewhere = CategoryCentering.of(
            bundled.means, load_vocabulary(settings.describe.vocabulary), settings.prompt
        )
        self._usual = self._usual_elsewhere

    def in_catalogue(self, index: Catalogue) -> LoadedModel:
        """The same model, that likens items by what is unusual in this catalogue alone; both share what is loaded."""
        other = copy(self)
        other._usual = self._usual_elsewhere.in_catalogue(index.text_sums())
        return other

    def load(self) -> None:
        """Load the language model now.

        Raises:
            CoordiError: If it can't be loaded.
        """
        self._asked.load()

    def score(
        self, outfits: Sequence[Sequence[Item]], *, language_model: bool = True, orders: int = 1
    ) -> NDArray[np.float64]:
        """P(yes) of each outfit, shape ``(N,)``; see ``ItemScorer``."""
        if not outfits:
            return np.zeros(0)
        if not language_model:
            return self._parts.told.without.probabilities(self._plain(outfits))
        yes = self._asked.score([tuple(item.text for item in outfit) for outfit in outfits], orders)
        if self._line is None:
            return yes
        return self._line.probabilities(
            {**self._plain(outfits), LANGUAGE_MODEL: log_odds(yes) - photo_only_correction(outfits)}
        )

    def direction(self, outfit: Sequence[Item]) -> NDArray[np.float32]:
        """Sum of the items' vectors less what is usual for their categories, shape ``(T,)``; see ``ItemScorer``."""
        return np.asarray(sum(self._usual.centred(one) for one in outfit), dtype=np.float32)

    def _plain(self, outfits: Sequence[Sequence[Item]]) -> Mapping[str, NDArray[np.float64]]:
        # Numbers stand for the items: two catalogues may use one id for different things.
        places: dict[int, str] = {}
        items: dict[str, Item] = {}
        asked: list[list[str]] = []
        for outfit in outfits:
            names = [places.setdefault(id(one), str(len(places))) for one in outfit]
            items.update(zip(names, outfit, strict=True))
            asked.append(names)
        parts = self._parts.plain(
            items,
            {name: self._usual.centred(one) for name, one in items.items()},
            are_centred=True,
        )
        return parts.values(asked)


class _Asked:
    """The language model, asked by texts; the last answers are remembered."""

    def __init__(self, model: TrainedModel) -> None:
        self._model = model
        self._scorer: OutfitScorer | None = None
        self._known: OrderedDict[Texts, float] = OrderedDict()
        self._lock = Lock()

    def load(self) -> None:
        with self._lock:
            self._loaded()

    def score(self, outfits: Sequence[Texts], orders: int) -> NDArray[np.float64]:
        seed = self._model.settings.seed
        asked = [tuple(order) for outfit in outfits for order in item_orders(outfit, orders, seed)]
        with self._lock:
            new = [texts for texts in dict.fromkeys(asked) if texts not in self._known]
            answers = dict(zip(new, self._loaded().score(new).tolist(), strict=True)) if new else {}
            for texts in asked:
                self._known[texts] = answers[texts] = answers[texts] if texts in answers else self._known[texts]
                self._known.move_to_end(texts)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        yes = np.array([answers[texts] for texts in asked], dtype=np.float64)
        return np.asarray(yes.reshape(len(outfits), orders).mean(axis=1))

    def _loaded(self) -> OutfitScorer:
        if self._scorer is None:
            from coordi.model.base import resolve_base
            from coordi.model.scoring import load_scorer

            settings, adapter = self._model.settings, self._model.adapter
            self._scorer = load_scorer(resolve_base(settings.model), adapter, _Themselves(), settings)
        return self._scorer


class _Themselves(Mapping[str, str]):
    """Texts by themselves: the language model's items are what is said of them."""

    def __getitem__(self, text: str) -> str:
        return text

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str)

    def __iter__(self) -> Iterator[str]:
        return iter(())

    def __len__(self) -> int:
        return 0
