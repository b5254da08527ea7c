"""LPIPS: whole modules, and the published files, which hold heads only."""

from __future__ import annotations

import re
from typing import Any

from facewright.weights.architectures.architecture import Architecture, State
from facewright.weights.architectures.shapes import DoesNotFit, Shapes


def heads(shapes: Shapes) -> dict[str, Any]:
    """Which trunk the heads are for: their number and widths say."""
    from facewright.nets.lpips import WIDTHS

    count = shapes.count("lin{}.model.1.weight")
    found = tuple(shapes.axis(f"lin{number}.model.1.weight", 1) for number in range(count))
    for net, widths in WIDTHS.items():
        if widths == found:
            return {"net": net}
    raise DoesNotFit(f"its heads have {found or 'no'} channels, which fit no trunk")


def completed(state: State, arguments: dict[str, Any]) -> State:
    """With what published files leave out: the heads' second names, and the constants of the scaling."""
    import torch

    from facewright.nets.lpips import SCALE, SHIFT

    constants = {"shift": SHIFT, "scale": SCALE}
    whole = {f"scaling_layer.{name}": torch.tensor(value).view(1, 3, 1, 1) for name, value in constants.items()} | state
    again = {re.sub(r"^lin(\d)", r"lins.\1", name): value for name, value in state.items() if re.match(r"lin\d", name)}
    return again | whole


def trunk(state: State, arguments: dict[str, Any]) -> State:
    """A whole file of torchvision's under the judge's names, without the classifier; what belongs to neither stays, to be refused."""
    from facewright.nets.lpips import from_torchvision

    renamed = from_torchvision(state, arguments["net"])
    known = {"features." + name.split(".", 2)[2] for name in renamed}
    return renamed | {name: value for name, value in state.items() if name not in known and not name.startswith("classifier.")}


LPIPS = (
    Architecture(
        "lpips",
        "LPIPS, which judges how different two pictures look",
        ("lin0.model.1.weight", "net.slice1.0.weight"),
        "facewright.nets.lpips:LPIPS",
        heads,
        {"version": "0.1"},
        fit=completed,
    ),
    Architecture(
        "lpips.heads",
        "the heads of LPIPS without their trunk",
        ("lin0.model.1.weight", "lin4.model.1.weight"),
        "facewright.nets.lpips:Heads",
        heads,
    ),
    Architecture(
        "alexnet",
        "the AlexNet that LPIPS looks through",
        ("features.0.weight", "features.3.weight", "features.6.weight", "features.8.weight", "features.10.weight"),
        "facewright.nets.lpips:Trunk",
        lambda shapes: {"net": "alex"},
        fit=trunk,
    ),
    Architecture(
        "squeezenet",
        "the SqueezeNet that LPIPS looks through",
        ("features.0.weight", "features.3.squeeze.weight", "features.12.expand3x3.weight"),
        "facewright.nets.lpips:Trunk",
        lambda shapes: {"net": "squeeze"},
        fit=trunk,
    ),
)
