"""Where the eyes and the mouth are: the squares that GFPGAN's component discriminators look at.

Wang et al. 2021, section 3.4 (facial component loss). A part is a centre and half a side, [cx, cy, half], counted from the crop's left and
top edge (0 is the edge of the first pixel, not its middle), which is why mirroring is cx -> width - cx and resizing is a multiplication.
Left and right are as seen in the picture.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from facewright.data.augment import Matrix, is_mirrored
from facewright.errors import InputError

Parts = NDArray[np.float64]
"""... x 3 x 3: left eye, right eye, mouth; cx, cy, half."""
Points = NDArray[np.float64]

PARTS = ("left_eye", "right_eye", "mouth")
EYE_ENLARGE_RATIO = 1.4
SIZE = 512
"""The crop that published numbers are about."""
LEAST_HALF = 16.0
"""At SIZE."""

_EYE_OF_EYES = 0.23  # half an eye's width as a part of the distance between the eyes: 29 of 126 pixels in the template
_MOUTH_OF_CORNERS = 0.5
_LEAST_MOUTH_OF_HEIGHT = 0.22  # half a pursed or turned mouth as a part of the distance from eyes to mouth


def boxes(parts: Parts, eye_enlarge_ratio: float = EYE_ENLARGE_RATIO) -> NDArray[np.float64]:
    """... x 3 x 3 parts to ... x 3 x 4 boxes x1, y1, x2, y2, not clipped: centre - half + 1 .. centre + half, the eyes enlarged."""
    half = parts[..., 2:] * np.array([[eye_enlarge_ratio], [eye_enlarge_ratio], [1.0]])
    return np.concatenate([parts[..., :2] - half + 1, parts[..., :2] + half], axis=-1)


def mirrored(parts: Parts, width: float = SIZE) -> Parts:
    """The parts of the mirrored crop: the eyes change places."""
    swapped = parts[..., [1, 0, 2], :]
    return np.concatenate([width - swapped[..., :1], swapped[..., 1:]], axis=-1)


def moved(parts: Parts, matrix: Matrix) -> Parts:
    """The parts after a similarity, mirrored or not; matrix: 2 x 3, of pixel centres at integers. Squares stay upright."""
    linear = matrix[:, :2]
    centres = (parts[..., :2] - 0.5) @ linear.T + matrix[:, 2] + 0.5
    there = np.concatenate([centres, parts[..., 2:] * np.sqrt(abs(np.linalg.det(linear)))], axis=-1)
    return there[..., [1, 0, 2], :] if is_mirrored(matrix) else there


def parts_of_68(points: Points, scale: float = 1.0, least: float = LEAST_HALF) -> Parts:
    """From 68 points (dlib's order) times `scale`, as the published file was made from FFHQ's at 1024 pixels with 0.5.

    The centre is the mean of a part's points, `half` the half of its longer extent, `least` at least.
    """
    scaled = np.asarray(points, np.float64) * scale
    rows = []
    for part in (scaled[36:42], scaled[42:48], scaled[48:68]):
        extent = (part.max(axis=0) - part.min(axis=0)).max()
        rows.append([*part.mean(axis=0), max(extent / 2, least)])
    return np.array(rows)


def parts_of_five(points: Points, side: float) -> Parts:
    """From five points (eyes, nose, corners of the mouth; pixel centres at integers) in a crop of `side` pixels.

    Five points do not say how large a part is. An eye gets 0.23 of the distance between the eyes, but as on a face seen from the front: the
    distance counts as 0.9 of that from eyes to mouth at least. A mouth gets half the distance of its corners, and 0.22 of that from eyes
    to mouth at least. No part is smaller than 16 / 512 of the side, as in the published file.
    """
    left, right, _, one, other = np.asarray(points, np.float64) + 0.5
    mouth = (one + other) / 2
    height = float(np.hypot(*(mouth - (left + right) / 2)))
    least = LEAST_HALF * side / SIZE
    eye = max(_EYE_OF_EYES * max(float(np.hypot(*(right - left))), 0.9 * height), least)
    half = max(_MOUTH_OF_CORNERS * float(np.hypot(*(other - one))), _LEAST_MOUTH_OF_HEIGHT * height, least)
    return np.array([[*left, eye], [*right, eye], [*mouth, half]])


def parts_of(points: Points, side: float) -> Parts:
    """From 5 or 68 points in a crop of `side` pixels. Raises InputError for another number of them."""
    points = np.asarray(points, np.float64)
    if points.shape == (5, 2):
        return parts_of_five(points, side)
    if points.shape == (68, 2):
        return parts_of_68(points, 1.0, LEAST_HALF * side / SIZE)
    raise InputError(f"cannot use landmarks of the shape {' x '.join(map(str, points.shape))}", "a face has 5 or 68 points (x, y)")
