"""Learning rates as pure functions of the step, so that a run that goes on has those of one that never stopped."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch


def rate_at(step: int, *, warm_up: int = 0, milestones: Sequence[int] = (), gamma: float = 0.5, period: int = 0, end: float = 0.0) -> float:
    """The part of the full rate at a step (0 is the first): rises evenly over `warm_up` steps, times gamma from each milestone on.

    period: steps in which it falls to the part `end` along half a cosine, and stays there; 0: it does not fall.
    """
    risen = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    passed = sum(milestone <= step for milestone in milestones)
    rate = risen * gamma**passed if passed else risen
    return rate * (end + (1 - end) * (1 + math.cos(math.pi * min(1.0, step / period))) / 2) if period else rate


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give the rate to all groups of the optimizer, times the "part" of those that have one."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("part", 1.0) * rate
