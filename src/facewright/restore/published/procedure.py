"""A photo's way through a published program: its faces, the network's input and output, the paste.

As in both programs 16 bits become 8, grey becomes colour, and alpha is lost. Only a generator's noise differs: ours has a seed, theirs is
drawn anew at each call. One thing of CodeFormer's program is put right: the faces of a grey photo, which get the crop's brightness and
contrast, stay within 0..255 (there a level above 256 made the whole picture black).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.faces import Detector, Face, misfit, retinaface, select, yolo
from facewright.faces import published as steps
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.colour import adain, as_grey, is_grey
from facewright.faces.parse import FaceParser
from facewright.faces.warp import finer, resized, scale_of
from facewright.media import Photo
from facewright.restore.background import Upscaler
from facewright.restore.published.programs import Program
from facewright.restore.result import FaceResult

Levels = NDArray[np.uint8]

EYE_DISTANCE = 5


def found(program: Program, photo: Photo, detector: Detector, faces: str, size: int) -> list[FaceResult]:
    """The faces in the published order, with their crops of `size` px; `faces`: see `faces.select`.

    Where the program enlarged the photo first, boxes, points and affines are told in the photo's own pixels all the same.
    """
    picture = steps.read(photo.pixels, program.steps)
    keep: Literal["all", "largest", "center"] = "all"
    if faces == "largest":
        keep = "largest"
    elif faces == "center":
        keep = "center"
    rows = steps.find(
        picture,
        lambda shown: _rows(program, detector, shown),
        program=program.steps,
        resize=program.resize,
        eye_distance=EYE_DISTANCE,
        keep=keep,
    )
    enlarged = _enlarged(picture, photo)
    shown_smaller = min(picture.shape[:2]) / program.resize if program.resize else 1.0
    faces_found = [Face(row[:4].astype(np.float64), steps.points(row), float(row[4]) / shown_smaller) for row in rows]
    chosen = set(range(len(rows)) if keep != "all" else select(faces_found, faces, picture.shape))
    grey = program.turns_grey and is_grey(_three_channels(photo.pixels))
    results = []
    for index, face in enumerate(faces_found):
        crop, affine = steps.cut(picture, face.landmarks, size)
        face.affine = resized(finer(affine, TEMPLATE_SIZE / size), (1 / enlarged, 1 / enlarged))
        face.box, face.landmarks = ((each + 0.5) / enlarged - 0.5 for each in (face.box, face.landmarks))
        result = FaceResult(index, face, misfit=misfit(face.landmarks), pixels=TEMPLATE_SIZE / scale_of(face.affine), turns_grey=grey)
        result.crop = np.asarray(crop, np.float32) / np.float32(255)
        if index not in chosen:
            result.left_alone(f"not chosen (--faces {faces})")
        results.append(result)
    return results


def whole(program: Program, photo: Photo, size: int) -> tuple[NDArray[np.float32], bool]:
    """An aligned photo as the network sees it: resized without antialiasing, S x S x 3 in [0, 1]; and whether its result turns grey."""
    shown = cv2.resize(_three_channels(photo.pixels), (size, size))
    return np.asarray(np.asarray(shown, np.float32) / np.float32(255)), program.turns_grey and is_grey(np.asarray(shown))


def to_network(crop: NDArray[Any]) -> Tensor:
    """S x S x 3 in 0..255 to 1 x 3 x S x S in [-1, 1]."""
    return (torch.from_numpy(np.asarray(crop / 255.0, np.float32)).permute(2, 0, 1)[None] - 0.5) / 0.5


def to_levels(picture: Tensor) -> Levels:
    """3 x S x S in [-1, 1] to S x S x 3: clamped and rounded, halves to even."""
    values = ((picture.float().clamp(-1, 1) + 1) / 2).permute(1, 2, 0).cpu().numpy()
    return np.asarray((values * 255.0).round(), np.uint8)


def taken(face: FaceResult, picture: Tensor) -> NDArray[np.float32]:
    """What is made of the network's picture of a face, 3 x S x S in [-1, 1]: S x S x 3 in [0, 1], rounded to 8 bits unless it is greyed."""
    levels: NDArray[Any] = to_levels(picture)
    if face.turns_grey:
        assert face.crop is not None
        levels = np.clip(adain(as_grey(levels), face.crop * np.float32(255)), 0, 255)
    return np.asarray(np.asarray(levels, np.float32) / np.float32(255))


