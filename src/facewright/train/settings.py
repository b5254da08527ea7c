"""A recipe's settings: a dataclass, filled from a YAML preset and key=value overrides; unknown keys are refused."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

import yaml

from facewright.errors import InputError, UsageError

S = TypeVar("S")


def resolve(defaults: S, recipe: str, preset: str | None, overrides: list[str], stage: str = "") -> S:
    """`defaults` with the preset's values and then the overrides ("key=value", nested keys with dots, values as YAML).

    stage: what the preset says of it below `stages` goes over what it says of all.
    A whole map replaces the one that stood there, so that a preset can leave entries out; `map.entry=value` changes that entry alone.
    Raises UsageError: an unknown key (with the nearest one), a value of the wrong kind, a text that is no YAML.
    """
    values = {} if preset is None else read_preset(recipe, preset)
    stages = values.pop("stages", None) or {}
    for half, own in (stages.get(stage) or {}).items():
        values[half] = {**(values.get(half) or {}), **own}
    for override in overrides:
        key, equals, text = override.partition("=")
        if not equals:
            raise UsageError(f"cannot use {override!r}", "a setting is written key=value")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError as problem:
            raise UsageError(f"cannot use {override!r}", "its value is not valid YAML", "quote it, or close its brackets") from problem
        _place(values, defaults, key.strip().split("."), value)
    # all at once: settings may fit only together
    return _merge(defaults, values)


def read_preset(recipe: str, preset: str) -> dict[str, Any]:
    """A preset by name (presets/RECIPE-NAME.yaml) or a YAML file by path. Raises UsageError, InputError."""
    if preset.endswith((".yaml", ".yml")):
        path = Path(preset)
        if not path.is_file():
            raise UsageError(f"there is no preset file {preset}")
        return _mapping(path.read_text(encoding="utf-8", errors="replace"), preset)
    folder = files("facewright.train") / "presets"
    names = sorted(p.name.removeprefix(f"{recipe}-").removesuffix(".yaml") for p in folder.iterdir() if p.name.startswith(f"{recipe}-"))
    if preset not in names:
        raise UsageError(
            f"recipe {recipe} has no preset {preset!r}", what_to_do=f"use one of: {', '.join(names)}, or the path of a .yaml file"
        )
    return _mapping((folder / f"{recipe}-{preset}.yaml").read_text(encoding="utf-8"), preset)


def _mapping(text: str, name: str) -> dict[str, Any]:
    try:
        found = yaml.safe_load(text)
    except yaml.YAMLError as problem:
        raise InputError(f"cannot use the preset {name}", " ".join(str(problem).split())) from problem
    if found is not None and not isinstance(found, dict):
        raise InputError(f"cannot use the preset {name}", "it is not a map of settings")
    return found or {}


def _place(values: dict[str, Any], defaults: Any, path: list[str], value: Any) -> None:
    """Put one override into the nested `values`; an entry of a map leaves the map's other entries as they are."""
    *above, last = path
    for part in above:
        defaults = getattr(defaults, part, None)
        inner = values.setdefault(part, dict(defaults) if isinstance(defaults, dict) else {})
        if not isinstance(inner, dict):
            raise UsageError(f"there is no setting {'.'.join(path)}", f"{part} is no map of settings")
        values = inner
    values[last] = value


def _merge(settings: S, values: Any, where: str = "") -> S:
    if not isinstance(values, Mapping):
        raise UsageError(f"{where.rstrip('.') or 'the settings'} cannot be {values!r}", "it is a map of settings")
    known = {field.name: getattr(settings, field.name) for field in fields(settings)}  # type: ignore[arg-type]
    changes: dict[str, Any] = {}
    for key, value in values.items():
        if key not in known:
            near = get_close_matches(str(key), known, 1) or sorted(known)
            raise UsageError(
                f"there is no setting {where}{key}",
                what_to_do=f"did you mean {where}{near[0]}?" if len(near) == 1 else f"one of: {', '.join(near)}",
            )
        old = known[key]
        changes[key] = _merge(old, value, f"{where}{key}.") if is_dataclass(old) else _like(old, value, f"{where}{key}")
    return replace(settings, **changes)  # type: ignore[type-var]


def _like(old: Any, value: Any, where: str) -> Any:
    """`value` as what `old` is; the entries of maps and tuples as the first entry of `old`."""
    fits = True
    if isinstance(old, bool) or isinstance(value, bool):
        fits = isinstance(old, bool) and isinstance(value, bool)
    elif isinstance(old, dict):
        fits = isinstance(value, Mapping)
        if fits:
            kind = next(iter(old.values()), 0.0)
            return {str(name): _like(kind, entry, f"{where}.{name}") for name, entry in value.items()}
    elif isinstance(old, tuple):
        fits = isinstance(value, (list, tuple))
        if fits:
            return tuple(_like(next(iter(old), 0), entry, where) for entry in value)
    elif isinstance(old, (int, float)):
        number = _number(value)
        if number is not None and (isinstance(old, float) or number == int(number)):
            return type(old)(number)
        fits = False
    elif isinstance(old, str):
        fits = isinstance(value, (str, int, float))
        value = str(value)
    if not fits:
        raise UsageError(f"{where} cannot be {value!r}", f"it is {_SPOKEN[type(old)]}")
    return value


def _number(value: Any) -> int | float | None:
    """A finite number, also where YAML takes it for a text (5e-4)."""
    try:
        number = value if isinstance(value, int) else float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


_SPOKEN = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a text",
    tuple: "a list of whole numbers",
    dict: "a map of numbers",
}
