"""facewright train: parse, build the recipe, run the engine."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facewright.errors import UsageError

RECIPES = ("gfpgan",)


def train(
    recipe: Annotated[str, typer.Argument(help=f"The recipe: {', '.join(RECIPES)}.", show_default=False)],
    overrides: Annotated[
        list[str] | None, typer.Argument(help="Settings as key=value, e.g. run.steps=1000 recipe.rate=2e-4.", show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option(help="A preset of the recipe, or a YAML file.")] = "mini",
    run: Annotated[
        Path | None, typer.Option("--run", help="Run folder; an earlier run in it goes on. [default: runs/RECIPE-PRESET]")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder with manifest.csv and aligned crops.")] = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Train a model, or go on with a run."""
    if recipe not in RECIPES:
        raise UsageError(f"there is no recipe {recipe!r}", what_to_do=f"use one of: {', '.join(RECIPES)}")
    from facewright.train.run import train_gfpgan

    chosen = [*(overrides or []), *([f"recipe.data={data}"] if data is not None else [])]

    def on_step(step: int, numbers: dict[str, float]) -> None:
        if not quiet:
            told = "  ".join(
                f"{name.removeprefix('generator/')} {value:.3g}" for name, value in numbers.items() if not name.endswith("gradient")
            )
            print(f"step {step}  {told}", flush=True)

    folder = run or Path("runs") / f"{recipe}-{Path(preset).stem}"
    exported = train_gfpgan(preset, chosen, folder, on_step)
    if not quiet:
        print(f"the trained model: {exported}")
