"""Paste: what it changes, what it must not, and what it costs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis.strategies import floats, sampled_from
from numpy.testing import assert_array_equal

from facewright.faces.align import TEMPLATE, align, similarity
from facewright.faces.mask import ellipse_mask, hull_mask, parsed_mask
from facewright.faces.paste import paste, paste_plain
from facewright.faces.warp import invert, transform, warp
from facewright.metrics.seam import seam


def photo_of(kind: str, height: int = 300, width: int = 340) -> np.ndarray:
    y, x = np.mgrid[0:height, 0:width]
    waves = np.stack([np.sin(x / 19), np.sin(y / 23), np.sin((x + y) / 29)], axis=2) * 90 + 128
    waves += np.random.default_rng(3).normal(0, 2, waves.shape)
    levels = {"uint8": 1, "uint16": 257, "grey8": 1, "grey16": 257}[kind]
    picture = np.rint(np.clip(waves, 0, 255) * levels).astype(np.uint8 if levels == 1 else np.uint16)
    return picture[..., 1] if kind.startswith("grey") else picture


def face_at(x: float, y: float, eyes: float, angle: float) -> np.ndarray:
    """crop <- photo for a face whose eyes are so far apart."""
    turn = np.exp(1j * np.radians(angle)) * eyes / np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
    z = (TEMPLATE - TEMPLATE.mean(axis=0)) @ np.array([1, 1j]) * turn
    return similarity(np.stack([z.real + x, z.imag + y], axis=1))


@settings(max_examples=30, deadline=None)
@given(sampled_from(["uint8", "uint16", "grey8", "grey16"]), floats(-50, 390), floats(-50, 350), floats(8, 200), floats(-180, 180))
def test_a_pixel_outside_the_mask_is_bit_identical(kind: str, x: float, y: float, eyes: float, angle: float) -> None:
    photo = photo_of(kind)
    affine = face_at(x, y, eyes, angle)
    mask = ellipse_mask(128)
    affine = affine / 4
    pasted = photo.copy()
    rows, columns = paste(pasted, np.random.default_rng(1).random((128, 128, 3), np.float32), affine, mask)
    covered = warp(mask, invert(affine), (photo.shape[1], photo.shape[0])) > 0
    assert_array_equal(pasted[~covered], photo[~covered])
    elsewhere = np.ones(photo.shape[:2], bool)
    elsewhere[rows, columns] = False
    assert_array_equal(pasted[elsewhere], photo[elsewhere])


@pytest.mark.parametrize("kind", ["uint8", "uint16", "grey8", "grey16"])
@pytest.mark.parametrize("eyes", [15, 60, 126])
def test_pasting_the_crop_itself_returns_the_photo(kind: str, eyes: float) -> None:
    photo = photo_of(kind)
    affine = face_at(170, 150, eyes, 12)
    crop = align(photo, affine)
    pasted = photo.copy()
    paste(pasted, crop, affine, ellipse_mask(), replacing=crop)
    assert_array_equal(pasted, photo)  # the difference is nothing, so nothing changes
    paste(pasted, crop, affine, ellipse_mask())
    scale = 257 if photo.dtype == np.uint16 else 1
    difference = np.abs(pasted.astype(float) - photo) / scale
    assert difference.max() < 8 and difference.mean() < 1  # noise of two levels is smoothed by the two warps; nothing moves


def test_a_constant_face_lands_on_its_level_exactly() -> None:
    photo = np.full((200, 200, 3), 77, np.uint8)
    affine = face_at(100, 100, 40, 5)
    mask = ellipse_mask()
    paste(photo, np.full((512, 512, 3), 200 / 255, np.float32), affine, mask)
    centre = transform(invert(affine), np.array([[256.0, 282]]))[0].astype(int)
    assert_array_equal(photo[centre[1], centre[0]], [200] * 3)


def test_rounding_is_to_the_nearest_and_truncation_is_darker() -> None:
    nearest, truncated = (np.full((160, 160), 100, np.uint8) for _ in range(2))
    face, affine, mask = np.full((512, 512, 3), 101 / 255, np.float32), face_at(80, 80, 50, 0), ellipse_mask()
    paste(nearest, face, affine, mask * np.float32(0.6))
    paste(truncated, face, affine, mask * np.float32(0.6), rounding="truncate")
    assert nearest.max() == 101 and truncated.max() == 100


def test_alpha_stays() -> None:
    photo = np.dstack([photo_of("uint8"), np.random.default_rng(0).integers(0, 256, (300, 340), dtype=np.uint8)])
    alpha = photo[..., 3].copy()
    before = photo.copy()
    paste(photo, np.zeros((512, 512, 3), np.float32), face_at(170, 150, 60, 0), ellipse_mask())
    assert_array_equal(photo[..., 3], alpha)
    assert (photo != before).any()


@pytest.mark.parametrize("upscale", [2, 3])
def test_an_enlarged_photo_gets_its_face_in_the_same_place(upscale: int) -> None:
    """Pixel edges coincide: the mean of each upscale x upscale block is what the paste at 1 gives, to a level."""
    affine, mask = face_at(60, 55, 30, 8), ellipse_mask()
    face = align(photo_of("uint8"), face_at(170, 150, 60, 0))
    once, larger = np.full((110, 120, 3), 90, np.uint8), np.full((110 * upscale, 120 * upscale, 3), 90, np.uint8)
    paste(once, face, affine, mask)
    paste(larger, face, affine, mask, upscale=upscale)
    blocks = larger.reshape(110, upscale, 120, upscale, 3).mean(axis=(1, 3))
    assert np.abs(blocks - once).mean() < 0.3 and np.abs(blocks - once).max() < 4


def test_the_photo_beyond_the_face_is_not_touched(tmp_path: object) -> None:
    """24 MP on disk, opened copy-on-write: only the pages of the face's rows are ever looked at."""
    photo = np.memmap(f"{tmp_path}/photo", np.uint8, "w+", shape=(4000, 6000, 3))
    rows, columns = paste(photo, np.ones((512, 512, 3), np.float32), face_at(3000, 2000, 120, 30), ellipse_mask())
    assert (rows.stop - rows.start) * (columns.stop - columns.start) < 750 * 750
    assert photo[rows, columns].max() == 255


