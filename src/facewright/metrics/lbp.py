"""A classical descriptor of a face, for judging identity by something that nobody trained on.

Ahonen, Hadid, Pietikainen, "Face Description with Local Binary Patterns", PAMI 2006: uniform patterns of 8 neighbours at radius 2,
histograms over a grid, compared by chi-square.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def describe(picture: NDArray[np.uint8], grid: int = 8) -> NDArray[np.float32]:
    """picture: an aligned S x S x 3 RGB crop. Returns grid * grid * 59 numbers; each cell's histogram sums to 1."""
    side = picture.shape[0]
    face = picture[int(0.28 * side) : int(0.88 * side), int(0.2 * side) : int(0.8 * side)]
    grey = cv2.equalizeHist(cv2.resize(cv2.cvtColor(face, cv2.COLOR_RGB2GRAY), (132, 132), interpolation=cv2.INTER_AREA)).astype(np.int16)
    codes = np.zeros((128, 128), np.uint8)
    for bit, (dy, dx) in enumerate(_NEIGHBOURS):
        codes |= (grey[2 + dy : 130 + dy, 2 + dx : 130 + dx] >= grey[2:130, 2:130]).astype(np.uint8) << bit
    labels = _UNIFORM[codes]
    cell = 128 // grid
    histograms = [
        np.bincount(labels[y : y + cell, x : x + cell].ravel(), minlength=59) for y in range(0, 128, cell) for x in range(0, 128, cell)
    ]
    return (np.stack(histograms) / cell**2).astype(np.float32).ravel()


def chi_square(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float64]:
    """Distances of N descriptors a to M descriptors b: N x M, 0 for equal ones."""
    return np.stack([((one - b) ** 2 / (one + b + 1e-9)).sum(axis=1) for one in a.astype(np.float64)])


def rank_one(probes: NDArray[np.float32], gallery: NDArray[np.float32]) -> float:
    """`rank1[lbp]`: the part of the probes whose nearest gallery entry is their own (probe n belongs to entry n)."""
    return float((chi_square(probes, gallery).argmin(axis=1) == np.arange(len(probes))).mean())


_NEIGHBOURS = ((-2, 0), (-1, 1), (0, 2), (1, 1), (2, 0), (1, -1), (0, -2), (-1, -1))


def _uniform_labels() -> NDArray[np.uint8]:
    """58 labels for the patterns with at most two changes round the circle, one for all the others."""
    labels, following = np.full(256, 58, np.uint8), 0
    for code in range(256):
        changes = sum((code >> i & 1) != (code >> (i + 1) % 8 & 1) for i in range(8))
        if changes <= 2:
            labels[code], following = following, following + 1
    return labels


_UNIFORM = _uniform_labels()
