"""The rule by which FFHQ's pictures were cut: an oriented square round eyes and mouth, with a soft margin where the photo ends.

Karras, Laine, Aila, "A Style-Based Generator Architecture for Generative Adversarial Networks", CVPR 2019, appendix A; the square is that
of Karras et al. 2018 (CelebA-HQ), appendix C. facexlib has the rule too, with other filters; the two are not equal pixel for pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facewright.errors import UsageError
from facewright.faces.align import PUBLISHED_BORDER, similarity
from facewright.faces.warp import Affine, Points, invert, warp

Picture = NDArray[Any]
Pads = tuple[int, int, int, int]  # left, top, right, bottom

# rows of the left eye, the right eye and the two corners of the mouth, by the number of points
_EYES_AND_MOUTH = {
    5: ([0], [1], [3, 4]),
    68: (range(36, 42), range(42, 48), [48, 54]),
    98: (range(60, 68), range(68, 76), [76, 82]),
}


@dataclass(frozen=True)
class Square:
    """corners: 4 x 2, top left, bottom left, bottom right, top right, as the face sees them. side: in photo pixels."""

    corners: Points
    side: float

    @property
    def border(self) -> int:
        return max(int(np.rint(0.1 * self.side)), 3)

    def bounds(self) -> Pads:
        """The whole pixels round it: left, top, right, bottom."""
        low, high = np.floor(self.corners.min(axis=0)), np.ceil(self.corners.max(axis=0))
        return int(low[0]), int(low[1]), int(high[0]), int(high[1])


def oriented_square(points: Points, scale: float = 1.0, ratio: tuple[float, float] = (1, 1)) -> Square:
    """The square of a face of 5, 68 or 98 points; half a side is the larger of 2 eye distances and 1.8 eye-to-mouth.

    ratio: (height, width) of a rectangle instead, in sides of the square; its `side` is then its width.
    """
    if len(points) not in _EYES_AND_MOUTH:
        raise UsageError(f"a face with {len(points)} points cannot be cut", "", "give 5, 68 or 98 points")
    left, right, mouth = (points[list(rows)].mean(axis=0) for rows in _EYES_AND_MOUTH[len(points)])
    eyes = (left + right) / 2
    along, down = right - left, mouth - eyes
    x = along + np.array([down[1], -down[0]])
    x *= max(2 * np.hypot(*along), 1.8 * np.hypot(*down)) * scale / np.hypot(*x)
    x, y = x * ratio[1], np.array([-x[1], x[0]]) * ratio[0]
    centre = eyes + 0.1 * down
    return Square(np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y]), float(2 * np.hypot(*x)))


def crop_ffhq(
    picture: Picture,
    points: Points,
    size: int,
    *,
    transform_size: int | None = None,
    published: Literal["nvidia", "facexlib"] = "nvidia",
    ratio: tuple[float, float] = (1, 1),
) -> NDArray[np.uint8]:
    """Cut an FFHQ picture: size x size x 3. picture: H x W x 3, uint8. transform_size: of the picture before it is shrunk to `size`.

    ratio: facexlib's (height, width) in sides of FFHQ's square; `size` and `transform_size` are then widths.
    """
    square = oriented_square(np.asarray(points, np.float64), ratio=ratio)
    transform_size = transform_size or 4 * size
    corners = square.corners
    if (shrink := int(square.side / size * 0.5)) > 1:
        height, width = (int(np.rint(side / shrink)) for side in picture.shape[:2])
        picture, corners = _resized(picture, (width, height), published), corners / shrink
    square = Square(corners, square.side / max(shrink, 1))
    picture, square = _cut_and_padded(picture, square, published)
    if published == "facexlib":
        large, small = _of_width(transform_size, ratio), _of_width(size, ratio)
        moved = warp(picture, square_affine(square, large), large, outside=PUBLISHED_BORDER, antialias=False)
        return np.asarray(np.rint(cv2.resize(np.rint(moved), small)), np.uint8)
    image = Image.fromarray(np.rint(np.clip(picture, 0, 255)).astype(np.uint8))
    quad = tuple((square.corners + 0.5).ravel())
    image = image.transform((transform_size,) * 2, Image.Transform.QUAD, quad, Image.Resampling.BILINEAR)
    return np.asarray(image if size == transform_size else image.resize((size, size), Image.Resampling.LANCZOS), np.uint8)


def square_affine(square: Square, size: tuple[int, int]) -> Affine:
    """facexlib's crop of (width, height) <- photo for a square: corners to (0, 0), (0, height), ..., without the half pixel."""
    width, height = size
    return similarity(square.corners, np.array([[0.0, 0], [0, height], [width, height], [width, 0]]))


