"""GFPGAN v1 in its three flavours, and the discriminator of facial components."""

from __future__ import annotations

from torch import nn

from facewright.nets.blocks.modulated import Flavour
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator
from parity.following import check_keys, follow, load
from parity.reading import Fixture

FLAVOURS: dict[str, Flavour] = {"GFPGANv1": "original", "GFPGANBilinear": "bilinear", "GFPGANv1Clean": "clean"}


def handles(fixture: Fixture) -> bool:
    return fixture.procedure is None and (fixture.built in FLAVOURS or fixture.built == "FacialComponentDiscriminator")


def run(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    if fixture.built == "FacialComponentDiscriminator":
        return FacialComponentDiscriminator()
    arguments = fixture.arguments
    assert arguments.pop("decoder_load_path") is None
    return GFPGAN(FLAVOURS[fixture.built or ""], **arguments)
