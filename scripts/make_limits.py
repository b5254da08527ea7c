"""Make docs/gfpgan-mini-limits.jpg: what the embedded model does where it fails, damaged above and restored below.

    python scripts/make_limits.py

The face is scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain), by columns: shrunk by 16; out of focus; moved
while the shutter was open; an old print under heavy damage; torn; in the shade of a blind.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from astronaut import astronaut
from facewright.evaluate import damages
from facewright.media import Origin, Photo
from facewright.restore import Restorer

Picture = NDArray[np.float32]
ROOT = Path(__file__).resolve().parent.parent
SIDE, GAP = 256, 8


def main() -> None:
    truth = astronaut(SIDE)
    restorer = Restorer(aligned=True)
    columns = []
    for damaged in (preset(truth, "x16"), defocused(truth), moved(truth), preset(truth, "old-photo+heavy"), torn(truth), shaded(truth)):
        photo = Photo(np.rint(damaged.clip(0, 1) * 255).astype(np.uint8), None, Origin())
        (result,) = restorer.restore([photo])
        columns.append(np.concatenate([photo.pixels, np.full((GAP, SIDE, 3), 255, np.uint8), result.image]))
        columns.append(np.full((2 * SIDE + GAP, GAP, 3), 255, np.uint8))
    Image.fromarray(np.concatenate(columns[:-1], axis=1)).save(ROOT / "docs" / "gfpgan-mini-limits.jpg", quality=88)


def preset(truth: Picture, name: str) -> Picture:
    return np.asarray(damages.named(name, SIDE)(truth, np.random.default_rng(5)).picture, np.float32)


def defocused(truth: Picture) -> Picture:
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (21, 21)).astype(np.float32)
    return np.asarray(cv2.filter2D(truth, -1, disc / disc.sum()), np.float32)


def moved(truth: Picture) -> Picture:
    line = np.eye(25, dtype=np.float32)
    return np.asarray(cv2.filter2D(truth, -1, line / line.sum()), np.float32)


def torn(truth: Picture) -> Picture:
    damaged = truth.copy()
    edge = np.array([[SIDE, 60], [150, 110], [128, 120], [100, 160], [90, SIDE], [SIDE, SIDE]], np.int32)
    cv2.fillPoly(damaged, [edge], (0.93, 0.92, 0.88))
    return damaged


def shaded(truth: Picture) -> Picture:
    stripes = (np.arange(SIDE) // 14 % 2)[:, None, None]
    return np.asarray(truth * np.where(stripes, 1.0, 0.25), np.float32)


if __name__ == "__main__":
    main()
