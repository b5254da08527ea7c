"""Which faces are better left alone, and when a restored face may no longer be the same person.

The numbers below were measured on the validation faces (see docs/restore.md), never on the test faces.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from facewright.faces.identity import SAME_PERSON
from facewright.metrics import sharpness
from facewright.restore.result import FaceResult

Image = NDArray[np.float32]

IDENTITY_WARNING = 0.45
"""Of 185 validation faces 99 % stay under this at medium damage; at heavy damage 35 % are warned about, and 16 % truly are further
from their clean picture than SAME_PERSON (benchmarks/judge.py)."""
MISFIT_LIMIT = 0.24
"""Template misfit (in eye distances) beyond which the face is too far turned to be put into a frontal template."""
LEAST_EYE_DISTANCE = 6.0
LARGEST_SCALE = 4.0
"""Photo pixels per network pixel beyond which the network has nothing to say about the face's detail."""


def before_network(face: FaceResult, size: int, min_face: int) -> None:
    """Leave a face alone for its size or pose. size: of the network's crop."""
    short = float((face.face.box[2:] - face.face.box[:2]).min())
    eyes = float(np.linalg.norm(face.face.landmarks[1] - face.face.landmarks[0]))
    if short < min_face:
        face.left_alone(f"too small: {short:.0f} px, --min-face is {min_face}")
    elif eyes < LEAST_EYE_DISTANCE:
        face.left_alone(f"too small: {eyes:.0f} px between the eyes")
    elif face.misfit > MISFIT_LIMIT:
        face.left_alone(f"turned too far for the face template (misfit {face.misfit:.2f}, limit {MISFIT_LIMIT:g})")
    elif face.pixels > LARGEST_SCALE * size:
        face.left_alone(f"larger than the model can serve: {face.pixels:.0f} px across, the model works at {size}")


def after_network(face: FaceResult) -> None:
    """Leave a face alone that is already sharper than what the network made of it."""
    assert face.crop is not None and face.restored is not None
    before, after = face_sharpness(face.crop), face_sharpness(face.restored)
    face.sharpness = (before, after)
    if before > 1.05 * after and face.identity is not None and face.identity < 0.2:
        face.left_alone("already sharper than the model's picture of it")
        face.identity = 0.0  # nothing is pasted


def identity_words(distance: float, strength: float) -> str | None:
    """A plain warning where the restored face may not be the same person any more, or None."""
    if distance < IDENTITY_WARNING:
        return None
    less = max(0.2, round(strength * 0.6, 1))
    gentler = f"try {f'--strength {less:g}, or ' if less < strength else ''}--max-identity-drift {IDENTITY_WARNING:g}"
    if distance >= SAME_PERSON:
        return f"may no longer be the same person: identity distance {distance:.2f}, the judge's limit is {SAME_PERSON:g}; {gentler}"
    return f"has drifted from the original face: identity distance {distance:.2f}; {gentler}"


def is_warning(face: FaceResult) -> bool:
    """Whether what was pasted may no longer be the same person."""
    return face.action != "left alone" and face.identity is not None and face.identity >= IDENTITY_WARNING


def likeness(face: FaceResult) -> str:
    """The identity distance in plain words."""
    if face.action == "left alone":
        return "unchanged"
    if face.identity is None:
        return "not measured"
    if face.identity >= SAME_PERSON:
        return "may be someone else"
    if face.identity >= IDENTITY_WARNING:
        return "has drifted"
    return "likely the same person" if face.identity >= IDENTITY_WARNING / 2 else "very likely the same person"


def face_sharpness(image: Image) -> float:
    """`metrics.sharpness` inside the face, noise left out; image: S x S x 3 in [0, 1]."""
    side = image.shape[0]
    inner = image[int(0.3 * side) : int(0.85 * side), int(0.25 * side) : int(0.75 * side)]
    return float(sharpness(torch.from_numpy(np.ascontiguousarray(inner)).permute(2, 0, 1)[None], without_noise=True))
