"""How far an embedding in training has come, on people it never learned from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from facewright.data import FaceSet
from facewright.degrade import preset
from facewright.nets.mobilefacenet import MobileFaceNet
from facewright.train.engine import Engine

CHUNK = 32
"""Pictures at a time."""


class Validation:
    """The same faces, damaged in the same way, each time."""

    def __init__(self, faces: FaceSet, damage: Sequence[str]) -> None:
        people = np.asarray([row.person for row in faces.rows])
        self.alike = torch.from_numpy(people[:, None] == people[None])
        clean = faces.stacked()
        self.clean, self.damaged = _tensor(clean), {name: _tensor(_damaged(clean, name)) for name in damage if name != "none"}

    @torch.no_grad()
    def numbers(self, network: MobileFaceNet, engine: Engine) -> dict[str, float]:
        """rank1/*: by damage, the part of the damaged faces whose nearest clean face is their own; rank1: the mean of these. moved/*:
        median distance of a damaged face from its clean self. same, different: medians of two photographs of one person, of two people;
        closest: of these the least. separation: the chance that two photographs of one person lie closer than those of two.
        """
        clean = self._people(network, engine, self.clean)
        numbers = {}
        for name, pictures in self.damaged.items():
            distances = torch.cdist(self._people(network, engine, pictures), clean)
            numbers[f"rank1/{name}"] = float((distances.argmin(1) == torch.arange(len(clean))).float().mean())
            numbers[f"moved/{name}"] = float(distances.diagonal().median())
        if self.damaged:
            numbers["rank1"] = float(np.mean([numbers[f"rank1/{name}"] for name in self.damaged]))
        return numbers | self._separation(torch.cdist(clean, clean))

    def _separation(self, distances: Tensor) -> dict[str, float]:
        """distances: N x N of clean faces."""
        above = torch.ones_like(self.alike).triu(1)
        same, different = distances[self.alike & above], distances[~self.alike & above]
        numbers = {} if not len(different) else {"different": float(different.median()), "closest": float(different.min())}
        if len(same) and len(different):
            numbers["same"] = float(same.median())
            numbers["separation"] = float((same[:, None] < different).float().mean())
        return numbers

    def _people(self, network: MobileFaceNet, engine: Engine, pictures: Tensor) -> Tensor:
        with engine.autocast():
            return torch.cat([network.people(part.to(engine.device)).cpu() for part in torch.split(pictures, CHUNK)])


def _damaged(clean: np.ndarray, name: str) -> np.ndarray:
    degradation = preset(name).scaled(clean.shape[1])
    pictures = clean.astype(np.float32) / np.float32(255)
    return np.stack([degradation(each, np.random.default_rng([7, index]))[0] for index, each in enumerate(pictures)])


def _tensor(pictures: np.ndarray) -> Tensor:
    """N x S x S x 3, bytes or [0, 1], to N x 3 x S x S in [-1, 1]."""
    scale = 127.5 if pictures.dtype == np.uint8 else 0.5
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / scale - 1
