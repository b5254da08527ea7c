"""What a client may choose for a photo. Names only: no path from a client is ever opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from difflib import get_close_matches
from typing import Any, Literal

from facewright.errors import ModelError, UsageError
from facewright.media.formats import format_named
from facewright.restore.settings import DEFAULT_MODEL, PLAIN_BACKGROUNDS, Settings
from facewright.weights import catalog

METADATA = ("keep", "basic", "strip")
HERE = ("salvage", "format", "quality", "metadata")
"""Options that are no `Settings`: of reading and writing."""


@dataclass(frozen=True)
class Options:
    """A photo's options; all but the last four are fields of `Settings`.

    model, background: names of the catalog. faces: may be given as a list of numbers. format: None for the photo's own; else as
    `media.encode` has it, like quality and metadata. salvage: of a damaged file, restore what can be read. Raises UsageError for values
    that make no sense, ModelError for a model that
    nobody knows, or that is not here.
    """

    model: str = DEFAULT_MODEL
    detector: str = "mtcnn"
    faces: str = "all"
    min_face: int = 24
    fidelity: float | Literal["auto"] = "auto"
    strength: float = 1.0
    upscale: float = 1.0
    background: str = "lanczos"
    mask: str = "ellipse"
    max_identity_drift: float | None = None
    seed: int = 0
    salvage: bool = False
    format: str | None = None
    quality: int | None = None
    metadata: Literal["keep", "basic", "strip"] = "keep"

    def __post_init__(self) -> None:
        object.__setattr__(self, "model", _named(self.model, "restore", "restores no faces"))
        if self.background not in PLAIN_BACKGROUNDS:
            object.__setattr__(self, "background", _named(self.background, "background", "fills no background"))
        if self.metadata not in METADATA:
            raise UsageError(f"metadata cannot be {self.metadata!r}", what_to_do=f"use one of: {', '.join(METADATA)}")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"quality cannot be {self.quality}", "it is a number from 1 to 100")
        if self.format is not None:
            format_named(self.format)
        Settings(**self.settings)

    @property
    def settings(self) -> dict[str, Any]:
        """The fields of `Settings` among them."""
        return {name: value for name, value in asdict(self).items() if name not in HERE}

    def changed(self, given: Mapping[str, Any]) -> Options:
        """With what a client gave, in JSON's types or as a query's text. Raises UsageError for unknown names and wrong types too."""
        return replace(self, **{name: _value(name, value) for name, value in given.items()})


NAMES = tuple(field.name for field in fields(Options))
_WHOLE = ("min_face", "seed", "quality")
_NUMBERS = (*_WHOLE, "strength", "upscale", "max_identity_drift", "fidelity")
_MAY_BE_NONE = ("max_identity_drift", "format", "quality")


def from_json(text: str | bytes) -> dict[str, Any]:
    """An object of options. Raises UsageError."""
    try:
        given = json.loads(text or "{}")
    except (ValueError, RecursionError) as fault:
        raise UsageError("the options are no JSON", str(fault)[:120], 'give an object such as {"strength": 0.7}') from fault
    if not isinstance(given, dict):
        raise UsageError("the options are no JSON object", what_to_do='give an object such as {"strength": 0.7}')
    return given


def _named(name: str, serves: str, otherwise: str) -> str:
    """The catalog's own name: another, such as a file's, would be looked for as a path, too. Raises ModelError, UsageError."""
    entry = catalog.lookup(name)
    if entry.serves != serves or not entry.runs:
        raise UsageError(f"{entry.name} {otherwise}", what_to_do="see: facewright models list")
    if entry.where == "missing":
        raise ModelError(f"the model {entry.name} is not on this machine", what_to_do=entry.how_to_get)
    return entry.name


def _value(name: str, value: Any) -> Any:
    if name not in NAMES:
        near = get_close_matches(name, NAMES, 1) or NAMES
        raise UsageError(f"there is no option {name!r}", what_to_do=f"use: {', '.join(near)}")
    if value is None or (value in ("", "null") and name in _MAY_BE_NONE):
        if name not in _MAY_BE_NONE:
            raise UsageError(f"{name} cannot be nothing", what_to_do="leave it out for what is usual")
        return None
    if name == "salvage":
        if value in (True, False, "true", "false", "1", "0"):
            return value in (True, "true", "1")
    elif name == "faces" and isinstance(value, list):
        if all(type(number) is int and number >= 0 for number in value):
            return ",".join(map(str, value)) or "none"
    elif name == "fidelity" and value == "auto":
        return value
    elif name in _NUMBERS:
        return _number(name, value)
    elif isinstance(value, str):
        return value
    raise UsageError(f"{name} cannot be {json.dumps(value)[:60]}", what_to_do="see: /docs")


def _number(name: str, value: Any) -> float:
    whole = name in _WHOLE
    try:
        if isinstance(value, (int, float, str)) and not isinstance(value, bool):
            number = float(value)
            if abs(number) < 1e9 and (not whole or number == int(number)):
                return int(number) if whole else number
    except (ValueError, OverflowError):
        pass
    kind = "a whole number" if whole else "a number"
    raise UsageError(f"{name} cannot be {json.dumps(value)[:60]}", f"it is {kind}{' or auto' if name == 'fidelity' else ''}")
