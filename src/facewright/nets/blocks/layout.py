"""Memory layout."""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def channels_last(network: N) -> N:
    """Lay the 4-d parameters out channels last, in place; `nn.Module.to` refuses networks that also hold 5-d ones (StyleGAN2's)."""
    for parameter in network.parameters():
        if parameter.ndim == 4:
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return network
