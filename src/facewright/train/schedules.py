"""Learning rates as pure functions of the step, so that a run that goes on has those of one that never stopped."""

from __future__ import annotations

from collections.abc import Sequence

import torch


def rate_at(step: int, *, warm_up: int = 0, milestones: Sequence[int] = (), gamma: float = 0.5) -> float:
    """The part of the full rate at a step (0 is the first): rises evenly over `warm_up` steps, times gamma from each milestone on."""
    risen = min(1.0, (step + 1) / warm_up) if warm_up else 1.0
    passed = sum(milestone <= step for milestone in milestones)
    return risen * gamma**passed if passed else risen


def set_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """Give the rate to all groups of the optimizer, times the "part" of those that have one."""
    for group in optimizer.param_groups:
        group["lr"] = group.get("part", 1.0) * rate
