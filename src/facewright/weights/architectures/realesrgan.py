"""Real-ESRGAN's two upscalers, of any width, depth and scale."""

from __future__ import annotations

from math import isqrt
from typing import Any

from facewright.weights.architectures.architecture import Architecture, Ask
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# RRDBNet enlarges four times; a smaller scale first folds the picture into its channels, 2 x 2 or 4 x 4.
SCALES = {1: 4, 4: 2, 16: 1}


def rrdb(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.realesrgan.RRDBNet. The picture that comes has as many colours as the one that goes."""
    colours, taken = shapes.axis("conv_last.weight", 0), shapes.axis("conv_first.weight", 1)
    folded, rest = divmod(taken, colours)
    if rest or folded not in SCALES:
        raise DoesNotFit(f"its first layer takes {taken} channels where {colours}, {4 * colours} or {16 * colours} are due")
    return {
        "num_in_ch": colours,
        "num_out_ch": colours,
        "scale": SCALES[folded],
        "num_feat": shapes.axis("conv_first.weight", 0),
        "num_block": shapes.count("body.{}.rdb1.conv1.weight"),
        "num_grow_ch": shapes.axis("body.0.rdb1.conv1.weight", 0),
    }


def compact(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.realesrgan.SRVGGNetCompact: convolutions at even places, activations at odd ones."""
    convolutions = 0
    while f"body.{2 * convolutions}.bias" in shapes:
        convolutions += 1
    last = f"body.{2 * (convolutions - 1)}.weight"
    colours, given = shapes.axis("body.0.weight", 1), shapes.axis(last, 0)
    upscale = isqrt(given // colours)
    if convolutions < 2 or given != colours * upscale**2:
        raise DoesNotFit(f"its last layer gives {given} channels, which make no picture of {colours} colours")
    arguments = {
        "num_in_ch": colours,
        "num_out_ch": colours,
        "num_feat": shapes.axis("body.0.weight", 0),
        "num_conv": convolutions - 2,
        "upscale": upscale,
    }
    return arguments | ({"act_type": "prelu"} if "body.1.weight" in shapes else {})


REALESRGAN = (
    Architecture(
        "realesrgan",
        "a Real-ESRGAN upscaler (RRDBNet)",
        ("conv_first.weight", "body.0.rdb1.conv1.weight", "conv_up1.weight", "conv_last.weight"),
        "facewright.nets.realesrgan:RRDBNet",
        rrdb,
    ),
    Architecture(
        "realesrgan.compact",
        "a Real-ESRGAN upscaler (compact)",
        ("body.0.weight", "body.0.bias", "body.2.weight", "body.2.bias"),
        "facewright.nets.realesrgan:SRVGGNetCompact",
        compact,
        asks={
            "act_type": Ask(
                ("relu", "leakyrelu"),
                "a compact upscaler with the activation relu as well as one with leakyrelu",
                "the published ones have prelu, which shows in the file",
            )
        },
    ),
)
