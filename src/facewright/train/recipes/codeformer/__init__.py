"""CodeFormer's training in three stages."""

from facewright.train.recipes.codeformer.settings import STAGES, CodeFormerSettings
from facewright.train.recipes.codeformer.stages import begun, codeformer_recipe

__all__ = ["STAGES", "CodeFormerSettings", "begun", "codeformer_recipe"]
