"""Stages of the tiny preset of the recipe `codeformer`, on this processor."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from facewright.data import Batch
from facewright.train import Engine
from facewright.train.recipes.codeformer import begun, codeformer_recipe
from facewright.train.run import Plan, defaults, train
from facewright.train.settings import resolve

EXACT = ("run.device=cpu", "run.precision=fp32", "run.batch=2", "recipe.validation_faces=2")
SILENT = ("run.validate_every=0", "run.sample_every=0", "run.checkpoint_every=0")


class Killed(BaseException):
    """As sudden as a kill: nothing catches it."""


def planned(faces: Path | str, stage: str, *overrides: str, preset: str = "tiny") -> Plan:
    """The settings of one stage."""
    chosen = [f"recipe.data={faces}", f"recipe.stage={stage}", *EXACT, *overrides]
    return resolve(defaults("codeformer"), "codeformer", preset, chosen, stage)


def engine_of(faces: Path | str, run: Path, stage: str, *overrides: str, into: Path | None = None) -> Engine:
    """Ready to run. run: where the stages before it are; into: the stage's own folder, `run`/stage where it is not said."""
    plan = planned(faces, stage, *overrides)
    torch.manual_seed(plan.run.seed)
    recipe = codeformer_recipe(begun(plan.recipe, run), plan.run.batch, plan.run.seed)
    return Engine(recipe, plan.run, into or run / stage)


def trained(faces: Path | str, run: Path, stage: str, *overrides: str, into: Path | None = None, dies_at: int | None = None) -> Engine:
    """A stage, begun or gone on with. dies_at: the step in which it is killed."""
    engine = engine_of(faces, run, stage, *overrides, into=into)
    if dies_at is not None:
        engine.recipe.step = _deadly(engine, engine.recipe.step, dies_at)  # type: ignore[method-assign]
    engine.run()
    return engine


def all_stages(faces: Path | str, run: Path, *overrides: str, preset: str = "tiny", stage: str = "") -> Path:
    """By the function of the command."""
    return train("codeformer", preset, [f"recipe.data={faces}", *EXACT, *overrides], run, stage=stage)


def _deadly(engine: Engine, step: Callable[[Batch], None], last: int) -> Callable[[Batch], None]:
    def until(batch: Batch) -> None:
        if engine.step == last:
            raise Killed
        step(batch)

    return until
