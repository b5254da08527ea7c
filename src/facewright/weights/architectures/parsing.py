"""The networks that say which part of a face each pixel is: ParseNet, of any size, and BiSeNet."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from facewright.weights.architectures.architecture import Architecture, Ask
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

SMALLEST = 32
PUBLISHED_RANGE = (32, 256)


def parsenet(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.parsenet.ParseNet.

    The steps down and up show, the sizes between which they lead do not: the smallest is taken as published, 32 px.
    """
    blocks = shapes.count("encoder.{}.conv1.conv2d.weight", start=1)
    ups = shapes.count("decoder.{}.conv1.conv2d.weight")
    base = shapes.axis("encoder.0.conv2d.weight", 0)
    widths = [shapes.axis(f"encoder.{block}.conv2.conv2d.weight", 0) for block in range(1, blocks + 1)]
    narrowing = [shapes.axis(f"decoder.{block}.conv2.conv2d.weight", 0) for block in range(ups)]
    arguments: dict[str, Any] = {
        "in_size": SMALLEST * 2**blocks,
        "out_size": SMALLEST * 2**ups,
        "min_feat_size": SMALLEST,
        "base_ch": base,
        "parsing_ch": shapes.axis("out_mask_conv.conv2d.weight", 0),
        "res_depth": shapes.count("body.{}.conv1.conv2d.weight"),
        "ch_range": _range(base, widths, narrowing),
    }
    if "body.0.conv1.norm.norm.weight" in shapes:
        arguments["norm_type"] = "bn" if "body.0.conv1.norm.norm.running_mean" in shapes else "gn"
    if "body.0.conv1.relu.func.weight" in shapes:
        arguments["relu_type"] = "prelu"
    return arguments


def _range(base: int, widths: list[int], narrowing: list[int]) -> tuple[int, int]:
    """The limits between which the channels double and halve: the published ones where they lead to these channels."""
    seen = {base, *widths, *narrowing}
    for low, high in (PUBLISHED_RANGE, (min(seen), max(seen))):
        if list(_channels(base, len(widths), len(narrowing), low, high)) == widths + narrowing:
            return low, high
    raise DoesNotFit(f"its channels ({', '.join(map(str, [base, *widths, *narrowing]))}) neither double nor halve")


def _channels(base: int, downs: int, ups: int, low: int, high: int) -> Iterable[int]:
    """The published table: unlimited doubling and halving, each step limited for itself."""
    for step in (*range(1, downs + 1), *range(downs - 1, downs - ups - 1, -1)):
        yield int(max(low, min(high, base * 2.0**step)))


def bisenet(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.bisenet.BiSeNet."""
    return {"num_class": shapes.axis("conv_out.conv_out.weight", 0)}


PARSING = (
    Architecture(
        "parsenet",
        "the face parser ParseNet",
        ("encoder.0.conv2d.weight", "out_mask_conv.conv2d.weight", "out_img_conv.conv2d.weight"),
        "facewright.nets.parsenet:ParseNet",
        parsenet,
        {"relu_type": "LeakyReLU"},
        {
            "norm_type": Ask(
                ("in", "pixel", "none"),
                "a ParseNet with the normalisation in as well as pixel or none",
                "the published one has bn, which shows in the file",
            )
        },
    ),
    Architecture(
        "bisenet",
        "the face parser BiSeNet",
        ("cp.resnet.conv1.weight", "ffm.convblk.conv.weight", "conv_out.conv_out.weight"),
        "facewright.nets.bisenet:BiSeNet",
        bisenet,
    ),
)
