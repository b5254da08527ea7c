"""Faces in a photo: find, choose, align, parse, mask, match colours, paste, compare. What needs torch is imported on first use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from facewright.faces.align import TEMPLATE, align, misfit, similarity
from facewright.faces.colour import hold_colour, match_colour
from facewright.faces.face import Face
from facewright.faces.mask import ellipse_mask, hull_mask, parsed_mask, soft_parsed_mask
from facewright.faces.paste import paste
from facewright.faces.select import select

if TYPE_CHECKING:
    from facewright.faces.detect import Detector, load_detector
    from facewright.faces.identity import Identity
    from facewright.faces.mtcnn import MtcnnDetector
    from facewright.faces.parse import FaceParser
    from facewright.faces.retinaface import RetinafaceDetector
    from facewright.faces.yolo import YoloDetector

__all__ = [
    "TEMPLATE",
    "Detector",
    "Face",
    "FaceParser",
    "Identity",
    "MtcnnDetector",
    "RetinafaceDetector",
    "YoloDetector",
    "align",
    "ellipse_mask",
    "hold_colour",
    "hull_mask",
    "load_detector",
    "match_colour",
    "misfit",
    "parsed_mask",
    "paste",
    "select",
    "similarity",
    "soft_parsed_mask",
]

_HOME = {
    "Detector": "detect",
    "FaceParser": "parse",
    "Identity": "identity",
    "MtcnnDetector": "mtcnn",
    "RetinafaceDetector": "retinaface",
    "YoloDetector": "yolo",
    "load_detector": "detect",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'facewright.faces' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"facewright.faces.{_HOME[name]}"), name)
