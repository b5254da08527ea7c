"""What training minimises."""

from facewright.losses.adversarial import discriminator_logistic, generator_nonsaturating, r1_penalty
from facewright.losses.embedding import EmbeddingLoss
from facewright.losses.pixel import grid_l1, pyramid_l1

__all__ = ["EmbeddingLoss", "discriminator_logistic", "generator_nonsaturating", "grid_l1", "pyramid_l1", "r1_penalty"]
