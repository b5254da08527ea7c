"""StyleGAN2's generator and discriminator: every size from the shapes, however wide, deep or large."""

from __future__ import annotations

from math import log2
from typing import Any

from facewright.errors import UsageError
from facewright.weights.architectures.architecture import Architecture, Ask
from facewright.weights.architectures.shapes import DoesNotFit, Shapes


def generator(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.stylegan2.StyleGAN2Generator. The clean flavour shows in the names; the other two are alike."""
    out_size = 4 * 2 ** shapes.count("to_rgbs.{}.bias")
    return {
        **({"flavour": "clean"} if "style_conv1.bias" in shapes else {}),
        "out_size": out_size,
        "num_style_feat": shapes.axis("style_conv1.modulated_conv.modulation.weight", 1),
        "num_mlp": sum(name.startswith("style_mlp.") and name.endswith(".weight") for name in shapes),
        **as_asked(generator_channels(shapes, out_size)),
    }


def discriminator(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.stylegan2.StyleGAN2Discriminator."""
    levels = shapes.count("conv_body.{}.conv2.1.weight", start=1)
    sides = sides_down_from(4 * 2**levels)
    channels = {sides[0]: shapes.axis("conv_body.0.0.weight", 0)}
    # Number 0 is the first convolution, the blocks follow.
    for level, side in enumerate(sides[1:], start=1):
        channels[side] = shapes.axis(f"conv_body.{level}.conv2.1.weight", 0)
    return {"out_size": sides[0], **as_asked(channels)}


def latents_of(out_size: int) -> int:
    """L, the number of latents of a generator."""
    return 2 * int(log2(out_size)) - 2


def generator_channels(shapes: Shapes, out_size: int) -> dict[int, int]:
    """{4: .., 8: .., ..., out_size: ..} of a generator."""
    channels = {4: shapes.axis("constant_input.weight", 1)}
    for level, side in enumerate(sides_down_from(out_size)[-2::-1]):
        channels[side] = shapes.axis(f"style_convs.{2 * level}.modulated_conv.weight", 1)
    return channels


def sides_down_from(out_size: int) -> list[int]:
    """out_size, out_size / 2, ..., 4."""
    return [2**level for level in range(int(log2(out_size)), 1, -1)]


def as_asked(channels: dict[int, int], halves: dict[int, int] | None = None) -> dict[str, Any]:
    """How to ask for these channels: by the published table (channel_multiplier, narrow) where it has them, else one by one.

    halves: the U-Net's channels of a GFPGAN. Where no layer depends on the multiplier (up to 32 px) it is 1.
    """
    from facewright.nets.stylegan2 import channel_table

    out_size = max(channels)
    # The table truncates; half a channel more finds factors such as 0.1.
    for narrow in (channels[4] / 512, (channels[4] + 0.5) / 512):
        for multiplier in (1, 2, 4, 8, 0.5, 0.25):
            try:
                decoder = channel_table(out_size, multiplier, narrow)
                unet = channel_table(out_size, multiplier, narrow * 0.5) if halves else None
            except UsageError:
                continue
            if decoder == channels and unet == halves:
                return {"channel_multiplier": multiplier, "narrow": narrow}
    if halves and halves != {side: count // 2 for side, count in channels.items()}:
        raise DoesNotFit("its U-Net does not have half of the decoder's channels")
    return {"channels": dict(sorted(channels.items()))}


STYLEGAN2 = (
    Architecture(
        "stylegan2",
        "a StyleGAN2 generator",
        ("constant_input.weight", "style_conv1.modulated_conv.weight", "to_rgb1.bias"),
        "facewright.nets.stylegan2:StyleGAN2Generator",
        generator,
        asks={
            "flavour": Ask(
                ("original", "bilinear"), "a StyleGAN2 of the flavour original as well as bilinear", "every published one is original"
            )
        },
    ),
    Architecture(
        "stylegan2.discriminator",
        "a StyleGAN2 discriminator",
        ("conv_body.0.0.weight", "conv_body.1.conv1.0.weight", "final_linear.0.weight", "final_linear.1.weight"),
        "facewright.nets.stylegan2:StyleGAN2Discriminator",
        discriminator,
        {"stddev_group": 4},
    ),
)
