"""The published procedure round a restorer, step by step and quirk by quirk, for comparison with ours.

Two programs: "facexlib" (FaceRestoreHelper, which GFPGAN uses) and "codeformer" (its descendant). In the order of use:

    picture = read(pixels)                                                  # levels 0..255, whatever the photo's depth
    rows = find(picture, lambda shown: find_published(net, shown)[0], eye_distance=5)
    crops, affines = zip(*(cut(picture, points(row)) for row in rows))
    ...                                                                     # the network; back to uint8, rounded
    result = paste(background(picture, upscale), restored, affines, upscale=upscale, labels=maps)

Every step works on the whole photo, as published; `faces.paste.paste_plain` is the same arithmetic in the face's rectangle only. Pictures
are RGB here (the programs have BGR, which changes nothing). What OpenCV computes depends a little on its version, as theirs does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.align import PUBLISHED_BORDER, TEMPLATE, TEMPLATE_SIZE, similarity
from facewright.faces.face import Face
from facewright.faces.mask import parsed_mask, plain_mask
from facewright.faces.paste import published_affine
from facewright.faces.select import select
from facewright.faces.warp import Affine, Points, invert

Program = Literal["facexlib", "codeformer"]
Picture = NDArray[Any]
Rows = NDArray[np.float32]
Find = Callable[[Picture], Rows]

LEAST_SIDE = 512
"""CodeFormer enlarges what is smaller."""

_BOX_COLOUR = (0.0, 255.0, 0.0)


def read(pixels: Picture, program: Program = "facexlib") -> Picture:
    """H x W x 3 in 0..255: uint8 as it is, uint16 as float64. pixels: H x W, H x W x 3 or H x W x 4, whose alpha is dropped.

    Published quirks: a 16-bit photo is told by its brightest level being above 256. CodeFormer enlarges a photo whose shorter side is under
    512, so what it returns is larger than asked for.
    """
    picture = pixels / 65535 * 255 if pixels.max(initial=0) > 256 else pixels
    picture = np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture[..., :3]
    height, width = picture.shape[:2]
    if program == "codeformer" and min(height, width) < LEAST_SIDE:
        factor = LEAST_SIDE / min(height, width)
        picture = cv2.resize(picture, None, fx=factor, fy=factor, interpolation=cv2.INTER_LINEAR)
    return np.asarray(picture)


def find(
    picture: Picture,
    detect: Find,
    *,
    program: Program = "facexlib",
    resize: int | None = None,
    eye_distance: float | None = None,
    keep: Literal["all", "largest", "center"] = "all",
) -> Rows:
    """The faces that are restored: rows N x 15 (box, score, five points) in pixels of the picture, in the detector's order.

    picture: what `read` gave. detect: rows of a picture, see `faces.retinaface.find_published`. resize: shorter side at which the detector
    sees it, None for its own size. eye_distance: faces whose eyes are nearer are dropped, see `eyes_apart`; GFPGAN and CodeFormer take 5.
    keep: all faces, or the one of the largest area inside the picture, or the one nearest to its centre.
    """
    shown, factor = shown_to_detector(picture, resize, program)
    rows = np.asarray(detect(shown), np.float32).reshape(-1, 15) * np.float32(factor)  # published quirk: the score too
    if eye_distance is not None:
        rows = rows[[eyes_apart(row, program) >= eye_distance for row in rows]]
    if keep != "all" and len(rows):
        rows = rows[select([Face(row[:4].astype(np.float64), points(row), float(row[4])) for row in rows], keep, picture.shape)]
    return np.asarray(rows, np.float32)


def shown_to_detector(picture: Picture, resize: int | None, program: Program = "facexlib") -> tuple[Picture, float]:
    """The picture as the detector sees it, and by how much its answers are multiplied."""
    if resize is None:
        return picture, 1.0
    height, width = picture.shape[:2]
    factor = min(height, width) / resize
    if program == "facexlib":
        size, interpolation = (int(width / factor), int(height / factor)), cv2.INTER_LANCZOS4
    else:
        size = int(width * (resize / min(height, width))), int(height * (resize / min(height, width)))
        interpolation = cv2.INTER_AREA if factor > 1 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=interpolation)), factor


def points(row: Rows) -> Points:
    """5 x 2 of a row."""
    return row[5:].reshape(5, 2).astype(np.float64)


def eyes_apart(row: Rows, program: Program = "facexlib") -> float:
    """By which the programs tell small faces. CodeFormer's quirk: it reads the columns one further, so it is no distance of the eyes."""
    first = 5 if program == "facexlib" else 6
    return float(np.hypot(row[first] - row[first + 2], row[first + 1] - row[first + 3]))


