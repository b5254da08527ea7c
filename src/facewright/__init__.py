"""facewright restores the faces in old and damaged photographs.

The public names are imported on first use, so that ``import facewright`` costs no torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from facewright.restore import Restoration, Restorer, colorize, inpaint, restore
    from facewright.weights import load_model

__version__ = "0.1.0"
__all__ = ["Restoration", "Restorer", "__version__", "colorize", "inpaint", "load_model", "restore"]

_HOME = {
    "Restoration": "facewright.restore",
    "Restorer": "facewright.restore",
    "restore": "facewright.restore",
    "colorize": "facewright.restore",
    "inpaint": "facewright.restore",
    "load_model": "facewright.weights",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'facewright' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOME[name]), name)
