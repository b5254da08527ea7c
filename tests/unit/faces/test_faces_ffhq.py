"""FFHQ's square and its soft margin."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis.strategies import floats
from numpy.testing import assert_allclose

from facewright.errors import UsageError
from facewright.faces.align import TEMPLATE
from facewright.faces.ffhq import crop_ffhq, oriented_square
from facewright.faces.warp import transform


@given(floats(-180, 180), floats(0.1, 8), floats(-500, 500))
def test_the_square_turns_and_grows_with_the_face(angle: float, scale: float, shift: float) -> None:
    cos, sin = scale * np.cos(np.radians(angle)), scale * np.sin(np.radians(angle))
    affine = np.array([[cos, -sin, shift], [sin, cos, -shift]])
    square, moved = oriented_square(TEMPLATE), oriented_square(transform(affine, TEMPLATE))
    assert_allclose(moved.corners, transform(affine, square.corners), rtol=1e-9, atol=1e-6)
    assert_allclose(moved.side, square.side * scale)


def test_an_upright_square_is_cut_as_it_stands() -> None:
    """Eyes 25 apart and 28 above the mouth give a square of 100.8 round a known centre; the crop shows it, to the resampling."""
    y, x = np.mgrid[0:300, 0:300]
    ramp = np.stack([x, y, (x + y) / 2], axis=2) * 0.8
    points = np.array([[140, 130], [165, 130], [152.5, 145], [145, 158], [160, 158]], float)
    square = oriented_square(points)
    assert_allclose(square.side, 100.8)
    left, top = square.corners[0]
    crop = crop_ffhq(np.rint(ramp).astype(np.uint8), points, 64, transform_size=256)
    centres = (np.arange(64) + 0.5) * 100.8 / 64
    assert np.abs(crop[..., 0] - (left + centres)[None, :] * 0.8).max() < 1.6
    assert np.abs(crop[..., 1] - (top + centres)[:, None] * 0.8).max() < 1.6


def test_a_face_at_the_border_fades_and_does_not_end() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (120, 120, 3), dtype=np.uint8)
    crop = crop_ffhq(picture, TEMPLATE / 512 * 60 + [-20, 20], 64)
    outer, inner = crop[:, :8].astype(float), crop[16:48, 30:60].astype(float)
    assert outer.std() < 0.5 * inner.std() and abs(outer.mean() - np.median(picture)) < 25


def test_other_numbers_of_points_are_refused() -> None:
    with pytest.raises(UsageError, match="7 points"):
        oriented_square(np.zeros((7, 2)))
