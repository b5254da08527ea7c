"""Brush strokes over a face, to be painted in again (CodeFormer's ``gen_inpaint_mask``, after the free-form masks of DeepFill)."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.pipeline import Degradation, Range
from facewright.degrade.steps import Image


@dataclass(frozen=True)
class Stroke:
    """width and points (x, y) in parts of the picture's side."""

    width: float
    points: tuple[tuple[float, float], ...]


@dataclass(frozen=True)
class StrokeDraws:
    strokes: tuple[Stroke, ...]


@dataclass(frozen=True)
class Strokes(Degradation):
    """White strokes. count, vertices: how many, ends included; width: pixels of a `size` picture (80-120 is the published "very large").

    Angles alternate about 2 pi / 5, by up to 2 pi / 12; a step is N(r, r / 2) within 0 and 2 r, r an eighth of the diagonal.
    """

    count: tuple[int, int] = (1, 3)
    vertices: tuple[int, int] = (8, 27)
    width: Range = (30, 70)
    size: int = 512

    def scaled(self, size: int) -> Strokes:
        factor = size / self.size
        return replace(self, size=size, width=(self.width[0] * factor, self.width[1] * factor))

    def draw(self, rng: np.random.Generator) -> StrokeDraws:
        return StrokeDraws(tuple(self._stroke(rng) for _ in range(int(rng.integers(self.count[0], self.count[1] + 1)))))

    def _stroke(self, rng: np.random.Generator) -> Stroke:
        middle, spread = 2 * math.pi / 5, 2 * math.pi / 12
        low, high = middle - rng.uniform(0, spread), middle + rng.uniform(0, spread)
        place, reach = rng.uniform(0, 1, 2), math.sqrt(2) / 8
        points = [(float(place[0]), float(place[1]))]
        for i in range(int(rng.integers(self.vertices[0], self.vertices[1] + 1))):
            angle = rng.uniform(low, high) * (-1 if i % 2 == 0 else 1)
            step = float(np.clip(rng.normal(reach, reach / 2), 0, 2 * reach))
            place = np.clip(place + step * np.array([math.cos(angle), math.sin(angle)]), 0, 1)
            points.append((float(place[0]), float(place[1])))
        return Stroke(rng.uniform(*self.width) / self.size, tuple(points))

    def mask(self, height: int, width: int, draws: StrokeDraws) -> NDArray[np.uint8]:
        """height x width, 255 where it is painted over."""
        mask = np.zeros((height, width), np.uint8)
        for stroke in draws.strokes:
            thick = max(1, round(stroke.width * math.sqrt(height * width)))
            points = np.rint(np.array(stroke.points) * (width - 1, height - 1)).astype(np.int32)
            cv2.polylines(mask, [points[:, None]], False, 255, thick)
            for x, y in points.tolist():
                cv2.circle(mask, (x, y), thick // 2, 255, -1)
        return mask

    def apply(self, clean: Image, draws: StrokeDraws) -> Image:
        painted = self.mask(clean.shape[0], clean.shape[1], draws)[..., None] > 0
        levels = np.floor(np.clip(clean, 0, 1) * np.float32(255))  # the published program truncates; what has 8 bits already stays
        return np.asarray(np.where(painted, np.float32(1), levels / np.float32(255)), np.float32)
