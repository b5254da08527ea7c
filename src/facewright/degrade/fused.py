"""Blur and shrink in one: only what the shrink reads is computed.

A kernel is a sum of few separable ones: its singular vectors, one pair for an upright Gaussian, some for a slanted one. Each direction's
taps and the two weights of the bilinear shrink make one banded matrix, so that a picture becomes height' x width' by two products.
The products are small: where many threads damage pictures at once, OPENBLAS_NUM_THREADS=1 keeps NumPy from starting threads of its own.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.kernels import Kernel
from facewright.degrade.steps import Image, blur, resize

TOLERANCE = 1e-3
"""A quarter of a level: no picture in [0, 1] comes out further than this from the two published steps."""

_WHOLE_PICTURE = 650  # products a pixel that a Fourier transform of it costs as much as
_CALL = 4e5  # products that starting one matrix product costs as much as
_CACHED = 100_000  # float32 numbers that stay in a processor's cache


def blur_and_shrink(image: Image, kernel: Kernel, width: int, height: int) -> Image:
    """`resize(blur(image, kernel), width, height)` within TOLERANCE, on H x W x 3 float32 in [0, 1].

    A kernel of many terms, or a shrink that reads nearly everything, goes through the Fourier transform of the whole picture.
    """
    across, down = separable_terms(kernel)
    terms, taps = across.shape
    rows, columns = image.shape[:2]
    # blocks of outputs: small ones multiply fewer zeros, large ones start fewer products
    tall = _block(height, rows, 3 * columns * terms)
    wide = max(16, _block(width, columns, 3 * height * terms))  # a product is slow where its result has few columns
    work = 3 * terms * height * (columns * (tall * rows / height + taps) + width * (wide * columns / width + taps))
    if work > _WHOLE_PICTURE * rows * columns or taps >= 2 * min(rows, columns):
        return _through_fourier(image, kernel, width, height)

    planes = _planes(image)
    vertical, horizontal = _bands(down, rows, height, tall), _bands(across, columns, width, wide)
    result = np.empty((3, height, width), np.float32)
    together = max(1, _CACHED // (3 * columns * terms * tall))
    room = min(height, together * tall)
    first, second = _scratch("first", 3 * room * terms * columns), _scratch("second", terms * 3 * room * width)
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


def operators(kernel: Kernel, rows: int, columns: int, width: int, height: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(down: height x R x rows, across: width x R x columns): the same as matrices, for a machine that multiplies gladly.

    result[c, y, x] = sum over r, h, w of down[y, r, h] across[x, r, w] picture[c, h, w]. Raises ValueError where the kernel is wider than
    the picture twice over.
    """
    across, down = separable_terms(kernel)
    if across.shape[1] >= 2 * min(rows, columns):
        raise ValueError(f"a kernel of {across.shape[1]} pixels over a picture of {columns} x {rows}")
    return _operator(down, rows, height), _operator(across, columns, width)


