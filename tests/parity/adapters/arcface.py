"""The identity network of GFPGAN's training, and its loss."""

from __future__ import annotations

from torch import nn

from facewright.losses import ArcFaceIdentityLoss
from facewright.nets.arcface import ResNetArcFace, grey_face
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture


def handles(fixture: Fixture) -> bool:
    return fixture.built == "ResNetArcFace" and fixture.procedure in (None, "gray_identity")


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    elif fixture.procedure == "gray_identity":
        run_identity(fixture)
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    arguments = fixture.arguments
    assert arguments.pop("block") == "IRBlock"
    return ResNetArcFace(**arguments)


def run_identity(fixture: Fixture) -> None:
    net, inputs = load(fixture, build(fixture)), fixture.inputs()
    assert isinstance(net, ResNetArcFace)
    output, truth = inputs["output"].requires_grad_(True), inputs["gt"]
    results = {"gray": grey_face(output), "embedding_out": net.embed(output), "embedding_gt": net.embed(truth)}
    results["loss"] = fixture.call["identity_weight"] * ArcFaceIdentityLoss(net.embed)(output, truth)
    check_results(fixture, results, inputs)
