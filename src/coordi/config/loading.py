"""Settings of a run: defaults, then a preset, then ``key=value`` overrides."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError

from coordi.config.settings import RunSettings
from coordi.errors import ConfigError


def preset_names() -> tuple[str, ...]:
    """Names of the presets that come with coordi, sorted."""
    folder = resources.files("coordi.presets")
    return tuple(sorted(entry.name[: -len(".yaml")] for entry in folder.iterdir() if entry.name.endswith(".yaml")))


def preset_text(preset: str) -> str:
    """Text of a preset that comes with coordi, or of a file.

    Raises:
        ConfigError: If it is neither.
    """
    if preset in preset_names():
        return resources.files("coordi.presets").joinpath(f"{preset}.yaml").read_text(encoding="utf-8")
    path = Path(preset)
    if not path.is_file():
        raise ConfigError(
            f"no preset '{preset}': accepted are {', '.join(preset_names())} or the path of a YAML file; "
            "see: coordi presets list"
        )
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the preset '{preset}' can't be read: {error}; give a UTF-8 YAML file") from error


def load_settings(preset: str, overrides: Iterable[str] = ()) -> RunSettings:
    """Settings of a preset with ``key=value`` overrides, such as ``finetune.epochs=2``.

    A value is read as YAML, so ``null``, ``true``, ``3`` and ``[a, b]`` mean what they do there. A preset that says
    ``extends: NAME`` stands on that preset: what it says itself, key by key in each group, wins.

    Raises:
        ConfigError: All problems at once: unknown keys, wrong types, values out of range.
    """
    return _validated(_values(preset, ()), overrides, f"preset '{preset}'")


def _values(preset: str, above: tuple[str, ...]) -> dict[str, Any]:
    """What a preset says, over what the one says that it extends."""
    try:
        values = yaml.safe_load(preset_text(preset)) or {}
    except yaml.YAMLError as error:
        raise ConfigError(f"the preset '{preset}' isn't YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, dict):
        raise ConfigError(f"the preset '{preset}' must hold 'key: value' lines, got {type(values).__name__}")
    parent = values.pop("extends", None)
    if parent is None:
        return values
    chain = (*above, preset)
    if not isinstance(parent, str) or parent in chain:
        raise ConfigError(
            f"the preset '{preset}' extends {parent!r}; accepted are {', '.join(preset_names())} or the path of "
            f"another YAML file that doesn't extend {' or '.join(chain)}"
        )
    merged = _values(parent, chain)
    for key, value in values.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = {**merged[key], **value} if both else value
    return merged


def apply_overrides(settings: RunSettings, overrides: Iterable[str]) -> RunSettings:
    """Settings with ``key=value`` overrides put over them.

    Raises:
        ConfigError: All problems at once, as ``load_settings`` does.
    """
    return _validated(settings.model_dump(mode="json"), overrides, "the settings")


def _validated(values: dict[str, Any], overrides: Iterable[str], source: str) -> RunSettings:
    for override in overrides:
        _apply(values, override)
    try:
        return RunSettings.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(_problem(detail) for detail in error.errors())
        raise ConfigError(f"{source}: {problems}; see: coordi presets show edge") from error


def _apply(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise ConfigError(f"'{override}' isn't an override: write key=value, such as finetune.epochs=2")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"the value of '{override}' can't be read: {' '.join(str(error).split())}") from error
    if isinstance(value, str):
        value = _number_or_text(value)
    *parents, last = key.split(".")
    for parent in parents:
        values = values.setdefault(parent, {})
        if not isinstance(values, dict):
            raise ConfigError(f"'{override}': '{parent}' is a value, not a group of settings")
    values[last] = value


def _number_or_text(text: str) -> float | str:
    """YAML 1.1 reads ``2e-4`` as text; users mean the number."""
    try:
        return float(text)
    except ValueError:
        return text


def _problem(detail: Any) -> str:
    where = ".".join(str(part) for part in detail["loc"]) or "settings"
    if detail["type"] == "extra_forbidden":
        return f"unknown key '{where}' ({_siblings(detail['loc'])})"
    return f"{where}: {detail['msg']}, got {detail['input']!r}"


def _siblings(location: tuple[Any, ...]) -> str:
    model: type[BaseModel] = RunSettings
    for part in location[:-1]:
        annotation = model.model_fields[part].annotation if part in model.model_fields else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return "see: coordi presets show edge"
        model = annotation
    return f"accepted are {', '.join(model.model_fields)}"
