"""Restorations made by hand, so that the report can be proved without a network."""

from __future__ import annotations

from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from facewright.faces.align import similarity
from facewright.faces.face import Face
from facewright.media import Origin, Photo
from facewright.restore.result import FaceResult, Restoration

POINTS = np.array([[193.0, 101], [247, 101], [222, 131], [201, 154], [244, 154]])
"""The astronaut's eyes, nose and mouth."""
BOX = np.array([170.0, 60, 275, 185])


def face(index: int = 0, shift: float = 0, **fields: Any) -> FaceResult:
    points = POINTS + np.array([shift, 0])
    found = Face(BOX + np.array([shift, 0, shift, 0]), points, 0.997, affine=similarity(points))
    return FaceResult(index, found, **({"identity": 0.31, "sharpness": (0.0002, 0.0011), "pixels": 220.0} | fields))


def restoration(
    before: NDArray[Any] | None = None, after: NDArray[Any] | None = None, faces: list[FaceResult] | None = None, **fields: Any
) -> Restoration:
    """The astronaut, sharp after and blurred before, with her one face."""
    after = data.astronaut() if after is None else after
    before = cv2.GaussianBlur(after, (0, 0), 3) if before is None else before
    origin = Origin(notes=fields.pop("origin_notes", []))
    alpha = fields.pop("alpha", None)
    photo, original = Photo(after, alpha, origin), Photo(before, alpha, origin)
    return Restoration(photo, original, [face()] if faces is None else faces, "gfpgan-mini", 0.8, **fields)
