"""More damage gives larger numbers, and nothing that a crop shows makes them fail."""

from __future__ import annotations

import time
from itertools import pairwise

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage import data

from facewright.metrics import Damage, damage

Image = NDArray[np.uint8]


@pytest.fixture(scope="module")
def face() -> Image:
    """The astronaut's face about as the template cuts it, 256 px."""
    return np.asarray(cv2.resize(data.astronaut()[20:230, 120:330], (256, 256), interpolation=cv2.INTER_AREA))


def noisy(face: Image, sigma: float) -> Image:
    noise = np.random.default_rng(1).normal(0, sigma, face.shape)
    return np.asarray(np.clip(face + noise, 0, 255), np.uint8)


def jpeg(face: Image, quality: int) -> Image:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", face, [cv2.IMWRITE_JPEG_QUALITY, quality])[1], cv2.IMREAD_COLOR))


def enlarged(face: Image, factor: int) -> Image:
    small = cv2.resize(face, (256 // factor, 256 // factor), interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.resize(small, (256, 256), interpolation=cv2.INTER_LINEAR))


def rises(numbers: list[float]) -> bool:
    return all(b > a for a, b in pairwise(numbers))


def test_blur_and_enlarging_are_soft_and_blurred(face: Image) -> None:
    for made in ([cv2.GaussianBlur(face, (0, 0), sigma) for sigma in (0.5, 1, 2, 4)], [enlarged(face, factor) for factor in (2, 4, 8)]):
        told = [damage(each) for each in (face, *made)]
        assert rises([each.soft + each.blurred for each in told])
        assert rises([each.faded for each in told])  # what is blurred away has no contrast either


def test_noise_is_noisy_and_told_in_levels(face: Image) -> None:
    told = [damage(noisy(face, sigma)).noisy for sigma in (0, 4, 8, 16, 32)]
    assert rises(told)
    # white noise of three channels is 0.67 of itself in luma; halving halves it: three scales add up to 1.75; flat windows have 0.8 of it
    flat = damage(noisy(np.full((256, 256, 3), 128, np.uint8), 10)).noisy
    assert flat == pytest.approx(10 * 0.67 * 1.75 * 0.8, rel=0.15)


def test_blocks_are_blocky(face: Image) -> None:
    assert rises([damage(each).blocky for each in (face, jpeg(face, 30), jpeg(face, 10), jpeg(face, 4))])
    # of whatever size: blocks of an enlarged JPEG
    assert damage(cv2.resize(jpeg(face, 8)[:171, :171], (256, 256))).blocky > 2 * damage(face).blocky


def test_fading_is_faded_and_little_else(face: Image) -> None:
    told = [damage(np.asarray(128 + (face - 128.0) * part, np.uint8)) for part in (1, 0.5, 0.25)]
    assert np.diff([each.faded for each in told]) == pytest.approx([1, 1], abs=0.1)
    assert max(abs(each.soft - told[0].soft) for each in told) < 0.2


def test_depth_and_size_of_the_crop_matter_little(face: Image) -> None:
    told = tuple(damage(face))
    assert tuple(damage(face.astype(np.float32) / np.float32(255))) == pytest.approx(told, abs=1e-3)
    larger = damage(cv2.resize(face, (512, 512), interpolation=cv2.INTER_NEAREST))
    assert tuple(larger) == pytest.approx(told, abs=1e-3)


@given(st.integers(0, 2**32 - 1), st.sampled_from([32, 33, 64, 100, 256, 300]), st.sampled_from([0, 1, 3, 255]))
@settings(max_examples=25, deadline=None)
def test_any_content_is_safe(seed: int, side: int, contrast: int) -> None:
    random = np.random.default_rng(seed)
    crop = random.integers(0, contrast + 1, (side, side, 3)) + random.integers(0, 256 - contrast)
    for each in (crop.astype(np.uint8), crop.astype(np.float32) / np.float32(255)):
        assert all(np.isfinite(damage(each)))


@pytest.mark.parametrize("level", [0, 7, 128, 255])
def test_one_tone_shows_neither_noise_nor_grid(level: int) -> None:
    told = damage(np.full((256, 256, 3), level, np.uint8))
    assert tuple(told) == pytest.approx(tuple(Damage(0, 0, 10, 0, 0)), abs=0.02)


def test_a_grey_face_is_told_as_in_colour(face: Image) -> None:
    colour = face.astype(np.float32) / np.float32(255)
    grey = cv2.cvtColor(cv2.cvtColor(colour, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB)
    assert tuple(damage(grey)) == pytest.approx(tuple(damage(face)), abs=0.01)


def test_it_is_quick(face: Image) -> None:
    """About 1 ms; the processor's time of this thread, the best of several, so that a busy machine does not count."""
    crop = face.astype(np.float32) / np.float32(255)
    times = []
    for _ in range(15):
        start = time.thread_time()
        damage(crop)
        times.append(time.thread_time() - start)
    assert min(times) < 0.003
