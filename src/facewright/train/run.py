"""From the name of a recipe and a preset to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import torch

from facewright.errors import UsageError
from facewright.train.engine import Engine, Recipe, RunSettings
from facewright.train.recipes.gfpgan import GfpganRecipe, GfpganSettings
from facewright.train.recipes.stylegan2 import StyleGAN2Recipe, StyleGAN2Settings
from facewright.train.settings import resolve


class MakesRecipe(Protocol):
    """A recipe's class: its settings, faces a step, seed."""

    def __call__(self, settings: Any, batch: int, seed: int) -> Recipe: ...


RECIPES: dict[str, tuple[type, MakesRecipe]] = {
    "gfpgan": (GfpganSettings, GfpganRecipe),
    "stylegan2": (StyleGAN2Settings, StyleGAN2Recipe),
}
"""name: (settings class, recipe class). Its presets are presets/NAME-PRESET.yaml."""


@dataclass(frozen=True)
class Plan:
    """A preset's two halves: what is learned (`recipe`, the recipe's own settings), and how long."""

    recipe: Any
    run: RunSettings = field(default_factory=RunSettings)


def train(
    name: str, preset: str, overrides: list[str], folder: Path, on_step: Callable[[int, dict[str, float]], None] | None = None
) -> Path:
    """Run the recipe `name` in `folder`, from its newest checkpoint if it has one. Returns the exported model's path.

    Raises UsageError for an unknown recipe, preset or setting.
    """
    plan = resolve(defaults(name), name, preset, overrides)
    torch.manual_seed(plan.run.seed)  # the networks' first weights; the engine seeds what follows
    recipe = RECIPES[name][1](plan.recipe, plan.run.batch, plan.run.seed)
    Engine(recipe, plan.run, folder, on_step).run()
    return folder / "export.safetensors"


def defaults(name: str) -> Plan:
    """What a recipe does without a preset. Raises UsageError for an unknown one."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, 1) or sorted(RECIPES)
        raise UsageError(f"there is no recipe {name!r}", what_to_do=f"use: {', '.join(near)}")
    return Plan(RECIPES[name][0]())
