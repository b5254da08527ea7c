"""Real-ESRGAN's networks and its enhancer."""

from __future__ import annotations

import torch.nn.functional as F
from torch import nn

from facewright.nets.realesrgan import RRDBNet, SRVGGNetCompact, interpolated
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

NETS: dict[str, type[nn.Module]] = {"RRDBNet": RRDBNet, "SRVGGNetCompact": SRVGGNetCompact}
PROCEDURES = ("dni", "pixel_unshuffle")


def handles(fixture: Fixture) -> bool:
    return fixture.built in NETS or fixture.procedure in PROCEDURES


def run(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    if fixture.procedure == "dni":
        weight = fixture.call["dni_weight"][0]
        check_results(fixture, {"out": interpolated({"w": inputs["a"]}, {"w": inputs["b"]}, weight)["w"]}, inputs)
    elif fixture.procedure == "pixel_unshuffle":
        check_results(fixture, {"out": F.pixel_unshuffle(inputs["x"], fixture.call["scale"])}, inputs)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    return NETS[fixture.built or ""](**fixture.arguments)
