"""Which networks serve a run beside the restorer itself, and what is said where the one that was asked for is not here.

RetinaFace and ParseNet cannot ship; where their files are missing the embedded choices do their work, and every report says so. A
background is never replaced silently: who names an upscaler gets it or an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from facewright.faces import Detector, load_detector
from facewright.faces.parse import NAMES as PARSERS
from facewright.faces.parse import FaceParser
from facewright.restore.background import Upscaler
from facewright.restore.settings import PLAIN_BACKGROUNDS, Settings
from facewright.weights import available

if TYPE_CHECKING:
    import torch

    from facewright.restore.published import Program

RETINAFACES = ("retinaface-resnet50", "retinaface-mobilenet")


@dataclass
class Served:
    """detector, parser, upscaler: ready for use, None where not wanted. by: {"detector": "mtcnn", ...}, what each part was done by.
    notes: for each choice that could not be had, one sentence."""

    detector: Detector
    parser: FaceParser | None
    upscaler: Upscaler | None
    by: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def serve(settings: Settings, device: torch.device, detector: Detector | None = None, program: Program | None = None) -> Served:
    """Load what the settings ask for. detector: one to use instead. program: the published one that is followed.

    Raises ModelError for an upscaler that is missing.
    """
    by, notes = {}, []
    if program is not None:
        by["program"] = program.name
    finder = settings.detector if program is None or settings.detector in program.detectors else program.detectors[0]
    files = RETINAFACES if finder == "retinaface" else (finder,)
    if detector is None and finder != "mtcnn" and not any(available(name) for name in files):
        notes.append(_instead(finder, "the embedded mtcnn found the faces", files[0]))
        finder = "mtcnn"
    detector = detector or load_detector(finder, str(device))
    by["detector"] = detector.name

    parser = None
    by["mask"] = settings.mask
    if settings.as_published or settings.mask == "parse":
        by["mask"] = "parse"
        if any(available(name) for name in PARSERS):
            parser = FaceParser.load(str(device))
        else:
            by["mask"] = "square" if settings.as_published else "ellipse"
            notes.append(_instead("parsenet", f"the mask is the {by['mask']}", PARSERS[0]))

    upscaler = None
    by["background"] = program.background if program is not None and settings.background == "lanczos" else settings.background
    if settings.background not in PLAIN_BACKGROUNDS:
        upscaler = Upscaler.load(settings.background, device, precision=settings.precision)
    elif settings.upscale == 1:
        by["background"] = "the photo's own"
    return Served(detector, parser, upscaler, by, notes)


def _instead(asked: str, served: str, name: str) -> str:
    return f"the file of {asked} is not here, {served}; get it with: facewright models get {name}"
