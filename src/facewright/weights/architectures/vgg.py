"""VGG-19 and VGG-16 as torchvision publishes them, cut down to the layers that a loss looks at."""

from __future__ import annotations

from functools import partial
from typing import Any

from facewright.weights.architectures.architecture import Architecture, State
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# What GFPGAN's perceptual loss compares.
COMPARED = {
    "vgg19": ("conv1_2", "conv2_2", "conv3_4", "conv4_4", "conv5_4"),
    "vgg16": ("conv1_2", "conv2_2", "conv3_3", "conv4_3", "conv5_3"),
}
OPTIONS = {"use_input_norm": True, "range_norm": False, "remove_pooling": False, "pooling_stride": 2}


def _deduce(vgg: str, shapes: Shapes) -> dict[str, Any]:
    """Nothing but which VGG it is; the whole file must be there, whatever is taken of it."""
    before = 3
    for place, width in _places(vgg).items():
        for name, wanted in ((f"features.{place}.weight", (width, before, 3, 3)), (f"features.{place}.bias", (width,))):
            if shapes[name] != wanted:
                raise DoesNotFit(f"{name} has shape {shapes[name]} instead of {wanted}")
        before = width
    return {"vgg": vgg}


def _places(vgg: str) -> dict[int, int]:
    """{number of a convolution in torchvision's features: its output channels}."""
    from facewright.nets.vgg import PLANES, layer_names

    names = layer_names([f"pool{len(PLANES)}"], vgg)
    return {place: PLANES[int(name[4]) - 1] for place, name in enumerate(names) if name.startswith("conv")}


def asked_layers(state: State, arguments: dict[str, Any]) -> State:
    """The layers that the loss looks at, under the network's names.

    The classifier is left out; what belongs to no VGG stays, to be refused.
    """
    from facewright.nets.vgg import from_torchvision

    known = {f"features.{place}.{part}" for place in _places(arguments["vgg"]) for part in ("weight", "bias")}
    kept = from_torchvision({name: state[name] for name in known}, arguments["layers"], arguments["vgg"])
    if not arguments["use_input_norm"]:
        del kept["mean"], kept["std"]
    return kept | {name: value for name, value in state.items() if name not in known and not name.startswith("classifier.")}


VGG = (
    Architecture(
        "vgg19",
        "a VGG-19 for perceptual losses",
        ("features.0.weight", "features.2.weight", "features.16.weight", "features.34.weight"),
        "facewright.nets.vgg:VGGFeatures",
        partial(_deduce, "vgg19"),
        {"layers": COMPARED["vgg19"], **OPTIONS},
        fit=asked_layers,
    ),
    Architecture(
        "vgg16",
        "a VGG-16 for perceptual losses",
        ("features.0.weight", "features.2.weight", "features.17.weight", "features.28.weight"),
        "facewright.nets.vgg:VGGFeatures",
        partial(_deduce, "vgg16"),
        {"layers": COMPARED["vgg16"], **OPTIONS},
        fit=asked_layers,
    ),
)
