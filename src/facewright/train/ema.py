"""An exponential moving average of a network's parameters."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """average = decay * average + (1 - decay) * network, parameters only; buffers follow the network.

    half_life: in pictures, as in StyleGAN2: decay = 0.5^(batch / half_life). rises: early on the average must not remember a random
    start, so the decay rises with the step; the published training neither lets it rise nor, with `buffers` False, copies buffers.
    """

    def __init__(self, network: nn.Module, half_life: float, batch: int, *, rises: bool = True, buffers: bool = True) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = 0.5 ** (batch / half_life)
        self.rises, self.buffers = rises, buffers

    @classmethod
    def of_decay(cls, network: nn.Module, decay: float, *, rises: bool = False, buffers: bool = True) -> Ema:
        """By the decay of one step, whatever the batch."""
        ema = cls(network, 1.0, 0, rises=rises, buffers=buffers)
        ema.decay = decay
        return ema

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Take in the network as it is after that step."""
        decay = min(self.decay, (1 + step) / (10 + step)) if self.rises else self.decay
        averages: list[Tensor] = list(self.network.parameters())
        parameters: list[Tensor] = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_mul_(averages, decay)
        torch._foreach_add_(averages, parameters, alpha=1 - decay)
        if self.buffers:
            for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
                mine.copy_(theirs)
