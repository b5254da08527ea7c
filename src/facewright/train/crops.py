"""What a discriminator sees of a picture that is larger than it."""

from __future__ import annotations

import torch
from torch import Tensor


def crops(side: int, *pictures: Tensor) -> list[Tensor]:
    """The same random square of every picture, N x C x side x side; the whole ones where side is 0 or their own. Drawn by torch's own
    generator, which the engine seeds and restores."""
    room = pictures[0].shape[-1] - side
    if side == 0 or room == 0:
        return list(pictures)
    top, left = torch.randint(0, room + 1, (2,)).tolist()
    return [p[..., top : top + side, left : left + side].contiguous(memory_format=torch.channels_last) for p in pictures]
