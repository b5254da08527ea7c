"""How much of what is generated looks real, and how much of what is real is generated.

Kynkaanniemi, Karras, Laine, Lehtinen, Aila, "Improved Precision and Recall Metric for Assessing Generative Models", NeurIPS 2019.
"""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.gathered import Gathered

ROWS = 1024
"""Rows of distances in memory at a time."""


def precision_recall(restored: Tensor, truth: Tensor, *, k: int = 3) -> tuple[float, float]:
    """`precision[k=3]` and `recall[k=3]` of features M x D (generated) and N x D (real).

    A set's surface is made of balls round its members, as wide as the distance to the k-th nearest other member. Precision: the share of
    the generated inside a ball of the real; recall the other way round. Memory does not grow with M N.
    Raises InputError for fewer than k + 1 pictures.
    """
    for rows, what in ((restored, "restored"), (truth, "true")):
        if len(rows) <= k:
            raise InputError(f"too few {what} pictures for precision and recall: {len(rows)}", f"it needs at least {k + 1}")
    x, y = restored.double(), truth.double()
    return _inside(x, y, _radii(y, k)), _inside(y, x, _radii(x, k))


class PrecisionRecall(Gathered):
    """`precision[k=3]`, `recall[k=3]` of features that come in batches; all are kept."""

    def __init__(self, k: int = 3) -> None:
        super().__init__()
        self.k = k

    def compute(self) -> tuple[float, float]:
        """Raises InputError for too few pictures."""
        restored, truth = self.features()
        return precision_recall(restored, truth, k=self.k)


def _radii(rows: Tensor, k: int) -> Tensor:
    # the nearest is the member itself
    return torch.cat([_distances(part, rows).kthvalue(k + 1, dim=1).values for part in _parts(rows)])


def _inside(rows: Tensor, centres: Tensor, radii: Tensor) -> float:
    inside = [(_distances(part, centres) <= radii).any(1) for part in _parts(rows)]
    return float(torch.cat(inside).double().mean())


def _parts(rows: Tensor) -> list[Tensor]:
    return [rows[start : start + ROWS] for start in range(0, len(rows), ROWS)]


def _distances(a: Tensor, b: Tensor) -> Tensor:
    return torch.cdist(a, b, compute_mode="donot_use_mm_for_euclid_dist")
