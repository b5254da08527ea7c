"""From the name of a recipe and a preset to a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Protocol

import torch

from facewright.errors import UsageError
from facewright.train.engine import EXPORT, Engine, Recipe, RunSettings
from facewright.train.recipes.codeformer import STAGES, CodeFormerSettings, begun, codeformer_recipe
from facewright.train.recipes.gfpgan import GfpganRecipe, GfpganSettings
from facewright.train.recipes.identity import IdentityRecipe, IdentitySettings
from facewright.train.recipes.stylegan2 import StyleGAN2Recipe, StyleGAN2Settings
from facewright.train.settings import read_preset, resolve


class MakesRecipe(Protocol):
    """A recipe's class: its settings, faces a step, seed."""

    def __call__(self, settings: Any, batch: int, seed: int) -> Recipe: ...


class Begins(Protocol):
    """The settings of a stage, completed with what the stages before it left below the run's folder."""

    def __call__(self, settings: Any, run: Path) -> Any: ...


@dataclass(frozen=True)
class Entry:
    """A recipe's settings class and how it is made; for one of several stages, their names in order and what each begins with.

    Its presets are presets/NAME-PRESET.yaml; its settings have a field `stage` where it has stages.
    """

    settings: type
    make: MakesRecipe
    stages: tuple[str, ...] = ()
    begins: Begins | None = None


RECIPES = {
    "codeformer": Entry(CodeFormerSettings, codeformer_recipe, STAGES, begun),
    "gfpgan": Entry(GfpganSettings, GfpganRecipe),
    "identity": Entry(IdentitySettings, IdentityRecipe),
    "stylegan2": Entry(StyleGAN2Settings, StyleGAN2Recipe),
}


@dataclass(frozen=True)
class Plan:
    """A preset's two halves: what is learned (`recipe`, the recipe's own settings), and how long."""

    recipe: Any
    run: RunSettings = field(default_factory=RunSettings)


def train(
    name: str,
    preset: str,
    overrides: list[str],
    folder: Path,
    on_step: Callable[[int, dict[str, float]], None] | None = None,
    *,
    stage: str = "",
) -> Path:
    """Run the recipe `name` in `folder`, from its newest checkpoint if it has one. Returns the exported model's path.

    A recipe of several stages runs those that the preset lists below `stages`, or all, each in a folder of its name below, in their
    order, what is finished costing nothing; stage: that one alone. Raises UsageError for an unknown recipe, preset, stage or setting.
    """
    plan = defaults(name)
    entry = RECIPES[name]
    stages = _stages(entry, name, preset)
    if stage and stage not in stages:
        whose = f"the recipe {name}" if stage not in entry.stages else f"the preset {preset}"
        raise UsageError(f"{whose} has no stage {stage!r}", what_to_do=f"use: {', '.join(stages)}" if stages else "leave out --stage")
    if not stages:
        return _run(entry, resolve(plan, name, preset, overrides), folder, on_step)
    exported = folder
    for each in [stage] if stage else stages:
        resolved = resolve(plan, name, preset, [*overrides, f"recipe.stage={each}"], each)
        settings = resolved.recipe if entry.begins is None else entry.begins(resolved.recipe, folder)
        exported = _run(entry, Plan(settings, resolved.run), folder / each, on_step)
    return exported


def _stages(entry: Entry, name: str, preset: str) -> tuple[str, ...]:
    listed = read_preset(name, preset).get("stages") or {} if entry.stages else {}
    if unknown := [each for each in listed if each not in entry.stages]:
        what_to_do = f"use: {', '.join(entry.stages)}"
        raise UsageError(f"the preset {preset} has settings of {unknown[0]!r}, which is no stage of {name}", what_to_do=what_to_do)
    return tuple(each for each in entry.stages if each in listed) or entry.stages


def _run(entry: Entry, plan: Plan, folder: Path, on_step: Callable[[int, dict[str, float]], None] | None) -> Path:
    torch.manual_seed(plan.run.seed)  # the networks' first weights; the engine seeds what follows
    recipe = entry.make(plan.recipe, plan.run.batch, plan.run.seed)
    Engine(recipe, plan.run, folder, on_step).run()
    return folder / EXPORT


def defaults(name: str) -> Plan:
    """What a recipe does without a preset. Raises UsageError for an unknown one."""
    if name not in RECIPES:
        near = get_close_matches(name, RECIPES, 1) or sorted(RECIPES)
        raise UsageError(f"there is no recipe {name!r}", what_to_do=f"use: {', '.join(near)}")
    return Plan(RECIPES[name].settings())
