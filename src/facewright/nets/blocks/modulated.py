"""The modulated convolution of StyleGAN2, with the modulation moved from the weights to the activations.

Karras et al., "Analyzing and Improving the Image Quality of StyleGAN", CVPR 2020, section 2.2, arXiv:1912.04958.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.equalized import SLOPE, EqualLinear
from facewright.nets.blocks.resample import FIR, UpFirDn, bilinear_down, bilinear_up, smooth_after_up, smooth_before_down

Flavour = Literal["original", "bilinear", "clean"]
Sampling = Literal["up", "down"]


class ModulatedConv2d(nn.Module):
    """Convolve with w'_oik = s_i * w_oik, divided by its norm over (i, k) where `demodulate` (eq. 1 and 3).

    A per-sample weight is never made: since the convolution is linear,
        conv(x, w') = conv(x * s, w) * d   with   d_o = (sum_i s_i^2 sum_k w_oik^2 + eps)^-1/2,
    and the resampling between them is linear too, so that s meets the smaller picture when enlarging.

    flavour: "original" resamples by (transposed) strided convolutions and FIR filters, the others bilinearly before the convolution;
    "original" and "bilinear" scale the weights at run time, "clean" does not.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        style_dim: int,
        *,
        flavour: Flavour = "clean",
        demodulate: bool = True,
        sampling: Sampling | None = None,
        resample_kernel: Sequence[float] = FIR,
        eps: float = 1e-8,
    ) -> None:
        super().__init__()
        self.padding, self.demodulate, self.sampling, self.flavour, self.eps = kernel_size // 2, demodulate, sampling, flavour, eps
        fan_in = in_channels * kernel_size**2
        self.scale = 1.0 if flavour == "clean" else 1 / math.sqrt(fan_in)

        weight = torch.randn(1, out_channels, in_channels, kernel_size, kernel_size)
        self.weight = nn.Parameter(weight / math.sqrt(fan_in) if flavour == "clean" else weight)
        self.modulation: nn.Module
        if flavour == "clean":
            self.modulation = nn.Linear(style_dim, in_channels)
            nn.init.kaiming_normal_(self.modulation.weight, a=0.0, mode="fan_in", nonlinearity="linear")
            nn.init.ones_(self.modulation.bias)
        else:
            self.modulation = EqualLinear(style_dim, in_channels, bias_init=1.0)

        self.smooth: UpFirDn | None = None
        if flavour == "original" and sampling:
            self.smooth = (smooth_after_up if sampling == "up" else smooth_before_down)(resample_kernel, kernel_size)

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        """x: N x in x H x W; style: N x style_dim. Returns N x out x H' x W' of x's dtype (of autocast's under autocast)."""
        weight = self.weight[0]
        # A rounding error of s or d is one of a whole channel: both stay in full precision under autocast.
        with _no_autocast(x):
            s: Tensor = self.modulation(style.to(weight.dtype))
            if self.demodulate:
                power = weight.square().sum(dim=(2, 3)) * self.scale**2
                d = torch.rsqrt(s.square() @ power.T + self.eps)
        y = self._convolve(x * s.to(x.dtype)[:, :, None, None], weight * self.scale if self.scale != 1 else weight)
        return y * d.to(y.dtype)[:, :, None, None] if self.demodulate else y

    def _convolve(self, x: Tensor, weight: Tensor) -> Tensor:
        if self.sampling is None:
            return F.conv2d(x, weight, padding=self.padding)
        if self.smooth is None:
            x = bilinear_up(x) if self.sampling == "up" else bilinear_down(x)
            return F.conv2d(x, weight, padding=self.padding)
        if self.sampling == "up":
            # The published code does not flip the kernel of its transposed convolution; every published weight is made for that.
            y: Tensor = self.smooth(F.conv_transpose2d(x, weight.transpose(0, 1), stride=2))
            return y
        return F.conv2d(self.smooth(x), weight, stride=2)


class StyleConv(nn.Module):
    """Modulated 3 x 3 convolution, noise, bias, leaky ReLU with gain sqrt(2).

    "clean" applies the gain right after the convolution, before noise and bias, and keeps its bias as 1 x C x 1 x 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        style_dim: int,
        *,
        flavour: Flavour = "clean",
        sampling: Sampling | None = None,
        resample_kernel: Sequence[float] = FIR,
    ) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(
            in_channels, out_channels, 3, style_dim, flavour=flavour, sampling=sampling, resample_kernel=resample_kernel
        )
        self.weight = nn.Parameter(torch.zeros(1))
        self.clean = flavour == "clean"
        if self.clean:
            self.bias = nn.Parameter(torch.zeros(1, out_channels, 1, 1))
        else:
            self.activate = _ActivationBias(out_channels)

    def forward(self, x: Tensor, style: Tensor, noise: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """x: N x C x H x W; style: N x S; noise: broadcast to N x 1 x H' x W', None draws a fresh N(0, 1)."""
        y: Tensor = self.modulated_conv(x, style)
        if noise is None:
            noise = fresh_noise(y, generator)
        noise = self.weight.to(y.dtype) * noise.to(device=y.device, dtype=y.dtype)
        if self.clean:
            return F.leaky_relu(y * math.sqrt(2) + noise + self.bias.to(y.dtype), SLOPE)
        bias = self.activate.bias.to(y.dtype).view(1, -1, 1, 1)
        return F.leaky_relu(y + noise + bias, SLOPE) * math.sqrt(2)


class ToRGB(nn.Module):
    """A modulated 1 x 1 convolution to the picture's channels without demodulation, added to the enlarged picture of the level below."""

    def __init__(
        self, in_channels: int, style_dim: int, *, flavour: Flavour = "clean", upsample: UpFirDn | None = None, colours: int = 3
    ) -> None:
        super().__init__()
        self.modulated_conv = ModulatedConv2d(in_channels, colours, 1, style_dim, flavour=flavour, demodulate=False)
        self.upsample = upsample
        self.bias = nn.Parameter(torch.zeros(1, colours, 1, 1))

    def forward(self, x: Tensor, style: Tensor, skip: Tensor | None = None) -> Tensor:
        """x: N x C x H x W; style: N x S; skip: N x 3 x H/2 x W/2. Returns N x 3 x H x W, in the bias's dtype: pictures add up exactly."""
        y: Tensor = self.modulated_conv(x, style)
        y = y.to(self.bias.dtype) + self.bias
        if skip is not None:
            y = y + (bilinear_up(skip) if self.upsample is None else self.upsample(skip))
        return y


def fresh_noise(like: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """N(0, 1) of shape N x 1 x H x W for the feature map `like`, drawn where the generator lives (so a seed means the same anywhere)."""
    n, _, h, w = like.shape
    device = like.device if generator is None else generator.device
    return torch.randn(n, 1, h, w, device=device, generator=generator).to(device=like.device, dtype=like.dtype)


class _ActivationBias(nn.Module):
    """Holds the bias under its published name `activate.bias`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(channels))


def _no_autocast(x: Tensor) -> AbstractContextManager[object]:
    kind = x.device.type
    if torch.amp.is_autocast_available(kind) and torch.is_autocast_enabled(kind):
        return torch.autocast(kind, enabled=False)
    return nullcontext()
