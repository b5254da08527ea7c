"""Holes: bridged, cut with a face, shared out among faces, filled without a seam."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from facewright.faces.holes import bridged, cut, fill, owners, seamless, spread

HEIGHT, WIDTH = 60, 75


def ramp(channels: int = 3) -> NDArray[np.float32]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    planes = [0.2 + 0.5 * rows / HEIGHT, 0.8 - 0.5 * columns / WIDTH, 0.3 + 0.2 * rows / HEIGHT]
    return np.stack(planes[:channels], axis=2).astype(np.float32)


def spot(row: int, column: int, radius: int) -> NDArray[np.bool_]:
    rows, columns = np.ogrid[:HEIGHT, :WIDTH]
    return np.asarray(np.hypot(rows - row, columns - column) <= radius)


spots = st.tuples(st.integers(0, HEIGHT - 1), st.integers(0, WIDTH - 1), st.integers(1, 20))


@given(spot_=spots, value=st.floats(-3, 3), channels=st.integers(1, 3))
@settings(max_examples=30, deadline=None)
def test_what_is_constant_is_spread_as_it_is(spot_: tuple[int, int, int], value: float, channels: int) -> None:
    known = (~spot(*spot_)).astype(np.float32)
    values = np.full((HEIGHT, WIDTH, channels), value, np.float32) + 100 * (1 - known[..., None])
    assert_allclose(spread(values, known), value, atol=1e-4)


@given(spot_=spots)
@settings(max_examples=30, deadline=None)
def test_known_values_stay_and_others_lie_between_them(spot_: tuple[int, int, int]) -> None:
    known = (~spot(*spot_)).astype(np.float32)
    values = np.random.default_rng(0).uniform(0, 1, (HEIGHT, WIDTH, 3)).astype(np.float32)
    got = spread(values, known)
    assert_array_equal(got[known > 0], values[known > 0])
    assert got.min() >= values[known > 0].min() - 1e-5 and got.max() <= values[known > 0].max() + 1e-5


def test_one_known_pixel_is_enough() -> None:
    known = np.zeros((HEIGHT, WIDTH), np.float32)
    known[3, 4] = 1
    assert_allclose(spread(ramp(), known), np.broadcast_to(ramp()[3, 4], (HEIGHT, WIDTH, 3)), atol=1e-5)


@given(spot_=spots, offset=st.tuples(*[st.floats(-0.15, 0.15)] * 3))
@settings(max_examples=30, deadline=None)
def test_a_picture_that_is_off_by_a_colour_meets_its_surroundings(spot_: tuple[int, int, int], offset: tuple[float, ...]) -> None:
    holes = spot(*spot_)
    picture = ramp() + np.array(offset, np.float32)
    around = np.where(holes[..., None], np.float32(1), ramp())
    got = seamless(picture, around, holes)
    assert_array_equal(got[~holes], around[~holes])
    assert_allclose(got[holes], ramp()[holes], atol=1e-4)


def test_detail_comes_from_the_picture() -> None:
    holes = spot(30, 35, 12)
    dots = np.where((np.indices((HEIGHT, WIDTH)).sum(axis=0) % 4 < 2)[..., None], 0.1, -0.1).astype(np.float32)
    got = seamless(ramp() + dots, ramp() + dots, holes)
    assert_allclose(got, ramp() + dots, atol=1e-5)
    assert_array_equal(seamless(ramp(), ramp(), np.ones((HEIGHT, WIDTH), bool)), ramp())


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("grey", [False, True])
def test_a_bridge_leads_over_the_hole_and_touches_nothing_else(depth: type, grey: bool) -> None:
    levels, holes = np.iinfo(depth).max, spot(30, 35, 10)
    photo = np.rint(ramp() * levels).astype(depth)
    photo = photo[..., 0] if grey else photo
    covered = photo.copy()
    covered[holes] = levels
    got = bridged(covered, holes)
    assert got.dtype == depth and covered[holes].min() == levels  # a copy
    assert_array_equal(got[~holes], photo[~holes])
    assert np.abs(got[holes].astype(float) - photo[holes]).max() < 0.08 * levels


def test_a_large_photo_is_bridged_too() -> None:
    photo = cv2.resize(np.rint(ramp() * 255).astype(np.uint8), (1500, 1200), interpolation=cv2.INTER_LINEAR)
    holes = np.zeros((1200, 1500), bool)
    holes[600:640] = True
    covered = np.where(holes[..., None], 255, photo).astype(np.uint8)
    got = bridged(covered, holes)
    assert_array_equal(got[~holes], photo[~holes])
    assert np.abs(got[holes].astype(float) - photo[holes]).max() < 6


@given(angle=st.floats(-3, 3), scale=st.floats(0.3, 3), spot_=spots)
@settings(max_examples=30, deadline=None)
def test_a_pixel_of_the_crop_that_sees_a_hole_is_one(angle: float, scale: float, spot_: tuple[int, int, int]) -> None:
    affine = cv2.getRotationMatrix2D((WIDTH / 2, HEIGHT / 2), float(np.degrees(angle)), scale)
    holes = spot(*spot_)
    inside = cut(holes, affine, 64)
    rows, columns = np.nonzero(holes)
    at = np.rint(np.stack([columns, rows], axis=1) @ affine[:, :2].T + affine[:, 2]).astype(int)
    seen = at[((at >= 0) & (at < 64)).all(axis=1)]
    if scale <= 1:  # every hole's middle lies in a pixel of the crop
        assert inside[seen[:, 1], seen[:, 0]].all()
    assert not cut(np.zeros_like(holes), affine, 64).any() and cut(np.ones_like(holes), affine, 64).all()


def test_a_hole_between_two_faces_is_shared_out() -> None:
    holes = np.zeros((HEIGHT, WIDTH), bool)
    holes[10:20] = True
    shift = [np.array([[1.0, 0, -left], [0, 1, 0]]) for left in (5, 25)]  # crops of 40 px
    numbers = owners(holes, shift, 40)
    assert (numbers[~holes] == -1).all()
    row = numbers[15]
    assert (row[:5] == -1).all() and (row[65:] == -1).all()
    assert (row[5:34] == 0).all() and (row[36:65] == 1).all()
    assert (owners(holes, [], 40) == -1).all()


@given(spot_=spots, depth=st.sampled_from([np.uint8, np.uint16]), grey=st.booleans())
@settings(max_examples=30, deadline=None)
def test_only_what_is_owned_is_written(spot_: tuple[int, int, int], depth: type, grey: bool) -> None:
    photo = np.random.default_rng(1).integers(0, np.iinfo(depth).max, (HEIGHT, WIDTH) + (() if grey else (3,))).astype(depth)
    holes, affine = spot(*spot_), np.array([[0.9, 0.1, -3], [-0.1, 0.9, 2]])
    numbers = owners(holes, [affine], 48)
    got = photo.copy()
    fill(got, np.full((48, 48, 3), 0.5, np.float32), affine, numbers, 0)
    assert_array_equal(got[numbers < 0], photo[numbers < 0])
    assert (np.abs(got[numbers == 0].astype(float) - np.iinfo(depth).max / 2) <= 0.5).all()
