"""Where the faces of a photo are: what a detector is, and which there are."""

from __future__ import annotations

from typing import Any, Protocol

from facewright.errors import UsageError
from facewright.faces.face import Face
from facewright.faces.mtcnn import MtcnnDetector
from facewright.faces.retinaface import RetinafaceDetector
from facewright.faces.turns import Photo
from facewright.faces.yolo import NAMES as YOLOS
from facewright.faces.yolo import YoloDetector

DETECTORS = ("mtcnn", "retinaface", *YOLOS)
"""The first ships in the package."""


class Detector(Protocol):
    """Finds faces; RetinaFace or another may stand in for the default."""

    name: str

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first."""
        ...


def load_detector(name: str = "mtcnn", device: str = "cpu") -> Detector:
    """A detector by its name: "mtcnn", whose weights ship in the package, or one whose do not: "retinaface" (on ResNet-50, else on
    MobileNet), "yolov5n-face", "yolov5l-face". Raises UsageError for another name, ModelError where the weights are missing."""
    if name not in DETECTORS:
        raise UsageError(f"there is no detector {name!r}", "", f"use {', '.join(DETECTORS[:-1])} or {DETECTORS[-1]}")
    if name in YOLOS:
        return YoloDetector.load(name, device)
    if name == "retinaface":
        return RetinafaceDetector.load(device)
    from facewright.weights import load_model

    net: Any = load_model("mtcnn", device=device).net
    return MtcnnDetector(net["pnet"], net["rnet"], net["onet"])
