"""Flicker along the motion: nothing for what stands still or only moves, the noise's own strength for noise."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from facewright.errors import InputError
from facewright.metrics import Flicker

SIDE = 128
Frames = list[NDArray[np.float32]]


def scene(seed: int = 0, sharp: float = 1.5) -> NDArray[np.float32]:
    """2 SIDE square, textured at all scales down to `sharp` pixels."""
    random = np.random.default_rng(seed)
    picture = sum(cv2.GaussianBlur(random.normal(0, each, (2 * SIDE, 2 * SIDE, 3)), (0, 0), each) for each in (sharp, 4.0, 12.0))
    return np.asarray(np.clip(0.5 + 0.15 * picture / picture.std(), 0, 1), np.float32)


def seen_by_a_moving_camera(picture: NDArray[np.float32], frames: int = 8) -> Frames:
    """It pans by parts of a pixel, comes nearer and turns a little."""
    views = []
    for t in range(frames):
        affine = cv2.getRotationMatrix2D((SIDE, SIDE), 0.4 * t, 1 + 0.004 * t)
        affine[:, 2] += [2.3 * t - 80, 1.4 * t - 70]
        views.append(np.asarray(cv2.warpAffine(picture, affine, (SIDE, SIDE), flags=cv2.INTER_CUBIC), np.float32).clip(0, 1))
    return views


def with_noise(frames: Frames, strength: float, seed: int = 1) -> Frames:
    random = np.random.default_rng(seed)
    return [np.asarray(each + random.normal(0, strength / 255, each.shape), np.float32) for each in frames]


def measured(before: Frames, after: Frames, mask: NDArray[np.float32] | None = None) -> tuple[float, float]:
    meter = Flicker()
    for t, (c, r) in enumerate(zip(before, after, strict=True)):
        meter.add(0, t, c, r, mask)
    assert meter.pairs == len(before) - 1 and meter.before is not None and meter.after is not None
    return meter.before, meter.after


def test_a_clip_that_stands_still_has_none() -> None:
    still = [scene()[:SIDE, :SIDE]] * 4
    sharper = [np.clip(1.5 * each - 0.25, 0, 1).astype(np.float32) for each in still]
    assert measured(still, sharper) == (0, 0)


def test_a_moving_camera_adds_next_to_nothing() -> None:
    frames = seen_by_a_moving_camera(scene())
    raw = 255 * float(np.mean([np.abs(a - b).mean() for a, b in pairwise(frames)]))
    before, after = measured(frames, frames)
    assert before == after < 0.08 * raw and raw > 10


def test_a_sharper_picture_of_a_moving_scene_is_no_flicker() -> None:
    """Where `flicker[excess]` counts every sharper edge that moves."""
    sharp = seen_by_a_moving_camera(scene())
    blurred = [np.asarray(cv2.GaussianBlur(each, (0, 0), 2), np.float32) for each in sharp]
    before, after = measured(blurred, sharp)
    assert before < after < 1.2


@pytest.mark.parametrize("moving", [False, True])
def test_noise_counts_by_its_strength(moving: bool) -> None:
    frames = seen_by_a_moving_camera(scene()) if moving else [scene()[:SIDE, :SIDE]] * 8
    values = [measured(frames, with_noise(frames, strength))[1] for strength in (0, 2, 4, 8, 16)]
    assert all(a < b for a, b in pairwise(values))
    # of blurred noise 1 / (2 sqrt(pi)) is left; the mean distance of two draws is 2 sigma / sqrt(pi)
    assert values[-1] - values[0] == pytest.approx(16 / (2 * math.sqrt(math.pi)) * 2 / math.sqrt(math.pi), rel=0.25)


def test_a_calmer_restoration_is_told_as_calmer() -> None:
    clean = seen_by_a_moving_camera(scene())
    before, after = measured(with_noise(clean, 10), clean)
    assert after < 0.5 * before


def test_only_the_mask_counts_and_only_successive_frames_of_one_face() -> None:
    still = [scene()[:SIDE, :SIDE]] * 5
    left = np.zeros((SIDE, SIDE), np.float32)
    left[:, : SIDE // 2 - 8] = 1
    noisy_right = [each.copy() for each in still]
    for each, noise in zip(noisy_right, with_noise(still, 20), strict=True):
        each[:, SIDE // 2 :] = noise[:, SIDE // 2 :]
    assert measured(still, noisy_right, left)[1] == 0 < measured(still, noisy_right)[1]

    meter, other = Flicker(), [np.asarray(1 - each, np.float32) for each in still]
    for t in range(3):
        meter.add(0, 2 * t, still[0], still[0])
        meter.add(1, 2 * t + 1, other[0], other[0])
    assert meter.pairs == 0 and meter.before is None and meter.after is None
    meter.add(0, 5, still[0], still[0])
    assert meter.pairs == 1
    assert len(meter._last) == 2, "who is gone is forgotten"
    meter.add(1, 9, still[0], still[0])
    assert len(meter._last) == 1


def test_bytes_and_numbers_measure_alike_and_unlike_sizes_are_refused() -> None:
    frames = [np.rint(255 * each).astype(np.uint8) for each in with_noise(seen_by_a_moving_camera(scene()), 4)]
    as_numbers = [each.astype(np.float32) / 255 for each in frames]
    assert measured(frames, frames) == pytest.approx(measured(as_numbers, as_numbers), abs=1e-3)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no flicker"):
        Flicker().add(0, 0, frames[0], frames[0][:-1])
    with pytest.raises(InputError, match="no flicker"):
        Flicker().add(0, 0, frames[0][:8], frames[0][:8])
