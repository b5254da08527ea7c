"""The field's own judges, whose networks or parameters are fetched on request: NIQE, LPIPS, ArcFace, Inception."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from facewright.errors import InputError
from facewright.evaluate.distances import Reader, Spread, Whole, moments_of, sampled
from facewright.evaluate.judges.judge import Values
from facewright.metrics import (
    NiqeModel,
    Statistics,
    arcface_input,
    frechet_distance,
    identity_angle,
    identity_similarity,
    inception_input,
    kid,
    lpips,
    niqe,
)
from facewright.metrics.conventions import convention as named
from facewright.metrics.perceptual import PairJudge

SUBSET = 1000
"""Pictures of a subset of KID, as torch-fidelity has it; all where there are fewer."""


class Niqe:
    """`niqe[faces]` or `niqe[published]`. A picture that is flat or too small for it has no number."""

    whole: Mapping[str, Whole] = {}

    def __init__(self, model: NiqeModel, convention: str) -> None:
        self.model, self.convention = model, convention
        self.name = f"niqe[{model.name}]"

    def look(self, pictures: Tensor) -> Values:
        return np.array([self._of(picture[None]) for picture in pictures])

    def compare(self, seen: Values, truth: Values | None) -> dict[str, Values]:
        return {self.name: seen}

    def vectors(self, seen: Any) -> dict[str, NDArray[Any]]:
        return {}

    def _of(self, picture: Tensor) -> float:
        try:
            return float(niqe(picture, self.model, convention=self.convention))
        except InputError:
            return float("nan")


class Lpips:
    """`lpips[vgg]`, `lpips[alex]` or `lpips[squeeze]`."""

    whole: Mapping[str, Whole] = {}

    def __init__(self, name: str, network: PairJudge, convention: str) -> None:
        self.name, self.network, self.convention = name, network, convention

    def look(self, pictures: Tensor) -> Tensor:
        return pictures

    def compare(self, seen: Tensor, truth: Tensor | None) -> dict[str, Values]:
        return {} if truth is None else {self.name: _values(lpips(seen, truth, self.network, convention=self.convention))}

    def vectors(self, seen: Any) -> dict[str, NDArray[Any]]:
        return {}


class Arcface:
    """`identity[arcface]`: the angle (Deg.), or the cosine where the convention has it. Pairs that count as equal have no number."""

    whole: Mapping[str, Whole] = {}

    def __init__(self, network: nn.Module, convention: str) -> None:
        self.network, self.convention = network, convention
        self.rule = named(convention).identity

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> Tensor:
        embedding: Tensor = self.network(arcface_input(pictures, convention=self.convention).to(pictures.device))
        return embedding

    def compare(self, seen: Tensor, truth: Tensor | None) -> dict[str, Values]:
        if truth is None:
            return {}
        if self.rule.unit == "cosine":
            return {"identity[arcface]": _values(identity_similarity(seen, truth))}
        angles = _values(identity_angle(seen, truth, convention=self.convention))
        least = np.deg2rad(self.rule.least) if self.rule.unit == "radians" else self.rule.least
        return {"identity[arcface]": np.where(angles < least, np.nan, angles)}

    def vectors(self, seen: Any) -> dict[str, NDArray[Any]]:
        return {}


class Inception:
    """The vectors of `fid` and `kid`. against: FFHQ's statistics, where the convention compares with them and not with the truth."""

    def __init__(self, network: Callable[[Tensor], Tensor], convention: str, against: Statistics | None) -> None:
        self.network, self.against = network, against
        self.resize = named(convention).fid.resize
        self.whole: Mapping[str, Whole] = {"fid": Whole(value=self._fid), "kid": Whole(value=_kid)}

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> Tensor:
        return self.network(inception_input(pictures, self.resize).to(pictures.device))

    def compare(self, seen: Any, truth: Any | None) -> dict[str, Values]:
        return {}

    def vectors(self, seen: Tensor) -> dict[str, NDArray[Any]]:
        return {"inception": seen.flatten(1).float().cpu().numpy()}

    def _fid(self, restored: Reader, truth: Reader) -> Spread:
        """No interval: a tenth fewer pictures move it by more than chance does."""
        value = frechet_distance(moments_of(restored), self.against or moments_of(truth))
        return value, float("nan"), float("nan")


def _kid(restored: Reader, truth: Reader) -> Spread:
    """torch-fidelity's, with two of its standard deviations over subsets where there is more than one."""
    x, y = (torch.from_numpy(sampled(reader, 10 * SUBSET)) for reader in (restored, truth))
    size = min(SUBSET, len(x), len(y))
    value, deviation = kid(x, y, subset_size=size, subsets=100 if size < len(x) else 1)
    spread = 1.96 * deviation if deviation else float("nan")
    return value, value - spread, value + spread


def _values(numbers: Tensor) -> Values:
    return np.asarray(numbers.double().cpu().numpy())
