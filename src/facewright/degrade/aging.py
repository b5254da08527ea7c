"""What time does to a print: each function lays one thing on H x W x 3 float32 in [0, 1]. unit: pixels that were one in a 512 px crop."""

from __future__ import annotations

import math

import cv2
import numpy as np
from numpy.typing import NDArray

from facewright.degrade.steps import Image

Mask = NDArray[np.float32]
"""H x W, 0 to 1."""

PAPER = np.array([0.96, 0.93, 0.86], np.float32)
"""Bare paper, where the emulsion is gone."""
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def grained(image: Image, sigma: float, size: float, colourless: bool, rng: np.random.Generator) -> Image:
    """Silver grain, most in the middle tones; a colour film has some of its own in every layer. sigma in 255ths, size in pixels."""
    height, width = image.shape[:2]
    noise: Image = rng.standard_normal((height, width, 1), np.float32)
    if not colourless:
        noise = 0.8 * noise + 0.6 * rng.standard_normal((height, width, 3), np.float32)
    if size > 0.3:
        smooth: Image = np.asarray(cv2.GaussianBlur(noise, (0, 0), size), np.float32).reshape(height, width, -1)
        noise = smooth / (smooth.std() + np.float32(1e-6))
    tone = np.clip(image @ _LUMA, 0, 1)[..., None]
    return np.asarray(image + noise * (np.sqrt(tone * (1 - tone)) * 2 + 0.15) * np.float32(sigma / 255))


