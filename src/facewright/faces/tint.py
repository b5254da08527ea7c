"""Lay the colours of a crop over its photo: colour is added, brightness stays the photo's own.

What a person recognises a face by is in its brightness. So nothing of the photo's detail is lost where only colour comes from a network.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.faces.mask import Mask
from facewright.faces.paste import LUMA
from facewright.faces.warp import Affine, invert, region, shifted, warp

Picture = NDArray[np.float32]


def coloured(picture: Picture, colours: Picture) -> Picture:
    """The picture with the colours of another: the luma of `picture`, the colour differences of `colours`.

    picture, colours: ... x 3 RGB in [0, 1], or any colours whose differences count. Where such a colour of such a brightness does not
    exist (no blue is as bright as white) it is made paler, so that the brightness is kept in every pixel. Returns ... x 3 in [0, 1].
    """
    luma = picture @ LUMA
    return _with_luma(luma, colours - (colours @ LUMA)[..., None])


def tint(pixels: NDArray[Any], colours: Picture, affine: Affine, mask: Mask | None, opacity: float = 1) -> tuple[slice, slice]:
    """Colour a part of a photo, in place; returns the rows and columns that were looked at.

    pixels: H x W x 3 RGB, uint8 or uint16. colours: S x S x 3 RGB in [0, 1]. affine: crop <- photo. mask: S x S in [0, 1], 0 along its
    border; None: all of the photo. opacity: of the colours. A pixel where the mask is 0 stays what it was to the bit; the luma of the
    others changes by what rounding to levels costs.
    """
    size = colours.shape[1], colours.shape[0]
    left, top, right, bottom = region(affine, size, pixels.shape)
    rows, columns = slice(top, bottom), slice(left, right)
    target, levels = pixels[rows, columns], np.float32(np.iinfo(pixels.dtype).max)
    back, here = invert(shifted(affine, left, top)), (right - left, bottom - top)
    weight = np.ones(here[::-1], np.float32) if mask is None else warp(mask, back, here)
    weight *= np.float32(opacity)
    differences = warp(colours - (colours @ LUMA)[..., None], back, here, border="replicate")
    shown = target / levels
    wanted = _with_luma(shown @ LUMA, differences)
    mixed = np.rint((shown + weight[..., None] * (wanted - shown)) * levels)
    np.copyto(target, np.clip(mixed, 0, levels).astype(pixels.dtype), where=weight[..., None] > 0)
    return rows, columns


def _with_luma(luma: NDArray[np.float32], differences: Picture) -> Picture:
    """luma: ... in [0, 1]; differences: ... x 3, of luma 0. As much of the differences as keeps all channels in [0, 1]."""
    room = np.where(differences > 0, 1 - luma[..., None], luma[..., None])
    part = np.clip(room / np.maximum(np.abs(differences), 1e-6), 0, 1).min(axis=-1, keepdims=True)
    return np.asarray(np.clip(luma[..., None] + part * differences, 0, 1), np.float32)
