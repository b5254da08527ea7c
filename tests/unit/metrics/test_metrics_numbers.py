"""PSNR, SSIM, sharpness and local binary patterns."""

from __future__ import annotations

import math
from itertools import pairwise

import cv2
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.errors import InputError
from facewright.metrics import psnr, sharpness, ssim
from facewright.metrics.lbp import chi_square, describe, rank_one


def pictures(count: int = 2, side: int = 48, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def blurred(picture: Tensor, sigma: float) -> Tensor:
    pixels = picture[0].permute(1, 2, 0).numpy()
    return torch.from_numpy(cv2.GaussianBlur(pixels, (0, 0), sigma)).permute(2, 0, 1)[None]


@given(offset=st.floats(0.001, 0.5))
def test_psnr_of_a_known_error(offset: float) -> None:
    flat = torch.full((3, 3, 16, 16), 0.25, dtype=torch.float64)
    np.testing.assert_allclose(psnr(flat + offset, flat), -20 * math.log10(offset), atol=1e-9)


def test_each_picture_has_its_own_number() -> None:
    truth = pictures(3)
    restored = truth.clone()
    restored[1] += 0.1
    values = psnr(restored, truth)
    assert values[0] == values[2] == math.inf
    assert float(values[1]) == pytest.approx(20)
    assert ssim(restored, truth)[0] == 1 and ssim(restored, truth)[1] < 1


def test_crop_and_channel_look_where_they_say() -> None:
    truth = pictures(1)
    border = truth.clone()
    border[..., :3, :] = 0
    border[..., -3:] = 0
    for number, least in ((psnr, math.inf), (ssim, 1.0)):
        assert number(border, truth, crop=3)[0] == least
        assert number(border, truth, crop=2)[0] < least
    # a change of hue that leaves the studio-range luma as it is
    tinted = torch.full((1, 3, 16, 16), 0.5, dtype=torch.float64)
    tinted[:, 0] += 0.1
    tinted[:, 1] -= 0.1 * 65.481 / 128.553
    plain = torch.full_like(tinted, 0.5)
    assert psnr(tinted, plain)[0] < 30 and psnr(tinted, plain, channel="y")[0] > 200


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000), channel=st.sampled_from(["rgb", "y"]))
def test_ssim_is_symmetric_bounded_and_falls_with_damage(seed: int, channel: str) -> None:
    truth, noise = pictures(2, seed=seed), pictures(2, seed=seed + 5000)
    values = [ssim(truth.lerp(noise, part), truth, channel=channel) for part in (0.1, 0.3, 0.7)]  # type: ignore[arg-type]
    assert (values[0] > values[1]).all() and (values[1] > values[2]).all()
    assert (values[0] <= 1).all() and (values[2] >= -1).all()
    torch.testing.assert_close(ssim(noise, truth, channel=channel), ssim(truth, noise, channel=channel))  # type: ignore[arg-type]


def test_what_cannot_be_compared_is_refused() -> None:
    for number in (psnr, ssim):
        with pytest.raises(InputError, match="different sizes"):
            number(pictures(1, 48), pictures(1, 40))
    with pytest.raises(InputError, match="too small"):
        ssim(pictures(1, 14), pictures(1, 14), crop=2)


def test_sharpness_falls_with_every_blur() -> None:
    picture = blurred(pictures(1, 96), 0.8)
    series = [picture, *(blurred(picture, sigma) for sigma in (0.7, 1.2, 2.0, 4.0))]
    for noiseless, least in ((False, 1.2), (True, 1.0)):
        values = [float(sharpness(each, without_noise=noiseless)[0]) for each in series]
        assert all(sharper > least * softer for sharper, softer in pairwise(values)), values


def test_noise_is_no_sharpness_when_it_is_left_out() -> None:
    y, x = np.mgrid[:128, :128] / 128
    smooth = torch.from_numpy(np.stack([np.sin(9 * x + c) * np.cos(7 * y) for c in range(3)]))[None] * 0.3 + 0.5
    noisy = smooth + 8 / 255 * torch.randn(smooth.shape, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    assert float(sharpness(noisy)[0]) > 50 * float(sharpness(smooth)[0])
    # the rest is the estimate's own error: under 5 % of what the noise would have added
    added = float(sharpness(noisy)[0]) - float(sharpness(smooth)[0])
    assert abs(float(sharpness(noisy, without_noise=True)[0]) - float(sharpness(smooth, without_noise=True)[0])) < 0.05 * added


def test_a_flat_picture_has_a_sharpness_whose_logarithm_exists() -> None:
    for noiseless in (False, True):
        assert float(sharpness(torch.full((1, 3, 32, 32), 0.5), without_noise=noiseless)[0]) == pytest.approx(1e-7)


def faces(count: int) -> list[np.ndarray]:
    random = np.random.default_rng(4)
    return [cv2.resize(random.integers(0, 256, (12, 12, 3), np.uint8), (160, 160), interpolation=cv2.INTER_CUBIC) for _ in range(count)]


def test_patterns_know_a_picture_again() -> None:
    gallery = np.stack([describe(face) for face in faces(8)])
    assert gallery.shape == (8, 64 * 59)
    np.testing.assert_allclose(gallery.reshape(8, 64, 59).sum(axis=2), 1, atol=1e-5)
    np.testing.assert_allclose(np.diag(chi_square(gallery, gallery)), 0, atol=1e-9)
    assert rank_one(gallery, gallery) == 1
    # light and contrast do not matter to it, another order of people does
    dimmed = np.stack([describe((face * 0.6 + 20).astype(np.uint8)) for face in faces(8)])
    assert rank_one(dimmed, gallery) == 1
    assert rank_one(np.roll(gallery, 1, axis=0), gallery) == 0


def test_there_are_58_uniform_patterns() -> None:
    from facewright.metrics.lbp import _UNIFORM

    assert sorted(set(_UNIFORM.tolist())) == list(range(59))
    assert np.bincount(_UNIFORM)[58] == 256 - 58
