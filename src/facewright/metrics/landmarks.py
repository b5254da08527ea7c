"""How far a face's points have moved."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError


def landmark_distance(restored: Tensor, truth: Tensor, *, across: tuple[int, int] | None = None) -> Tensor:
    """`landmarks[pixels]` (LMD): mean Euclidean distance of N x P x 2 points, in pixels of the pictures they were found in. N values.

    across: numbers of two points, for example the eyes, by whose distance in the truth it is divided (`landmarks[eyes]`).
    VQFR's uses 98 points at 512 px. Raises InputError for different shapes and NaN.
    """
    if restored.shape != truth.shape or restored.ndim != 3 or restored.shape[-1] != 2:
        raise InputError("cannot compare these landmarks", f"they are {tuple(restored.shape)} and {tuple(truth.shape)}, not N x P x 2")
    a, b = restored.double(), truth.double()
    if not bool(a.isfinite().all() and b.isfinite().all()):
        raise InputError("cannot compare these landmarks", "they hold values that are not numbers")
    distance: Tensor = torch.linalg.vector_norm(a - b, dim=-1).mean(1)
    if across is None:
        return distance
    unit: Tensor = torch.linalg.vector_norm(b[:, across[0]] - b[:, across[1]], dim=-1)
    if not bool((unit > 0).all()):
        raise InputError("cannot compare these landmarks", f"points {across[0]} and {across[1]} are the same")
    return distance / unit
