"""YOLOv5-face in its two sizes."""

from __future__ import annotations

from typing import Any

from facewright.weights.architectures.architecture import Architecture
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

# Of each size a layer that only its kind of body has, and the width of its stem.
SIZES = {"model.1.branch2.0.weight": ("n", 32), "model.1.cv3.conv.weight": ("l", 64)}


def detector(shapes: Shapes) -> dict[str, Any]:
    """Arguments of nets.yolov5face.YoloV5Face."""
    for tell, (size, width) in SIZES.items():
        if tell in shapes and shapes.axis("model.0.stem_1.conv.weight", 0) == width:
            return {"size": size}
    raise DoesNotFit("it is neither of size n nor of size l")


YOLOV5FACE = (
    Architecture(
        "yolov5face",
        "the face detector YOLOv5-face",
        ("model.0.stem_1.conv.weight", "model.0.stem_2b.conv.weight"),
        "facewright.nets.yolov5face:YoloV5Face",
        detector,
    ),
)
