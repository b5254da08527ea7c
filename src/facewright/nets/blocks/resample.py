"""Resampling by FIR filters, as the original StyleGAN2 does it, and the bilinear kind of its successors.

Zhang, "Making Convolutional Networks Shift-Invariant Again", ICML 2019; Karras et al., "Analyzing and Improving the Image
Quality of StyleGAN", CVPR 2020, arXiv:1912.04958. Kernels are no parameters and stand in no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import torch
import torch.nn.functional as F
from torch import Tensor, nn

FIR = (1.0, 3.0, 3.0, 1.0)


def upfirdn2d(x: Tensor, kernel: Tensor, *, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> Tensor:
    """Insert zeros, pad, convolve with `kernel`, drop samples; each channel and each axis alike.

    x: N x C x H x W; kernel: kH x kW. After every sample `up - 1` zeros are inserted, `pad` = (before, after) zeros are added
    (negative: cropped), and every `down`-th sample of the true convolution (kernel flipped) is kept, from the first.
    Returns N x C x H' x W' with H' = (H * up + before + after - kH) // down + 1.
    """
    n, c, h, w = x.shape
    out = x.reshape(n * c, 1, h, w)
    if up > 1:
        out = F.pad(out.reshape(n * c, h, 1, w, 1), (0, up - 1, 0, 0, 0, up - 1)).reshape(n * c, 1, h * up, w * up)
    before, after = pad
    out = F.pad(out, (before, after, before, after))
    out = F.conv2d(out, kernel.to(x.dtype).flip(0, 1)[None, None], stride=down)
    return out.reshape(n, c, out.shape[2], out.shape[3])


def outer_kernel(taps: Sequence[float], gain: float = 1.0) -> Tensor:
    """The separable K x K kernel of `taps` with sum `gain`, float32."""
    line = torch.tensor(taps, dtype=torch.float32)
    kernel = torch.outer(line, line)
    return kernel * (gain / kernel.sum())


@lru_cache(maxsize=64)
def _outer_kernel_on(taps: tuple[float, ...], gain: float, device: torch.device, dtype: torch.dtype) -> Tensor:
    with torch.inference_mode(False), torch.device("cpu"):
        return outer_kernel(taps, gain).to(device=device, dtype=dtype)


class UpFirDn(nn.Module):
    """`upfirdn2d` with a fixed separable kernel. The taps are plain numbers, so the module also works on the meta device."""

    def __init__(self, taps: Sequence[float], *, gain: float = 1.0, up: int = 1, down: int = 1, pad: tuple[int, int] = (0, 0)) -> None:
        super().__init__()
        self.taps, self.gain, self.up, self.down, self.pad = tuple(map(float, taps)), gain, up, down, pad

    @property
    def kernel(self) -> Tensor:
        return outer_kernel(self.taps, self.gain)

    def forward(self, x: Tensor) -> Tensor:
        kernel = _outer_kernel_on(self.taps, self.gain, x.device, x.dtype)
        return upfirdn2d(x, kernel, up=self.up, down=self.down, pad=self.pad)

    def extra_repr(self) -> str:
        return f"{self.taps}, gain={self.gain:g}, up={self.up}, down={self.down}, pad={self.pad}"


def fir_upsample(taps: Sequence[float] = FIR, factor: int = 2) -> UpFirDn:
    """H x W to factor*H x factor*W; the gain makes up for the inserted zeros."""
    excess = len(taps) - factor
    return UpFirDn(taps, gain=float(factor**2), up=factor, pad=((excess + 1) // 2 + factor - 1, excess // 2))


def fir_downsample(taps: Sequence[float] = FIR, factor: int = 2) -> UpFirDn:
    """H x W to H/factor x W/factor."""
    excess = len(taps) - factor
    return UpFirDn(taps, down=factor, pad=((excess + 1) // 2, excess // 2))


def smooth_after_up(taps: Sequence[float] = FIR, kernel_size: int = 3, factor: int = 2) -> UpFirDn:
    """The filter behind a transposed convolution of stride `factor` and size `kernel_size`: 2H + 1 to 2H."""
    excess = (len(taps) - factor) - (kernel_size - 1)
    return UpFirDn(taps, gain=float(factor**2), pad=((excess + 1) // 2 + factor - 1, excess // 2 + 1))


def smooth_before_down(taps: Sequence[float] = FIR, kernel_size: int = 3, factor: int = 2) -> UpFirDn:
    """The filter before a convolution of stride `factor` and size `kernel_size` without padding."""
    excess = (len(taps) - factor) + (kernel_size - 1)
    return UpFirDn(taps, pad=((excess + 1) // 2, excess // 2))


def bilinear_up(x: Tensor) -> Tensor:
    """N x C x H x W to 2H x 2W, align_corners False."""
    return F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)


def bilinear_down(x: Tensor) -> Tensor:
    """N x C x H x W to H/2 x W/2 (H, W even): bilinear halving, which is exactly the mean of 2 x 2 blocks."""
    return F.avg_pool2d(x, 2)