def screened(image: Image, pitch: float, angle: float, colourless: bool) -> Image:
    """A newspaper's dots: every layer of ink has its own angle. pitch in pixels."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32) * np.float32(2 * math.pi / pitch)
    layers = []
    for layer in range(1 if colourless else 3):
        turn = angle + layer * math.pi / 6
        along, across = x * math.cos(turn) + y * math.sin(turn), y * math.cos(turn) - x * math.sin(turn)
        threshold = 0.5 + 0.25 * (np.cos(along) + np.cos(across))
        # ink spreads: the edge of a dot is soft
        layers.append(1 / (1 + np.exp(np.clip((threshold - (0.08 + 0.84 * image[..., layer])) * 9, -30, 30))))
    dots = np.stack(layers * (3 if colourless else 1), axis=-1)
    return np.asarray(0.12 + 0.8 * (0.75 * dots + 0.25 * image), np.float32)


def faded(image: Image, black: float, white: float, gamma: float, yellow: float, cast: float, rng: np.random.Generator) -> Image:
    """The range of tones shrinks, unevenly; paper yellows from the rim inwards; a colour print turns red as its cyan goes."""
    height, width = image.shape[:2]
    uneven = _clouds(height, width, 0.6, rng)[..., None]
    rim = np.clip(_rim(height, width) * 1.2 + 0.5 * (uneven - 0.5), 0, 1)
    image = np.clip(image, 0, 1) ** np.float32(gamma)
    low, high = black * (0.6 + 0.8 * uneven), 1 - white * (0.7 + 0.6 * rim)
    image = low + image * (high - low)
    image = image * (1 - cast * np.array([-0.12, 0.16, 0.26], np.float32)) + cast * np.array([0.06, 0.02, 0.0], np.float32)
    tint = np.array([0.02, 0.11, 0.28], np.float32)
    return np.asarray(image * (1 - yellow * tint * (0.45 + 0.75 * rim)), np.float32)


def stained(image: Image, count: int, unit: float, rng: np.random.Generator) -> Image:
    """Water and coffee: a ragged patch, darkest where its edge dried."""
    height, width = image.shape[:2]
    y, x = np.mgrid[:height, :width].astype(np.float32)
    for _ in range(count):
        centre = rng.uniform(-0.05, 1.05, 2) * (width, height)
        radius = float(rng.uniform(25, 120)) * unit
        stretch, turn = float(rng.uniform(0.6, 1.6)), float(rng.uniform(0, math.pi))
        dx, dy = x - float(centre[0]), y - float(centre[1])
        along, across = dx * math.cos(turn) + dy * math.sin(turn), dy * math.cos(turn) - dx * math.sin(turn)
        ragged = (_clouds(height, width, 0.12, rng) - 0.5) * radius * 0.9
        inside = radius - np.hypot(along * stretch, across / stretch) + ragged
        fill = _smooth(inside / (6 * unit))
        edge = np.exp(-np.square((inside - 3 * unit) / (3.5 * unit)))
        depth = float(rng.uniform(0.08, 0.3)) * (0.55 * fill + 0.8 * edge * fill)
        tint = np.array([0.45, 0.75, 1.15], np.float32) if rng.random() < 0.75 else np.array([0.8, 0.8, 0.7], np.float32)
        image = image * (1 - depth[..., None] * tint)
        if rng.random() < 0.3:  # the emulsion swelled and lost its blacks
            image = image + (fill * float(rng.uniform(0.03, 0.12)))[..., None]
    return np.asarray(image, np.float32)


def spotted(image: Image, count: int, unit: float, rng: np.random.Generator) -> Image:
    """Foxing: small brown spots with soft rims, in families."""
    if not count:
        return image
    height, width = image.shape[:2]
    brown = np.zeros((height, width), np.float32)
    home = rng.uniform(0, 1, 2)
    for _ in range(count):
        if rng.random() < 0.25:
            home = rng.uniform(0, 1, 2)
        place = np.clip(rng.normal(home, 0.12), 0, 1) * (width - 1, height - 1)
        _dab(brown, place, float(rng.gamma(2.0, 1.3)) * unit + 0.5, float(rng.uniform(0.15, 0.5)))
    return np.asarray(image * (1 - np.clip(brown, 0, 0.7)[..., None] * np.array([0.35, 0.65, 0.95], np.float32)))


def creased(image: Image, count: int, unit: float, rng: np.random.Generator) -> Image:
    """Folds: the paper shows where the emulsion broke, one side of the fold catches the light, the other lies in shade."""
    height, width = image.shape[:2]
    diagonal = math.hypot(height, width)
    for _ in range(count):
        angle = float(rng.choice([0.0, math.pi / 2])) + float(rng.normal(0, 0.25))
        middle: NDArray[np.float64] = rng.uniform(0.12, 0.88, 2) * (width, height)
        if rng.random() < 0.45:  # a dog's ear
            corner = rng.integers(0, 2, 2)
            middle = np.asarray((0.14 + 0.72 * corner) * (width, height))
            angle = (math.pi / 4 if corner[0] != corner[1] else -math.pi / 4) + float(rng.normal(0, 0.2))
        along = np.linspace(-diagonal, diagonal, 160)
        wander = np.cumsum(rng.normal(0, 0.5, 160)) * unit
        wander -= np.interp(along, [along[0], along[-1]], [wander[0], wander[-1]])
        points = middle + along[:, None] * (math.cos(angle), math.sin(angle)) + wander[:, None] * (-math.sin(angle), math.cos(angle))
        line = _line(height, width, points, max(0.8, float(rng.uniform(0.8, 2.0)) * unit))
        broken = np.clip(line * (0.25 + 1.3 * _clouds(height, width, 0.02, rng)), 0, 1)
        y, x = np.mgrid[:height, :width].astype(np.float32)
        across = (x - float(middle[0])) * -math.sin(angle) + (y - float(middle[1])) * math.cos(angle)
        relief = across / (5 * unit) * np.exp(-np.square(across / (7 * unit)) / 2)
        image = image + (relief * float(rng.uniform(-0.09, 0.09)))[..., None]
        image = _over(image, np.asarray(0.9 * broken, np.float32), PAPER)
    return np.asarray(image, np.float32)


def scratched(image: Image, count: int, unit: float, rng: np.random.Generator) -> Image:
    """Scratches that took emulsion away (light) or dirt in (dark), breaking off and setting in again; most run one way."""
    height, width = image.shape[:2]
    way = float(rng.normal(math.pi / 2, 0.12))
    bare, dirty = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for _ in range(count):
        angle = float(rng.normal(way, 0.06)) if rng.random() < 0.65 else float(rng.uniform(0, math.pi))
        length = float(rng.uniform(0.08, 0.9)) * height
        along = np.linspace(0, length, 60)
        bend = np.cumsum(np.cumsum(rng.normal(0, 0.02, 60))) * unit
        start = rng.uniform(0, 1, 2) * (width, height) - np.array((math.cos(angle), math.sin(angle))) * length / 2
        points = start + along[:, None] * (math.cos(angle), math.sin(angle)) + bend[:, None] * (-math.sin(angle), math.cos(angle))
        line = _line(height, width, points, float(np.clip(rng.gamma(2.0, 0.45), 0.35, 3)) * unit)
        broken = np.clip(1.6 * _clouds(height, width, 0.05, rng) - float(rng.uniform(0, 0.5)), 0, 1)
        layer = bare if rng.random() < 0.8 else dirty
        np.maximum(layer, line * broken * float(rng.uniform(0.35, 0.95)), out=layer)
    return _over(_over(image, dirty, np.full(3, 0.12, np.float32)), bare, PAPER) if count else image


def dusted(image: Image, count: int, unit: float, rng: np.random.Generator) -> Image:
    """Specks and hairs: white where they lay on the negative, dark where they lie on the print."""
    if not count:
        return image
    height, width = image.shape[:2]
    white, dark = np.zeros((height, width), np.float32), np.zeros((height, width), np.float32)
    for _ in range(count):
        layer = white if rng.random() < 0.75 else dark
        place = rng.uniform(0, 1, 2) * (width - 1, height - 1)
        if rng.random() < 0.08:  # a hair
            turns = np.cumsum(rng.normal(0, 0.16, 24)) + float(rng.uniform(0, 2 * math.pi))
            points = place + np.cumsum(np.stack([np.cos(turns), np.sin(turns)], axis=1), axis=0) * float(rng.uniform(0.6, 2.2)) * unit
            np.maximum(layer, _line(height, width, points, 0.55 * unit) * float(rng.uniform(0.4, 0.85)), out=layer)
        else:
            _dab(layer, place, float(np.clip(rng.gamma(1.6, 0.45), 0.3, 3)) * unit, float(rng.uniform(0.3, 0.95)), hard=True)
    return _over(_over(image, dark * 0.8, np.zeros(3, np.float32)), white, PAPER)


# Shapes ---------------------------------------------------------------------------------------------------------------------------------


def _over(image: Image, mask: Mask, colour: NDArray[np.float32]) -> Image:
    """A colour laid on where the mask is 1."""
    return np.asarray(image + mask[..., None] * (colour - image), np.float32)


def _clouds(height: int, width: int, size: float, rng: np.random.Generator) -> Mask:
    """Smooth noise, 0 to 1, about 0.5; size: of its blobs, in parts of the picture."""
    total = np.zeros((height, width), np.float32)
    for octave, weight in enumerate((0.6, 0.3, 0.1)):
        cells = max(2, round(2**octave / size))
        coarse = rng.random((min(cells, height) + 1, min(cells, width) + 1), np.float32)
        total += np.float32(weight) * cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip((total - 0.5) * 1.5 + 0.5, 0, 1))


def _rim(height: int, width: int) -> NDArray[np.float32]:
    """H x W x 1: 0 in the middle, 1 at the rim."""
    y, x = np.abs(np.linspace(-1, 1, height, dtype=np.float32)), np.abs(np.linspace(-1, 1, width, dtype=np.float32))
    return np.asarray(np.maximum(y[:, None], x[None]) ** 4)[..., None]


def _smooth(x: NDArray[np.float32]) -> Mask:
    x = np.clip(x, 0, 1)
    return np.asarray(x * x * (3 - 2 * x))


def _line(height: int, width: int, points: NDArray[np.float64], thickness: float) -> Mask:
    """A line through points (x, y), antialiased; thinner than a pixel it is fainter instead."""
    fine = 4  # bits of a pixel's fraction
    mask = np.zeros((height, width), np.uint8)
    fixed = np.rint(np.clip(points, -4 * width, 4 * width) * (1 << fine)).astype(np.int32)
    cv2.polylines(mask, [fixed[:, None]], False, 255, max(1, round(thickness)), cv2.LINE_AA, fine)
    return np.asarray(mask.astype(np.float32) * np.float32(min(1.0, thickness) / 255))


def _dab(mask: Mask, place: NDArray[np.float64], radius: float, depth: float, *, hard: bool = False) -> None:
    """A soft or hard round spot, in place; smaller than a pixel it is fainter instead."""
    reach = math.ceil(3 * max(radius, 0.6))
    column, row = int(place[0]), int(place[1])
    top, left = max(0, row - reach), max(0, column - reach)
    part = mask[top : row + reach + 1, left : column + reach + 1]
    y, x = np.mgrid[top : top + part.shape[0], left : left + part.shape[1]]
    away = np.hypot(x - place[0], y - place[1])
    wide = max(radius, 0.6)
    depth *= min(1.0, (radius / 0.6) ** 2)
    shape = np.clip(wide - away + 0.5, 0, 1) if hard else np.exp(-np.square(away / wide) / 2)
    np.maximum(part, (depth * shape).astype(np.float32), out=part)
