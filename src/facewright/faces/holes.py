"""Holes in a photo: bridged so that its faces can be found, cut with the face, and filled without a seam.

Holes are H x W booleans. What is not a hole is never written.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.paste import LUMA
from facewright.faces.warp import Affine, Border, Pixels, invert, region, shifted, warp

Holes = NDArray[np.bool_]
Picture = NDArray[np.float32]

BRIDGE_SIDE = 1024
"""Longest side of the picture in which holes are bridged; a detector asks for no more."""
TOUCHED = 1e-3


def bridged(pixels: Pixels, holes: Holes) -> Pixels:
    """The photo with its holes filled by what lies round them, smoothly: for detectors, which stumble over strokes.

    pixels: H x W (x 3), uint8 or uint16; at least one pixel is no hole. Returns a copy.
    """
    height, width = holes.shape
    factor = min(1.0, BRIDGE_SIDE / max(height, width))
    small = max(1, round(width * factor)), max(1, round(height * factor))
    seen = np.asarray(cv2.resize((~holes).astype(np.float32), small, interpolation=cv2.INTER_AREA), np.float32)
    levels = np.iinfo(pixels.dtype).max
    # what is under a hole must not run into its neighbours when the photo is made smaller
    blank = np.where(holes if pixels.ndim == 2 else holes[..., None], 0, pixels).astype(pixels.dtype)
    reduced = np.asarray(cv2.resize(blank, small, interpolation=cv2.INTER_AREA), np.float32).reshape(*seen.shape, -1)
    smooth = spread(np.asarray(reduced / np.maximum(seen, 1e-6)[..., None], np.float32), seen)
    whole = cv2.resize(np.clip(np.rint(smooth), 0, levels).astype(pixels.dtype), (width, height), interpolation=cv2.INTER_LINEAR)
    filled: Pixels = pixels.copy()
    filled[holes] = whole.reshape(height, width, -1)[holes].reshape(filled[holes].shape)
    return filled


def cut(holes: Holes, affine: Affine, size: int, border: Border = "reflect101") -> Holes:
    """The holes in a crop of this side: each of its pixels that sees a part of one. affine: crop <- photo."""
    return np.asarray(warp(holes.astype(np.float32), affine, (size, size), border=border) > TOUCHED)


def seamless(picture: Picture, around: Picture, holes: Holes) -> Picture:
    """`around` with its holes filled by the picture, which is shifted smoothly so that it meets what lies round each hole.

    picture, around: S x S x 3 in [0, 1]; holes: S x S. What the picture misses outside of the holes is carried into them: near the edge
    what is missed there, further in the average of a wider neighbourhood. Outside of the holes `around` is returned to the bit.
    """
    if holes.all():
        return picture
    missed = spread(np.where(holes[..., None], np.float32(0), around - picture), (~holes).astype(np.float32))
    return np.where(holes[..., None], np.clip(picture + missed, 0, 1), around).astype(np.float32)


def owners(holes: Holes, affines: Sequence[Affine], size: int) -> NDArray[np.int16]:
    """Which crop fills which pixel: H x W, the number of the crop in whose middle it lies most, -1 outside of holes and crops.

    affines: crop <- photo, of crops of this side.
    """
    numbers = np.full(holes.shape, -1, np.int16)
    rows, columns = np.nonzero(holes)
    nearest = np.full(len(rows), 1 + 1e-6, np.float32)  # 1 is a crop's edge
    middle = (size - 1) / 2
    for number, affine in enumerate(affines):
        across, down = (affine[axis, 0] * columns + affine[axis, 1] * rows + affine[axis, 2] for axis in (0, 1))
        distance = np.maximum(np.abs(across - middle), np.abs(down - middle)).astype(np.float32) / np.float32(size / 2)
        own = distance < nearest
        nearest[own] = distance[own]
        numbers[rows[own], columns[own]] = number
    return numbers


def fill(pixels: NDArray[Any], restored: Picture, affine: Affine, owners: NDArray[np.int16], number: int) -> None:
    """Write a crop into the holes that are its own, in place; every other pixel stays what it was to the bit.

    pixels: H x W x 3 RGB or H x W grey (which gets the crop's luma), uint8 or uint16. restored: S x S x 3 in [0, 1]. affine: crop <- photo.
    owners: H x W; the crop's own pixels hold its `number`.
    """
    size = restored.shape[1], restored.shape[0]
    left, top, right, bottom = region(affine, size, pixels.shape)
    rows, columns = slice(top, bottom), slice(left, right)
    back, here = invert(shifted(affine, left, top)), (right - left, bottom - top)
    levels = np.float32(np.iinfo(pixels.dtype).max)
    mine = owners[rows, columns] == number
    face = warp(restored, back, here, border="replicate")[mine]
    face = np.clip(np.rint((face if pixels.ndim == 3 else face @ LUMA) * levels), 0, levels)
    pixels[rows, columns][mine] = face.astype(pixels.dtype)


def spread(values: Picture, known: NDArray[np.float32]) -> Picture:
    """Values where they are known, and smooth ones between: averages over ever wider squares until something is known in them.

    values: H x W x C, any where nothing is known; known: H x W, 0 to 1, more than 0 somewhere. The pull and push of Gortler et al. 1996.
    """
    seen = np.asarray(known, np.float32)[..., None]
    pyramid: list[Picture] = [np.asarray(np.concatenate([values * seen, seen], axis=2), np.float32)]
    while max(pyramid[-1].shape[:2]) > 1:
        height, width = pyramid[-1].shape[:2]
        half = (width + 1) // 2, (height + 1) // 2
        halved = cv2.resize(pyramid[-1], half, interpolation=cv2.INTER_AREA)
        pyramid.append(np.asarray(halved, np.float32).reshape(half[1], half[0], -1))
    filled = np.asarray(pyramid[-1][..., :-1] / np.maximum(pyramid[-1][..., -1:], np.float32(1e-9)), np.float32)
    for level in reversed(pyramid[:-1]):
        weight = level[..., -1:]
        wider = cv2.resize(filled, (level.shape[1], level.shape[0]), interpolation=cv2.INTER_LINEAR)
        filled = np.asarray(level[..., :-1] + (1 - weight) * wider.reshape(*level.shape[:2], -1), np.float32)
    return filled
