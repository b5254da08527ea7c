"""GFPGAN v1 in its three flavours, and the discriminator of facial components."""

from __future__ import annotations

from torch import nn

from facewright.nets.blocks.modulated import Flavour
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator, clean_of
from parity.following import check_keys, check_results, follow, load
from parity.reading import Fixture

FLAVOURS: dict[str, Flavour] = {"GFPGANv1": "original", "GFPGANBilinear": "bilinear", "GFPGANv1Clean": "clean"}


def handles(fixture: Fixture) -> bool:
    return fixture.procedure == "convert" or (
        fixture.procedure is None and (fixture.built in FLAVOURS or fixture.built == "FacialComponentDiscriminator")
    )


def run(fixture: Fixture) -> None:
    if fixture.procedure == "convert":
        run_convert(fixture)
    elif fixture.is_key_table:
        check_keys(fixture, lambda: build(fixture))
    else:
        follow(fixture, load(fixture, build(fixture)))


def build(fixture: Fixture) -> nn.Module:
    if fixture.built == "FacialComponentDiscriminator":
        return FacialComponentDiscriminator()
    arguments = fixture.arguments
    assert arguments.pop("decoder_load_path") is None
    return GFPGAN(FLAVOURS[fixture.built or ""], **arguments)


def run_convert(fixture: Fixture) -> None:
    bilinear = load(fixture, build(fixture))
    assert isinstance(bilinear, GFPGAN)
    clean, inputs = clean_of(bilinear), fixture.inputs()
    results = {f"state.{name}": value.flatten()[:6] for name, value in clean.state_dict().items()}
    for name, net in {"image_of_the_bilinear_model": bilinear, "image": clean}.items():
        results[name], _ = net(inputs["x"], randomize_noise=False)
    check_results(fixture, results, inputs)
