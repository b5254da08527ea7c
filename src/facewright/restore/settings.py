"""What a person can choose when restoring."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from typing import Any

from facewright.errors import UsageError
from facewright.faces.select import parse
from facewright.weights.catalog import split

DEFAULT_MODEL = "gfpgan-mini"
PLAIN_BACKGROUNDS = ("lanczos", "none")
"""Backgrounds that need no network."""
UPSCALERS = ("realesrgan-x2plus", "realesrgan-x4plus")
"""Backgrounds by a model that is fetched on request; any other is a weight file."""


@dataclass(frozen=True)
class Settings:
    """One run's choices; the command line and `Restorer` fill the same fields.

    faces: "all", "largest", "center", "none" or numbers as in "0,2"; min_face: shortest box side in pixels that is restored.
    fidelity: w in [0, 1], how near the restored face stays to the photo's own (0: the model's picture alone), or "auto": each face its own,
    by how damaged it looks (`restore.fidelity`). A network with a control of its own (CodeFormer, VQFR 2) takes w; for others it is what is
    left of the photo's own face. strength: opacity of the restored face on the photo, which falls where
    `max_identity_drift` asks for it.
    upscale: output size over input size; background: what fills the photo between the faces: "lanczos", "none", or a model that enlarges,
    by name or file (which then also serves at upscale 1). as_published: follow the procedure of CodeFormer's program with CodeFormer, of
    GFPGAN's with any other model, see `restore.published`. face_upsample: there, the background's model enlarges the faces, too.
    max_identity_drift: largest embedding distance between restored and original face (None: report only).
    aligned: photos are face crops already. seed: of the generator's noise; the same seed gives the same picture.
    """

    model: str = DEFAULT_MODEL
    detector: str = "mtcnn"
    faces: str = "all"
    min_face: int = 24
    fidelity: float | str = "auto"
    strength: float = 1.0
    upscale: float = 1.0
    background: str = "lanczos"
    mask: str = "ellipse"
    max_identity_drift: float | None = None
    aligned: bool = False
    as_published: bool = False
    face_upsample: bool = False
    seed: int = 0
    device: str = "auto"
    precision: str = "auto"
    batch: int = 8

    def __post_init__(self) -> None:
        parse(self.faces)  # a list that makes no sense is told before anything is loaded or read
        _within("--strength", self.strength, 0, 1)
        _within("--upscale", self.upscale, 1, 8)
        _within("--batch", self.batch, 1, 1024)
        if self.fidelity != "auto":
            _within("--fidelity", self.fidelity, 0, 1)
        if self.max_identity_drift is not None:
            _within("--max-identity-drift", self.max_identity_drift, 0, 2)
        _one_of("--mask", self.mask, ("ellipse", "hull", "parse"))
        _one_of("--detector", self.detector, ("mtcnn", "retinaface", "yolov5n-face", "yolov5l-face"))
        if not os.path.isfile(split(self.background)[0]):
            _one_of("--background", self.background, (*PLAIN_BACKGROUNDS, *UPSCALERS), "or the path of a weight file")
        _one_of("--precision", self.precision, ("auto", "fp32", "bf16", "fp16"))
        if self.as_published:
            contradictions = {
                "--strength": self.strength != 1,
                "--max-identity-drift": self.max_identity_drift is not None,
                "--mask hull": self.mask == "hull",
                "--background none": self.background == "none",
            }
            if named := [name for name, given in contradictions.items() if given]:
                raise UsageError(
                    f"--as-published and {named[0]} contradict each other", "the published programs have no such choice", "leave one out"
                )
        if self.face_upsample and not (self.as_published and self.background not in PLAIN_BACKGROUNDS):
            raise UsageError(
                "--face-upsample stands alone", "it is a part of CodeFormer's program", "add --as-published and a --background model"
            )

    def asdict(self) -> dict[str, Any]:
        return asdict(self)


def _within(name: str, value: float | str, low: float, high: float) -> None:
    try:
        fits = low <= float(value) <= high
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise UsageError(f"{name} cannot be {value}", f"it is a number from {low:g} to {high:g}")


def _one_of(name: str, value: str, choices: tuple[str, ...], otherwise: str = "") -> None:
    if value not in choices:
        raise UsageError(f"{name} cannot be {value!r}", what_to_do=f"use one of: {', '.join([*choices, *filter(None, [otherwise])])}")
