"""Judges without a network: PSNR, SSIM, MS-SSIM, sharpness."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from numpy.typing import NDArray
from torch import Tensor

from facewright.evaluate.catalogue import Metric
from facewright.evaluate.distances import Whole
from facewright.evaluate.judges.judge import Values
from facewright.metrics import ms_ssim, psnr, sharpness, ssim


class Pixels:
    """Only computes what was asked for."""

    whole: Mapping[str, Whole] = {}

    def __init__(self, metrics: Sequence[Metric], convention: str) -> None:
        self.metrics, self.convention = metrics, convention

    def look(self, pictures: Tensor) -> Tensor:
        return pictures

    def compare(self, seen: Tensor, truth: Tensor | None) -> dict[str, Values]:
        if truth is None:
            return {}
        return {metric.name: _measured(metric, seen, truth, self.convention).double().cpu().numpy() for metric in self.metrics}

    def vectors(self, seen: Any) -> dict[str, NDArray[Any]]:
        return {}


def _measured(metric: Metric, seen: Tensor, truth: Tensor, convention: str) -> Tensor:
    options: dict[str, Any] = dict(metric.options)
    if metric.rules == "psnr":
        return psnr(seen, truth, convention=convention, **options)
    if metric.rules == "ssim":
        return ssim(seen, truth, convention=convention, **options)
    if metric.rules == "ms_ssim":
        return ms_ssim(seen, truth, convention=convention)
    return sharpness(_middle(seen)) / sharpness(_middle(truth))


def _middle(pictures: Tensor) -> Tensor:
    """The face without most of the background."""
    side = pictures.shape[-1]
    return pictures[..., int(0.2 * side) : int(0.9 * side), int(0.2 * side) : int(0.8 * side)]
