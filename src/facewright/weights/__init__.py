"""Weight files: read safely, told apart, found, fetched. The public names are imported on first use, so that no torch comes unasked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facewright.weights.catalog import available, bundled, find
    from facewright.weights.models import Model, load_model
    from facewright.weights.reader import read_metadata, read_state
    from facewright.weights.recogniser import Recognised, recognise

__all__ = ["Model", "Recognised", "available", "bundled", "find", "load_model", "read_metadata", "read_state", "recognise"]

_HOME = {
    "Model": "models",
    "Recognised": "recogniser",
    "available": "catalog",
    "bundled": "catalog",
    "find": "catalog",
    "load_model": "models",
    "read_metadata": "reader",
    "read_state": "reader",
    "recognise": "recogniser",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'facewright.weights' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"facewright.weights.{_HOME[name]}"), name)
