"""Which blur kernel a picture gets: the mixed draws of BasicSR (``random_mixed_kernels``) and of CodeFormer's copy of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from facewright.degrade.kernels import (
    Kernel,
    gaussian_kernel,
    generalized_kernel,
    plateau_kernel,
    roughened,
    sinc_kernel,
    skew_kernel,
)

Range = tuple[float, float]
Kind = Literal["iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "skew", "sinc"]
Rule = Literal["basicsr", "codeformer"]


@dataclass(frozen=True)
class KernelDraw:
    """One kernel's numbers; `build` makes it. beta: of the generalized and plateau kinds; skew: the entries of D by rows; cutoff: of sinc,
    for which `size` is the side before it is padded to `padded`; roughness: (low, high, seed) of the factors of its cells."""

    kind: Kind
    size: int
    sigma_x: float = 0.0
    sigma_y: float = 0.0
    theta: float = 0.0
    beta: float = 1.0
    skew: tuple[float, float, float, float] | None = None
    cutoff: float | None = None
    padded: int | None = None
    roughness: tuple[float, float, int] | None = None

    def build(self) -> Kernel:
        """size x size (padded x padded for sinc), float64, sums to 1."""
        shape = (self.size, self.sigma_x, self.sigma_y, self.theta)
        if self.kind in ("iso", "aniso"):
            kernel = gaussian_kernel(*shape)
        elif self.kind in ("generalized_iso", "generalized_aniso"):
            kernel = generalized_kernel(*shape, beta=self.beta)
        elif self.kind in ("plateau_iso", "plateau_aniso"):
            kernel = plateau_kernel(*shape, beta=self.beta)
        elif self.kind == "skew":
            assert self.skew is not None
            kernel = skew_kernel(*shape, (self.skew[:2], self.skew[2:]))
        else:
            assert self.cutoff is not None
            kernel = sinc_kernel(self.size, self.cutoff, self.padded)
        if self.roughness is not None:
            low, high, seed = self.roughness
            kernel = roughened(kernel, np.random.default_rng(seed).uniform(low, high, kernel.shape))
        return np.pad(kernel, (self.padded - len(kernel)) // 2) if self.padded else kernel


@dataclass(frozen=True)
class KernelMix:
    """kinds: kind to weight (they need not sum to 1); sigma: of both axes; theta, betag (generalized), betap (plateau): ranges;
    roughness: range of the factors that each cell is multiplied by, None for none. rule: whose program draws.

    "basicsr": beta is U(lo, 1) or U(1, hi), half the time each. "codeformer": its isotropic plateau draws beta ~ U(lo, hi), and "skew"
    exists. Published quirk kept for both: plateau kinds are never roughened.
    """

    kinds: dict[Kind, float]
    sigma: Range = (0.6, 5)
    theta: Range = (-np.pi, np.pi)
    betag: Range = (0.5, 8)
    betap: Range = (0.5, 8)
    roughness: Range | None = None
    rule: Rule = "basicsr"

    def draw(self, size: int, rng: np.random.Generator) -> KernelDraw:
        """size: odd side of the kernel."""
        weights = np.array(list(self.kinds.values()), float)
        kind = list(self.kinds)[int(rng.choice(len(weights), p=weights / weights.sum()))]
        sigma_x = sigma_y = float(rng.uniform(*self.sigma))
        told: dict[str, Any] = {}
        if not kind.endswith("iso") or kind.endswith("aniso"):
            sigma_y, told["theta"] = float(rng.uniform(*self.sigma)), float(rng.uniform(*self.theta))
        if kind == "skew":
            reach = 3 / max(sigma_x, sigma_y)
            told["skew"] = tuple(float(value) for value in rng.uniform(-reach, reach, 4))
        elif kind.startswith("generalized"):
            told["beta"] = _half_and_half(self.betag, rng)
        elif kind == "plateau_iso" and self.rule == "codeformer":
            told["beta"] = float(rng.uniform(*self.betap))
        elif kind.startswith("plateau"):
            told["beta"] = _half_and_half(self.betap, rng)
        if self.roughness is not None and not kind.startswith("plateau"):
            told["roughness"] = (*self.roughness, int(rng.integers(2**32)))
        return KernelDraw(kind, size, sigma_x, sigma_y, **told)


def sinc_draw(
    sizes: Sequence[int],
    padded: int,
    rng: np.random.Generator,
    *,
    small: Range = (np.pi / 3, np.pi),
    large: Range = (np.pi / 5, np.pi),
) -> KernelDraw:
    """Real-ESRGAN's ringing kernel: any of `sizes`, cutoff ~ U(small) under 13 cells and U(large) from there on."""
    size = int(rng.choice(np.asarray(sizes)))
    cutoff = float(rng.uniform(*(small if size < 13 else large)))
    return KernelDraw("sinc", size, cutoff=cutoff, padded=padded)


def _half_and_half(beta: Range, rng: np.random.Generator) -> float:
    """U(lo, 1) or U(1, hi); Real-ESRGAN's plateau range begins at 1, so that its first half is always 1."""
    low, high = beta
    return float(rng.uniform(low, 1) if rng.random() < 0.5 else rng.uniform(1, high))
