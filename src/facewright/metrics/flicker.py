"""Does a restored clip flicker where the damaged one does not?"""

from __future__ import annotations

import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.colour import checked_pair, unit


def flicker(restored: Tensor, reference: Tensor) -> Tensor:
    """`flicker[excess]`, in levels of 255: how much more the restored clip changes from frame to frame than the reference does.

    restored, reference: T x 3 x H x W or T x 1 x H x W frames in order, in [0, 1] or uint8; the reference is the truth, or the damaged
    clip where there is none. Of each pixel: |r(t+1) - r(t)| - |c(t+1) - c(t)|, nothing where that is below 0, so that a place which is
    calmer than it should be does not make up for one that flickers; then the mean over pixels and channels.
    Returns T - 1 values, float64; 0 for equal clips and for a restoration that only dims. A moving edge that became sharper counts, too:
    compare restorations of one clip, not clips. Raises InputError for fewer than two frames, for different shapes, and for NaN.
    """
    a, b = checked_pair(restored, reference)
    if len(a) < 2:
        raise InputError("there is no flicker", f"{len(a)} of at least 2 frames")
    # two frames at a time: a clip may be long
    return torch.stack([_excess(a[t : t + 2], b[t : t + 2]) for t in range(len(a) - 1)])


def _excess(a: Tensor, b: Tensor) -> Tensor:
    change, allowed = ((unit(each[1]).double() - unit(each[0]).double()).abs() for each in (a, b))
    return 255 * (change - allowed).clamp(min=0).mean()
