"""Features of restored and true pictures that are kept until all are there."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError


class Gathered:
    """Two growing lists of features N x D, float32 on the processor: 8 KB a picture at 2048 features."""

    def __init__(self) -> None:
        self._restored: list[Tensor] = []
        self._truth: list[Tensor] = []

    def update(self, restored: Tensor | None = None, truth: Tensor | None = None) -> None:
        """Features N x D of restored pictures, of true ones, or both. Raises InputError for another D, and for NaN and infinity."""
        for rows, kept in ((restored, self._restored), (truth, self._truth)):
            if rows is None:
                continue
            if rows.ndim != 2 or (kept and rows.shape[1] != kept[0].shape[1]):
                raise InputError("cannot take these features", f"they are {tuple(rows.shape)}, not pictures x features as before")
            if not bool(rows.isfinite().all()):
                raise InputError("cannot take these features", "they hold values that are not numbers")
            kept.append(rows.detach().to("cpu", torch.float32))

    def merge(self, other: Gathered) -> None:
        """Take in what another process has seen, behind one's own."""
        self._restored += other._restored
        self._truth += other._truth

    def features(self) -> tuple[Tensor, Tensor]:
        """All restored and all true ones. Raises InputError where one of the two is empty."""
        for kept, what in ((self._restored, "restored"), (self._truth, "true")):
            if not kept:
                raise InputError(f"there are no {what} pictures", "none was measured")
        return torch.cat(self._restored), torch.cat(self._truth)
