"""Group normalisation with swish behind it, and a backward pass that suits a processor's channels-last maps.

Wu, He, "Group Normalization", ECCV 2018, arXiv:1803.08494. PyTorch's own backward takes 6 to 100 times as long there as the convolution
beside it: it walks through the map channel by channel, though neighbouring channels lie side by side.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx


class GroupNorm(nn.GroupNorm):
    """nn.GroupNorm, with swish behind it if asked for. Same numbers; only where they are learned on a processor the way there differs."""

    def forward(self, x: Tensor, *, swish: bool = False) -> Tensor:
        """x: N x C x ...; the same comes back."""
        if torch.is_grad_enabled() and _suits(x, self.weight):
            normed: Tensor = _ByChannels.apply(x, self.weight, self.bias, self.num_groups, self.eps, swish)  # type: ignore[no-untyped-call]
            return normed
        y = super().forward(x)
        # nobody else has y, and its values from before are needed only to learn
        return F.silu(y, inplace=not torch.is_grad_enabled()) if swish else y


def _suits(x: Tensor, weight: Tensor) -> bool:
    lies_so = x.ndim == 4 and x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()
    return lies_so and x.device.type == "cpu" and weight.dtype == torch.float32 and x.dtype in (torch.float32, torch.bfloat16)


class _ByChannels(torch.autograd.Function):
    """Group normalisation of N x C x H x W channels last. Keeps x alone for the backward pass, which computes what is behind it again.

    With xhat = (x - mean) / deviation of its group, y = gamma xhat + beta, and g the gradient of y:
    dbeta = sum g, dgamma = sum g xhat, over the places; dx = (gamma g - <gamma g> - xhat <gamma g xhat>) / deviation,
    <> the mean over group and places, that is over a few sums of dbeta and dgamma.
    """

    @staticmethod
    def forward(ctx: FunctionCtx, x: Tensor, gamma: Tensor, beta: Tensor, groups: int, eps: float, swish: bool) -> Tensor:
        y, mean, rate = torch.ops.aten.native_group_norm(x, gamma, beta, *x.shape[:2], x.shape[2:].numel(), groups, eps)
        ctx.save_for_backward(x, gamma, beta, mean, rate)
        ctx.options = groups, eps, swish  # type: ignore[attr-defined]
        return F.silu(y, inplace=True) if swish else y

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, gamma, beta, mean, rate = ctx.saved_tensors
        groups, eps, swish = ctx.options
        if torch.is_grad_enabled():  # a gradient of this gradient is wanted: let PyTorch find it
            y = F.group_norm(x, groups, gamma, beta, eps)
            y = F.silu(y) if swish else y
            wanted = [each for each in (x, gamma, beta) if each.requires_grad]
            found = iter(torch.autograd.grad(y, wanted, grad, create_graph=True))
            return *(next(found) if each.requires_grad else None for each in (x, gamma, beta)), None, None, None
        grad = grad.to(x.dtype).contiguous(memory_format=torch.channels_last)
        channels = x.shape[1] // groups
        mean, rate = (each.view(-1, groups).repeat_interleave(channels, dim=1) for each in (mean, rate))  # N x C
        factor = gamma * rate
        other = torch.empty_like(x)
        if swish:
            _affine(x, factor, beta - mean * factor, out=other)
            grad = torch.ops.aten.silu_backward(grad, other)
        dgamma, dbeta = _sums(grad, x, mean, rate)
        dx = None
        if ctx.needs_input_grad[0]:
            places = channels * x.shape[2:].numel()
            own, along = (
                (each * gamma).view(-1, groups, channels).sum(dim=2).div_(places).repeat_interleave(channels, dim=1)
                for each in (dbeta, dgamma)
            )
            slope = -along * rate.square()
            dx = torch.empty_like(x)
            _affine(grad, factor, torch.zeros_like(factor), out=dx)
            _affine(x, slope, -own * rate - slope * mean, out=other)
            dx.add_(other)
        return dx, dgamma.sum(dim=0), dbeta.sum(dim=0), None, None, None


def _affine(x: Tensor, factor: Tensor, offset: Tensor, *, out: Tensor) -> None:
    """factor x + offset, N x C each, of x N x C x H x W into `out`, rounded once whatever its type: batch normalisation of single samples,
    with a mean of 0 and a variance of 1."""
    zero, one, unused = torch.zeros_like(factor[0]), torch.ones_like(factor[0]), factor.new_empty(0)
    for n in range(x.shape[0]):
        torch.ops.aten.native_batch_norm.out(
            x[n : n + 1], factor[n], offset[n], zero, one, False, 0.0, 0.0, out=out[n : n + 1], save_mean=unused, save_invstd=unused
        )


def _sums(grad: Tensor, x: Tensor, mean: Tensor, rate: Tensor) -> tuple[Tensor, Tensor]:
    """sum g xhat and sum g over the places, N x C each: the gradients of batch normalisation's gamma and beta, sample by sample."""
    along, own = torch.empty_like(mean), torch.empty_like(mean)
    for n in range(x.shape[0]):
        g, each, center, scale = grad[n : n + 1], x[n : n + 1], mean[n], rate[n]
        _, along[n], own[n] = torch.ops.aten.native_batch_norm_backward(
            g, each, scale, None, None, center, scale, True, 0.0, [False, True, True]
        )
    return along, own
