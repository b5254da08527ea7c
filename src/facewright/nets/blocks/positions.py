"""Where a token stands in its map, told by waves instead of learned numbers.

Carion et al., "End-to-End Object Detection with Transformers", 2020, arXiv:2005.12872, section A.4. CodeFormer's file has it and does not
use it: its positions are learned, from zeros.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor


def sine_positions(height: int, width: int, features: int = 64, *, temperature: float = 10000, normalised: bool = False) -> Tensor:
    """2 `features` x height x width in [-1, 1]: of the row, then of the column, sines and cosines by turns, from quick to slow waves.

    features: even. temperature: the slowest wave's length over the quickest one's, nearly. normalised: the last row and column are one
    whole turn, whatever the size of the map; else a row is one radian of the quickest wave. Rows and columns count from 1.
    """
    frequency = temperature ** (-torch.arange(0, features, 2, dtype=torch.float32) / features)

    def waves(length: int) -> Tensor:
        """length x features."""
        place = torch.arange(1, length + 1, dtype=torch.float32)
        if normalised:
            place = place / (length + 1e-6) * 2 * math.pi
        angle = place[:, None] * frequency
        return torch.stack([angle.sin(), angle.cos()], dim=2).flatten(1)

    rows = waves(height).T[:, :, None].expand(-1, -1, width)
    columns = waves(width).T[:, None, :].expand(-1, height, -1)
    return torch.cat([rows, columns])
