"""Inception-v3 as FID knows it."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

CLASSES = 1008


def network_of_2015(shapes: Shapes) -> dict[str, Any]:
    """The one of 1008 classes; torchvision's has the same names, 1000 classes and other poolings, and gives no FID."""
    classes = shapes.axis("fc.weight", 0)
    if classes != CLASSES:
        raise DoesNotFit(f"it tells {classes} classes apart, FID's tells {CLASSES}: FID of another Inception cannot be compared")
    return {"classes": classes}


INCEPTION = (
    Architecture(
        "inception.fid",
        "the Inception-v3 of FID",
        ("Conv2d_1a_3x3.conv.weight", "Mixed_7c.branch_pool.conv.weight", "fc.weight"),
        "facewright.nets.inception:InceptionV3",
        network_of_2015,
        fit=lambda state, arguments: {name: value for name, value in state.items() if not name.startswith("AuxLogits.")},
    ),
)
