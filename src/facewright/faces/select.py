"""Which of the found faces are meant: --faces all|largest|center|none|0,2 and --min-face."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facewright.errors import UsageError
from facewright.faces.face import Face

NAMES = ("all", "largest", "center", "none")


def select(faces: Sequence[Face], spec: str, shape: tuple[int, ...], min_face: float | None = None) -> list[int]:
    """Indices of the faces that `spec` means, in rising order.

    spec: "all", "largest" (area inside the photo), "center" (box centre nearest to the photo's), "none", or indices such as "0,2" in the
    detector's order. shape: of the photo, (H, W, ...). min_face: faces whose box is smaller on its longer side, in photo pixels, are never
    meant, except by their index. Raises UsageError where the list makes no sense or names a face that is not there.
    """
    indices = parse(spec)
    if indices is not None:
        if missing := [i for i in indices if i >= len(faces)]:
            raise UsageError(f"--faces {spec} names face {missing[0]}", _available(len(faces)), _advice(len(faces)))
        return indices
    if _word(spec) == "none":
        return []
    large = [i for i, face in enumerate(faces) if min_face is None or face.size >= min_face]
    if _word(spec) == "all" or not large:
        return large
    key = _area_inside if _word(spec) == "largest" else _nearness
    return [max(large, key=lambda i: key(faces[i], shape))]


def parse(spec: str) -> list[int] | None:
    """Sorted indices of a list such as "0,2", None for one of NAMES, UsageError for anything else: before a photo is read."""
    words = [word.strip() for word in spec.split(",")]
    if _word(spec) in NAMES:
        return None
    if not all(word.isdecimal() for word in words):
        raise UsageError(f"--faces {spec!r} is not understood", "", "give all, largest, center, none, or face numbers such as 0,2")
    return sorted({int(word) for word in words})


def _word(spec: str) -> str:
    return spec.strip().lower()


def _available(count: int) -> str:
    if count == 0:
        return "no face was found in this photo"
    return "only face 0 was found" if count == 1 else f"faces 0 to {count - 1} were found"


def _advice(count: int) -> str:
    return "choose among them, or use --faces all" if count else "use --faces all, so that photos without faces are passed over"


def _area_inside(face: Face, shape: tuple[int, ...]) -> float:
    box = np.clip(face.box, 0, [shape[1], shape[0]] * 2)
    return float(np.prod(box[2:] - box[:2]))


def _nearness(face: Face, shape: tuple[int, ...]) -> float:
    return -float(np.linalg.norm(face.centre - np.array([shape[1], shape[0]]) / 2))
