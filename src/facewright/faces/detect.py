"""Where the faces of a photo are.

P-, R- and O-Net look at a copy of bounded size, so that the cost does not grow with the photo. What they find is looked at again in the
photo's own pixels, upright, in several windows, mirrored and not: the mean of the answers gives steadier points, and a find that only one
window liked is dropped. Where nothing is found, the photo is tried in its quarter turns.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import TEMPLATE, align, solve
from facewright.faces.cascade import Cascade
from facewright.faces.face import Face
from facewright.faces.warp import Affine, invert, transform
from facewright.nets.mtcnn import ONet, PNet, RNet

Photo = NDArray[Any]


class Detector(Protocol):
    """Finds faces; RetinaFace or another may stand in for the default."""

    name: str

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first."""
        ...


class MtcnnDetector:
    """Detection by P-, R- and O-Net.

    working_size: the networks see the photo at no more than working_size^2 pixels. thresholds: of P-, R- and O-Net, below which they hand
    nothing on. min_face: smallest face, in pixels of that copy. quarter_turns: try the photo turned where nothing sure is found upright.
    score: O-Net's score below which a face is dropped.
    """

    name = "mtcnn"

    def __init__(
        self,
        pnet: PNet,
        rnet: RNet,
        onet: ONet,
        *,
        working_size: int = 1600,
        thresholds: tuple[float, float, float] = (0.6, 0.7, 0.5),
        min_face: float = 16,
        quarter_turns: bool = True,
        score: float = 0.9,
    ) -> None:
        self.cascade = Cascade(pnet.eval(), rnet.eval(), onet.eval(), thresholds, published=False)
        self.working_size = working_size
        self.min_face = min_face
        self.quarter_turns = quarter_turns
        self.score = score

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first; a photo smaller than min_face has none."""
        copy = working_copy(photo, self.working_size)
        faces = self._find(photo, copy, 0)
        if self.quarter_turns and certainty(faces) < SURE:
            tries = [faces, *(self._find(photo, copy, turn) for turn in (1, 2, 3))]
            faces = max(tries, key=certainty)
        return sorted(faces, key=lambda face: -face.score)

    def _find(self, photo: Photo, copy: NDArray[np.uint8], turn: int) -> list[Face]:
        found = self.cascade.find(np.ascontiguousarray(np.rot90(copy, turn)), self.min_face)
        if not len(found):
            return []
        turned = np.rot90(photo, turn)
        across = np.array([turned.shape[1], turned.shape[0]]) / (np.rot90(copy, turn).shape[1::-1])
        boxes = np.concatenate([on_photo(found.boxes[:, i : i + 2] - 1, across) for i in (0, 2)], axis=1)
        points = on_photo(found.points, across)
        faces = []
        for box, five, score in zip(boxes, points, found.scores, strict=True):
            landmarks, steadiness = self.look_again(turned, box, five)
            faces.append(Face(box, landmarks, float(score), steadiness, turn))
        faces = without_duplicates([face for face in faces if self._trusts(face)])
        return [turned_back(face, turned.shape, turn) for face in faces]

    def _trusts(self, face: Face) -> bool:
        return face.score > self.score and face.steadiness > 0.5

    def look_again(self, photo, box, points):
        """Mean points 5 x 2 and mean score of O-Net over upright windows round a face."""
        affines = [window(box, points, grow, self.cascade.onet.window) for grow in GROWTH]
        crops = np.stack([align(photo, affine, self.cascade.onet.window) for affine in affines]) * 255
        straight, scores = self.cascade.look(crops)
        mirrored, scores_mirrored = self.cascade.look(crops[:, :, ::-1])
        mirrored = mirrored[:, [1, 0, 2, 4, 3]] * [-1, 1] + [1, 0]
        found = [
            transform(invert(affine), fraction * self.cascade.onet.window - 0.5)
            for fractions in (straight, mirrored)
            for affine, fraction in zip(affines, fractions.astype(np.float64), strict=True)
        ]
        return np.mean(found, axis=0), float(np.concatenate([scores, scores_mirrored]).mean())


GROWTH = (0.9, 1.05, 1.2)
SURE = 0.9


def window(box, points, grow: float, size: int) -> Affine:
    """The affine of an upright square window round a face, tilted as its eyes and mouth are."""
    tilt = solve(points, TEMPLATE)[:, 0]
    tilt = tilt / np.linalg.norm(tilt)
    side = (box[2:] - box[:2]).max() + 1
    centre = (box[:2] + box[2:]) / 2
    linear = np.array([[tilt[0], -tilt[1]], [tilt[1], tilt[0]]]) * size / (side * grow)
    return np.concatenate([linear, ((size - 1) / 2 - linear @ centre)[:, None]], axis=1)


def certainty(faces: list[Face]) -> float:
    return sum(face.steadiness for face in faces)


def working_copy(photo: Photo, size: int) -> NDArray[np.uint8]:
    """RGB, uint8, at most size^2 pixels."""
    factor = min(1.0, size / (photo.shape[0] * photo.shape[1]) ** 0.5)
    if factor < 1:
        height, width = (max(1, round(side * factor)) for side in photo.shape[:2])
        photo = cv2.resize(photo, (width, height), interpolation=cv2.INTER_AREA)
    if photo.dtype == np.uint16:
        photo = np.rint(photo / 257)
    photo = photo.astype(np.uint8)
    return np.repeat(photo[..., None], 3, axis=2) if photo.ndim == 2 else photo


def on_photo(points, across):
    """Points of the working copy in the photo; `across`: photo pixels per pixel of the copy."""
    return (points.astype(np.float64) + 0.5) * across - 0.5


def turned_back(face: Face, shape, turn: int) -> Face:
    """The face in the photo as it was before `turn` quarter turns to the left; shape: of the turned photo."""
    for _ in range(turn):
        height, width = shape[:2]
        # np.rot90 takes (x, y) of an H x W photo to (y, W - 1 - x)
        back = np.array([[0.0, -1, height - 1], [1, 0, 0]])
        corners = transform(back, face.box.reshape(2, 2))
        face.box = np.concatenate([corners.min(axis=0), corners.max(axis=0)])
        face.landmarks = transform(back, face.landmarks)
        shape = (width, height)
    return face


def without_duplicates(faces: list[Face]) -> list[Face]:
    kept = []
    for face in sorted(faces, key=lambda face: -face.score):
        centre = face.landmarks.mean(axis=0)
        if not any(np.all(np.abs(centre - other.centre) < 0.4 * (other.box[2:] - other.box[:2])) for other in kept):
            kept.append(face)
    return kept
