"""How far a restorer in training has come: numbers by strength of damage, and a sheet to look at, on faces never learned from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facewright.data import Batch, FaceSet
from facewright.degrade import Degradation, preset
from facewright.metrics import psnr, sharpness
from facewright.nets.identity import DlibEmbedding

STRENGTHS = ("light", "medium", "heavy")
ON_THE_SHEET = 6
"""Faces of a sheet."""

Restore = Callable[[Tensor], Tensor]
"""N x 3 x S x S in [-1, 1] on any device to the same on the CPU."""


class Validation:
    """The same faces, damaged in the same way, each time."""

    def __init__(self, faces: FaceSet, embedding: DlibEmbedding, strengths: Sequence[str] = (*STRENGTHS, "none")) -> None:
        """strengths: presets of `degrade` that are looked at, or "none"."""
        self.embedding = embedding
        self.sets = _damaged(faces, strengths)

    @torch.no_grad()
    def numbers(self, restore: Restore) -> dict[str, float]:
        """PSNR, distance of identity and relative sharpness of the restored and of the damaged faces."""
        numbers: dict[str, float] = {}
        for name, batch in self.sets.items():
            restored, clean = restore(batch.damaged), batch.clean
            people = [self._people(pictures) for pictures in (batch.damaged, restored, clean)]
            numbers[f"{name}/psnr"] = float(psnr((restored + 1) / 2, (clean + 1) / 2).mean())
            numbers[f"{name}/psnr_damaged"] = float(psnr((batch.damaged + 1) / 2, (clean + 1) / 2).mean())
            numbers[f"{name}/identity"] = float((people[1] - people[2]).norm(dim=1).mean())
            numbers[f"{name}/identity_damaged"] = float((people[0] - people[2]).norm(dim=1).mean())
            numbers[f"{name}/sharpness"] = float((sharpness((restored + 1) / 2) / sharpness((clean + 1) / 2)).log().mean().exp())
        return numbers

    @torch.no_grad()
    def sheet(self, restore: Restore, path: Path, strengths: Sequence[str] = ("medium", "heavy")) -> None:
        """One row a face: damaged | restored | truth, for each of the strengths."""
        columns: list[Tensor] = []
        for name in strengths:
            damaged, clean = self.sets[name].damaged[:ON_THE_SHEET], self.sets[name].clean[:ON_THE_SHEET]
            columns += [damaged, restore(damaged), clean]
        rows = torch.cat([torch.cat(list(column), dim=1) for column in columns], dim=2)
        pixels = ((rows.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        Image.fromarray(pixels).save(path, quality=90)

    def _people(self, pictures: Tensor) -> Tensor:
        device = next(self.embedding.parameters()).device
        return torch.cat([self.embedding(self.embedding.chip(part.to(device))) for part in torch.split(pictures, 8)])


def _damaged(faces: FaceSet, strengths: Sequence[str]) -> dict[str, Batch]:
    clean = faces.stacked().astype(np.float32) / np.float32(255)
    sets: dict[str, Any] = {}
    for name in strengths:
        degradation: Degradation | None = None if name == "none" else preset(name).scaled(faces.size)
        pairs = [
            picture if degradation is None else degradation(picture, np.random.default_rng([7, index]))[0]
            for index, picture in enumerate(clean)
        ]
        sets[name] = Batch(*(torch.from_numpy(x).permute(0, 3, 1, 2) * 2 - 1 for x in (np.stack(pairs), clean)))
    return sets
