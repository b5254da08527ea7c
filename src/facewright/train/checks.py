"""What every recipe's settings refuse alike. All raise UsageError."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from difflib import get_close_matches

from facewright.degrade import preset
from facewright.errors import UsageError


def check_weights(weights: Mapping[str, float], losses: Sequence[str]) -> None:
    """recipe.weights: one for each of the losses, and no other."""
    for name in weights:
        if name not in losses:
            near = get_close_matches(name, losses, 1) or losses
            raise UsageError(f"there is no loss {name!r} to weigh", what_to_do=f"use: {', '.join(near)}")
    if missing := [name for name in losses if name not in weights]:
        raise UsageError(f"the loss {missing[0]} has no weight", what_to_do=f"give recipe.weights.{missing[0]}, 0 to leave it out")


def check_betas(betas: Sequence[float]) -> None:
    """recipe.betas, of Adam."""
    if len(betas) != 2 or not all(0 <= beta < 1 for beta in betas):
        raise UsageError(f"recipe.betas cannot be {list(betas)}", "they are two numbers from 0 to less than 1")


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """recipe.NAME, one of a few words."""
    if value not in choices:
        raise UsageError(f"recipe.{name} cannot be {value!r}", what_to_do=f"use one of: {', '.join(choices)}")


def check_damage(damage: Mapping[str, float]) -> None:
    """recipe.damage: presets of `degrade`, or "none"."""
    for name in damage:
        if name != "none":
            preset(name)


def check_shares(shares: Mapping[str, float]) -> None:
    """recipe.shares: parts of all draws, by source."""
    if sum(shares.values()) >= 1 or min(shares.values(), default=0) < 0:
        raise UsageError("recipe.shares leaves nothing for the other sources", "shares are parts of 1, and their sum is less than 1")
