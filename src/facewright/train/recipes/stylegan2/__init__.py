"""StyleGAN2: a generator of faces, as published and for small sets."""

from facewright.train.recipes.stylegan2.recipe import StyleGAN2Recipe
from facewright.train.recipes.stylegan2.settings import StyleGAN2Settings

__all__ = ["StyleGAN2Recipe", "StyleGAN2Settings"]
