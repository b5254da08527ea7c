"""A small face embedding: a judge of who somebody is, which no other recipe learns from."""

from facewright.train.recipes.identity.recipe import IdentityRecipe
from facewright.train.recipes.identity.settings import IdentitySettings

__all__ = ["IdentityRecipe", "IdentitySettings"]
