"""The layers of `autoencoder` that only infer: channels last, activations in place, convolutions in the precision they were given.

A convolution behind nearest-neighbour enlargement sees equal samples side by side. With their weights added up it is a transposed
convolution of the small map: 16 products where there were 36, and the large map is never made.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from facewright.nets.blocks.autoencoder import DoublingConv, HalvingConv, SelfAttention, SwishResBlock, attention
from facewright.nets.blocks.frozen import FrozenConv


def frozen(block: nn.Module, dtype: torch.dtype = torch.float32) -> nn.Module:
    """The same layer for inference, with weights of its own. dtype: of convolutions; norms are float32, and so are sums."""
    if isinstance(block, SwishResBlock):
        return FrozenSwishBlock(block, dtype)
    if isinstance(block, HalvingConv):
        return FrozenHalving(block, dtype)
    if isinstance(block, DoublingConv):
        return FrozenDoubling(block, dtype)
    if isinstance(block, SelfAttention):
        return FrozenAttention(block, dtype)
    if isinstance(block, nn.GroupNorm):
        return FrozenNorm(block)
    assert isinstance(block, nn.Conv2d), f"{type(block).__name__} has no frozen form"
    return FrozenConv.of(block, dtype)


class FrozenNorm(nn.Module):
    """Group normalisation, with swish behind it where `swish`; float32."""

    def __init__(self, norm: nn.GroupNorm, *, swish: bool = False) -> None:
        super().__init__()
        self.groups, self.eps, self.swish = norm.num_groups, norm.eps, swish
        self.weight, self.bias = (nn.Parameter(each.detach().float().clone(), requires_grad=False) for each in (norm.weight, norm.bias))

    def forward(self, x: Tensor) -> Tensor:
        y = F.group_norm(x.float(), self.groups, self.weight, self.bias, self.eps)
        return F.silu(y, inplace=True) if self.swish else y


class FrozenSwishBlock(nn.Module):
    """`SwishResBlock`. Only the convolutions work in `dtype`: what adds up from block to block is not rounded on the way."""

    def __init__(self, block: SwishResBlock, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm1, self.norm2 = FrozenNorm(block.norm1, swish=True), FrozenNorm(block.norm2, swish=True)
        self.conv1, self.conv2 = FrozenConv.of(block.conv1, dtype), FrozenConv.of(block.conv2, dtype)
        self.shortcut = None if block.shortcut is None else FrozenConv.of(block.shortcut, dtype)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv1(self.norm1(x))
        y = self.norm2(y)
        y = self.conv2(y).float()
        return y.add_(x if self.shortcut is None else self.shortcut(x))


class FrozenHalving(nn.Module):
    """`HalvingConv`."""

    def __init__(self, block: HalvingConv, dtype: torch.dtype) -> None:
        super().__init__()
        self.conv = FrozenConv.of(block.conv, dtype)

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x.to(self.conv.weight.dtype), (0, 1, 0, 1))
        return F.conv2d(x, self.conv.weight, self.conv.bias, stride=2)


class FrozenDoubling(nn.Module):
    """`DoublingConv`, as one transposed convolution."""

    def __init__(self, block: DoublingConv, dtype: torch.dtype) -> None:
        super().__init__()
        assert block.conv.bias is not None
        weight = enlarging(block.conv.weight.detach().float()).to(dtype=dtype, memory_format=torch.channels_last)
        self.weight = nn.Parameter(weight, requires_grad=False)
        self.bias = nn.Parameter(block.conv.bias.detach().to(dtype, copy=True), requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        # zeros around the small map stand for those around the large one: nothing to repair at the edges
        return F.conv_transpose2d(x.to(self.weight.dtype), self.weight, self.bias, stride=2, padding=1)


class FrozenAttention(nn.Module):
    """`SelfAttention`; query, key and value by one convolution."""

    def __init__(self, block: SelfAttention, dtype: torch.dtype) -> None:
        super().__init__()
        self.norm = FrozenNorm(block.norm)
        three = (block.q, block.k, block.v)
        weight, bias = (torch.cat([conv.get_parameter(name) for conv in three]) for name in ("weight", "bias"))
        self.looks, self.proj_out = FrozenConv(weight, bias, dtype), FrozenConv.of(block.proj_out, dtype)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = self.looks(self.norm(x)).chunk(3, dim=1)
        seen: Tensor = self.proj_out(attention(query, key, value, heads=1)).float()
        return seen.add_(x)


def enlarging(weight: Tensor) -> Tensor:
    """Out x in x 3 x 3 to in x out x 4 x 4: the transposed convolution that enlarges to the nearest and convolves.

    It writes the sample i to the lines 2i + (-1, 0, 1, 2). Of the large map's lines 2i and 2i + 1, which both are i, the line 2i + t - 1
    sees each that is at most one away.
    """
    along = weight.new_tensor([[0, 0, 1], [0, 1, 1], [1, 1, 0], [1, 0, 0]])  # line written, tap
    return torch.einsum("oikl,sk,tl->iost", weight, along, along)
