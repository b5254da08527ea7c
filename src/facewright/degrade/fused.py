"""Blur and shrink in one: only what the shrink reads is computed.

A kernel is a sum of few separable ones: its singular vectors, one pair for an upright Gaussian, some for a slanted one. Each direction's
taps and the two weights of the bilinear shrink make one banded matrix, so that a picture becomes height' x width' by two products.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.kernels import Kernel
from facewright.degrade.steps import Image, blur, resize

TOLERANCE = 1e-3
"""A quarter of a level: no picture in [0, 1] comes out further than this from the two published steps."""

_WHOLE_PICTURE = 1000  # products a pixel that a Fourier transform of it costs as much as
_CALL = 4e5  # products that starting one matrix product costs as much as
_CACHED = 100_000  # float32 numbers that stay in a processor's cache


def blur_and_shrink(image: Image, kernel: Kernel, width: int, height: int) -> Image:
    """`resize(blur(image, kernel), width, height)` within TOLERANCE, on H x W x 3 float32 in [0, 1].

    A kernel of many terms and a shrink that reads nearly everything go through those two steps themselves.
    """
    across, down = separable_terms(kernel)
    terms, taps = across.shape
    rows, columns = image.shape[:2]
    # blocks of outputs: small ones multiply fewer zeros, large ones start fewer products
    tall = _block(height, rows, 3 * columns * terms)
    wide = max(16, _block(width, columns, 3 * height * terms))  # a product is slow where its result has few columns
    work = 3 * terms * height * (columns * (tall * rows / height + taps) + width * (wide * columns / width + taps))
    if work > _WHOLE_PICTURE * rows * columns or taps >= 2 * min(rows, columns):
        return resize(blur(image, kernel), width, height)

    planes = image.transpose(2, 0, 1)
    if not planes.flags.c_contiguous:
        planes = np.empty((3, rows, columns), np.float32)
        cv2.split(image, list(planes))
    vertical, horizontal = _bands(down, rows, height, tall), _bands(across, columns, width, wide)
    result = np.empty((3, height, width), np.float32)
    together = max(1, _CACHED // (3 * columns * terms * tall))
    room = min(height, together * tall)
    first, second = np.empty(3 * room * terms * columns, np.float32), np.empty(terms * 3 * room * width, np.float32)
    for i in range(0, len(vertical), together):
        bands = vertical[i : i + together]
        top, bottom = bands[0].write.start, bands[-1].write.stop
        many = bottom - top
        by_row = first[: 3 * many * terms * columns].reshape(3, many * terms, columns)
        for band in bands:
            place = slice((band.write.start - top) * terms, (band.write.stop - top) * terms)
            np.matmul(band.matrix.reshape(-1, band.matrix.shape[2]), planes[:, band.read], out=by_row[:, place])
        by_term = by_row.reshape(3 * many, terms, columns).transpose(1, 0, 2)
        shrunk = second[: terms * 3 * many * width].reshape(terms, 3 * many, width)
        for band in horizontal:
            shrunk[:, :, band.write] = by_term[:, :, band.read] @ band.matrix.transpose(1, 2, 0)
        np.sum(shrunk.reshape(terms, 3, many, width), axis=0, out=result[:, top:bottom])
    return np.asarray(cv2.merge(list(result)))


def separable_terms(kernel: Kernel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(across, down): R x K' float32 each; the sum of down[r] x across[r] is the kernel, less a rim and a rest that together change no
    picture by more than TOLERANCE. K' is odd, and at most the kernel's side."""
    kernel = _trimmed(kernel)
    middle = len(kernel) // 2
    if kernel[middle, middle] > 0:  # an upright Gaussian is the product of its middle row and column
        one, other = kernel[:, middle], kernel[middle] / kernel[middle, middle]
        if _reach(kernel - np.outer(one, other)) < 1e-6:
            return other[None].astype(np.float32), one[None].astype(np.float32)
    left, strength, right = np.linalg.svd(kernel)
    rest, terms = kernel.copy(), 0
    while terms < len(strength) and _reach(rest) > 0.9 * TOLERANCE:
        rest -= strength[terms] * np.outer(left[:, terms], right[terms])
        terms += 1
    root = np.sqrt(strength[:terms, None])
    return (right[:terms] * root).astype(np.float32), (left[:, :terms].T * root).astype(np.float32)


def _reach(rest: Kernel) -> float:
    """How far a picture in [0, 1] can be changed by these weights."""
    return float(np.abs(rest).sum() + abs(rest.sum())) / 2


def _trimmed(kernel: Kernel) -> Kernel:
    """Without the rim that hardly weighs."""
    size = len(kernel)
    axis = np.abs(np.arange(size) - size // 2)
    ring = np.maximum(axis[:, None], axis[None])
    beyond = np.cumsum(np.bincount(ring.ravel(), np.abs(kernel).ravel())[::-1])[::-1]  # [r]: weight at r and further out
    keep = int(np.searchsorted(-beyond, -0.1 * TOLERANCE, side="left"))
    cut = size // 2 - max(0, keep - 1)
    return kernel[cut : size - cut, cut : size - cut] if cut > 0 else kernel


def _block(outputs: int, inputs: int, width: float) -> int:
    return int(np.clip(np.sqrt(_CALL / (inputs / outputs * width)), 1, outputs)) if width else outputs


@dataclass(frozen=True)
class _Band:
    """Some neighbouring outputs: matrix is B x R x span over the inputs `read`."""

    read: slice
    write: slice
    matrix: NDArray[np.float32]


def _bands(taps: NDArray[np.float32], inputs: int, outputs: int, block: int) -> list[_Band]:
    """One direction of blur (R x K taps, border reflect-101) and bilinear shrink, in bands of `block` outputs."""
    terms, size = taps.shape
    margin = size // 2
    at = (np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5
    start = np.clip(np.floor(at), 0, max(0, inputs - 2)).astype(int)
    part = np.clip(at - start, 0, 1).astype(np.float32)[:, None, None]
    weights = np.zeros((outputs, terms, size + 1), np.float32)
    weights[:, :, :-1] = (1 - part) * taps
    weights[:, :, 1:] += part * taps
    # over the picture with a margin, which is then folded back in; one more behind: the last output's second sample may be there
    whole = np.zeros((outputs, terms, inputs + 2 * margin + 1), np.float32)
    for row, begin in enumerate(start):
        whole[row, :, begin : begin + size + 1] = weights[row]
    end = margin + inputs
    whole[:, :, margin + 1 : 2 * margin + 1] += whole[:, :, :margin][:, :, ::-1]
    whole[:, :, end - margin - 2 : end - 1] += whole[:, :, end:][:, :, ::-1]
    bands = []
    for begin in range(0, outputs, block):
        stop = min(begin + block, outputs)
        low, high = max(0, int(start[begin]) - margin), min(inputs, int(start[stop - 1]) + margin + 2)
        bands.append(_Band(slice(low, high), slice(begin, stop), whole[begin:stop, :, margin + low : margin + high]))
    return bands
