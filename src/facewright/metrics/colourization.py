"""How near the colours of a colourised picture are to the true ones."""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.metrics.colour import checked_pair, unit

THRESHOLDS = 151
"""Distances 0, 1, ..., 150 in the ab plane."""


def colourization_auc(restored: Tensor, truth: Tensor) -> Tensor:
    """`auc[ab, mean]` (AuC, in 0..1; papers print percent): area under `colourization_curve`, as the mean of its 151 values.

    restored, truth: N x 3 x H x W in [0, 1] or uint8, sRGB. Returns N values, 1 for equal colours. Raises InputError as all pairs.
    """
    return colourization_curve(restored, truth).mean(1)


def colourization_curve(restored: Tensor, truth: Tensor) -> Tensor:
    """N x 151: the share of pixels whose colour, a and b of CIE Lab, is at most 0, 1, ..., 150 off (Zhang et al. 2016, sec. 3.1)."""
    a, b = checked_pair(restored, truth)
    distance: Tensor = torch.linalg.vector_norm(lab(unit(a).double())[:, 1:] - lab(unit(b).double())[:, 1:], dim=1).flatten(1)
    # how many fall at or below each whole number
    bins = distance.ceil().clamp(max=THRESHOLDS).long()
    counts = torch.zeros(len(bins), THRESHOLDS + 1, dtype=torch.float64, device=bins.device)
    counts.scatter_add_(1, bins, torch.ones_like(distance))
    return torch.cumsum(counts, 1)[:, :THRESHOLDS] / distance.shape[1]


def lab(pictures: Tensor) -> Tensor:
    """sRGB in [0, 1], N x 3 x H x W, to CIE Lab under D65: L in 0..100, a and b about -128..127."""
    linear = torch.where(pictures <= 0.04045, pictures / 12.92, ((pictures.clamp(min=0) + 0.055) / 1.055) ** 2.4)
    to_xyz = pictures.new_tensor([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
    white = pictures.new_tensor([0.95047, 1.0, 1.08883]).view(1, 3, 1, 1)
    xyz = torch.einsum("ij,njhw->nihw", to_xyz, linear) / white
    x, y, z = torch.where(xyz > 0.008856, xyz.clamp(min=0) ** (1 / 3), 7.787 * xyz + 16 / 116).unbind(1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], 1)
