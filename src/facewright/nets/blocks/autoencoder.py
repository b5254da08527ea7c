"""Parts of the VQGAN family (taming-transformers, CodeFormer, RestoreFormer, VQFR): norm, residual block, resampling, attention.

Esser, Rombach, Ommer, "Taming Transformers for High-Resolution Image Synthesis", CVPR 2021, arXiv:2012.09841.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.groupnorm import GroupNorm


def group_norm(channels: int) -> GroupNorm:
    """The family's norm: 32 groups, epsilon 1e-6."""
    return GroupNorm(32, channels, eps=1e-6)


class SwishResBlock(nn.Module):
    """x + conv2(swish(norm2(conv1(swish(norm1(x)))))), N x in x H x W to N x out x H x W.

    shortcut: the published name of the 1 x 1 convolution that brings x to `outputs` channels, there only where they differ from `inputs`:
    "nin_shortcut" in taming-transformers and RestoreFormer, "conv_out" in CodeFormer, "residual_func" in VQFR.
    """

    def __init__(self, inputs: int, outputs: int, *, shortcut: str = "nin_shortcut") -> None:
        super().__init__()
        self.norm1 = group_norm(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = group_norm(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self._shortcut = shortcut if inputs != outputs else None
        if self._shortcut:
            self.add_module(self._shortcut, nn.Conv2d(inputs, outputs, 1))

    @property
    def shortcut(self) -> nn.Module | None:
        """The 1 x 1 convolution, where there is one."""
        return None if self._shortcut is None else self.get_submodule(self._shortcut)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1(self.norm1(x, swish=True))
        y = self.conv2(self.norm2(y, swish=True))
        return y + (x if self.shortcut is None else self.shortcut(x))


class HalvingConv(nn.Module):
    """N x C x H x W to N x C x H/2 x W/2: zeros at the right and bottom only, then a strided convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.pad(x, (0, 1, 0, 1)))
        return y


class DoublingConv(nn.Module):
    """N x C x H x W to N x C x 2H x 2W: nearest neighbour, then a convolution."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))
        return y


class SelfAttention(nn.Module):
    """One head over all places, on the normalised x; plus x. CodeFormer's, VQFR's and taming-transformers' `AttnBlock`."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor) -> Tensor:
        """x: N x C x H x W, the same comes back."""
        h = self.norm(x)
        seen: Tensor = self.proj_out(attention(self.q(h), self.k(h), self.v(h), heads=1))
        return x + seen


class CrossAttention(nn.Module):
    """Key and value from the normalised x, the query from the normalised `guide` (or from x, where there is none); plus x.

    RestoreFormer's `MultiHeadAttnBlock`: x is the high-quality prior, the guide the degraded picture's features. norm2 is the guide's; it
    stands in the files of blocks that never get one, too. heads: how many.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = group_norm(channels), group_norm(channels)
        self.q, self.k, self.v, self.proj_out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x: Tensor, guide: Tensor | None = None) -> Tensor:
        """x, guide: N x C x H x W, the same comes back."""
        h = self.norm1(x)
        asked = h if guide is None else self.norm2(guide)
        seen: Tensor = self.proj_out(attention(self.q(asked), self.k(h), self.v(h), heads=self.heads))
        return x + seen


def attention(query: Tensor, key: Tensor, value: Tensor, *, heads: int) -> Tensor:
    """softmax(q k / sqrt(C / heads)) v over the places of maps N x C x H x W; the heads are neighbouring groups of channels."""
    n, c, height, width = query.shape

    def places(x: Tensor) -> Tensor:
        return x.reshape(n, heads, c // heads, -1).transpose(2, 3)

    seen = F.scaled_dot_product_attention(places(query), places(key), places(value))
    return seen.transpose(2, 3).reshape(n, c, height, width)