def test_a_face_outside_of_the_photo_is_no_error() -> None:
    photo = photo_of("uint8")
    before = photo.copy()
    paste(photo, np.zeros((512, 512, 3), np.float32), face_at(5000, -900, 40, 0), ellipse_mask())
    assert_array_equal(photo, before)


@pytest.mark.parametrize("size", [64, 256, 512, 1024])
def test_masks_are_nothing_at_the_border_and_all_on_the_face(size: int) -> None:
    points = (TEMPLATE + 0.5) * size / 512 - 0.5
    for mask in (ellipse_mask(size), hull_mask(points, size), parsed_mask(np.ones((512, 512), int), size)):
        assert mask.shape == (size, size) and mask.dtype == np.float32
        assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any()
        assert mask.min() >= 0 and mask.max() <= 1
        x, y = np.rint(points).astype(int).T
        assert mask[y, x].min() > 0.95
    for mask in (ellipse_mask(size), hull_mask(points, size)):
        assert np.abs(np.diff(mask, axis=0)).max() < 16 / size  # a feather, not an edge


def test_the_hull_leaves_the_hidden_cheek_of_a_turned_face() -> None:
    """A face that looks to the right ends soon after its nose and reaches back to the left; mirrored, the other way round."""
    turned = TEMPLATE.copy()
    turned[:, 0] = 256 + (TEMPLATE[:, 0] - 256) * 0.6 + np.array([0, 0, 60, 25, 25])
    row = hull_mask(turned)[290]
    inside = np.flatnonzero(row > 0.5)
    frontal = np.flatnonzero(hull_mask(TEMPLATE)[290] > 0.5)
    nose = turned[2, 0]
    assert inside[-1] - nose < 0.6 * (frontal[-1] - TEMPLATE[2, 0]) and nose - inside[0] > TEMPLATE[2, 0] - frontal[0]
    mirrored = np.stack([511 - turned[[1, 0, 2, 4, 3], 0], turned[[1, 0, 2, 4, 3], 1]], axis=1)
    assert np.abs(hull_mask(mirrored)[:, ::-1] - hull_mask(turned)).max() < 0.05


def test_the_seam_measure_sees_a_hard_edge_and_no_feather() -> None:
    photo = photo_of("uint8")
    affine = face_at(170, 150, 50, 0)
    crop = np.clip(align(photo, affine) + 0.06, 0, 1).astype(np.float32)
    soft = ellipse_mask()
    hard = (soft > 0.5).astype(np.float32)
    values = {}
    for name, mask in (("soft", soft), ("hard", hard)):
        pasted = photo.copy()
        paste(pasted, crop, affine, mask)
        placed = warp(mask, invert(affine), (photo.shape[1], photo.shape[0]))
        values[name] = seam(pasted, placed), seam(pasted, placed, before=photo)
    assert values["hard"][0] > 1.6 and values["hard"][1] > 1.6
    assert values["soft"][1] < 1.15
    assert seam(photo, np.zeros(photo.shape[:2])) == 1


def test_the_published_paste_stays_in_its_rectangle() -> None:
    photo = photo_of("uint8")
    pasted = photo.copy()
    rows, columns = paste_plain(pasted, np.full((128, 128, 3), 255, np.uint8), face_at(120, 130, 15, 20) / 4)
    changed = (pasted != photo).any(axis=2)
    assert changed.any()
    changed[rows, columns] = False
    assert not changed.any()
