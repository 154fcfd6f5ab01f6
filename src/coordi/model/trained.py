"""Trained models by name, and their scorers: the same ones for evaluation, recommending and serving."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from coordi.artifacts import Progress, hash_file, no_progress, read_json
from coordi.config import (
    EvaluateSettings,
    FinetuneSettings,
    RunSettings,
    apply_overrides,
    load_settings,
    without_downloads,
)
from coordi.encoders.base import EDGE
from coordi.encoders.complements import recommender_of
from coordi.encoders.labels import load_vocabulary
from coordi.errors import ArtifactError, ConfigError, ModelError
from coordi.model.base import Base, resolve_base
from coordi.model.engines import COPY_ADAPTER, read_adapter
from coordi.model.ensemble import ENSEMBLE_FILE, LANGUAGE_MODEL, WITHOUT_LANGUAGE_MODEL, Ensemble
from coordi.model.features import GroupSums
from coordi.model.generation import ComplementWriter, NameRequest, Written
from coordi.model.scoring import (
    BaseModelScorer,
    CachedScorer,
    LanguageModelScorer,
    LazyScorer,
    check_origin,
    load_answers,
    load_any_scorer,
    prompt_key,
)
from coordi.types import EmbeddingSort, Item, OutfitScorer

BUNDLED = Path(__file__).parent / "adapter"
"""Folder of the bundled adapter; its README.md is the model card."""
FINETUNE = "finetune"
ADAPTER = "adapter"
CURVE = "curve.json"
SETTINGS = "settings.json"  # beside the adapter's weights, so that a copied adapter is used as it was trained
_DEFAULT_PRESET = "edge"
_OF_THE_START = ("head", "first_layer", "last_layer", "lora_rank", "lora_alpha", "target_modules")
# What a machine decides: where the base and the encoder are, which an adapter knows by their hashes, and how they are
# computed.
_OF_THE_MACHINE = ("base", "engine", "arithmetic", "attention", "batch_tokens", "allow_download", "revision")
_FREE_GROUPS = ("data.", "evaluate.", "recommend.")
_FREE = (
    "seed=", *_FREE_GROUPS, *(f"model.{name}=" for name in _OF_THE_MACHINE),
    "describe.encoder=", "describe.allow_download=", "describe.revision=",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class TrainedModel:
    """A fine-tuned model, or a base model."""

    name: str  # fine-tuned or base
    settings: RunSettings  # of the run that made it: its base model, prompts and encoder
    adapter: Path | None  # folder; None for the base model
    curve: Path | None = None  # file of its training curve, if there is one

    @property
    def is_ensemble(self) -> bool:
        """Whether the adapter has an ensemble."""
        return self.adapter is not None and (self.adapter / ENSEMBLE_FILE).is_file()

    @property
    def can_write(self) -> bool:
        """Whether the model writes words: a pooled head gives a number alone."""
        return self.adapter is None or self.settings.finetune.head == "answer"

    @property
    def names_items(self) -> bool:
        """Whether the model was taught to name what would complete an outfit."""
        return self.adapter is not None and self.can_write and self.settings.finetune.tasks.get("complement", 0) > 0

    def facts(self) -> dict[str, Any]:
        """Facts for ``report.json``."""
        model = self.settings.model
        tuned = self.adapter is not None
        return {"name": self.name, "base": model.base, "quantization": model.quantization, "fine_tuned": tuned}

    def identity(self) -> str:
        """SHA-256 over everything in the adapter's folder but its card; ``base`` without an adapter."""
        if self.adapter is None:
            return "base"
        files = sorted(path for path in self.adapter.iterdir() if path.suffix in (".json", ".safetensors"))
        return hashlib.sha256("".join(f"{file.name} {hash_file(file)}\n" for file in files).encode()).hexdigest()

    def load_scorer(self) -> OutfitScorer:
        """Load the language model, with the adapter if there is one."""
        return load_any_scorer(self.adapter, self.settings)


