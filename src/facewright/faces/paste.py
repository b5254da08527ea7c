"""Put a restored crop back into its photo, touching only the face's rectangle.

Cost and memory depend on the face's size in the photo, never on the photo's. A pixel where the mask is 0 is not written, so it stays what
it was to the bit; rectangles of later faces read what earlier ones wrote.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facewright.faces.mask import Mask, plain_mask
from facewright.faces.warp import Affine, Pixels, invert, region, resized, shifted, warp

Rounding = Literal["nearest", "truncate"]
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as JPEG and Pillow use it."""


def paste(
    pixels: Pixels,
    restored: NDArray[np.float32],
    affine: Affine,
    mask: Mask,
    *,
    replacing: NDArray[np.float32] | None = None,
    upscale: float = 1,
    rounding: Rounding = "nearest",
    antialias: bool = True,
) -> tuple[slice, slice]:
    """Blend a restored crop into the photo, in place; returns the rows and columns that were looked at.

    pixels: H x W x 3 RGB or H x W grey (which gets the crop's luma), uint8 or uint16; H x W x 4 keeps its alpha. restored: S x S x 3 in
    [0, 1]. affine: crop <- photo. mask: S x S in [0, 1], 0 along its border. replacing: S x S x 3, the crop as it was cut from the
    photo: only the difference is added, so that what is finer than the crop stays the photo's own. upscale: `pixels` is the photo enlarged
    so many times. rounding: to the nearest level, halves to even; the published programs truncate, which darkens by half a level.
    antialias: average when the face has fewer pixels in the photo than in the crop; the published programs do not.
    """
    affine = resized(affine, (upscale, upscale))
    size = restored.shape[1], restored.shape[0]
    left, top, right, bottom = region(affine, size, pixels.shape)
    rows, columns = slice(top, bottom), slice(left, right)
    target = pixels[rows, columns]
    back, here = invert(shifted(affine, left, top)), (right - left, bottom - top)
    weight = warp(mask, back, here, antialias=antialias)
    change = restored if replacing is None else restored - replacing
    face = warp(change, back, here, border="replicate", antialias=antialias) * np.float32(np.iinfo(pixels.dtype).max)
    _blend(target, face, weight, rounding, keep=replacing is not None)
    return rows, columns


def paste_plain(
    pixels: Pixels, restored: NDArray[np.uint8], affine: Affine, *, upscale: float = 1, mask: Mask | None = None
) -> tuple[slice, slice]:
    """facexlib's own paste, bounded: its square mask and its truncation; in place.

    pixels: H x W x 3, the photo enlarged `upscale` times; uint8, or float in the same levels, which is not rounded. restored: h x w x 3,
    uint8. affine: crop <- enlarged photo, see `published_affine`. mask: h x w of the crop, for CodeFormer's smaller of the two masks.
    """
    size = restored.shape[1], restored.shape[0]
    plain = plain_mask(affine, size, pixels.shape, upscale)
    target = pixels[plain.rows, plain.columns]
    back, here = invert(shifted(affine, plain.columns.start, plain.rows.start)), (target.shape[1], target.shape[0])
    face = np.rint(warp(restored, back, here, antialias=False)) * plain.eroded[..., None]
    weight = plain.soft if mask is None else np.minimum(plain.soft, warp(mask, back, here, antialias=False))
    _blend(target, face, weight, "truncate")
    return plain.rows, plain.columns


def published_affine(affine: Affine, upscale: float, *, face_upscale: float = 1) -> Affine:
    """crop <- enlarged photo as the published programs have it; affine: crop <- photo.

    Half an enlarged pixel too far, and only where they enlarge; not where the crop itself was enlarged by `face_upscale`.
    """
    back = invert(affine) * upscale
    back[:, :2] /= face_upscale
    back[:, 2] += 0.5 * upscale if upscale > 1 and face_upscale == 1 else 0
    return invert(back)


def _blend(target: NDArray[Any], face: NDArray[np.float32], weight: Mask, rounding: Rounding, *, keep: bool = False) -> None:
    """target += weight * (face - target), or weight * face to `keep` the target, in its levels, where weight is not 0.

    target: h x w, h x w x 3, or x 4 with an alpha that stays. face: h x w x 3.
    """
    if target.ndim == 2:
        face = face @ LUMA
    else:
        target, weight = target[..., :3], weight[..., None]
    mixed = weight * face + (1 if keep else 1 - weight) * target
    if target.dtype.kind == "u":
        mixed = np.clip(np.rint(mixed) if rounding == "nearest" else mixed, 0, np.iinfo(target.dtype).max)
    np.copyto(target, mixed.astype(target.dtype), where=weight > 0)
