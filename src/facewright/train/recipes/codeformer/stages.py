"""Which recipe a stage is, and from what it starts where a run does all of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from facewright.errors import UsageError
from facewright.train.engine import EXPORT, Recipe
from facewright.train.recipes.codeformer.fuse import FuseRecipe
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.train.recipes.codeformer.transformer import TransformerRecipe
from facewright.train.recipes.codeformer.vqgan import DISCRIMINATOR, VqganRecipe


def codeformer_recipe(settings: CodeFormerSettings, batch: int, seed: int) -> Recipe:
    """The recipe of `settings.stage`. Raises UsageError, ModelError."""
    makes: dict[str, Callable[[CodeFormerSettings, int, int], Recipe]]
    makes = {"vqgan": VqganRecipe, "transformer": TransformerRecipe, "fuse": FuseRecipe}
    return makes[settings.stage](settings, batch, seed)


def begun(settings: CodeFormerSettings, run: Path) -> CodeFormerSettings:
    """What these settings leave open is found in the folders of the stages before, below `run`.

    Inpainting predicts codes and fuses in one stage, as published, so that its last one starts from the autoencoder alone.
    Raises UsageError where there is nothing.
    """
    s = settings
    if s.stage == "vqgan":
        return s
    vqgan = s.vqgan or _found(s.stage, "vqgan", run / "vqgan" / EXPORT)
    if s.stage == "transformer":
        return replace(s, vqgan=vqgan)
    start = s.start if s.start or s.task == "inpainting" else _found(s.stage, "start", run / "transformer" / EXPORT)
    judged = s.weights["adversarial"] > 0
    discriminator = s.start_discriminator or (_found(s.stage, "start_discriminator", run / "vqgan" / DISCRIMINATOR) if judged else "")
    return replace(s, vqgan=vqgan, start=start, start_discriminator=discriminator)


def _found(stage: str, setting: str, file: Path) -> str:
    if not file.is_file():
        what_to_do = f"train the stages before it, or give recipe.{setting}"
        raise UsageError(f"the stage {stage} has nothing to start from", f"there is no {file}", what_to_do)
    return str(file)
