"""Landmarks for crops that are there already: what `facewright dataset landmarks` does."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewright.data.components import SIZE
from facewright.data.faces import Skipped
from facewright.data.landmarks import encode_landmarks
from facewright.data.picture import Picture, Pixels
from facewright.errors import InputError
from facewright.faces import TEMPLATE
from facewright.faces.detect import Detector
from facewright.faces.mtcnn import MtcnnDetector
from facewright.media import write_atomically

Points = NDArray[np.float64]

_SURE = 0.9
_BOX = np.array([124.0, 89, 397, 466])
"""The detector's box of an aligned face at SIZE: the mean of what it finds in crops of real photographs."""
_NEAR = 0.35
"""A face found in a crop is the crop's own where its points are within this part of the eye distance of the template's."""


@dataclass
class Marked:
    """points: 5 x 2 at 512 pixels by name. unsure: where no face was found; these have the template's points. skipped: unreadable."""

    points: dict[str, Points] = field(default_factory=dict)
    unsure: list[str] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)


def write_landmarks(pictures: Iterable[Picture], target: Path, detector: Detector, on_picture: Callable[[], None] = lambda: None) -> Marked:
    """Find five points in each crop and write them, with the parts that follow, to `target` (.json, .npz, or .pth in the published layout).

    Raises InputError where not one crop can be read, UsageError for another suffix, OutputError.
    """
    encode_landmarks(target, {}, found={})  # a suffix that cannot be written is refused before the work
    marked = Marked()
    for picture in pictures:
        on_picture()
        try:
            if picture.row.problem:
                raise InputError(picture.row.name, picture.row.problem)
            points = points_of_crop(picture.pixels(), detector)
        except InputError as problem:
            marked.skipped.append(Skipped(picture.row.name, problem.why))
            continue
        if points is None:
            marked.unsure.append(picture.row.name)
        marked.points[picture.row.name] = TEMPLATE if points is None else points
    if not marked.points:
        why = f"{marked.skipped[0].name}: {marked.skipped[0].why}" if marked.skipped else "there is none"
        raise InputError("not one crop can be read", why)
    unsure = set(marked.unsure)
    write_atomically(target, encode_landmarks(target, marked.points, found={name: name not in unsure for name in marked.points}))
    return marked


def points_of_crop(pixels: Pixels, detector: Detector) -> Points | None:
    """Five points at SIZE of the face that an aligned crop shows; None where there is none to be sure of. pixels: S x S x 3."""
    factor = SIZE / len(pixels)
    if isinstance(detector, MtcnnDetector):
        # where the face is need not be searched for: O-Net looks twice where it has to be
        points = _from_size(TEMPLATE, factor)
        box = _from_size(_BOX.reshape(2, 2), factor).reshape(4)
        for _ in range(2):
            points, score = detector.look_again(pixels, box, points)
        if score > _SURE and _is_near(_to_size(points, factor)):
            return _to_size(points, factor)
    found = [_to_size(face.landmarks, factor) for face in detector.detect(pixels)]
    near = [points for points in found if _is_near(points)]
    return min(near, key=_distance) if near else None


def _distance(points: Points) -> float:
    return float(np.sqrt(((points - TEMPLATE) ** 2).sum(axis=1).mean()))


def _is_near(points: Points) -> bool:
    return _distance(points) < _NEAR * float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))


def _to_size(points: Points, factor: float) -> Points:
    return np.asarray((points + 0.5) * factor - 0.5)


def _from_size(points: Points, factor: float) -> Points:
    return np.asarray((points + 0.5) / factor - 0.5)
