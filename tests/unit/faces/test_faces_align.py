"""Alignment: the fit, the crop, and what it reads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, integers
from numpy.testing import assert_allclose

from facewright.faces.align import TEMPLATE, align, inliers, misfit, similarity
from facewright.faces.warp import finer, invert, resized, transform, warp


def a_similarity(angle: float, scale: float, x: float, y: float) -> np.ndarray:
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    return np.array([[cos, -sin, x], [sin, cos, y]])


def waves(height: int, width: int, period: float = 40) -> np.ndarray:
    """A smooth RGB picture, 0..255."""
    y, x = np.mgrid[0:height, 0:width] * (2 * np.pi / period)
    return np.rint(127.5 + 100 * np.stack([np.sin(x), np.sin(y), np.sin(x + y)], axis=2)).astype(np.uint8)


@given(floats(-180, 180), floats(0.05, 20), floats(-3000, 3000), floats(-3000, 3000))
def test_alignment_undoes_any_similarity(angle: float, scale: float, x: float, y: float) -> None:
    placed = transform(a_similarity(angle, scale, x, y), TEMPLATE)
    assert_allclose(transform(similarity(placed), placed), TEMPLATE, atol=0.02)
    assert misfit(placed) < 1e-6


@given(integers(0, 4), floats(60, 400), floats(0, 2 * np.pi))
def test_one_wild_point_does_no_harm(wild: int, distance: float, direction: float) -> None:
    points = TEMPLATE.copy()
    points[wild] += distance * np.array([np.cos(direction), np.sin(direction)])
    assert_allclose(similarity(points), [[1, 0, 0], [0, 1, 0]], atol=1e-3)
    assert not inliers(points)[wild]


def test_misfit_grows_as_a_face_turns_away() -> None:
    depth = np.array([0.0, 0, 75, 25, 25])  # of the nose and the mouth before the eyes
    fits = []
    for yaw in (0, 20, 40, 60):
        turned = TEMPLATE.copy()
        turned[:, 0] = 256 + (TEMPLATE[:, 0] - 256) * np.cos(np.radians(yaw)) + depth * np.sin(np.radians(yaw))
        fits.append(misfit(turned))
    assert fits == sorted(fits) and fits[0] < 0.001 and fits[2] > 0.12


@pytest.mark.parametrize("scale", [0.11, 0.4, 0.75, 1.0, 2.7])
def test_a_crop_shows_what_lies_under_it(scale: float) -> None:
    """Pixel centres stay where they belong at any scale: a plane is warped without an error."""
    y, x = np.mgrid[0:1200, 0:1500]
    plane = np.rint(np.stack([10 * x, 12 * y, 5 * x + 5 * y], axis=2)).astype(np.uint16)
    affine = a_similarity(17, scale, 0, 0)
    affine[:, 2] = 32 - affine[:, :2] @ np.array([740.0, 610])
    crop = align(plane, affine, 64) * 65535
    v, u = np.mgrid[0:64, 0:64]
    there = transform(invert(affine), np.stack([u, v], axis=2).reshape(-1, 2).astype(float)).reshape(64, 64, 2)
    wanted = np.stack([10 * there[..., 0], 12 * there[..., 1], 5 * there.sum(axis=2)], axis=2)
    assert np.abs(crop - wanted).max() < (60 if scale < 0.2 else 12)  # a pixel is 10 levels; a template pixel is 1 / scale of them


def test_shrinking_does_not_alias() -> None:
    """A chessboard of single pixels is grey from afar; a plain bilinear warp shows patterns that are not there."""
    board = (np.indices((900, 900)).sum(axis=0) % 2 * 255).astype(np.uint8)
    affine = a_similarity(3, 0.21, 0, 0)
    assert np.abs(align(board, affine, 150)[8:-8, 8:-8] - 0.5).max() < 0.02
    assert np.abs(align(board, affine, 150, antialias=False)[8:-8, 8:-8] - 0.5).max() > 0.2


def test_grey_and_16_bit_give_the_same_crop() -> None:
    photo = waves(200, 240)
    affine = a_similarity(10, 1.3, -20, -30)
    crop = align(photo, affine, 128)
    assert crop.dtype == np.float32 and crop.shape == (128, 128, 3)
    assert_allclose(align(photo.astype(np.uint16) * 257, affine, 128), crop, atol=1e-5)
    assert_allclose(align(photo[..., 0], affine, 128), crop[..., :1].repeat(3, axis=2), atol=1e-6)


def test_outside_is_the_published_grey_on_request() -> None:
    crop = align(waves(64, 64), a_similarity(0, 1, 500, 0), 128, border="constant")
    assert_allclose(crop[5, 5] * 255, [132, 133, 135], atol=1e-3)


class Watched(np.ndarray):
    """A photo that remembers the largest part of it that was cut out."""

    largest = 0

    def __getitem__(self, key):  # type: ignore[no-untyped-def]
        part = super().__getitem__(key)
        if isinstance(part, np.ndarray):
            Watched.largest = max(Watched.largest, part.size)
        return part


def test_only_the_region_is_read() -> None:
    photo = np.zeros((4000, 6000, 3), np.uint8).view(Watched)
    Watched.largest = 0
    align(photo, a_similarity(20, 1.0, -3000, -500), 512)
    assert 0 < Watched.largest < 900 * 900 * 3


@settings(max_examples=25)
@given(floats(-180, 180), floats(0.3, 3), floats(1.01, 4))
def test_affines_of_finer_crops_and_larger_photos_agree(angle: float, scale: float, times: float) -> None:
    """A crop twice as fine, of a photo twice as large, shows the same: pixel edges, not centres, coincide."""
    affine = a_similarity(angle, scale, 30, -40)
    edges = np.array([[-0.5, -0.5], [99.5, 49.5]])
    larger = (edges + 0.5) * times - 0.5
    assert_allclose(transform(resized(affine, (times, times)), larger), transform(affine, edges), atol=1e-8)
    assert_allclose(transform(finer(affine, times), edges), (transform(affine, edges) + 0.5) * times - 0.5, atol=1e-8)


def test_warping_there_and_back_keeps_a_smooth_picture() -> None:
    photo = waves(300, 300, period=60)
    affine = a_similarity(25, 1.7, -60, -150)
    back = warp(warp(photo, affine, (512, 512)), invert(affine), (300, 300))
    centre = transform(invert(affine), np.array([[256.0, 256]]))[0].astype(int)
    part = (slice(centre[1] - 30, centre[1] + 30), slice(centre[0] - 30, centre[0] + 30))
    assert np.abs(back[part] - photo[part]).max() < 3
