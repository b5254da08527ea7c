"""What training minimises."""

from facewright.losses.adversarial import discriminator_logistic, generator_nonsaturating, r1_penalty
from facewright.losses.embedding import EmbeddingLoss
from facewright.losses.pixel import pyramid_l1

__all__ = ["EmbeddingLoss", "discriminator_logistic", "generator_nonsaturating", "pyramid_l1", "r1_penalty"]
