"""Training: one engine, one file a recipe, presets in YAML."""

from facewright.train.engine import Engine, Recipe, RunSettings

__all__ = ["Engine", "Recipe", "RunSettings"]
