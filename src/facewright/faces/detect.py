"""Where the faces of a photo are.

P-, R- and O-Net look at a copy of bounded size, so that the cost does not grow with the photo. What they find is looked at again in the
photo's own pixels, upright, in several windows, mirrored and not: the mean of the answers gives better points, and a find that only one
window liked falls below the cut. Where nothing sure is found, the photo is tried in its quarter turns.
"""

from __future__ import annotations

from typing import Any, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.errors import UsageError
from facewright.faces.align import align
from facewright.faces.cascade import Cascade
from facewright.faces.face import Face
from facewright.faces.turns import Copy, Photo, in_quarter_turns, tilt
from facewright.faces.warp import Affine, Points, invert, transform
from facewright.nets.mtcnn import ONet, PNet, RNet

Box = NDArray[np.float64]

_LOOKS = (0.8, 0.9, 1.0)  # sides of the windows of the second looks, in sides of the box
_SURE = 0.996  # a photo with an upright face of this score is not tried in its quarter turns


class Detector(Protocol):
    """Finds faces; RetinaFace or another may stand in for the default."""

    name: str

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first."""
        ...


def load_detector(name: str = "mtcnn", device: str = "cpu") -> Detector:
    """A detector by its name: "mtcnn", whose weights ship in the package, or "retinaface", whose do not (the one on ResNet-50, else on
    MobileNet). Raises UsageError for another name, ModelError where the weights are missing."""
    if name not in ("mtcnn", "retinaface"):
        raise UsageError(f"there is no detector {name!r}", "", "use mtcnn or retinaface")
    if name == "retinaface":
        from facewright.faces.retinaface import RetinafaceDetector

        return RetinafaceDetector.load(device)
    from facewright.weights import load_model

    net: Any = load_model("mtcnn", device=device).net
    return MtcnnDetector(net["pnet"], net["rnet"], net["onet"])


class MtcnnDetector:
    """Detection by P-, R- and O-Net.

    working_size: the networks see the photo at no more than working_size^2 pixels. thresholds: of P-, R- and O-Net, below which they hand
    nothing on. factor: from level to level of the pyramid. min_face: smallest face, in pixels of that copy. quarter_turns: try the photo
    turned where nothing sure is found upright. score: faces below this are dropped; a face's score is the mean of O-Net's
    answer in the cascade and of its mean answer in the second looks.
    """

    name = "mtcnn"

    def __init__(
        self,
        pnet: PNet,
        rnet: RNet,
        onet: ONet,
        *,
        working_size: int = 1600,
        thresholds: tuple[float, float, float] = (0.6, 0.5, 0.4),
        factor: float = 0.709,
        min_face: float = 20,
        quarter_turns: bool = True,
        score: float = 0.9,
    ) -> None:
        self.cascade = Cascade(pnet.eval(), rnet.eval(), onet.eval(), thresholds, factor, published=False)
        self.working_size = working_size
        self.min_face = min_face
        self.quarter_turns = quarter_turns
        self.score = score

    def detect(self, photo: Photo) -> list[Face]:
        """Faces of an H x W x 3 RGB or H x W photo, uint8 or uint16, surest first; a photo smaller than min_face has none."""
        copy = working_copy(photo, self.working_size)
        return in_quarter_turns(photo, copy, self._upright, _SURE) if self.quarter_turns else self._upright(photo, copy)

    def _upright(self, photo: Photo, copy: Copy) -> list[Face]:
        return without_duplicates([face for face in self.candidates(photo, copy) if face.score > self.score])

    def candidates(self, photo: Photo, copy: Copy) -> list[Face]:
        """All that O-Net lets through, looked at again in the photo itself. copy: of the same photo, what the cascade sees."""
        found = self.cascade.find(copy, self.min_face)
        across = np.array([photo.shape[1] / copy.shape[1], photo.shape[0] / copy.shape[0]])
        faces = []
        for corners, points, score in zip(found.boxes.reshape(-1, 2, 2) - 1, found.points, found.scores, strict=True):
            box = on_photo(corners, across).reshape(4)
            landmarks, again = self.look_again(photo, box, on_photo(points, across))
            faces.append(Face(box, landmarks, (float(score) + again) / 2))
        return faces

    def look_again(self, photo: Photo, box: Box, points: Points) -> tuple[Points, float]:
        """O-Net's mean points 5 x 2 and mean score over upright windows round a face, mirrored and not."""
        side = self.cascade.onet.window
        affines = [upright_window(box, points, look, side) for look in _LOOKS]
        windows = np.stack([align(photo, affine, side) for affine in affines]) * 255
        straight, scores = self.cascade.look(windows)
        mirrored, scores_mirrored = self.cascade.look(windows[:, :, ::-1])
        mirrored = mirrored[:, [1, 0, 2, 4, 3]] * np.array([-1, 1], np.float32) + np.array([1, 0], np.float32)
        fractions = (straight + mirrored).astype(np.float64) / 2
        placed = [transform(invert(affine), five * side - 0.5) for affine, five in zip(affines, fractions, strict=True)]
        return np.mean(placed, axis=0), float((scores + scores_mirrored).mean() / 2)


def upright_window(box: Box, points: Points, look: float, side: int) -> Affine:
    """window <- photo: a square of `side` pixels round a box, `look` times its longer side, tilted as the face is."""
    angle = np.radians(tilt(points))
    cos, sin = np.cos(angle), -np.sin(angle)
    linear = np.array([[cos, -sin], [sin, cos]]) * side / (look * max(1.0, float((box[2:] - box[:2]).max()) + 1))
    shift = (side - 1) / 2 - linear @ ((box[:2] + box[2:]) / 2)
    return np.concatenate([linear, shift[:, None]], axis=1)


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
