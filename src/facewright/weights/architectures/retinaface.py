"""RetinaFace with its two backbones."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

BACKBONES = {"body.layer4.2.conv3.weight": "resnet50", "body.stage3.1.3.weight": "mobilenet0.25"}


def detector(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.retinaface.RetinaFace."""
    for tell, backbone in BACKBONES.items():
        if tell in shapes:
            return {"backbone": backbone}
    raise DoesNotFit("its backbone is neither a ResNet-50 nor a MobileNet")


RETINAFACE = (
    Architecture(
        "retinaface",
        "the face detector RetinaFace",
        ("ClassHead.0.conv1x1.weight", "LandmarkHead.0.conv1x1.weight", "fpn.output1.0.weight"),
        "facewright.nets.retinaface:RetinaFace",
        detector,
    ),
)
