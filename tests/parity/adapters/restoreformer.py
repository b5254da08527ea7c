"""RestoreFormer: GFPGAN's copy, RestoreFormer++'s repository, and the autoencoder of its first stage."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from facewright.nets.blocks.autoencoder import CrossAttention
from facewright.nets.restoreformer import RestoreFormer
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

SYSTEMS = ("gfpgan", "restoreformer")
CROSS = {"RestoreFormer": True, "VQVAEGANMultiHeadTransformer": True, "VQVAEGAN": False}
ATTENTION = "MultiHeadAttnBlock"
NEVER_SET = {"double_z": False, "enable_mid": True, "dropout": 0.0}


def handles(fixture: Fixture) -> bool:
    return fixture.procedure is None and class_of(fixture) in (*CROSS, ATTENTION)


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    elif fixture.system == "gfpgan":
        net = load(fixture, build(fixture))
        follow(fixture, lambda x: (net(x), None), net)
    elif class_of(fixture) == ATTENTION:
        check_called(fixture, lambda net, inputs: {"out": net(inputs["x"], inputs.get("y"))})
    else:
        check_called(fixture, coded)


def class_of(fixture: Fixture) -> str:
    return (fixture.built or "").rpartition(":")[2]


def build(fixture: Fixture) -> nn.Module:
    arguments = fixture.arguments
    if class_of(fixture) == ATTENTION:
        return CrossAttention(arguments["in_channels"], arguments["head_size"])
    for name, value in NEVER_SET.items():
        assert arguments.pop(name, value) == value
    return RestoreFormer(**arguments, cross_attention=CROSS[class_of(fixture)])


def check_called(fixture: Fixture, called: Any) -> None:
    net, inputs = load(fixture, build(fixture)), fixture.inputs()
    for name in fixture.meta.get("gradients", {}):
        if name in inputs:
            inputs[name].requires_grad_(True)
    check_results(fixture, called(net, inputs), inputs, net)


def coded(net: RestoreFormer, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
    result = net.code(inputs["x"])
    return {
        "out": result.picture,
        "codebook_loss": result.codebook_loss,
        "codes": result.codes.flatten(),
        "mid_atten": result.features["mid_atten"],
        "encoder_out": result.features["out"],
    }