def separable_terms(kernel: Kernel) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(across, down): R x K' float32 each; the sum of down[r] x across[r] is the kernel, less a rim and a rest that together change no
    picture by more than TOLERANCE. K' is odd, and at most the kernel's side."""
    kernel = _trimmed(kernel)
    middle = len(kernel) // 2
    if kernel[middle, middle] > 0:  # an upright Gaussian is the product of its middle row and column
        one, other = kernel[:, middle], kernel[middle] / kernel[middle, middle]
        if _reach(kernel - np.outer(one, other)) < 1e-6:
            return _taps(other[None]), _taps(one[None])
    left, strength, right = np.linalg.svd(kernel)
    rest, terms = kernel.copy(), 0
    while terms < len(strength) and _reach(rest) > 0.9 * TOLERANCE:
        rest -= strength[terms] * np.outer(left[:, terms], right[terms])
        terms += 1
    root = np.sqrt(strength[:terms, None])
    return _taps(right[:terms] * root), _taps(left[:, :terms].T * root)


def _taps(terms: Kernel) -> NDArray[np.float32]:
    """In float32, without what is next to nothing: a processor multiplies numbers like 1e-40 a hundred times slower."""
    return np.asarray(np.where(np.abs(terms) < 1e-12, 0, terms), np.float32)


def _scratch(name: str, count: int) -> NDArray[np.float32]:
    """`count` numbers of whatever value, the same memory at every call from one thread: fresh memory costs more than what is done in it."""
    kept = getattr(_kept, name, None)
    if kept is None or len(kept) < count:
        kept = np.empty(count, np.float32)
        setattr(_kept, name, kept)
    return np.asarray(kept[:count])


_kept = threading.local()


def _through_fourier(image: Image, kernel: Kernel, width: int, height: int) -> Image:
    """The same by a Fourier transform of each plane, which is 2 to 3 times faster than OpenCV's own, of tiles."""
    rows, columns = image.shape[:2]
    size = len(kernel)
    if size < 11:  # OpenCV counts these directly
        return resize(blur(image, kernel), width, height)
    margin = size // 2
    tall, wide = (cv2.getOptimalDFTSize(side + 2 * margin) for side in (rows, columns))
    plane = _scratch("plane", tall * wide).reshape(tall, wide)
    plane[:] = 0
    plane[:size, :size] = _taps(kernel)
    response = cv2.dft(plane)
    around = (margin, tall - rows - margin, margin, wide - columns - margin)
    spectrum = _scratch("spectrum", tall * wide).reshape(tall, wide)
    shrunk = []
    for channel in _planes(image):
        cv2.copyMakeBorder(channel, *around, cv2.BORDER_REFLECT_101, dst=plane)
        cv2.dft(plane, dst=spectrum)
        cv2.mulSpectrums(spectrum, response, 0, spectrum, True)
        cv2.idft(spectrum, dst=plane, flags=cv2.DFT_SCALE | cv2.DFT_REAL_OUTPUT)
        shrunk.append(cv2.resize(plane[:rows, :columns], (width, height), interpolation=cv2.INTER_LINEAR))
    return np.asarray(cv2.merge(shrunk))


def _planes(image: Image) -> NDArray[np.float32]:
    """3 x H x W; in `_scratch` unless the picture is by planes already."""
    planes: NDArray[np.float32] = image.transpose(2, 0, 1)
    if not planes.flags.c_contiguous:
        planes = _scratch("planes", image.size).reshape(3, *image.shape[:2])
        cv2.split(image, list(planes))
    return planes


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
    """One direction of blur (R x K taps, border reflect-101) and bilinear resize, in bands of `block` outputs."""
    terms, size = taps.shape
    reach = size // 2
    # each output reads two neighbouring samples of the blurred picture, the second with the weight `part`
    at = (np.arange(outputs) + 0.5) * (inputs / outputs) - 0.5
    first = np.clip(np.floor(at), 0, max(0, inputs - 2)).astype(np.int64)
    part = np.clip(at - first, 0, 1).astype(np.float32)[:, None, None]
    weights = np.zeros((outputs, terms, size + 1), np.float32)
    weights[:, :, :-1] = (1 - part) * taps
    weights[:, :, 1:] += part * taps

    starts = (first - reach).tolist()
    bands = []
    for begin in range(0, outputs, block):
        stop = min(begin + block, outputs)
        low, high = starts[begin], starts[stop - 1] + size + 1
        matrix = np.zeros((stop - begin, terms, high - low), np.float32)
        for row in range(begin, stop):
            matrix[row - begin, :, starts[row] - low : starts[row] - low + size + 1] = weights[row]
        if (over := high - inputs) > 0:
            matrix[:, :, -2 * over - 1 : -over - 1] += matrix[:, :, -over:][:, :, ::-1]
            matrix = matrix[:, :, :-over]
        if (under := -low) > 0:
            matrix[:, :, under + 1 : 2 * under + 1] += matrix[:, :, :under][:, :, ::-1]
            matrix = matrix[:, :, under:]
        bands.append(_Band(slice(max(0, low), min(inputs, high)), slice(begin, stop), matrix))
    return bands


def _operator(taps: NDArray[np.float32], inputs: int, outputs: int) -> NDArray[np.float32]:
    """outputs x R x inputs: one band of everything."""
    whole = np.zeros((outputs, len(taps), inputs), np.float32)
    for band in _bands(taps, inputs, outputs, outputs):
        whole[:, :, band.read] = band.matrix
    return whole
