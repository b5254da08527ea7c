"""A recipe's settings: a dataclass, filled from a YAML preset and key=value overrides; unknown keys are refused."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from facewright.errors import UsageError

S = TypeVar("S")


def resolve(defaults: S, recipe: str, preset: str | None, overrides: list[str]) -> S:
    """`defaults` with the preset's values and then the overrides ("key=value", nested keys with dots, values as YAML)."""
    settings = defaults
    if preset is not None:
        settings = _merge(settings, read_preset(recipe, preset))
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UsageError(f"cannot use {override!r}", "a setting is written key=value")
        value: Any = yaml.safe_load(text)
        for part in reversed(key.strip().split(".")):
            value = {part: value}
        settings = _merge(settings, value)
    return settings


def read_preset(recipe: str, preset: str) -> dict[str, Any]:
    """A preset by name (presets/RECIPE-NAME.yaml) or a YAML file by path."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise UsageError(f"there is no preset file {preset}")
        return dict(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    folder = files("facewright.train") / "presets"
    names = sorted(p.name.removeprefix(f"{recipe}-").removesuffix(".yaml") for p in folder.iterdir() if p.name.startswith(f"{recipe}-"))
    if preset not in names:
        raise UsageError(
            f"recipe {recipe} has no preset {preset!r}", what_to_do=f"use one of: {', '.join(names)}, or the path of a .yaml file"
        )
    return dict(yaml.safe_load((folder / f"{recipe}-{preset}.yaml").read_text(encoding="utf-8")))


def _merge(settings: S, values: dict[str, Any], where: str = "") -> S:
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(key, known, 1) or sorted(known)
            raise UsageError(
                f"there is no setting {where}{key}",
                what_to_do=f"did you mean {where}{near[0]}?" if len(near) == 1 else f"one of: {', '.join(near)}",
            )
        old = known[key]
        if is_dataclass(old):
            changes[key] = _merge(old, value, f"{where}{key}.")
        elif isinstance(old, dict):
            # a whole map is given at once, so that a preset can also leave entries out
            changes[key] = dict(value)
        else:
            changes[key] = _like(old, value, f"{where}{key}")
    return replace(settings, **changes)  # type: ignore[type-var]


def _like(old: Any, value: Any, where: str) -> Any:
    if isinstance(old, bool) or isinstance(value, bool):
        if not (isinstance(old, bool) and isinstance(value, bool)):
            raise UsageError(f"{where} cannot be {value!r}", f"it is {'true or false' if isinstance(old, bool) else type(old).__name__}")
        return value
    try:
        if isinstance(old, float):
            return float(value)
        if isinstance(old, int):
            if int(value) != float(value):
                raise ValueError
            return int(value)
        if isinstance(old, tuple):
            return tuple(value)
    except (TypeError, ValueError):
        raise UsageError(f"{where} cannot be {value!r}", f"it is a {type(old).__name__}") from None
    return value
