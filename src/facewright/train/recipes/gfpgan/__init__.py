"""GFPGAN: restoration with a generative facial prior."""

from facewright.train.recipes.gfpgan.recipe import GfpganRecipe
from facewright.train.recipes.gfpgan.settings import GfpganSettings

__all__ = ["GfpganRecipe", "GfpganSettings"]
