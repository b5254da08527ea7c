"""Which networks serve a run beside the restorer itself, and what is said where the one that was asked for is not here.

RetinaFace and ParseNet cannot ship; where their files are missing the embedded choices do their work, and every report says so. A
background is never replaced silently: who names an upscaler gets it or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facewright.faces import Detector, load_detector
from facewright.restore.settings import PLAIN_BACKGROUNDS, Settings

if TYPE_CHECKING:
    import torch

    from facewright.faces.parse import FaceParser
    from facewright.restore.background import Upscaler

RETINAFACES = ("retinaface-resnet50", "retinaface-mobilenet")
PARSER = "parsenet"


@dataclass
class Served:
    """detector, parser, upscaler: ready for use, None where not wanted. by: {"detector": "mtcnn", ...}, what each part was done by.
    notes: for each choice that could not be had, one sentence."""

    detector: Detector
    parser: FaceParser | None
    upscaler: Upscaler | None
    by: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def serve(settings: Settings, device: torch.device, detector: Detector | None = None) -> Served:
    """Load what the settings ask for. detector: one to use instead. Raises ModelError for an upscaler that is missing."""

    def available(name: str) -> bool:
        from facewright.weights import available as av

        return av(name)

    by, notes = {}, []
    finder = settings.detector
    if detector is None and finder == "retinaface" and not any(available(name) for name in RETINAFACES):
        finder = "mtcnn"
        notes.append(_instead("--detector retinaface", "the embedded mtcnn found the faces", RETINAFACES[0]))
    detector = detector or load_detector(finder, str(device))
    by["detector"] = detector.name

    parser = None
    by["mask"] = settings.mask
    if settings.mask == "parse":
        if available(PARSER):
            from facewright.faces.parse import FaceParser

            parser = FaceParser.load(str(device))
        else:
            by["mask"] = "ellipse"
            notes.append(_instead("--mask parse", "the ellipse served", PARSER))

    upscaler = None
    by["background"] = settings.background if settings.upscale != 1 or settings.background not in PLAIN_BACKGROUNDS else "the photo's own"
    if settings.background not in PLAIN_BACKGROUNDS:
        from facewright.restore.background import Upscaler

        upscaler = Upscaler.load(settings.background, device, precision=settings.precision)
    return Served(detector, parser, upscaler, by, notes)


def _instead(asked: str, served: str, name: str) -> str:
    return f"{asked}: its file is not here, {served}; get it with: facewright models get {name}"
