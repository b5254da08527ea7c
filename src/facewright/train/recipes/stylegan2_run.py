"""From a preset of the recipe `stylegan2` to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from facewright.train.engine import Engine, RunSettings
from facewright.train.recipes.stylegan2 import StyleGAN2Recipe
from facewright.train.recipes.stylegan2_settings import StyleGAN2Settings
from facewright.train.settings import resolve


@dataclass(frozen=True)
class StyleGAN2Run:
    """A preset's two halves: what is learned, and how long."""

    recipe: StyleGAN2Settings = field(default_factory=StyleGAN2Settings)
    run: RunSettings = field(default_factory=RunSettings)


def train_stylegan2(
    preset: str, overrides: list[str], folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None
) -> Path:
    """Run recipe `stylegan2` in `folder`, from its newest checkpoint if it has one. Returns the exported model's path."""
    settings = resolve(StyleGAN2Run(), "stylegan2", preset, overrides)
    torch.manual_seed(settings.run.seed)  # the networks' first weights; the engine seeds what follows
    recipe = StyleGAN2Recipe(settings.recipe, settings.run.batch, settings.run.seed)
    Engine(recipe, settings.run, folder, on_step).run()
    return folder / "export.safetensors"
