"""What training minimises."""

from facewright.losses.adversarial import discriminator_logistic, gan_loss, generator_nonsaturating
from facewright.losses.components import component_style_loss
from facewright.losses.embedding import EmbeddingLoss
from facewright.losses.identity import ArcFaceIdentityLoss
from facewright.losses.penalties import path_length_penalty, path_lengths, r1_penalty
from facewright.losses.perceptual import PerceptualLoss, gram
from facewright.losses.pixel import charbonnier, grid_l1, l1, mse, pyramid_l1

__all__ = [
    "ArcFaceIdentityLoss",
    "EmbeddingLoss",
    "PerceptualLoss",
    "charbonnier",
    "component_style_loss",
    "discriminator_logistic",
    "gan_loss",
    "generator_nonsaturating",
    "gram",
    "grid_l1",
    "l1",
    "mse",
    "path_length_penalty",
    "path_lengths",
    "pyramid_l1",
    "r1_penalty",
]