class ModelScorers:
    """Scorers of one trained model, safe for several threads; the language model is loaded when needed. ``model`` is
    the adapter's ensemble, or else the language model; ``quick`` an ensemble without it, the bundled one if there is
    none.
    """

    def __init__(self, model: TrainedModel) -> None:
        self._trained = model
        self._lazy = LazyScorer(model.name, model.load_scorer)
        self._lock = Lock()  # one thread at a time scores or writes with the language model
        self._writer = cache(self._load_writer)
        own = None if model.adapter is None else Ensemble.load(model.adapter)
        self._has_own = own is not None
        ensemble = own or Ensemble.load(BUNDLED)
        if ensemble is None:
            raise ModelError(f"the bundled adapter in {BUNDLED} has no ensemble; install coordi again")
        if own is None and model.settings.describe.encoder != EDGE:  # its photos can't be compared with these
            ensemble = replace(ensemble, photos=None)
        vocabulary = load_vocabulary(model.settings.describe.vocabulary)
        self._ensemble = ensemble.with_photo_only(vocabulary, model.settings.prompt)
        name = LANGUAGE_MODEL if own else model.name
        self.language_model = CachedScorer(name, self._lazy, key=prompt_key(model.settings), lock=self._lock)
        self._adapt(self._ensemble)

    def for_catalogue(self, sums: GroupSums) -> ModelScorers:
        """The same scorers with centering adapted to a catalogue's items; the loaded language model is shared."""
        other = object.__new__(ModelScorers)
        other.__dict__.update(self.__dict__)
        other._adapt(self._ensemble.for_catalogue(sums))
        return other

    def load(self) -> None:
        """Load the language model now."""
        self._lazy.load()

    def base_scorer(self) -> BaseModelScorer:
        """Scorer of the base model without the adapter, loaded by its first outfits. It shares the weights of the
        language model where the adapter isn't merged into them: two copies of an 8B model don't fit on a small GPU.
        """
        return BaseModelScorer(self._load_base, prompt_key(self._trained.settings))

    def _load_base(self) -> LanguageModelScorer:
        trained = self._trained
        if trained.adapter is None or trained.settings.finetune.head == "answer":
            scorer = self._lazy.load()
            if isinstance(scorer, LanguageModelScorer):
                shared = scorer if trained.adapter is None else scorer.without_adapter()
                if shared is not None:
                    return shared
        return load_answers(resolve_base(trained.settings.model), None, trained.settings)

    def directions(self, outfit: Sequence[Item]) -> dict[EmbeddingSort, NDArray[np.float32]]:
        """Directions in which embeddings of fitting items lie; see ``recommend.answers.Scorers.directions``."""
        return self.quick.directions(outfit)

    def write(self, requests: Sequence[NameRequest], progress: Progress = no_progress) -> list[Written]:
        """Name in words what would complete outfits; see ``ComplementWriter.write``. A ``ModelError`` if this model
        can't write.
        """
        check_can_write(self._trained)
        with self._lock:
            return self._writer().write(requests, progress)

    def _load_writer(self) -> ComplementWriter:
        """A writer with the language model that scores, or with one in torch where that isn't one."""
        scorer, settings = self._lazy.load(), self._trained.settings
        if not isinstance(scorer, LanguageModelScorer):
            scorer = load_answers(resolve_base(settings.model), self._trained.adapter, settings)
        return ComplementWriter(scorer, recommender_of(settings.describe))

    def _adapt(self, ensemble: Ensemble) -> None:
        self.quick = ensemble.scorer(WITHOUT_LANGUAGE_MODEL, None)
        self.model: OutfitScorer = self.language_model
        self.explaining: OutfitScorer = self.language_model
        if self._has_own:
            self.model, self.explaining = ensemble.scorer(self._trained.name, self.language_model), self.quick


def check_can_write(model: TrainedModel) -> None:
    """Raise a ``ModelError`` if a model can't name things in words."""
    if not model.can_write:
        raise ModelError(
            "this model has a pooled head, which gives a score and no words, so it can't name what would complete an "
            "outfit; leave out --generate (in the API: generate), or use a model that was fine-tuned with "
            "finetune.head=answer 'finetune.tasks={compatibility: 0.7, complement: 0.3}', as --preset paper does"
        )


