"""From a preset to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from facewright.train.engine import Engine, RunSettings
from facewright.train.recipes.gfpgan import GfpganRecipe, GfpganSettings
from facewright.train.settings import resolve


@dataclass(frozen=True)
class GfpganRun:
    """A preset's two halves: what is learned, and how long."""

    recipe: GfpganSettings = field(default_factory=GfpganSettings)
    run: RunSettings = field(default_factory=RunSettings)


def train_gfpgan(preset: str, overrides: list[str], folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None) -> Path:
    """Run recipe `gfpgan` in `folder`, from its newest checkpoint if it has one. Returns the exported model's path."""
    settings = resolve(GfpganRun(), "gfpgan", preset, overrides)
    torch.manual_seed(settings.run.seed)  # the networks' first weights; the engine seeds what follows
    recipe = GfpganRecipe(settings.recipe, settings.run.batch, settings.run.seed)
    Engine(recipe, settings.run, folder, on_step).run()
    return folder / "export.safetensors"
