"""VGG features, and the perceptual and style loss over them."""

from __future__ import annotations

import torch
from torch import nn

from facewright.losses import PerceptualLoss, gram
from facewright.nets.vgg import VGGFeatures
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

OF_THE_NETWORK = ("use_input_norm", "range_norm")


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in ("vgg_buffers", "gram", "perceptual") or fixture.built == "VGGFeatureExtractor"


def run(fixture: Fixture) -> None:
    if fixture.procedure == "perceptual":
        run_perceptual(fixture)
    elif fixture.procedure == "gram":
        inputs = fixture.inputs()
        check_results(fixture, {"gram": gram(inputs["x"].requires_grad_(True))}, inputs)
    elif fixture.procedure == "vgg_buffers":
        state = VGGFeatures(["conv1_1"]).state_dict()
        check_results(fixture, {"mean": state["mean"], "std": state["std"]}, {})
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    arguments = fixture.arguments
    net = VGGFeatures(arguments.pop("layer_name_list"), arguments.pop("vgg_type", "vgg19"), **arguments)
    return net.requires_grad_(True)  # a key table counts the numbers of a network that is not frozen


def run_perceptual(fixture: Fixture) -> None:
    inputs, arguments = fixture.inputs(), fixture.arguments
    weights = arguments.pop("layer_weights")
    net = VGGFeatures(list(weights), **{name: arguments.pop(name) for name in OF_THE_NETWORK if name in arguments})
    net.load_state_dict({name.removeprefix("vgg."): value for name, value in fixture.state().items()})
    losses = PerceptualLoss(net, weights, **arguments)(inputs["x"].requires_grad_(True), inputs["gt"].requires_grad_(True))
    results = {{"perceptual": "percep"}.get(name, name): value for name, value in losses.items()}
    check_results(fixture, results | {"total": torch.stack(list(losses.values())).sum()}, inputs)
