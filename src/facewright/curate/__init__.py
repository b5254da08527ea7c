"""Face data sets: made from photos, looked through, counted, divided, packed. What needs torch is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facewright.curate.album import Aligned, align_photos
    from facewright.curate.check import Checked, check
    from facewright.curate.landmarks import write_landmarks
    from facewright.curate.split import split
    from facewright.curate.stats import stats

__all__ = ["Aligned", "Checked", "align_photos", "check", "split", "stats", "write_landmarks"]

_HOME = {
    "Aligned": "album",
    "Checked": "check",
    "align_photos": "album",
    "check": "check",
    "split": "split",
    "stats": "stats",
    "write_landmarks": "landmarks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'facewright.curate' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"facewright.curate.{_HOME[name]}"), name)
