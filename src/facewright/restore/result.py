"""What a restoration hands back: the picture, and for each face what was done and why."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from facewright.faces import Face
from facewright.media import Photo

Action = Literal["restored", "blended", "left alone", "coloured", "filled"]
"""What became of a face: the first three by restoring, "coloured" and "filled" by the other tasks, which leave faces alone as well."""


@dataclass
class FaceResult:
    """One face of a photo, numbered from 0 by its place in reading order of the detector's list.

    crop, restored: S x S x 3 RGB in [0, 1], before and after the network (restored is None where the face was left alone unseen).
    mask: S x S in [0, 1], which part of the restored crop goes into the photo.
    strength: how much of the network's picture went into the photo. fidelity: its w, for the network or, where that has no control, the
    part of the photo's own face that is left; None before one was chosen. damage: why, where w was chosen by the look of the face.
    identity: `identity[dlib]` distance between what was pasted and the original crop. pixels: side of the face's crop in the
    photo's own pixels. misfit: how far the points are from the template. turns_grey: the network's picture takes the crop's grey, as
    CodeFormer's program has it (`--as-published`).
    """

    index: int
    face: Face
    action: Action = "restored"
    reasons: list[str] = field(default_factory=list)
    strength: float = 1.0
    fidelity: float | None = None
    damage: str | None = None
    identity: float | None = None
    pixels: float = 0.0
    misfit: float = 0.0
    turns_grey: bool = False
    sharpness: tuple[float, float] | None = None
    crop: NDArray[np.float32] | None = None
    restored: NDArray[np.float32] | None = None
    made_by: tuple[Any, ...] | None = None
    mask: NDArray[np.float32] | None = None

    def because(self, reason: str) -> None:
        if reason not in self.reasons:
            self.reasons.append(reason)

    def left_alone(self, reason: str) -> None:
        self.action, self.strength = "left alone", 0.0
        self.because(reason)

    def blended(self, strength: float, reason: str) -> None:
        self.action, self.strength = "blended", strength
        self.because(reason)

    def asdict(self) -> dict[str, Any]:
        return {
            "face": self.index,
            "box": [round(float(v), 1) for v in self.face.box],
            "landmarks": [[round(float(v), 1) for v in point] for point in self.face.landmarks],
            "score": round(self.face.score, 4),
            "action": self.action,
            "reasons": self.reasons,
            "strength": round(self.strength, 3),
            "fidelity": None if self.fidelity is None else round(self.fidelity, 3),
            "damage": self.damage,
            "identity[dlib]": None if self.identity is None else round(self.identity, 3),
            "crop_pixels": round(self.pixels, 1),
            "misfit": round(self.misfit, 3),
            "sharpness": None if self.sharpness is None else [round(value, 5) for value in self.sharpness],
        }


@dataclass
class Restoration:
    """A restored photo. `image` is its pixels (H x W x 3 RGB or H x W); `original` holds the photo as it was read.

    served: by what the faces were found, outlined and the background filled, which may not be what was asked for (then a note says so).
    """

    photo: Photo
    original: Photo
    faces: list[FaceResult]
    model: str
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)
    served: dict[str, str] = field(default_factory=dict)

    @property
    def image(self) -> NDArray[Any]:
        return self.photo.pixels

    @property
    def report(self) -> dict[str, Any]:
        """Everything in plain numbers and words, ready for JSON."""
        return {
            "width": self.photo.width,
            "height": self.photo.height,
            "model": self.model,
            "served": self.served,
            "faces": [face.asdict() for face in self.faces],
            "seconds": round(self.seconds, 3),
            "notes": [*self.photo.origin.notes, *self.notes],
        }
