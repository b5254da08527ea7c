"""GFPGAN and the discriminators of its components."""

from __future__ import annotations

from math import isqrt, log2
from typing import Any

from facewright.weights.architectures import stylegan2
from facewright.weights.architectures.architecture import Architecture, Ask, nothing_to_deduce
from facewright.weights.architectures.shapes import DoesNotFit, Shapes
from facewright.weights.architectures.stylegan2 import as_asked, generator_channels, latents_of, sides_down_from


def restorer(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.gfpgan.GFPGAN."""
    decoder = shapes.below("stylegan_decoder.")
    arguments = stylegan2.generator(decoder)
    clean, out_size, features = "flavour" in arguments, arguments["out_size"], arguments["num_style_feat"]
    if shapes.count("condition_scale.{}.0.weight") != int(log2(out_size)) - 2:
        raise DoesNotFit(f"its conditions are not those of a decoder of {out_size} px")

    width = "" if clean else ".0"
    unet = {out_size: shapes.axis(f"conv_body_first{width}.weight", 0)}
    for level, side in enumerate(sides_down_from(out_size)[1:]):
        unet[side] = shapes.axis(f"conv_body_down.{level}.conv2{'' if clean else '.1'}.weight", 0)
    arguments |= as_asked(generator_channels(decoder, out_size), unet)

    colours = shapes.axis("conv_body_first" + width + ".weight", 1)
    fold = isqrt(colours // 3)
    if colours != 3 * fold**2:
        raise DoesNotFit(f"its first layer takes {colours} colours")

    latents = shapes.axis("final_linear.weight", 0)
    if latents not in (features, features * latents_of(out_size)):
        raise DoesNotFit(f"final_linear has {latents} outputs where {features} or {features * latents_of(out_size)} are due")
    scale = shapes["condition_scale.0.2.weight"]
    return arguments | {
        "different_w": latents != features,
        "sft_half": scale[0] == scale[1],
        "input_skip": "input_skip.weight" in shapes,
        # the decoder's size is that of the folded picture, whose colours are in its channels
        "out_size": out_size * fold,
        "fold": fold,
        "refine": shapes.axis("refine.look.weight", 0) if "refine.look.weight" in shapes else 0,
    }


GFPGAN = (
    Architecture(
        "gfpgan",
        "a GFPGAN face restorer",
        ("stylegan_decoder.constant_input.weight", "final_linear.weight", "condition_scale.0.0.weight"),
        "facewright.nets.gfpgan:GFPGAN",
        restorer,
        {"input_is_latent": True},
        {
            "flavour": Ask(
                ("original", "bilinear"), "a GFPGAN of the flavour original as well as bilinear", "every published one is original"
            )
        },
    ),
    Architecture(
        "gfpgan.component_discriminator",
        "a GFPGAN discriminator of eyes or mouths",
        ("conv1.0.weight", "conv4.1.weight", "conv5.1.bias", "final_conv.0.bias"),
        "facewright.nets.gfpgan:FacialComponentDiscriminator",
        nothing_to_deduce,
    ),
)