def find_model(name: str, overrides: Sequence[str] = ()) -> TrainedModel:
    """The model that a command's ``--model`` names: ``bundled``, ``base``, the folder of a run or of an adapter.

    An adapter's base, prompts and encoder stay as they were in training; settings of the evaluation are the defaults
    unless overridden, so that all models are measured alike. Raises a ``ConfigError`` for a wrong override, and a
    ``ModelError`` if the name is none of them, or its fine-tuning isn't finished.
    """
    if name == "base":
        settings = load_settings(_DEFAULT_PRESET).model_copy(update={"evaluate": EvaluateSettings()})
        return TrainedModel("base", apply_overrides(settings, overrides), None)
    if name == "bundled":
        return TrainedModel("fine-tuned", _settings_of(BUNDLED, overrides), BUNDLED)
    folder = Path(name)
    for adapter in (folder / FINETUNE / ADAPTER, folder / ADAPTER, folder):
        if (adapter / "adapter_config.json").is_file():
            return TrainedModel("fine-tuned", _settings_of(adapter, overrides), adapter, adapter.parent / CURVE)
    reason = "no adapter is in it" if folder.exists() else "no such folder"
    reason = "its fine-tuning isn't finished" if (folder / FINETUNE).is_dir() else reason
    raise ModelError(
        f"no model at '{name}': {reason}; accepted are a folder that coordi run or coordi finetune made, an adapter's "
        "folder, 'bundled' or 'base'"
    )


def portable(settings: RunSettings, encoder_identity: str | None = None) -> RunSettings:
    """Settings that other machines can use too: Unsloth, which needs a GPU, is no part of what was trained, and an
    encoder, unless it is bundled, is known by its identity.
    """
    model, describe = settings.model, settings.describe
    if model.engine == "unsloth":
        model = model.model_copy(update={"engine": "auto"})
    if encoder_identity is not None and describe.encoder != EDGE:
        describe = describe.model_copy(update={"identity": encoder_identity})
    return settings.model_copy(update={"model": model, "describe": describe})


def find_start(settings: FinetuneSettings, base: Base) -> Path:
    """Folder of the adapter that ``finetune.start`` names; a ``ModelError`` if its training can't be continued so."""
    model = find_model(settings.start or "")
    if model.adapter is None:
        raise ModelError("finetune.start=base has no adapter to go on from; leave it out to begin with a fresh one")
    try:
        check_origin(model.adapter, base)
        read_adapter(model.adapter)
    except ModelError as error:
        raise ModelError(f"{error}; finetune.start=null begins with a fresh adapter") from error
    for name in _OF_THE_START:
        own, of_start = getattr(settings, name), getattr(model.settings.finetune, name)
        if own != of_start:
            raise ModelError(
                f"finetune.{name} is {own}, but the adapter that finetune.start names was trained with {of_start}; set "
                f"finetune.{name} as that one, or leave out finetune.start"
            )
    return model.adapter


def _settings_of(adapter: Path, overrides: Sequence[str]) -> RunSettings:
    path = adapter / SETTINGS
    if not path.is_file():
        raise ModelError(
            f"'{adapter}' has no {SETTINGS}: its fine-tuning isn't finished, or another tool made it; run coordi "
            "finetune again"
        )
    try:
        settings = without_downloads(portable(RunSettings.model_validate({**read_json(path), "evaluate": {}})))
    except (ArtifactError, TypeError) as error:
        raise ModelError(f"'{path}' can't be read ({error}); {COPY_ADAPTER}") from error
    except ValidationError as error:
        raise ModelError(
            f"'{path}' was written by another version of coordi ({error.error_count()} settings don't fit); fine-tune "
            "again"
        ) from error
    for override in overrides:
        if not override.startswith(_FREE):
            single = ", ".join(key.removesuffix("=") for key in _FREE if key not in _FREE_GROUPS)
            raise ConfigError(
                f"'{override}' can't be set for a fine-tuned model, which is used as it was trained; accepted are "
                f"{single}, and keys that begin with {' or '.join(_FREE_GROUPS)}"
            )
    applied = apply_overrides(settings, overrides)
    before, now = settings.describe, applied.describe
    if before.identity is None and (before.encoder, before.revision) != (now.encoder, now.revision):
        reason = "which is bundled" if before.encoder == EDGE else "whose hash its settings don't have"
        raise ModelError(
            f"describe.encoder is '{now.encoder}', but the model was trained with '{before.encoder}', {reason}; leave "
            "it out, or fine-tune again"
        )
    return applied
