"""GFPGAN's published procedure round the network, to the pixel, for comparison (`--as-published`; its program is called GFPGANer).

Faces by RetinaFace with a score above 0.97 and eyes at least 5 px apart; crops of 8 bits with a grey border; the network's picture
rounded to 8 bits; each face put into a canvas as large as the photo under ParseNet's mask, and the sum truncated. As there, 16 bits become
8, grey becomes colour, and alpha is lost. Only the noise differs: ours has a seed, theirs is drawn anew at each call.
"""

from __future__ import annotations

from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.faces import Detector, Face, misfit, published, select
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.retinaface import RetinafaceDetector, find_published
from facewright.faces.warp import finer, scale_of
from facewright.media import Photo
from facewright.restore.background import Published
from facewright.restore.result import FaceResult
from facewright.restore.served import Served

Levels = NDArray[np.uint8]

EYE_DISTANCE = 5
BACKGROUND = Published(tile=400, tile_pad=10, pre_pad=0)
"""As its command line sets up Real-ESRGAN."""


def found(photo: Photo, detector: Detector, faces: str, size: int) -> list[FaceResult]:
    """The faces in the published order, with their crops of `size` px; `faces`: see `faces.select`."""
    picture = published.read(photo.pixels)
    keep: Literal["all", "largest", "center"] = "all"
    if faces == "largest":
        keep = "largest"
    elif faces == "center":
        keep = "center"
    rows = published.find(picture, lambda shown: _rows(detector, shown), eye_distance=EYE_DISTANCE, keep=keep)
    faces_found = [Face(row[:4].astype(np.float64), published.points(row), float(row[4])) for row in rows]
    chosen = set(range(len(rows)) if keep != "all" else select(faces_found, faces, picture.shape))
    results = []
    for index, face in enumerate(faces_found):
        crop, affine = published.cut(picture, face.landmarks, size)
        face.affine = finer(affine, TEMPLATE_SIZE / size)
        result = FaceResult(index, face, misfit=misfit(face.landmarks), pixels=TEMPLATE_SIZE / scale_of(face.affine))
        result.crop = np.asarray(crop, np.float32) / np.float32(255)
        if index not in chosen:
            result.left_alone(f"not chosen (--faces {faces})")
        results.append(result)
    return results


def whole(photo: Photo, size: int) -> NDArray[np.float32]:
    """An aligned photo as the network sees it: resized without antialiasing. S x S x 3 in [0, 1]."""
    resized = cv2.resize(published.read(photo.pixels), (size, size))
    return np.asarray(np.asarray(resized, np.float32) / np.float32(255))


def to_network(crop: NDArray[Any]) -> Tensor:
    """S x S x 3 in 0..255 to 1 x 3 x S x S in [-1, 1]."""
    return (torch.from_numpy(np.asarray(crop / 255.0, np.float32)).permute(2, 0, 1)[None] - 0.5) / 0.5


def to_levels(picture: Tensor) -> Levels:
    """3 x S x S in [-1, 1] to S x S x 3: clamped and rounded, halves to even."""
    values = ((picture.float().clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy()
    return np.asarray((values * 255.0).round(), np.uint8)


def pasted(photo: Photo, faces: list[FaceResult], served: Served, upscale: float, size: int, device: torch.device) -> Levels:
    """The photo enlarged, with the faces in it: H' x W' x 3."""
    picture = published.read(photo.pixels)
    upsampled = None
    if served.upscaler is not None:
        upsampled = served.upscaler.enlarge(np.asarray(picture, np.uint8), served.upscaler.scale, published=BACKGROUND)
    restored = [np.rint(face.restored * 255).astype(np.uint8) for face in faces if face.restored is not None]
    labels = None
    if served.parser is not None and restored:
        # the published program shows the parser its 8 bits, enlarged to 512
        shown = [cv2.resize(levels, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_LINEAR) for levels in restored]
        labels = list(served.parser.labels(torch.cat([to_network(levels) for levels in shown]).to(device)))
    affines = [
        finer(face.face.affine, size / TEMPLATE_SIZE) for face in faces if face.restored is not None and face.face.affine is not None
    ]
    canvas = published.background(picture, upscale, upsampled=upsampled)
    return published.paste(canvas, restored, affines, upscale=upscale, labels=labels)


def _rows(detector: Detector, shown: NDArray[Any]) -> NDArray[np.float32]:
    if isinstance(detector, RetinafaceDetector):
        return np.asarray(find_published(detector.net, shown)[0], np.float32)
    faces = detector.detect(np.asarray(shown, np.uint8))
    return np.array([[*face.box, face.score, *face.landmarks.reshape(-1)] for face in faces], np.float32).reshape(-1, 15)
