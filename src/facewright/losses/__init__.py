"""What training minimises."""

from facewright.losses.adversarial import discriminator_logistic, gan_loss, generator_nonsaturating, relativistic_logistic
from facewright.losses.codebook import adaptive_weight, code_cross_entropy, code_feature_loss, mean_distance, perplexity
from facewright.losses.components import component_style_loss
from facewright.losses.embedding import EmbeddingLoss
from facewright.losses.identity import ArcFaceIdentityLoss
from facewright.losses.lpips import lpips_loss
from facewright.losses.margin import angular_margin_softmax
from facewright.losses.penalties import path_length_penalty, path_lengths, r1_penalty
from facewright.losses.perceptual import PerceptualLoss, gram
from facewright.losses.pixel import artifact_l1, charbonnier, grid_l1, l1, mse, pyramid_l1

__all__ = [
    "ArcFaceIdentityLoss",
    "EmbeddingLoss",
    "PerceptualLoss",
    "adaptive_weight",
    "angular_margin_softmax",
    "artifact_l1",
    "charbonnier",
    "code_cross_entropy",
    "code_feature_loss",
    "component_style_loss",
    "discriminator_logistic",
    "gan_loss",
    "generator_nonsaturating",
    "gram",
    "grid_l1",
    "l1",
    "lpips_loss",
    "mean_distance",
    "mse",
    "path_length_penalty",
    "path_lengths",
    "perplexity",
    "pyramid_l1",
    "r1_penalty",
    "relativistic_logistic",
]
