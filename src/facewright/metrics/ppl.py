"""Perceptual path length: how evenly a generator's pictures change along a path between two latents (Karras, Laine, Aila 2019)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from facewright.errors import InputError, UsageError

Interpolation = Literal["lerp", "slerp_any", "slerp_unit"]


def path_lengths(
    generate: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    starts: Tensor,
    ends: Tensor,
    places: Tensor,
    *,
    epsilon: float = 1e-4,
    interpolation: Interpolation = "lerp",
    batch: int = 8,
) -> Tensor:
    """Distance of the pictures at t and t + epsilon of each path, over epsilon^2.

    starts, ends: latents N x D; places: t in [0, 1], N. generate: latents to pictures; distance: two batches of those to N numbers, for
    example LPIPS. torch-fidelity's: "lerp", LPIPS with VGG on whole levels at 64 px, t at random. Returns N values, float64.
    """
    if not len(starts) == len(ends) == len(places):
        raise InputError("cannot follow these paths", f"{len(starts)} starts, {len(ends)} ends, {len(places)} places")
    values = []
    for first in range(0, len(starts), batch):
        part = slice(first, first + batch)
        t = places[part].view(-1, *[1] * (starts.ndim - 1))
        a, b = (interpolated(starts[part], ends[part], at, interpolation) for at in (t, t + epsilon))
        values.append(distance(generate(a), generate(b)).flatten().double() / epsilon**2)
    return torch.cat(values)


def ppl(lengths: Tensor, *, low: float = 1, high: float = 99) -> tuple[float, float]:
    """`ppl[torch-fidelity]`: mean and standard deviation of the path lengths between two percentiles, those included."""
    if not len(lengths):
        raise InputError("there is no path length", "no path was measured")
    values = lengths.double().cpu().numpy()
    least, most = np.percentile(values, low, method="lower"), np.percentile(values, high, method="higher")
    kept = values[(values >= least) & (values <= most)]
    return float(kept.mean()), float(kept.std())


def latents(count: int, size: int, random: np.random.RandomState, *, unit: bool = False) -> Tensor:
    """Latents count x size, float32, as torch-fidelity draws them: normal; with `unit`, even in [0, 1) and brought to length 1."""
    if unit:
        return _unit(torch.from_numpy(random.random_sample((count, size)).astype(np.float32)))
    return torch.from_numpy(random.standard_normal((count, size)).astype(np.float32))


def interpolated(a: Tensor, b: Tensor, t: float | Tensor, how: Interpolation = "lerp") -> Tensor:
    """The latents at t between a and b (N x D): on the line; on the great circle, lengths kept ("slerp_any"); and on the unit sphere.

    Raises UsageError for another word.
    """
    if how == "lerp":
        return a + (b - a) * t
    if how not in ("slerp_any", "slerp_unit"):
        raise UsageError(f"there is no interpolation {how!r}", what_to_do="use one of: lerp, slerp_any, slerp_unit")
    u, v = _unit(a), _unit(b)
    cosine = (u * v).sum(-1, keepdim=True)
    angle = cosine.clamp(-1, 1).acos()
    sine = angle.sin().clamp(min=1e-7)
    round_ = ((1 - t) * angle).sin() / sine * a + (t * angle).sin() / sine * b
    # on one line, or from nothing, there is no circle
    flat = (cosine.abs() > 1 - 1e-7) | (u.norm(dim=-1, keepdim=True) < 1e-7) | (v.norm(dim=-1, keepdim=True) < 1e-7)
    between = torch.where(flat, a + (b - a) * t, round_)
    return _unit(between) if how == "slerp_unit" else between


def _unit(x: Tensor) -> Tensor:
    return x / (x.square().sum(-1, keepdim=True) + 1e-7).sqrt()
