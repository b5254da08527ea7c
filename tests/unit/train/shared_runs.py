"""What the processes of test_train_parts do, each in its own interpreter; and the recipe whose updates depend on each other."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import torch
from torch import Tensor
from toy_recipe import ToyRecipe, ToySettings, toy_run
from traces import state_of

from facewright.data import Batch
from facewright.errors import FacewrightError
from facewright.train import Engine
from facewright.train.guards import Diverged
from facewright.train.stopping import Stopped


class JudgesFirst(ToyRecipe):
    """As StyleGAN2: the critic learns, and then the generator from what it has become; and a mean over all pictures is remembered."""

    def __init__(self, *args: object, **options: object) -> None:
        super().__init__(*args, **options)  # type: ignore[arg-type]
        self.networks["critic"].register_buffer("usual", torch.zeros(()))

    def step(self, batch: Batch) -> None:
        with torch.no_grad():
            restored = self.networks["generator"](batch.damaged)
        self.learn_to_judge(batch, restored)
        self.learn_to_restore(batch)
        with torch.no_grad():
            mean = self.engine.processes.mean(self.networks["critic"](batch.clean).mean())
        self.networks["critic"].usual.add_(mean / self.engine.run_settings.accumulate)

    def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
        return super().losses(restored, clean, score) | {"score": (self.networks["critic"].usual - score).mean()}


def descent(recipe: type[ToyRecipe], batch: int = 8) -> ToyRecipe:
    """Changes by exactly the gradient: Adam would make 1 of 1e-9."""
    return recipe(settings=ToySettings(rate=0.3, optimizer="SGD"), batch=batch)


def shared_run(rank: int, folder: Path, kind: str, steps: int, changes: dict[str, object]) -> None:
    recipe = descent(JudgesFirst if kind == "judges" else ToyRecipe)
    engine = toy_run(folder, steps, recipe, **changes)
    assert (engine.rank, engine.world) == (rank, 2)
    torch.save(state_of(engine), folder / f"seen-by-{rank}.pt")


def lopsided_run(rank: int, folder: Path, kind: str) -> None:
    class Lopsided(ToyRecipe):
        """Only the second process meets a bad number; with "some" only it has a loss and a gradient at all."""

        def losses(self, restored: Tensor, clean: Tensor, score: Tensor) -> dict[str, Tensor]:
            found = super().losses(restored, clean, score)
            mine = self.engine.rank == 1
            if kind == "some":
                return found if mine else {"score": found["score"].detach() + 0 * restored.sum()}
            return found | ({"pixel": restored.mean() * float("nan")} if mine and self.engine.step == 2 else {})

    try:
        engine = toy_run(folder, 6, Lopsided(batch=4), on_nan="skip" if kind == "skip" else "stop")
        torch.save(state_of(engine), folder / f"seen-by-{rank}.pt")
    except Diverged as error:
        (folder / f"told-{rank}").write_text(str(error))


def foreign_run(rank: int, folder: Path) -> None:
    try:
        toy_run(folder, 8, ToyRecipe(settings=ToySettings(width=5), batch=4))
    except FacewrightError as error:
        (folder / f"told-{rank}").write_text(str(error))


def abandoned_run(rank: int, folder: Path) -> None:
    class Leaves(ToyRecipe):
        def step(self, batch: Batch) -> None:
            if rank == 1 and self.engine.step == 3:
                raise SystemExit(9)
            super().step(batch)

    try:
        toy_run(folder, 8, Leaves(batch=4))
    except FacewrightError as error:
        (folder / "told").write_text(f"{type(error).__name__} {error}")


def stopped_run(rank: int, folder: Path) -> None:
    class Asked(ToyRecipe):
        """Only the second process is asked to end."""

        def step(self, batch: Batch) -> None:
            if rank == 1 and self.engine.step == 5:
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
            super().step(batch)

    try:
        toy_run(folder, 100, Asked(batch=4))
    except Stopped as error:
        (folder / f"told-{rank}").write_text(f"{error.exit_code} {error}")


def gfpgan_run(rank: int, faces: Path, folder: Path, steps: int, changes: dict[str, object]) -> None:
    """The tiny preset of the recipe `gfpgan`, by gradient descent, with 8 faces a step: a group of 4 for each of two discriminators.

    Without the embedding's perceptual loss, whose L1 turns rounding into steps; that parts make its gradient has a test of its own.
    """
    from facewright.train.recipes.gfpgan import GfpganRecipe
    from facewright.train.run import defaults
    from facewright.train.settings import resolve

    options = {"steps": steps, "batch": 8, "device": "cpu", "precision": "fp32", "validate_every": 0, "sample_every": 0, "clip_norm": 1e3}
    run = [f"run.{name}={value}" for name, value in (options | changes).items()]
    plan = resolve(defaults("gfpgan"), "gfpgan", "tiny", [f"recipe.data={faces}", "recipe.weights.perceptual=0", *run])
    torch.manual_seed(plan.run.seed)
    recipe = GfpganRecipe(plan.recipe, plan.run.batch, plan.run.seed)
    recipe.optimizers = {
        name: torch.optim.SGD([{**group, "lr": 0.01} for group in adam.param_groups], 0.01) for name, adam in recipe.optimizers.items()
    }
    recipe._rate = lambda name: 0.01  # type: ignore[method-assign]
    engine = Engine(recipe, plan.run, folder)
    engine.run()
    torch.save(state_of(engine), folder / f"seen-by-{rank}.pt")
