"""Learning rates of all stages, as functions of the step."""

from __future__ import annotations

from collections.abc import Mapping

from torch import optim

from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.schedules import rate_at, set_rate


def set_rates(optimizers: Mapping[str, optim.Optimizer], settings: CodeFormerSettings, step: int) -> None:
    """All fall along the same curve to `rate_end`, each from its own height."""
    s = settings
    for name, optimizer in optimizers.items():
        rate = s.rate_discriminator if name == "discriminator" else s.rate
        end = s.rate_end / rate if rate else 0.0
        part = rate_at(step, warm_up=s.warm_up, milestones=s.milestones, period=s.cosine_period, end=end)
        set_rate(optimizer, rate * part)
