"""The field's own judges, whose networks or parameters are fetched on request: NIQE, LPIPS, ArcFace, Inception."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import InputError
from facewright.evaluate.distances import Whole
from facewright.evaluate.judges.judge import Values
from facewright.metrics.niqe import NiqeModel, niqe


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


def open_niqe_faces(convention: str, device: torch.device) -> Niqe:
    return Niqe(NiqeModel.bundled(), convention)