def square_inverse(points: Points, size: int, ratio: tuple[float, float] = (1, 1)) -> Affine:
    """photo <- crop of facexlib's `align_crop_face_landmarks`.

    Published quirk: the lower left corner is taken to be at `size` whatever the height is, so with a ratio other than 1 it is no inverse.
    """
    width, height = _of_width(size, ratio)
    corners = oriented_square(np.asarray(points, np.float64), ratio=ratio).corners
    return invert(similarity(corners, np.array([[0.0, 0], [0, size], [width, height], [width, 0]])))


def padded_by_blur(picture: Picture, points: Points) -> tuple[NDArray[np.float32], tuple[int, int]]:
    """facexlib's `pad_blur`: the photo with a soft margin for one face, and by how much (x, y) everything has moved.

    Published quirk: the pads on the right and below compare x with the photo's height and y with its width, and are at least 1.
    """
    square = oriented_square(np.asarray(points, np.float64), 1.5)
    left, top, right, bottom = square.bounds()
    height, width = picture.shape[:2]
    pads = tuple(max(1, pad + square.border) for pad in (-left, -top, right - height, bottom - width))
    return _faded(picture, (pads[0], pads[1], pads[2], pads[3]), _odd(square.side * 0.01)), (pads[0], pads[1])


def _cut_and_padded(picture: Picture, square: Square, published: str) -> tuple[Picture, Square]:
    """The part of the picture round the square, with the soft margin where the picture ends."""
    border, corners = square.border, square.corners
    left, top, right, bottom = square.bounds()
    height, width = picture.shape[:2]
    cut = max(left - border, 0), max(top - border, 0), min(right + border, width), min(bottom + border, height)
    if cut[2] - cut[0] < width or cut[3] - cut[1] < height:
        picture, corners = picture[cut[1] : cut[3], cut[0] : cut[2]], corners - cut[:2]
    left, top, right, bottom = Square(corners, square.side).bounds()
    height, width = picture.shape[:2]
    pads = [max(0, pad + border) for pad in (-left, -top, right - width, bottom - height)]
    if max(pads) > border - 4:
        pads = [max(pad, int(np.rint(square.side * 0.3))) for pad in pads]
        blur = _odd(square.side * 0.02) if published == "facexlib" else square.side * 0.02
        picture, corners = _faded(picture, (pads[0], pads[1], pads[2], pads[3]), blur), corners + pads[:2]
    return picture, Square(corners, square.side)


def _faded(picture: Picture, pads: Pads, blur: int | float) -> NDArray[np.float32]:
    """Mirror the picture outwards, and let it blur and then pale to its median on the way.

    blur: an odd int is a box filter (facexlib), a float the sigma of a Gaussian (NVIDIA).
    """
    left, top, right, bottom = pads
    wide = np.pad(picture, ((top, bottom), (left, right), (0, 0)), "reflect")
    height, width = wide.shape[:2]
    x, y = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)[:, None]
    near = np.minimum(np.minimum(x / left, x[::-1] / right), np.minimum(y / top, y[::-1] / bottom))
    outside = (1 - near)[..., None]
    if isinstance(blur, int):
        soft = np.asarray(cv2.boxFilter(wide, -1, (blur, blur)), np.float32)
    else:
        reach = 2 * int(4 * blur + 0.5) + 1
        soft = np.asarray(cv2.GaussianBlur(wide.astype(np.float32), (reach, reach), blur, borderType=cv2.BORDER_REFLECT), np.float32)
    faded = wide.astype(np.float32)
    faded += (soft - faded) * np.clip(3 * outside + 1, 0, 1)
    faded += (np.median(faded, axis=(0, 1)) - faded) * np.clip(outside, 0, 1)
    return np.asarray(np.clip(faded, 0, 255), np.float32)


def _resized(picture: Picture, size: tuple[int, int], published: str) -> Picture:
    if published == "facexlib":
        return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.LANCZOS))


def _of_width(width: int, ratio: tuple[float, float]) -> tuple[int, int]:
    """(width, height) of a crop."""
    return width, int(width * ratio[0] / ratio[1])


def _odd(length: float) -> int:
    return int(length) | 1
