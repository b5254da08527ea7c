"""An exponential moving average of a network's parameters."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn


class Ema:
    """average = decay * average + (1 - decay) * network, parameters only; buffers follow the network.

    half_life: in pictures, as in StyleGAN2: decay = 0.5^(batch / half_life).
    """

    def __init__(self, network: nn.Module, half_life: float, batch: int) -> None:
        self.network = copy.deepcopy(network).eval().requires_grad_(False)
        self.decay = 0.5 ** (batch / half_life)

    @torch.no_grad()
    def update(self, network: nn.Module, step: int) -> None:
        """Early on the average must not remember the random start: the decay rises with the step."""
        decay = min(self.decay, (1 + step) / (10 + step))
        averages: list[Tensor] = list(self.network.parameters())
        parameters: list[Tensor] = [parameter.detach() for parameter in network.parameters()]
        torch._foreach_mul_(averages, decay)
        torch._foreach_add_(averages, parameters, alpha=1 - decay)
        for mine, theirs in zip(self.network.buffers(), network.buffers(), strict=True):
            mine.copy_(theirs)