def pasted(
    program: Program,
    photo: Photo,
    faces: Sequence[FaceResult],
    *,
    parser: FaceParser | None,
    upscaler: Upscaler | None,
    upscale: float,
    size: int,
    device: torch.device,
    face_upsample: bool = False,
) -> Levels:
    """The photo enlarged, with the faces in it: H' x W' x 3. face_upsample: the upscaler enlarges the faces, too."""
    picture = steps.read(photo.pixels, program.steps)
    upscale = int(upscale) if program.whole_factors else upscale
    upsampled = None
    if upscaler is not None:
        upsampled = upscaler.enlarge(np.asarray(picture, np.uint8), upscaler.scale, published=program.upsampler)
    placed = [face for face in faces if face.restored is not None and face.face.affine is not None]
    restored = [_as_levels(face) for face in placed]
    if face_upsample and upscaler is not None:
        restored = [upscaler.enlarge(np.rint(face).astype(np.uint8), upscale, published=program.upsampler) for face in restored]
    labels = None
    if parser is not None and restored:
        # the published programs show the parser what they paste, resized to 512
        shown = [cv2.resize(levels, (TEMPLATE_SIZE, TEMPLATE_SIZE), interpolation=cv2.INTER_LINEAR) for levels in restored]
        labels = list(parser.labels(torch.cat([to_network(levels) for levels in shown]).to(device)))
    enlarged = _enlarged(picture, photo)
    affines = [finer(resized(_affine(face), (enlarged, enlarged)), size / TEMPLATE_SIZE) for face in placed]
    canvas = steps.background(picture, upscale, program.steps, upsampled=upsampled)
    return steps.paste(
        canvas,
        restored,
        affines,
        upscale=upscale,
        program=program.steps,
        labels=labels,
        face_upscale=upscale if face_upsample else 1,
    )


def notes(program: Program, photo: Photo, upscale: float) -> list[str]:
    """What the program makes of this photo that nobody asked for, in sentences."""
    told = []
    if program.steps == "codeformer" and min(photo.pixels.shape[:2]) < steps.LEAST_SIDE:
        height, width = steps.read(photo.pixels, program.steps).shape[:2]
        told.append(f"{program.name}'s program enlarges a small photo first: this one to {width} x {height}")
    if program.whole_factors and upscale != int(upscale):
        told.append(f"{program.name}'s program enlarges by whole numbers: --upscale {upscale:g} is {int(upscale)}")
    return told


def _rows(program: Program, detector: Detector, shown: NDArray[Any]) -> NDArray[np.float32]:
    if isinstance(detector, retinaface.RetinafaceDetector):
        return np.asarray(retinaface.find_published(detector.net, shown, program.score)[0], np.float32)
    if isinstance(detector, yolo.YoloDetector):
        return yolo.find_published(detector.net, shown)
    faces = detector.detect(np.asarray(shown, np.uint8))
    return np.array([[*face.box, face.score, *face.landmarks.reshape(-1)] for face in faces], np.float32).reshape(-1, 15)


def _three_channels(pixels: NDArray[Any]) -> NDArray[Any]:
    """As the programs read it, but never enlarged."""
    return steps.read(pixels, "facexlib")


def _enlarged(picture: NDArray[Any], photo: Photo) -> float:
    """Pixels of the picture as it was read per pixel of the photo."""
    return float(min(picture.shape[:2]) / min(photo.pixels.shape[:2]))


def _affine(face: FaceResult) -> NDArray[np.float64]:
    assert face.face.affine is not None
    return face.face.affine


def _as_levels(face: FaceResult) -> NDArray[Any]:
    """uint8; where the face was greyed float64, which OpenCV warps by another rule than float32."""
    assert face.restored is not None
    levels = face.restored.astype(np.float64) * 255
    return levels if face.turns_grey else np.rint(levels).astype(np.uint8)
