"""Photos that lie on their side: detectors know upright faces, so where nothing sure is found the quarter turns are tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import TEMPLATE, solve
from facewright.faces.face import Face
from facewright.faces.warp import Points, transform

Photo = NDArray[Any]
Copy = NDArray[np.uint8]
Look = Callable[[Photo, Copy], list[Face]]

_UPRIGHT = 45.0  # degrees


def in_quarter_turns(photo: Photo, copy: Copy, look: Look, sure: float) -> list[Face]:
    """What `look` finds in the photo; where no upright face scores above `sure`, what it finds in the quarter turn with the surest face.

    photo: H x W (x 3); copy: what the networks see of it, h x w x 3. look: faces of a photo and its copy, in that photo's coordinates.
    """
    faces = look(photo, copy)
    if any(face.score > sure and abs(tilt(face.landmarks)) < _UPRIGHT for face in faces):
        return faces
    turned = ((turn, look(np.rot90(photo, turn), np.ascontiguousarray(np.rot90(copy, turn)))) for turn in (1, 2, 3))
    return max([faces, *([turned_back(face, photo.shape, turn) for face in found] for turn, found in turned)], key=_surest)


def tilt(points: Points) -> float:
    """Degrees by which a face is turned in the picture's plane, clockwise as seen: -180 to 180."""
    (cos, _, _), (sin, _, _) = solve(points, TEMPLATE)
    return float(np.degrees(np.arctan2(-sin, cos)))


def turned_back(face: Face, shape: tuple[int, ...], turn: int) -> Face:
    """A face of np.rot90(photo, turn) in the photo of this shape itself."""
    height, width = shape[:2]
    affine = {
        1: np.array([[0.0, -1, width - 1], [1, 0, 0]]),
        2: np.array([[-1.0, 0, width - 1], [0, -1, height - 1]]),
        3: np.array([[0.0, 1, 0], [-1, 0, height - 1]]),
    }[turn]
    corners = transform(affine, face.box.reshape(2, 2))
    box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
    return Face(box, transform(affine, face.landmarks), face.score, turn)


def _surest(faces: list[Face]) -> float:
    """A face read upside down or sideways is never quite as sure; a sum would be fooled by several of them."""
    return max((face.score for face in faces), default=0.0)
