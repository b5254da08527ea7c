"""How damaged an aligned face looks, without knowing the true one: five named numbers a face, in about a millisecond, no network.

All come from the luma of the face's part of the crop, at `SIDE` pixels a crop (a larger one is averaged down, a smaller one enlarged: it
has no finer detail to show). Larger is worse in each. Their scale is that of octaves (powers of two) but for `noise` and `grid`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

Plane = NDArray[np.float32]

SIDE = 256
TOP, BOTTOM, LEFT, RIGHT = 0.2, 0.9, 0.2, 0.8
"""The face's part of an FFHQ-aligned crop."""
LEAST = 0.25 / 255
"""Luma: what rounding to 256 levels hides. Keeps the logarithms of a crop that shows nothing finite."""
PERIODS = range(6, 33)
_GAUSSIAN = cv2.getGaussianKernel(5, 1.0, cv2.CV_32F)
_ONE = np.array([[1]], np.float32)
_SECOND = np.array([[1], [-2], [1]], np.float32)
_THIRD = np.array([[-1], [3], [-3], [1]], np.float32)


class Damage(NamedTuple):
    """soft: octaves by which the finest detail lies under the next coarser one; about 0.4 for a sharp face, over 1.5 for an enlarged one.
    blurred: the same of the second octave against the fourth, about 1.3 sharp: what is missing even at a quarter of the size.
    faded: octaves by which the fourth octave (features of a dozen pixels) lies under full contrast; 5 for a well lit face.
    noisy: what flickers where the face is flattest, over three scales, in luma levels of 255.
    blocky: how far a regular grid (JPEG blocks, the pixels of an enlargement) stands out of the edges' profile; 0.3 where there is none.
    """

    soft: float
    blurred: float
    faded: float
    noisy: float
    blocky: float


def damage(crop: NDArray[Any]) -> Damage:
    """crop: S x S x 3 RGB in [0, 1] (float) or uint8, FFHQ-aligned, S at least 32. Any content is safe: a crop of one tone is faded, and
    has neither noise nor a grid.

    soft, blurred, faded: mean absolute values of the levels of a Laplacian pyramid (Burt and Adelson, 1983), as ratios in octaves.
    """
    luma = _face(crop)
    levels = [max(float(np.abs(level).mean()), LEAST) for level in _pyramid(luma, 4)]
    octaves = np.log2(levels)
    half = _halved(luma)
    noise = 255 * sum(_flicker(plane) for plane in (luma, half, _halved(half)))
    return Damage(
        float(octaves[1] - octaves[0]),
        float(octaves[3] - octaves[1]),
        float(-octaves[3]),
        noise,
        _grid(luma),
    )


def _face(crop: NDArray[Any]) -> Plane:
    if crop.shape[0] != SIDE:
        crop = cv2.resize(crop, (SIDE, SIDE), interpolation=cv2.INTER_AREA if crop.shape[0] > SIDE else cv2.INTER_CUBIC)
    inner = crop[int(TOP * SIDE) : int(BOTTOM * SIDE), int(LEFT * SIDE) : int(RIGHT * SIDE)]
    # in floats before the luma is made: rounding it would add noise
    levels = np.float32(255 if inner.dtype == np.uint8 else 1)
    return np.asarray(cv2.cvtColor(np.ascontiguousarray(inner, np.float32) / levels, cv2.COLOR_RGB2GRAY))


def _pyramid(luma: Plane, count: int) -> list[Plane]:
    """Octave by octave, finest first."""
    levels = []
    for _ in range(count):
        low = np.asarray(cv2.sepFilter2D(luma, -1, _GAUSSIAN, _GAUSSIAN, borderType=cv2.BORDER_REFLECT))
        levels.append(luma - low)
        luma = _halved(low)
    return levels


def _halved(luma: NDArray[Any]) -> Plane:
    size = (max(1, luma.shape[1] // 2), max(1, luma.shape[0] // 2))
    return np.asarray(cv2.resize(luma, size, interpolation=cv2.INTER_AREA))


def _flicker(luma: Plane) -> float:
    """The deviation of the noise in the flattest quarter of the 8 x 8 windows, by second differences both ways (Immerkaer, 1996): they are
    blind to straight edges. White noise of deviation s gives about 0.8 s, since its flattest windows are taken."""
    second = np.abs(cv2.sepFilter2D(luma, -1, _SECOND, _SECOND, borderType=cv2.BORDER_REFLECT))
    windows = cv2.resize(second, (max(1, luma.shape[1] // 8), max(1, luma.shape[0] // 8)), interpolation=cv2.INTER_AREA)
    # the weights' squares add up to 36; the mean of |x| is 0.798 of its deviation
    return float(np.quantile(windows, 0.25)) / (6 * 0.798)


def _grid(luma: Plane) -> float:
    """How far the strongest phase of the best period stands over the others, columns against columns and rows against rows: of third
    differences, which a kink at a block's edge makes and smooth shading does not; clipped, so that a real edge is not taken for a grid."""
    side = min(luma.shape)
    profiles = np.stack([_profile(luma[:side, :side], axis) for axis in (0, 1)])
    strongest = np.zeros(2, np.float32)
    for period in PERIODS:
        times = profiles.shape[1] // period
        if times < 4:
            break
        folded = np.sort(profiles[:, : times * period].reshape(2, times, period), axis=1)
        phases = np.sort(folded[:, times // 2], axis=1)  # the median over the repetitions: it has to repeat
        strongest = np.maximum(strongest, phases[:, -1] - phases[:, period // 2])
    middle = np.sort(profiles, axis=1)[:, profiles.shape[1] // 2]
    return float((strongest / (middle + np.float32(LEAST))).max())


def _profile(luma: Plane, axis: int) -> Plane:
    """Mean clipped third difference along the other axis."""
    kernel, none = (_THIRD, _ONE) if axis == 0 else (_ONE, _THIRD)
    third = np.abs(cv2.sepFilter2D(luma, -1, none, kernel, borderType=cv2.BORDER_REFLECT))
    return np.asarray(cv2.reduce(np.minimum(third, np.float32(0.08)), 1 - axis, cv2.REDUCE_AVG)).reshape(-1)
