"""Colour matching: gentle, and true to the tone of a print."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis.strategies import floats
from numpy.testing import assert_allclose
from skimage.data import astronaut

from facewright.faces.colour import adain, hold_colour, match_colour, tone_of
from facewright.faces.mask import ellipse_mask

FACE = (astronaut()[20:276, 96:352] / 255).astype(np.float32)
MASK = ellipse_mask(256)
LUMA = (FACE @ np.array([0.299, 0.587, 0.114], np.float32))[..., None]
SEPIA = np.clip(LUMA * np.array([1.0, 0.86, 0.68], np.float32) + np.array([0.06, 0.03, 0.0], np.float32), 0, 1)


def test_a_matched_picture_is_left_as_it_is() -> None:
    assert_allclose(match_colour(FACE, FACE, MASK), FACE, atol=2e-5)


@settings(max_examples=20, deadline=None)
@given(floats(-0.08, 0.08), floats(-0.06, 0.06), floats(0.9, 1.1))
def test_a_cast_is_taken_back(brightness: float, warmth: float, contrast: float) -> None:
    cast = ((FACE - 0.5) * contrast + 0.5 + brightness + np.array([warmth, 0, -warmth])).astype(np.float32)
    before = np.abs(cast - FACE)[MASK > 0.5].mean()
    after = np.abs(match_colour(cast, FACE, MASK) - FACE)[MASK > 0.5].mean()
    assert after < max(0.25 * before, 0.004)


def test_a_wild_reference_is_not_followed_all_the_way() -> None:
    """Against a photo as different as its own negative: luma moves by the stated shift and gain, no more."""
    moved = (match_colour(FACE, 1 - FACE, MASK) - FACE) @ np.array([0.299, 0.587, 0.114], np.float32)
    assert 0.01 < np.abs(moved).mean() < np.abs(1 - 2 * FACE).mean() / 3
    assert np.abs(moved).max() < 0.12 + 0.15 + 0.02


def test_grey_and_toned_prints_keep_their_tone() -> None:
    grey = np.repeat(LUMA, 3, axis=2)
    matched = match_colour(FACE, grey, MASK)
    assert np.ptp(matched, axis=2).max() < 1e-3
    toned = match_colour(FACE, SEPIA, MASK)
    assert np.abs(toned - SEPIA)[MASK > 0.5].mean() < 0.03
    assert (toned[..., 0] - toned[..., 2])[MASK > 0.5].mean() > 0.1


def test_only_toned_pictures_have_a_tone() -> None:
    assert tone_of(FACE, MASK) is None
    noisy = np.clip(SEPIA + np.random.default_rng(0).normal(0, 0.02, SEPIA.shape), 0, 1).astype(np.float32)
    assert tone_of(noisy, MASK) is not None


def test_adain_gives_the_statistics_of_the_style() -> None:
    style = FACE[::-1].astype(np.float64) * 0.5 + 0.1
    got = adain(FACE, style)
    assert_allclose(got.mean(axis=(0, 1)), style.mean(axis=(0, 1)), atol=1e-6)
    assert_allclose(got.std(axis=(0, 1)), style.std(axis=(0, 1)), atol=1e-3)


def test_invented_colour_is_held_back_and_known_colour_stays() -> None:
    rng = np.random.default_rng(5)
    reference = np.full((128, 128, 3), 0.5, np.float32) + rng.normal(0, 0.002, (128, 128, 3)).astype(np.float32)
    invented = reference.copy()
    invented[60:66, 40:46] = [0.3, 0.4, 0.9]  # a blue eye in a grey face
    held = hold_colour(invented, reference)
    assert np.ptp(held[62, 42]) < 0.5 * np.ptp(invented[62, 42])
    known = hold_colour(invented, invented)
    assert np.abs(known - invented).max() < 0.8 * np.abs(held - invented).max(), "what the photo has may stay"
    luma = np.array([0.299, 0.587, 0.114], np.float32)
    assert np.abs((held - invented) @ luma).max() < 0.02, "brightness is free"
