"""Which faces are better left alone, and when a restored face may no longer be the same person.

The numbers below were measured on the validation faces (see docs/restore.md), never on the test faces.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.faces.identity import SAME_PERSON
from facewright.restore.result import FaceResult

Image = NDArray[np.float32]

IDENTITY_WARNING = 0.45
"""Restored faces of one person stay under this in 95 of 100 cases at medium damage; above it the report speaks up."""
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
    before, after = sharpness(face.crop), sharpness(face.restored)
    face.sharpness = (before, after)
    if before > 1.05 * after and face.identity is not None and face.identity < 0.2:
        face.left_alone("already sharper than the model's picture of it")


def identity_words(distance: float, strength: float) -> str | None:
    """A plain warning where the restored face may not be the same person any more, or None."""
    if distance < IDENTITY_WARNING:
        return None
    gentler = f"try --strength {max(0.2, round(strength * 0.6, 1)):g}, or --max-identity-drift {IDENTITY_WARNING:g}"
    if distance >= SAME_PERSON:
        return f"may no longer be the same person: identity distance {distance:.2f}, the judge's limit is {SAME_PERSON:g}; {gentler}"
    return f"has drifted from the original face: identity distance {distance:.2f}; {gentler}"


def sharpness(image: Image) -> float:
    """Variance of the Laplacian of the luma less what noise alone would give, inside the face; image: S x S x 3 in [0, 1].

    Noise is estimated from the mask of second differences that is blind to straight edges (Immerkaer 1996).
    """
    side = image.shape[0]
    inner = image[int(0.3 * side) : int(0.85 * side), int(0.25 * side) : int(0.75 * side)]
    luma = inner @ np.array([0.299, 0.587, 0.114], np.float32)
    laplacian = cv2.Laplacian(luma, cv2.CV_32F)
    blind = cv2.filter2D(luma, cv2.CV_32F, np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32))
    noise = np.sqrt(np.pi / 2) * np.abs(blind).mean() / 6
    # the Laplacian's weights 1, 1, 1, 1, -4 multiply the variance of white noise by 20
    return float(max(laplacian.var() - 20 * noise**2, 1e-7))
