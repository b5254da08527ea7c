"""The frozen networks that judge what GFPGAN restores: perceptual, style and identity loss, by the names of the settings.

The paper judges with VGG-19 and ArcFace. Where their files are not there, training is refused: features of random weights would
look like a loss and teach nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch
from torch import Tensor, nn

from facewright.errors import ModelError, UsageError
from facewright.losses import ArcFaceIdentityLoss, EmbeddingLoss, PerceptualLoss
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.blocks.layout import channels_last
from facewright.nets.identity import DlibEmbedding
from facewright.nets.vgg import VGGFeatures
from facewright.train.recipes.gfpgan.settings import GfpganSettings
from facewright.weights import find, load_model

Guidance = Callable[[Tensor, Tensor], Mapping[str, Tensor]]
"""(restored, clean), N x 3 x S x S in [-1, 1] both, to some of {"perceptual", "style", "identity"}, scalars without their weights."""

NONE, STAND_IN = "none", "identity-dlib"
TERMS = {"perceptual": ("perceptual", "style"), "identity": ("identity",)}
"""The losses that each judge gives."""


def check_guidance(settings: GfpganSettings) -> None:
    """Refuse at the start what `load_guidance` could not load. Raises ModelError."""
    for judge, name in _judges(settings).items():
        try:
            find(name)
        except ModelError as error:
            raise _refusal(judge, name, error) from error


def load_guidance(settings: GfpganSettings, device: torch.device, embedding: DlibEmbedding) -> Guidance:
    """The judges that the settings name and weigh. embedding: the stand-in, already loaded.

    Raises ModelError where a file is not there or is no network that can judge this; UsageError for a style loss without VGG.
    """
    named = _judges(settings)
    judges = [_judge(settings, judge, name, device) for judge, name in named.items() if name != STAND_IN]
    # one look of the stand-in serves both
    stood_in = [term for judge, name in named.items() if name == STAND_IN for term in _weighed(settings, judge)]
    return together(*([_stand_in(settings, embedding, stood_in)] if stood_in else []), *judges)


def together(*judges: Guidance) -> Guidance:
    """What several judges say."""

    def guide(restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        losses: dict[str, Tensor] = {}
        for judge in judges:
            losses |= judge(restored, clean)
        return losses

    return guide


def perceptual_loss(features: VGGFeatures, settings: GfpganSettings) -> PerceptualLoss:
    """VGG's part, with the terms that are weighed."""
    wanted = [float(settings.weights[term] > 0) for term in ("perceptual", "style")]
    return PerceptualLoss(features, settings.perceptual_layers, "l1", *wanted)


def identity_loss(network: ResNetArcFace) -> Guidance:
    """ArcFace's part."""
    distance = ArcFaceIdentityLoss(network.embed)
    return lambda restored, clean: {"identity": distance(restored, clean)}


def _judges(settings: GfpganSettings) -> dict[str, str]:
    """{judge: name} of those that are named and weighed."""
    named = {"perceptual": settings.perceptual, "identity": settings.identity}
    return {judge: name for judge, name in named.items() if name != NONE and _weighed(settings, judge)}


def _weighed(settings: GfpganSettings, judge: str) -> list[str]:
    return [term for term in TERMS[judge] if settings.weights[term] > 0]


def _judge(settings: GfpganSettings, judge: str, name: str, device: torch.device) -> Guidance:
    try:
        network = load_model(name, device=device).net
    except ModelError as error:
        raise _refusal(judge, name, error) from error
    if isinstance(network, DlibEmbedding):  # from a file of the user's
        return _stand_in(settings, channels_last(network), _weighed(settings, judge))
    if judge == "perceptual" and isinstance(network, VGGFeatures):
        return perceptual_loss(_vgg(network, settings).to(device), settings)
    if judge == "identity" and isinstance(network, ResNetArcFace):
        return identity_loss(network)
    raise _refusal(judge, name, ModelError("", f"it is no network of {'VGG-19' if judge == 'perceptual' else 'ArcFace'}"))


def _vgg(network: nn.Module, settings: GfpganSettings) -> VGGFeatures:
    """The same weights, up to the last layer that is asked for, for pictures in [-1, 1]."""
    features = VGGFeatures(list(settings.perceptual_layers), "vgg19", use_input_norm=True, range_norm=True)
    theirs = network.state_dict()
    features.load_state_dict({name: theirs.get(name, own) for name, own in features.state_dict().items()})
    return features.eval()


def _stand_in(settings: GfpganSettings, embedding: DlibEmbedding, terms: list[str]) -> Guidance:
    if "style" in terms:
        raise UsageError(
            f"the style loss cannot judge with {STAND_IN}",
            "it compares correlations of VGG's maps",
            "use recipe.perceptual=vgg19, or recipe.weights.style=0",
        )
    both = EmbeddingLoss(embedding, settings.taps, settings.whole_taps)

    def guide(restored: Tensor, clean: Tensor) -> dict[str, Tensor]:
        losses = both(restored, clean)
        return {name: value for name, value in losses.items() if name in terms}

    return guide


def _refusal(judge: str, name: str, error: ModelError) -> ModelError:
    """Why this judge cannot serve, how to get it, how to do without, and who can stand in."""
    without = f"recipe.{judge}={NONE} to train without it"
    instead = f"recipe.{judge}={STAND_IN}, the embedded stand-in" + (" (with recipe.weights.style=0)" if judge == "perceptual" else "")
    ways = [*([error.what_to_do] if error.what_to_do else []), without, instead]
    return ModelError(f"the {judge} loss cannot judge with {name}", error.why or str(error), "; or ".join(ways))
