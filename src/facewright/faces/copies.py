"""Detectors look at copies of a photo: of bounded size, and several; what they find has one place in the photo."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.face import Face
from facewright.faces.turns import Copy, Photo, in_quarter_turns
from facewright.faces.warp import Points


class CopyDetector(ABC):
    """A `faces.detect.Detector` that looks at a copy of bounded size, and tries its quarter turns where nothing sure is found upright.

    sure: a photo with an upright face of this score is not tried in its quarter turns. working_size: the networks see the photo at no more
    than working_size^2 pixels. quarter_turns: whether they are tried at all.
    """

    sure: float

    def __init__(self, working_size: int, quarter_turns: bool) -> None:
        self.working_size, self.quarter_turns = working_size, quarter_turns

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first."""
        copy = working_copy(photo, self.working_size)
        return in_quarter_turns(photo, copy, self._upright, self.sure) if self.quarter_turns else self._upright(photo, copy)

    @abstractmethod
    def _upright(self, photo: Photo, copy: Copy) -> list[Face]:
        """The faces that are upright in the photo, of which `copy` is what the networks see; in the photo's coordinates, surest first."""


def working_copy(photo: Photo, size: int) -> Copy:
    """The photo as H x W x 3 RGB, uint8, at no more than size^2 pixels."""
    factor = size / (photo.shape[0] * photo.shape[1]) ** 0.5
    if factor < 1:
        height, width = (max(1, round(side * factor)) for side in photo.shape[:2])
        photo = np.asarray(cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA))
    if photo.dtype == np.uint16:
        photo = np.rint(photo / 257)
    photo = photo.astype(np.uint8)
    return np.repeat(photo[..., None], 3, axis=2) if photo.ndim == 2 else photo


def without_duplicates(faces: list[Face]) -> list[Face]:
    """The surer of any two faces of which one lies in the middle of the other, surest first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.score):
        if not any(_in_the_middle(face, other) or _in_the_middle(other, face) for other in kept):
            kept.append(face)
    return kept


def _in_the_middle(face: Face, other: Face) -> bool:
    return bool((np.abs(face.landmarks.mean(axis=0) - other.centre) < 0.35 * (other.box[2:] - other.box[:2])).all())


def on_photo(points: NDArray[Any], across: NDArray[np.float64]) -> Points:
    """N x 2 points of the working copy in the photo; across: photo pixels per pixel of the copy."""
    return np.asarray((points.astype(np.float64) + 0.5) * across - 0.5)
