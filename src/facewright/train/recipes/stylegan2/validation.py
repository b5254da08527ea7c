"""How far a StyleGAN2 in training has come: whether it makes many sharp faces, and whether its set has been learned by heart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from facewright.data import FaceSet
from facewright.metrics import sharpness
from facewright.nets.stylegan2 import StyleGAN2Generator
from facewright.train.engine import Engine
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings

ROWS, COLUMNS = 4, 8
"""Of the sheet."""
CHUNK = 8
"""Pictures at a time; a multiple of the discriminator's group."""
COARSE = 16
"""Pictures are compared with each other at this size: other people, not other pixels."""


class Validation:
    """The same styles and the same real faces each time."""

    def __init__(self, settings: StyleGAN2Settings, learned: FaceSet, unseen: FaceSet | None, engine: Engine) -> None:
        self.settings, self.engine = settings, engine
        self.learned, self.unseen = _thinned(learned, settings.judged), None if unseen is None else _thinned(unseen, settings.judged)
        self.z = torch.from_numpy(
            np.random.default_rng(11).standard_normal((max(settings.judged, ROWS * COLUMNS), settings.style), np.float32)
        )

    @torch.no_grad()
    def numbers(self, generator: StyleGAN2Generator, discriminator: nn.Module) -> dict[str, float]:
        """sharpness: of the made pictures over that of real ones. spread: mean distance of made pictures from each other over that of
        real ones; falls where the generator makes the same few. score: of the discriminator on made, learned and unseen pictures.
        overfitting: how far it scores unseen faces as made ones, 0 where it knows only what generalises, 1 where it has learned the set
        by heart (Karras et al. 2020, arXiv:2006.06676, eq. 1).
        """
        made = self.pictures(generator, self.z[: self.settings.judged])
        sets = {"made": made, "learned": self.learned} | ({} if self.unseen is None else {"unseen": self.unseen})
        scores = {name: float(self._scores(discriminator, found).mean()) for name, found in sets.items()}
        numbers = {f"score/{name}": score for name, score in scores.items()}
        numbers["sharpness"] = float(_sharpness(made) / _sharpness(self.learned))
        numbers["spread"] = float(_spread(made) / _spread(self.learned))
        if self.unseen is not None and scores["learned"] > scores["made"]:
            numbers["overfitting"] = (scores["learned"] - scores["unseen"]) / (scores["learned"] - scores["made"])
        return numbers

    @torch.no_grad()
    def sheet(self, generator: StyleGAN2Generator, path: Path) -> None:
        """Rows of faces, truncated."""
        made = self.pictures(generator, self.z[: ROWS * COLUMNS], self.settings.truncation)
        rows = torch.cat([torch.cat(list(row), dim=2) for row in torch.split(made, COLUMNS)], dim=1)
        pixels = ((rows.clamp(-1, 1) + 1) * 127.5).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(path, quality=90)

    def pictures(self, generator: StyleGAN2Generator, z: Tensor, truncation: float = 1.0) -> Tensor:
        """N x 3 x S x S on the CPU, with the stored noise."""
        device = self.engine.device
        centre = generator.mean_latent(1024, torch.Generator().manual_seed(11)) if truncation < 1 else None
        made = []
        for part in torch.split(z, CHUNK):
            with self.engine.autocast():
                picture, _ = generator([part.to(device)], randomize_noise=False, truncation=truncation, truncation_latent=centre)
            made.append(picture.float().cpu())
        return torch.cat(made)

    def _scores(self, discriminator: nn.Module, found: Tensor) -> Tensor:
        with self.engine.autocast():
            return torch.cat([discriminator(part.to(self.engine.device)).float().cpu() for part in torch.split(found, CHUNK)])


def _thinned(faces: FaceSet, count: int) -> Tensor:
    """Up to `count` of the faces, evenly spaced, N x 3 x S x S in [-1, 1]."""
    places = np.linspace(0, len(faces) - 1, min(count, len(faces))).round().astype(int)
    pixels = torch.from_numpy(np.stack([faces.pixels(int(place)) for place in places]))
    return pixels.permute(0, 3, 1, 2).float() / 127.5 - 1


def _sharpness(found: Tensor) -> Tensor:
    return sharpness((found.clamp(-1, 1) + 1) / 2).log().mean().exp()


def _spread(found: Tensor) -> Tensor:
    return torch.pdist(F.adaptive_avg_pool2d(found, min(COARSE, found.shape[-1])).flatten(1)).mean()
