"""Peak signal-to-noise ratio."""

from __future__ import annotations

from torch import Tensor

from facewright.errors import InputError


def psnr(restored: Tensor, truth: Tensor) -> Tensor:
    """`psnr[rgb]`: 10 log10(1 / MSE) in dB over all pixels and channels.

    restored, truth: N x C x H x W in [0, 1]. Returns N values; infinite where the two are equal.
    Raises InputError where shapes differ.
    """
    if restored.shape != truth.shape:
        raise InputError("cannot compare pictures of different sizes", f"{tuple(restored.shape)} and {tuple(truth.shape)}")
    return -10 * (restored.double() - truth.double()).square().flatten(1).mean(1).log10()
