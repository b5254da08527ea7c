"""A face and what is learned about it on its way through a restoration."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Face:
    """A face in a photo, in photo pixels with centres at integers.

    box: x1, y1, x2, y2, not clipped to the photo. landmarks: 5 x 2, left eye, right eye (as seen on an upright face), nose, left and right
    corner of the mouth. score: how sure the detector is, 0..1. turn: quarter turns to the left by which the photo was turned when the face
    was found. affine: 2 x 3, template (512) <- photo.
    """

    box: Floats
    landmarks: Floats
    score: float
    turn: int = 0
    affine: Floats | None = None

    @property
    def size(self) -> float:
        """The longer side of the box."""
        return float((self.box[2:] - self.box[:2]).max())

    @property
    def area(self) -> float:
        return float(np.prod(self.box[2:] - self.box[:2]))

    @property
    def centre(self) -> Floats:
        return np.asarray((self.box[:2] + self.box[2:]) / 2)
