"""The faces of a photo by MTCNN, the detector that ships.

P-, R- and O-Net look at a copy of bounded size, so that the cost does not grow with the photo. What they find is looked at again in the
photo's own pixels, upright, in several windows, mirrored and not: the mean of the answers gives better points, and a find that only one
window liked falls below the cut. Where nothing sure is found, the photo is tried in its quarter turns.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import align
from facewright.faces.cascade import Cascade
from facewright.faces.copies import CopyDetector, on_photo, without_duplicates
from facewright.faces.face import Face
from facewright.faces.turns import Copy, Photo, tilt
from facewright.faces.warp import Affine, Points, invert, transform
from facewright.nets.mtcnn import ONet, PNet, RNet

Box = NDArray[np.float64]

_LOOKS = (0.8, 0.9, 1.0)  # sides of the windows of the second looks, in sides of the box


class MtcnnDetector(CopyDetector):
    """Detection by P-, R- and O-Net.

    working_size: the networks see the photo at no more than working_size^2 pixels. thresholds: of P-, R- and O-Net, below which they hand
    nothing on. factor: from level to level of the pyramid. min_face: smallest face, in pixels of that copy. quarter_turns: try the photo
    turned where nothing sure is found upright. score: faces below this are dropped; a face's score is the mean of O-Net's
    answer in the cascade and of its mean answer in the second looks.
    """

    name, sure = "mtcnn", 0.996

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
        super().__init__(working_size, quarter_turns)
        self.cascade = Cascade(pnet.eval(), rnet.eval(), onet.eval(), thresholds, factor, published=False)
        self.min_face = min_face
        self.score = score

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
