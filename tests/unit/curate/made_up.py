"""Photos of made-up people, and a detector and an embedding that know them: what they answer follows from the pixels alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from fake_faces import face
from PIL import Image
from torch import Tensor

from facewright.faces import Face

POINTS = np.array([(0.38, 0.47), (0.62, 0.47), (0.5, 0.61), (0.4, 0.73), (0.6, 0.73)])
"""Of `fake_faces.face`, as parts of its side."""
GROUND = 7


def photo(path: Path, people: Sequence[int], *, sides: Sequence[int] = (), seed: int = 0, shift: float = 0.0) -> Path:
    """One square tile a person, side by side on grey. The photo's first column tells the detector where they are."""
    sides = sides or [240] * len(people)
    high, wide = max(sides, default=240) + 40, sum(sides) + 40 * (len(people) + 1)
    pixels = np.full((high, wide, 3), GROUND, np.uint8)
    x = 40
    marks = []
    for number, (person, side) in enumerate(zip(people, sides, strict=True)):
        tile = tinted(face(1000 * person + seed, side), person)
        left = x - round(shift * side)
        part = tile[:, max(0, -left) :]
        pixels[20 : 20 + side, max(0, left) : max(0, left) + part.shape[1]] = part
        marks.append((left, side))
        pixels[3 * number : 3 * number + 3, 0] = [
            [200, (left + 1000) >> 8, (left + 1000) & 255],
            [201, side >> 8, side & 255],
            [202, person, 0],
        ]
        x += side + 40
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


def tinted(tile: np.ndarray, person: int) -> np.ndarray:
    """The forehead carries the person's colour, which is what the embedding sees."""
    side = len(tile)
    colour = tuple(int(v) for v in np.random.default_rng(person).integers(0, 256, 3))
    cv2.circle(tile, (side // 2, int(0.33 * side)), side // 12, colour, -1)
    return tile


class Detector:
    name = "made-up"

    def __init__(self) -> None:
        self.calls = 0

    def detect(self, photo: np.ndarray) -> list[Face]:
        self.calls += 1
        found = []
        for row in range(0, len(photo) - 2, 3):
            if photo[row, 0, 0] != 200 or photo[row + 1, 0, 0] != 201:
                break
            left = (int(photo[row, 0, 1]) << 8 | int(photo[row, 0, 2])) - 1000
            side = int(photo[row + 1, 0, 1]) << 8 | int(photo[row + 1, 0, 2])
            points = POINTS * side + [left, 20]
            found.append(Face(np.array([left + 0.2 * side, 20 + 0.15 * side, left + 0.8 * side, 20 + 0.95 * side]), points, 0.99))
        return found


class Identity:
    """The forehead's colour, far enough apart for people and near enough for one person in several photos."""

    def embed(self, crops: Tensor) -> Tensor:
        n, _, side, _ = crops.shape
        spot = crops[:, :, int(0.28 * side) : int(0.32 * side), int(0.48 * side) : int(0.52 * side)].mean(dim=(2, 3))
        return torch.cat([spot * 2, torch.zeros(n, 125)], dim=1)
