"""Colours laid over a photo: brightness is its own, to the rounding of a level."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from facewright.faces.mask import ellipse_mask
from facewright.faces.paste import LUMA
from facewright.faces.tint import coloured, tint

colours = st.tuples(*[st.floats(0, 1, width=32)] * 3)


@given(own=colours, wanted=colours)
@settings(deadline=None)
def test_brightness_stays_and_the_hue_is_the_other_s(own: tuple[float, ...], wanted: tuple[float, ...]) -> None:
    picture, other = np.array([[own]], np.float32), np.array([[wanted]], np.float32)
    got = coloured(picture, other)
    assert got.min() >= 0 and got.max() <= 1
    assert_allclose(got @ LUMA, picture @ LUMA, atol=2e-6)
    has, wants = (each - (each @ LUMA)[..., None] for each in (got, other))
    # as far as there is such a colour: the same direction, no longer
    assert (has * wants).sum() >= -1e-6 and np.linalg.norm(has) <= np.linalg.norm(wants) + 1e-5
    assert_allclose(has * np.linalg.norm(wants), wants * np.linalg.norm(has), atol=1e-4)


def test_a_picture_keeps_its_own_colours() -> None:
    picture = np.random.default_rng(0).uniform(0, 1, (9, 9, 3)).astype(np.float32)
    assert_allclose(coloured(picture, picture), picture, atol=1e-5)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@given(seed=st.integers(0, 99), scale=st.floats(0.4, 3), angle=st.floats(-1, 1), colour=colours, opacity=st.floats(0, 1))
@settings(max_examples=20, deadline=None)
def test_a_photo_keeps_its_brightness(
    depth: type, seed: int, scale: float, angle: float, colour: tuple[float, ...], opacity: float
) -> None:
    photo = np.random.default_rng(seed).integers(0, np.iinfo(depth).max + 1, (50, 60, 3)).astype(depth)
    cos, sin = scale * np.cos(angle), scale * np.sin(angle)
    affine = np.array([[cos, -sin, 5.0], [sin, cos, -4.0]])
    before, mask = photo.copy(), ellipse_mask(64)
    rows, columns = tint(photo, np.broadcast_to(np.array(colour, np.float32), (64, 64, 3)), affine, mask, opacity)
    assert np.abs((photo.astype(np.float64) - before) @ LUMA.astype(np.float64)).max() <= 0.51
    outside = np.ones(photo.shape[:2], bool)
    outside[rows, columns] = False
    assert_array_equal(photo[outside], before[outside])
    if opacity == 0:
        assert_array_equal(photo, before)


def test_all_of_a_photo_without_a_mask() -> None:
    photo: NDArray[np.uint8] = np.full((30, 40, 3), 128, np.uint8)
    tint(photo, np.broadcast_to(np.array([0.6, 0.5, 0.4], np.float32), (16, 16, 3)), np.array([[0.4, 0, -0.3], [0, 16 / 30, -0.2]]), None)
    assert (photo[..., 0] > 128).all() and (photo == photo[0, 0]).all()
