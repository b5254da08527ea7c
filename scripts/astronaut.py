"""The face that figures are made of: scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage import data

from facewright.faces import align, load_detector, similarity
from facewright.faces.align import TEMPLATE_SIZE
from facewright.faces.warp import finer


def astronaut(size: int) -> NDArray[np.float32]:
    """size x size x 3 in [0, 1], aligned to the FFHQ template."""
    photo = data.astronaut()
    (face,) = load_detector().detect(photo)
    return align(photo, finer(similarity(face.landmarks), size / TEMPLATE_SIZE), size)
