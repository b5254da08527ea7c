"""The channels that a number is about, and what every metric checks first."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics.conventions import Channel


def checked(pictures: Tensor, what: str = "pictures") -> Tensor:
    """The pictures as they came, N x 3 x H x W; of grey ones, N x 1 x H x W, all three channels are the same.

    Floats are in [0, 1] (values a little outside, which networks return, pass), uint8 in 0..255. Raises InputError for another shape or
    type, for NaN and infinity, and for floats that are levels of 0..255.
    """
    if pictures.ndim != 4 or pictures.shape[1] not in (1, 3) or 0 in pictures.shape:
        raise InputError(f"cannot measure these {what}", f"they are {tuple(pictures.shape)}, not N x 3 x H x W or N x 1 x H x W")
    if pictures.dtype != torch.uint8:
        if not pictures.is_floating_point():
            raise InputError(f"cannot measure these {what}", f"they are {pictures.dtype}", "give floats in [0, 1], or uint8")
        low, high = (float(value) for value in pictures.detach().aminmax())
        if not (math.isfinite(low) and math.isfinite(high)):
            raise InputError(f"cannot measure these {what}", "they hold values that are not numbers")
        if high > 2 or low < -1.5:
            raise InputError(f"cannot measure these {what}", f"their values go from {low:.3g} to {high:.3g}", "bring them to [0, 1]")
    return pictures if pictures.shape[1] == 3 else pictures.expand(-1, 3, -1, -1)


def checked_pair(restored: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """Both as `checked`. Raises InputError where shapes differ, too."""
    if restored.shape != truth.shape:
        raise InputError("cannot compare pictures of different sizes", f"{tuple(restored.shape)} and {tuple(truth.shape)}")
    return checked(restored, "restored pictures"), checked(truth, "true pictures")


def unit(pictures: Tensor) -> Tensor:
    """In [0, 1]: floats as they are, uint8 as float64."""
    return pictures.double() / 255 if pictures.dtype == torch.uint8 else pictures


def levels(pictures: Tensor, channel: Channel, *, whole_luma: bool = False) -> Tensor:
    """Pictures as `checked` in float64 in 0..255: N x 3 x H x W for "rgb", N x 1 x H x W for a luma.

    whole_luma: the luma is rounded. It is then computed in single precision, as the published code does, so that halves go its way.
    """
    if channel == "rgb":
        return pictures.double() if pictures.dtype == torch.uint8 else pictures.double() * 255
    studio = channel == "y"
    weights = (65.481, 128.553, 24.966) if studio else (0.299, 0.587, 0.114)
    pictures = unit(pictures).float() if whole_luma else unit(pictures).double()
    red, green, blue = (pictures[:, i : i + 1] * weight for i, weight in enumerate(weights))
    luma = red + green + blue
    luma = luma + 16 if studio else luma * 255
    return luma.round().double() if whole_luma else luma


def cropped(pictures: Tensor, crop: int) -> Tensor:
    """Without `crop` pixels along each border. Raises InputError where nothing is left."""
    if 2 * crop >= min(pictures.shape[-2:]):
        height, width = pictures.shape[-2:]
        raise InputError("these pictures are too small", f"{crop} pixels along each border leave nothing of {width} x {height}")
    return pictures[..., crop : pictures.shape[-2] - crop, crop : pictures.shape[-1] - crop]


def matched(restored: Tensor, truth: Tensor) -> Tensor:
    """VQFR's correction: each channel of the restored picture gets the truth's mean, then its deviation, and both once more.

    N x 3 x H x W each; a picture of one flat colour keeps its deviation of 0.
    """
    goal_mean, goal_deviation = _mean_and_deviation(truth)
    for _ in range(2):
        restored = restored - _mean_and_deviation(restored)[0] + goal_mean
        deviation = _mean_and_deviation(restored)[1]
        # about 0, not about the mean: after the second round the mean is off by a little, as in the published numbers
        restored = restored * torch.where(deviation > 0, goal_deviation / deviation, torch.ones_like(deviation))
    return restored


def _mean_and_deviation(pictures: Tensor) -> tuple[Tensor, Tensor]:
    deviation, mean = torch.std_mean(pictures, dim=(2, 3), keepdim=True, correction=0)
    return mean, deviation
