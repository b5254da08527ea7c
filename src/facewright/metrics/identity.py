"""Is it still the same person, as the papers measure it: angles and similarities of a face network's embeddings.

The network is the caller's; `arcface_input` makes from pictures what ArcFace is shown. dlib's distance is `facewright.faces.identity`.
"""

from __future__ import annotations

import math

import cv2
import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from facewright.errors import InputError, UsageError
from facewright.metrics.colour import checked, unit
from facewright.metrics.conventions import Convention, IdentityRule
from facewright.metrics.conventions import convention as named

SIDE = 128


def identity_angle(first: Tensor, second: Tensor, *, convention: str | Convention = "gfpgan") -> Tensor:
    """`identity[degrees, gfpgan]` (Deg.; lower is better): the angle between embeddings N x D. Returns N values, float64.

    In degrees, or radians where the convention has them; 0 for equal embeddings. Take the mean with `mean_angle`.
    Raises InputError for different shapes and NaN, UsageError where the convention measures a similarity.
    """
    rule = named(convention).identity
    if rule.unit == "cosine":
        raise UsageError(f"{named(convention).name} measures no angle", "its number is a cosine", "use identity_similarity")
    angle = _angle(*_pair(first, second))
    return angle if rule.unit == "radians" else angle.rad2deg()


def identity_similarity(first: Tensor, second: Tensor) -> Tensor:
    """`identity[cosine, codeformer]` (IDS; higher is better): the cosine between embeddings N x D. Returns N values in [-1, 1], float64.

    DifFace calls the angle IDS: that is `identity_angle`. Raises InputError for different shapes and NaN.
    """
    return _angle(*_pair(first, second)).cos()


def mean_angle(angles: Tensor, *, convention: str | Convention = "gfpgan") -> float:
    """The mean of `identity_angle` over a set, as the convention takes it: pairs nearer than one degree count as the same picture and
    are left out. Raises InputError where none is left.
    """
    rule = named(convention).identity
    kept = angles[angles >= (math.radians(rule.least) if rule.unit == "radians" else rule.least)]
    if not len(kept):
        raise InputError("there is no mean angle", f"all of {len(angles)} pairs are the same picture (under {rule.least:g} degree)")
    return float(kept.mean())


def arcface_input(pictures: Tensor, *, convention: str | Convention = "gfpgan") -> Tensor:
    """What ArcFace is shown of aligned faces: N x 3 x S x S or N x 1 x S x S, in [0, 1] or uint8, to N x 1 x 128 x 128, float32.

    "gfpgan" and most others: grey and reduced in whole levels by OpenCV, in [-1, 1]. "restoreformer": [0, 1], red and blue exchanged.
    """
    rule: IdentityRule = named(convention).identity
    pictures = unit(checked(pictures))
    pictures = pictures.flip(1) if rule.order == "bgr" else pictures
    if rule.whole_levels:
        levels = (pictures * 255).round().clamp(0, 255).to("cpu", torch.uint8).permute(0, 2, 3, 1).numpy()
        grey = np.stack([cv2.resize(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), (SIDE, SIDE)) for one in levels])
        shown = torch.from_numpy(grey)[:, None].to(pictures.device, torch.float32) / 255
    else:
        luma = (pictures.float() * pictures.new_tensor([0.2989, 0.5870, 0.1140]).float().view(1, 3, 1, 1)).sum(1, keepdim=True)
        shown = F.interpolate(luma, size=(SIDE, SIDE), mode="bilinear", align_corners=False)
    return 2 * shown - 1 if rule.signed else shown


def _pair(first: Tensor, second: Tensor) -> tuple[Tensor, Tensor]:
    if first.shape != second.shape or first.ndim != 2:
        raise InputError("cannot compare these embeddings", f"they are {tuple(first.shape)} and {tuple(second.shape)}")
    first, second = first.double(), second.double()
    if not bool(first.isfinite().all() and second.isfinite().all()):
        raise InputError("cannot compare these embeddings", "they hold values that are not numbers")
    return F.normalize(first), F.normalize(second)


def _angle(a: Tensor, b: Tensor) -> Tensor:
    """Of unit vectors; by both sides of the triangle (Kahan), since an arc cosine has no digits near 0."""
    return 2 * torch.atan2((a - b).norm(dim=1), (a + b).norm(dim=1))
