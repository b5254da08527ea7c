"""Grey and toned prints keep their tone: a restored face gets the print's own colours, brightness by brightness."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.float32]

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)
_TONED_ERROR = 0.018
"""Root mean square distance (in [0, 1]) from the curve under which a picture counts as toned: JPEG chroma noise of old
prints measures 0.005 to 0.015, the dullest colour portraits of the validation faces 0.025 and more."""


def tone_curve(crop: Image) -> NDArray[np.float64] | None:
    """The cubic luma-to-colour curve of a monochrome or toned crop (S x S x 3 RGB in [0, 1]), 4 x 3; None for a colour picture."""
    luma = (crop @ _LUMA).ravel().astype(np.float64)
    design = np.stack([np.ones_like(luma), luma, luma**2, luma**3], axis=1)
    colours = crop.reshape(-1, 3).astype(np.float64)
    curve, *_ = np.linalg.lstsq(design, colours, rcond=None)
    error = np.sqrt(np.mean((design @ curve - colours) ** 2))
    return np.asarray(curve) if error < _TONED_ERROR else None


def apply_tone(image: Image, curve: NDArray[np.float64]) -> Image:
    """The picture's luma through the curve."""
    luma = (image @ _LUMA).astype(np.float64)
    powers = np.stack([np.ones_like(luma), luma, luma**2, luma**3], axis=-1)
    return np.asarray(np.clip(powers @ curve, 0, 1), np.float32)