def cut(picture: Picture, landmarks: Points, size: int = TEMPLATE_SIZE) -> tuple[Picture, Affine]:
    """The aligned crop, size x size x 3 in the picture's type, and crop <- picture. landmarks: 5 x 2."""
    affine = similarity(landmarks, TEMPLATE * (size / TEMPLATE_SIZE))
    crop = cv2.warpAffine(picture, affine, (size, size), borderMode=cv2.BORDER_CONSTANT, borderValue=PUBLISHED_BORDER)
    return np.asarray(crop), affine


def background(picture: Picture, upscale: float = 1, program: Program = "facexlib", *, upsampled: Picture | None = None) -> Picture:
    """What the faces are pasted into: the picture enlarged, or what an upscaler made of it, brought to that size.

    upsampled: H' x W' x 3 or x 4, uint8. Returns int(H upscale) x int(W upscale) x 3 or x 4 in its type, levels 0..255.
    """
    size = int(picture.shape[1] * upscale), int(picture.shape[0] * upscale)
    plain = cv2.INTER_LINEAR if program == "codeformer" and upsampled is None else cv2.INTER_LANCZOS4
    enlarged = cv2.resize(picture if upsampled is None else upsampled, size, interpolation=plain)
    return np.asarray(np.clip(enlarged, 0, 255))


def paste(
    canvas: Picture,
    restored: Sequence[Picture],
    affines: Sequence[Affine],
    *,
    upscale: float = 1,
    program: Program = "facexlib",
    labels: Sequence[NDArray[Any]] | None = None,
    face_upscale: float = 1,
    boxes: bool = False,
) -> NDArray[np.uint8]:
    """Blend the restored crops into the canvas, one after the other; returns a new picture, truncated to uint8.

    canvas: of `background`. restored: S x S x 3 each, levels 0..255 (uint8; float after CodeFormer's grey). affines: crop <- picture, as
    `cut` gave them. labels: parse maps in the order of `faces.parse.CLASSES`, S x S each, for the mask of a parser; without them it is the
    crop's square. facexlib then forgets the square, CodeFormer takes the smaller of both. face_upscale: by how much the crops were enlarged
    after restoration. boxes: CodeFormer's draw_box.
    """
    result, alpha = canvas[..., :3], canvas[..., 3:]
    height, width = result.shape[:2]
    frames = []
    for i, (face, affine) in enumerate(zip(restored, affines, strict=True)):
        place = published_affine(affine, upscale, face_upscale=face_upscale)
        moved = cv2.warpAffine(face, invert(place), (width, height))
        size = face.shape[1], face.shape[0]
        parsed = None
        if labels is not None:
            # as float64, which OpenCV warps by another rule than float32
            parsed = cv2.warpAffine(parsed_mask(labels[i], size[0]).astype(np.float64), invert(place), (width, height))
        if parsed is not None and program == "facexlib":
            weight, part = parsed, moved
        else:
            plain = plain_mask(place, size, result.shape, upscale, whole=True)
            weight, part = plain.soft if parsed is None else np.minimum(plain.soft, parsed), plain.eroded[..., None] * moved
            if boxes:
                frames.append(_frame(invert(place), size, (width, height), float(plain.eroded.sum())))
        result = weight[..., None] * part + (1 - weight[..., None]) * result
    result = np.clip(result, 0, 255).astype(np.uint8)
    for frame in frames:
        result = (frame * np.array(_BOX_COLOUR, np.float32) + (1 - frame) * result).astype(np.uint8)
    return np.concatenate([result, alpha], axis=2) if alpha.shape[2] else result


def _frame(back: Affine, size: tuple[int, int], canvas: tuple[int, int], area: float) -> NDArray[np.float32]:
    """The outline of a crop of (width, height) in the canvas, H x W x 1: thinner in the crop the larger the face is."""
    width, height = size
    border = int(1400 / area**0.5)
    outline = np.ones((height, width), np.float32)
    outline[border : height - border, border : width - border] = 0
    return np.asarray(cv2.warpAffine(outline, back, canvas), np.float32)[..., None]
