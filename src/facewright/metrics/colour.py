"""The channels that a number is about, and what every comparison of two pictures checks first."""

from __future__ import annotations

from typing import Literal

from torch import Tensor

from facewright.errors import InputError

Channel = Literal["rgb", "y"]


def paired(restored: Tensor, truth: Tensor, channel: Channel, crop: int) -> tuple[Tensor, Tensor]:
    """Both pictures (N x 3 x H x W in [0, 1]) as float64 in 0..255, without `crop` pixels along each border.

    channel "y": the studio-range luma of ITU-R BT.601, not rounded (MATLAB's rgb2ycbcr), N x 1 x H x W; "rgb": all three.
    Raises InputError where shapes differ.
    """
    if restored.shape != truth.shape:
        raise InputError("cannot compare pictures of different sizes", f"{tuple(restored.shape)} and {tuple(truth.shape)}")
    x, y = (_channels(picture.double() * 255, channel) for picture in (restored, truth))
    return (x[..., crop:-crop, crop:-crop], y[..., crop:-crop, crop:-crop]) if crop else (x, y)


def _channels(pictures: Tensor, channel: Channel) -> Tensor:
    if channel == "rgb":
        return pictures
    weights = pictures.new_tensor([65.481, 128.553, 24.966]).view(1, 3, 1, 1) / 255
    return (pictures * weights).sum(1, keepdim=True) + 16
