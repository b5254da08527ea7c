"""The group normalisation of the VQGAN family, on the maps where it takes its own way back."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from facewright.nets.blocks import groupnorm
from facewright.nets.blocks.groupnorm import GroupNorm


def norm_of(channels: int) -> GroupNorm:
    norm = GroupNorm(4, channels, eps=1e-6)
    random = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in norm.parameters():
            parameter.copy_(torch.randn(channels, generator=random))
    return norm


def maps(channels: int, dtype: torch.dtype) -> Tensor:
    x = 2 * torch.randn(3, channels, 7, 5, generator=torch.Generator().manual_seed(0)) + 1
    return x.to(dtype).contiguous(memory_format=torch.channels_last)


def learned(norm: GroupNorm, x: Tensor, swish: bool) -> list[Tensor]:
    """What comes out, and the gradients of x, gamma and beta."""
    x = x.detach().requires_grad_()
    y = norm(x, swish=swish)
    towards = torch.randn(y.shape, generator=torch.Generator().manual_seed(2)).to(y.dtype)
    return [y.detach(), *torch.autograd.grad(y, [x, *norm.parameters()], towards)]


def plain(norm: GroupNorm, x: Tensor, swish: bool) -> Tensor:
    y = F.group_norm(x, norm.num_groups, norm.weight, norm.bias, norm.eps)
    return F.silu(y) if swish else y


@pytest.mark.parametrize("swish", [False, True])
@pytest.mark.parametrize("channels", [4, 8, 12])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("level", [0, 20])
def test_the_gradients_are_as_near_to_double_precision_as_pytorch_s(swish: bool, channels: int, dtype: torch.dtype, level: float) -> None:
    """level: added to x; values far from zero must not drown the gradients."""
    norm, x = norm_of(channels), maps(channels, torch.float32).add(level).to(dtype)
    assert groupnorm._suits(x, norm.weight)
    truth = learned(norm_of(channels).double(), x.double(), swish)
    usual = learned(norm, x.contiguous(), swish)
    for ours, native, true in zip(learned(norm, x, swish), usual, truth, strict=True):
        assert (ours.double() - true).norm() < 2 * (native.double() - true).norm() + (1e-4 if level else 2e-6) * true.norm()


def test_gradients_of_gradients() -> None:
    norm, x = norm_of(8), maps(8, torch.float32).requires_grad_()
    found = []
    for y in (norm(x, swish=True), plain(norm, x, True)):
        (first,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), [x, *norm.parameters()]))
    for ours, true in zip(*found, strict=True):
        torch.testing.assert_close(ours, true, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("learns", ["x", "parameters"])
def test_only_what_learns_gets_a_gradient(learns: str) -> None:
    norm, x = norm_of(8), maps(8, torch.float32)
    x.requires_grad_(learns == "x")
    norm.requires_grad_(learns == "parameters")
    norm(x).square().sum().backward()
    assert (x.grad is not None) == (learns == "x")
    assert (norm.weight.grad is not None) == (norm.bias.grad is not None) == (learns == "parameters")


def test_nothing_that_is_given_changes() -> None:
    norm, x = norm_of(8), maps(8, torch.float32)
    before = x.clone()
    with torch.no_grad():
        torch.testing.assert_close(norm(x, swish=True), plain(norm, x, True), rtol=1e-5, atol=1e-5)
    learned(norm, x, True)
    assert torch.equal(x, before)
