"""Detection by YOLOv5-face: quicker than RetinaFace, and one of the detectors of CodeFormer's program.

As published (`find_published`) a photo fills a square as long as its longer side and its answers are whole pixels. The detector looks at a
copy of bounded size and keeps the fractions.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from facewright.faces.boxes import Floats, suppress
from facewright.faces.copies import CopyDetector, on_photo, without_duplicates
from facewright.faces.face import Face
from facewright.faces.turns import Copy, Photo
from facewright.nets.yolov5face import STRIDES, YoloV5Face

Name = Literal["yolov5n-face", "yolov5l-face"]

NAMES: tuple[Name, ...] = ("yolov5n-face", "yolov5l-face")
"""In the catalog, the smaller one first."""

_GREY = 114  # beyond the picture
_PADDED_TO = 64


class YoloDetector(CopyDetector):
    """Satisfies `faces.detect.Detector`. name: "yolov5n-face" or "yolov5l-face".

    working_size: the network sees the photo at no more than working_size^2 pixels. score, overlap: as published, faces below the score are
    dropped, and the less sure of two finds of a larger intersection over union. quarter_turns: try the photo turned where nothing sure is
    found upright. min_face: smallest face, in pixels of the copy, by the longer side of its box.
    """

    sure = 0.8

    def __init__(
        self,
        net: YoloV5Face,
        name: str = "yolov5n-face",
        *,
        working_size: int = 1280,
        score: float = 0.7,
        overlap: float = 0.5,
        quarter_turns: bool = True,
        min_face: float = 8,
    ) -> None:
        super().__init__(working_size, quarter_turns)
        self.net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.name = name
        self.score = score
        self.overlap = overlap
        self.min_face = min_face

    @classmethod
    def load(cls, name: str = NAMES[0], device: str = "cpu") -> YoloDetector:
        """One of NAMES. Raises ModelError, which says how to get it, where its file is not here."""
        from facewright.weights import load_model

        net = load_model(name, device=device).net
        assert isinstance(net, YoloV5Face)
        return cls(net, name)

    def _upright(self, photo: Photo, copy: Copy) -> list[Face]:
        rows = look(self.net, copy, self.score)
        rows = rows[(rows[:, 2:4] - rows[:, :2]).max(axis=1, initial=0) >= self.min_face]
        rows = rows[suppress(rows[:, :4], rows[:, 4], self.overlap)]
        across = np.array([photo.shape[1] / copy.shape[1], photo.shape[0] / copy.shape[0]])
        faces = []
        for row in rows:
            # the network counts from the picture's edge, where a Face counts from its first pixel's centre
            box, points = (on_photo(part.reshape(-1, 2) - 0.5, across) for part in (row[:4], row[5:]))
            faces.append(Face(box.reshape(4), points, float(row[4])))
        return without_duplicates(faces)


def find_published(net: YoloV5Face, picture: Photo, score: float = 0.7, overlap: float = 0.5, *, least_height: int = 10) -> Floats:
    """CodeFormer's `detect_faces` by this network: rows N x 15 (box, score, five points), surest first, whole pixels.

    picture: H x W x 3 RGB, levels 0..255. least_height: lower boxes are dropped. In the published rows the left side of the box stands
    once more in place of the score, which nothing there looks at.
    """
    rows = look(net, picture, score, as_published=True)
    rows = rows[suppress(rows[:, :4], rows[:, 4], overlap)]
    rows[:, [*range(4), *range(5, 15)]] = np.trunc(rows[:, [*range(4), *range(5, 15)]])
    return np.asarray(rows[rows[:, 3] - rows[:, 1] >= least_height])


def letterbox(picture: NDArray[Any], side: int) -> tuple[NDArray[Any], float, tuple[float, float]]:
    """The picture, its longer side brought to `side`, in grey up to multiples of 64 that `side` may miss by 32.

    picture: H x W x 3. Returns that picture, pixels of it per pixel of the given one, and the grey left and above, with halves (the odd
    pixel goes right, and below).
    """
    height, width = picture.shape[:2]
    ratio = side / max(height, width)
    size = max(1, round(width * ratio)), max(1, round(height * ratio))
    if size != (width, height):
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LINEAR))
    x, y = ((side - length) % _PADDED_TO / 2 for length in size)
    left, right, top, bottom = round(x - 0.1), round(x + 0.1), round(y - 0.1), round(y + 0.1)
    grey = (_GREY,) * 3
    return np.asarray(cv2.copyMakeBorder(picture, top, bottom, left, right, cv2.BORDER_CONSTANT, value=grey)), ratio, (x, y)


@torch.inference_mode()
def look(net: YoloV5Face, picture: Photo, score: float, *, as_published: bool = False) -> Floats:
    """What the network sees in one picture, before suppression: rows N x 15 (box, score, five points), scored above `score`.

    picture: H x W x 3 RGB, levels 0..255 of any type. Points count from the picture's upper left edge. A row's score is how sure it is
    that there is something, times that this is a face; the first alone must be above `score` too. as_published: the way back forgets that
    the letterbox rounds, which moves everything by up to half a pixel.
    """
    side = -(-max(picture.shape[:2]) // STRIDES[-1]) * STRIDES[-1]
    shown, ratio, (x_grey, y_grey) = letterbox(picture, side)
    offset, scale = (x_grey, y_grey), (ratio, ratio)
    if not as_published:
        offset = float(round(x_grey - 0.1)), float(round(y_grey - 0.1))
        scale = round(picture.shape[1] * ratio) / picture.shape[1], round(picture.shape[0] * ratio) / picture.shape[0]
    weight = next(net.parameters())
    x = torch.from_numpy(np.ascontiguousarray(shown)).to(weight.device, weight.dtype)[None].permute(0, 3, 1, 2) / 255
    (found,) = net(x.contiguous(memory_format=torch.channels_last)).float()
    scores = found[:, 4] * found[:, 15]
    sure = (found[:, 4] > score) & (scores > score)
    found, scores = found[sure], scores[sure]
    corners = torch.cat([found[:, :2] - found[:, 2:4] / 2, found[:, :2] + found[:, 2:4] / 2, found[:, 5:15]], dim=1)
    placed = (corners.view(-1, 7, 2) - corners.new_tensor(offset)) / corners.new_tensor(scale)
    return torch.cat([placed[:, :2].flatten(1), scores[:, None], placed[:, 2:].flatten(1)], dim=1).cpu().numpy()
