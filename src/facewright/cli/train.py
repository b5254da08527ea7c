"""facewright train: parse, build the recipe, run the engine."""

from __future__ import annotations

import json
import os
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer


def _recipes() -> list[str]:
    """Those that have presets; the registry itself is behind torch, which a help text must not wait for."""
    presets = files("facewright") / "train" / "presets"
    return sorted({preset.name.partition("-")[0] for preset in presets.iterdir() if preset.name.endswith(".yaml")})


def train(
    recipe: Annotated[str, typer.Argument(help=f"The recipe: {', '.join(_recipes())}.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings as key=value, e.g. run.steps=1000 recipe.rate=2e-4.", show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option(help="A preset of the recipe, or a YAML file.")] = "mini",
    run: Annotated[
        Path | None, typer.Option("--run", help="Run folder; an earlier run in it goes on. [default: runs/RECIPE-PRESET]")
    ] = None,
    data: Annotated[str | None, typer.Option(help="Aligned crops: a folder, or WebDataset shards.")] = None,
    start: Annotated[
        str | None, typer.Option(help="A model to start from, by name or file; sizes are then its own.", show_default=False)
    ] = None,
    stage: Annotated[str, typer.Option(help="One stage of a recipe that has several. [default: all, in turn]", show_default=False)] = "",
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a model, or go on with a run."""
    from facewright.train.run import train as run_recipe

    named = {"recipe.data": data, "recipe.start": start}
    chosen = [*(overrides or []), *(f"{key}={json.dumps(value)}" for key, value in named.items() if value is not None)]

    def on_step(step: int, numbers: dict[str, float]) -> None:
        if not quiet:
            print(_line(step, numbers), flush=True)

    folder = run or Path("runs") / f"{recipe}-{Path(preset).stem}"
    exported = run_recipe(recipe, preset, chosen, folder, on_step, stage=stage)
    if not quiet and os.environ.get("RANK", "0") == "0":  # of several processes one speaks
        print(f"the trained model: {exported}")


def _line(step: int, numbers: dict[str, float]) -> str:
    """step 50  pixel 0.05  ...  3.1 images/s, 1:20:05 left"""
    told = dict(numbers)
    speed, left, unsaved = (told.pop(name, 0.0) for name in ("images_per_second", "seconds_left", "unsaved_steps"))
    losses = "  ".join(f"{name.removeprefix('generator/')} {value:.3g}" for name, value in told.items() if not name.endswith("gradient"))
    line = f"step {step}  {losses}  {speed:.3g} images/s, {timedelta(seconds=round(left))} left"
    return line + (f"  NOT SAVED for {unsaved:.0f} steps" if unsaved else "")
