"""Who judges the pictures of CodeFormer's training: LPIPS, as published, or the embedded stand-in where its files are not there."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from facewright.errors import ModelError, UsageError
from facewright.losses import EmbeddingLoss, lpips_loss
from facewright.nets.blocks.layout import channels_last
from facewright.nets.identity import DlibEmbedding
from facewright.nets.lpips import LPIPS
from facewright.train.recipes.codeformer.settings import CodeFormerSettings
from facewright.weights.judges import load_judge

Guidance = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""(restored, truth), N x 3 x S x S in [-1, 1] both, to some of {"perceptual", "identity"}, unweighted."""

NONE, STAND_IN = "none", "identity-dlib"


def load_guidance(settings: CodeFormerSettings, device: torch.device) -> Guidance:
    """Raises ModelError where a file is not there or cannot judge; features of random weights would teach nothing."""
    weighed = [name for name in ("perceptual", "identity") if settings.weights[name] > 0]
    if settings.perceptual == NONE or not weighed:
        return lambda restored, truth: {}
    try:
        network = load_judge(settings.perceptual, device=device)
    except ModelError as error:
        ways = [error.what_to_do, f"recipe.perceptual={STAND_IN}, the embedded stand-in", f"recipe.perceptual={NONE} to train without it"]
        raise ModelError(
            f"the perceptual loss cannot judge with {settings.perceptual}", error.why or str(error), "; or ".join(filter(None, ways))
        ) from error
    if isinstance(network, LPIPS):
        if "identity" in weighed:
            raise UsageError("LPIPS knows no identity", what_to_do=f"set recipe.weights.identity=0, or recipe.perceptual={STAND_IN}")
        judge = network.requires_grad_(False)
        return lambda restored, truth: {"perceptual": lpips_loss(judge, restored, truth)}
    if not isinstance(network, DlibEmbedding):
        raise ModelError(f"{settings.perceptual} cannot judge pictures", "it is no LPIPS and no face embedding")
    loss = EmbeddingLoss(channels_last(network), whole_taps=(0,))

    def guide(restored: Tensor, truth: Tensor) -> dict[str, Tensor]:
        return {name: value for name, value in loss(restored, truth).items() if name in weighed}

    return guide
