"""Detection by RetinaFace: one network, one look, which also finds turned, small and half-hidden faces.

As published (`find_published`) a photo is looked at whole, at its own size. The detector looks at a copy of bounded size instead, so that
the cost does not grow with the photo; and at a smaller one for the faces that are larger than any prior.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facewright.faces.boxes import Floats, suppress
from facewright.faces.copies import CopyDetector, on_photo, without_duplicates
from facewright.faces.face import Face
from facewright.faces.turns import Copy, Photo
from facewright.nets.retinaface import SIDES, RetinaFace, decode_boxes, decode_landmarks, prepare, priors

NAMES = ("retinaface-resnet50", "retinaface-mobilenet")
"""In the catalog, the better one first."""

_LARGEST = max(SIDES[-1])  # side of the largest prior
_COARSER = 4  # how much smaller the copy is in which larger faces are looked for


class RetinafaceDetector(CopyDetector):
    """Satisfies `faces.detect.Detector`.

    working_size: the network sees the photo at no more than working_size^2 pixels. score: faces below this are dropped (GFPGAN takes 0.97,
    CodeFormer 0.8). overlap: intersection over union above which the less sure of two finds goes. quarter_turns: try the photo turned
    where nothing sure is found upright. min_face: smallest face, in pixels of the copy, by the longer side of its box.
    """

    name, sure = "retinaface", 0.99

    def __init__(
        self,
        net: RetinaFace,
        *,
        working_size: int = 1600,
        score: float = 0.9,
        overlap: float = 0.4,
        quarter_turns: bool = True,
        min_face: float = 8,
    ) -> None:
        super().__init__(working_size, quarter_turns)
        # channels last: on a processor a tenth faster
        self.net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.score = score
        self.overlap = overlap
        self.min_face = min_face

    @classmethod
    def load(cls, device: str = "cpu") -> RetinafaceDetector:
        """With the first of NAMES whose file is here. Raises ModelError, which says how to get it, where none is."""
        from facewright.weights import available, load_model

        name = next((name for name in NAMES if available(name)), NAMES[0])
        net = load_model(name, device=device).net
        assert isinstance(net, RetinaFace)
        return cls(net)

    def _upright(self, photo: Photo, copy: Copy) -> list[Face]:
        rows = look(self.net, copy, self.score)
        if min(copy.shape[:2]) > _LARGEST:
            size = copy.shape[1] // _COARSER, copy.shape[0] // _COARSER
            coarse = look(self.net, np.asarray(cv2.resize(copy, size, interpolation=cv2.INTER_AREA)), self.score)
            larger = _scaled(coarse, np.array([copy.shape[1] / size[0], copy.shape[0] / size[1]])).astype(np.float32)
            rows = np.concatenate([rows, larger[_longer_side(larger) > _LARGEST]])
        rows = rows[_longer_side(rows) >= self.min_face]
        rows = rows[suppress(rows[:, :4], rows[:, 4], self.overlap)]
        across = np.array([photo.shape[1] / copy.shape[1], photo.shape[0] / copy.shape[0]])
        placed = _scaled(rows, across).astype(np.float64)
        return without_duplicates([Face(row[:4], row[5:].reshape(5, 2), float(row[4])) for row in placed])


def find_published(
    net: RetinaFace,
    picture: Photo,
    score: float = 0.97,
    overlap: float = 0.4,
    *,
    resize: tuple[float, float] | None = None,
) -> tuple[Floats, float]:
    """facexlib's `detect_faces`: rows N x 15 (box, score, five points), surest first, and by how much the picture was enlarged for it.

    picture: H x W x 3 RGB, levels 0..255; it goes through the network whole. score: rows must be above (GFPGAN 0.97, the function itself
    0.8). resize: None for the original size, else (1600, 2150): the shorter side is brought to the first unless the longer passes the
    second, which then counts.
    """
    factor = 1.0
    if resize is not None:
        target, most = resize
        shorter, longer = sorted(picture.shape[:2])
        factor = target / shorter if np.round(target / shorter * longer) <= most else most / longer
        picture = np.asarray(cv2.resize(picture.astype(np.float32), None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR))
    rows = look(net, picture, score)
    rows = rows[suppress(rows[:, :4], rows[:, 4], overlap)]
    rows[:, [*range(4), *range(5, 15)]] /= np.float32(factor)
    return rows, factor


@torch.inference_mode()
def look(net: RetinaFace, picture: Photo, score: float) -> Floats:
    """What the network sees in one picture, before suppression: rows N x 15 (box, score, five points), in pixels, scored above `score`.

    picture: H x W x 3 RGB, levels 0..255 of any type. Only what is sure is decoded.
    """
    height, width = picture.shape[:2]
    weight = next(net.parameters())
    x = torch.from_numpy(picture.copy()).to(weight.device)[None].permute(0, 3, 1, 2)
    boxes, probabilities, points = net(prepare(x.to(weight.dtype)).contiguous(memory_format=torch.channels_last))
    scores = probabilities[0, :, 1].float()
    sure = scores > score
    anchors = priors(height, width, weight.device)[sure]
    across = torch.tensor([width, height], dtype=torch.float32, device=weight.device)
    corners = decode_boxes(boxes[0, sure].float(), anchors).view(-1, 2, 2) * across
    placed = decode_landmarks(points[0, sure].float(), anchors) * across
    return torch.cat([corners.flatten(1), scores[sure, None], placed.flatten(1)], dim=1).cpu().numpy()


def _scaled(rows: Floats, across: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of a smaller copy in the larger picture; across: its pixels (x, y) per pixel of the copy."""
    corners, points = on_photo(rows[:, :4].reshape(-1, 2), across), on_photo(rows[:, 5:].reshape(-1, 2), across)
    return np.concatenate([corners.reshape(-1, 4), rows[:, 4:5], points.reshape(-1, 10)], axis=1)


def _longer_side(rows: Floats) -> Floats:
    return np.asarray((rows[:, 2:4] - rows[:, :2]).max(axis=1, initial=0))
