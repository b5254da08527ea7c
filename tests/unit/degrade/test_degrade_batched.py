"""A batch of tensors is its pictures."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.degrade import PRESETS, Draws, FirstOrder, preset, steps
from facewright.degrade.batched import _in_tensors, degrade
from facewright.degrade.diffjpeg import diffjpeg
from facewright.errors import UsageError


def pictures(count: int, height: int = 40, width: int = 48, seed: int = 0) -> Tensor:
    """Smooth, N x 3 x H x W."""
    coarse = np.random.default_rng(seed).random((count, 3, 7, 7), np.float32)
    return torch.nn.functional.interpolate(torch.from_numpy(coarse), (height, width), mode="bicubic").clamp(0, 1)


@pytest.mark.parametrize(
    "name", ["gfpgan-v1", "gfpgan-no-color", "restoreformer++", "dfdnet", "codeformer-inpainting", "medium", "old-photo"]
)
def test_a_batch_is_its_pictures_to_the_bit(name: str) -> None:
    degradation, clean = preset(name).scaled(48), pictures(5)
    for threads in (1, 3):
        damaged, truth = degrade(clean, degradation, np.random.default_rng(7), threads=threads)
        rng = np.random.default_rng(7)
        for index in range(5):
            one, meant = degradation(clean[index].permute(1, 2, 0).numpy(), rng)
            np.testing.assert_array_equal(damaged[index].permute(1, 2, 0).numpy(), one)
            np.testing.assert_array_equal(truth[index].permute(1, 2, 0).numpy(), meant)
    rng = np.random.default_rng(7)
    again, _ = degrade(clean, degradation, [degradation.draw(rng) for _ in range(5)])
    assert torch.equal(again, damaged)


def test_the_clean_pictures_stay_as_they_were() -> None:
    clean = pictures(3)
    kept = clean.clone()
    degrade(clean, preset("gfpgan-v1").scaled(48), np.random.default_rng(0))
    assert torch.equal(clean, kept)


def test_a_second_order_batch_is_smaller() -> None:
    damaged, truth = degrade(pictures(2, 64, 80), PRESETS["realesrgan-x4"], np.random.default_rng(0))
    assert damaged.shape == (2, 3, 16, 20) and truth.shape == (2, 3, 64, 80)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), side=st.sampled_from([9, 33, 48]), name=st.sampled_from(["gfpgan-v1", "gfpgan-no-color", "vqfr-v2"]))
def test_in_tensors_it_is_the_same_within_a_level(seed: int, side: int, name: str) -> None:
    """The way of other devices, on this one, without the coder: what differs by part of a level may round to the next."""
    degradation = dataclasses.replace(PRESETS[name], shift_p=0.5, jitter_p=0.5, grey_p=0.1).scaled(48)  # type: ignore[type-var]
    clean = pictures(1, side, side + 2, seed)[0]
    draws = dataclasses.replace(degradation.draw(np.random.default_rng(seed)), quality=None)
    single = degradation.apply(np.ascontiguousarray(clean.permute(1, 2, 0).numpy()), draws)
    tensors = _in_tensors(clean, draws, "cv2").permute(1, 2, 0).numpy()
    difference = np.abs(single - tensors) * 255
    assert difference.max() <= (2.01 if draws.jitter else 1.01)  # contrast makes more of it
    assert difference.mean() < 0.1


def test_in_tensors_with_the_coder_it_is_the_same_to_a_few_levels() -> None:
    degradation = FirstOrder(scale=(1, 3), noise=(0, 6)).scaled(96)
    clean = pictures(1, 96, 96)[0]
    for seed in range(6):
        draws = degradation.draw(np.random.default_rng(seed))
        single = degradation.apply(np.ascontiguousarray(clean.permute(1, 2, 0).numpy()), draws)
        difference = np.abs(single - _in_tensors(clean, draws, "cv2").permute(1, 2, 0).numpy()) * 255
        assert difference.max() <= 24 and difference.mean() < 0.3


def test_derivatives_flow_through_the_differentiable_jpeg() -> None:
    degradation = FirstOrder(sigma=(0.5, 1.5), scale=(1, 2), noise=(0, 2), quality=(60, 90), jitter_p=1.0, shift_p=1.0).scaled(48)
    clean = (pictures(2) * 0.6 + 0.2).requires_grad_()
    damaged, truth = degrade(clean, degradation, np.random.default_rng(0), jpeg="diff")
    assert damaged.shape == truth.shape == clean.shape
    np.testing.assert_allclose(damaged.detach() * 255, (damaged.detach() * 255).round(), atol=1e-3)
    damaged.mean().backward()
    assert clean.grad is not None and torch.isfinite(clean.grad).all() and float(clean.grad.abs().sum()) > 0


def test_what_cannot_be_is_refused() -> None:
    clean = pictures(2)
    draws: list[Draws] = [PRESETS["gfpgan-v1"].draw(np.random.default_rng(0))]
    with pytest.raises(UsageError, match="1 draws cannot damage 2 pictures"):
        degrade(clean, PRESETS["gfpgan-v1"], draws)
    with pytest.raises(UsageError, match="first-order"):
        degrade(clean, PRESETS["dfdnet"], np.random.default_rng(0), jpeg="diff")


def muted(clean: Tensor) -> Tensor:
    """Little colour: what the two do otherwise with it is not what is asked."""
    return 0.9 * clean.mean(dim=1, keepdim=True) + 0.1 * clean


# DiffJPEG --------------------------------------------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(quality=st.integers(30, 95), seed=st.integers(0, 99))
def test_diffjpeg_is_near_the_coder(quality: int, seed: int) -> None:
    clean = muted(pictures(1, 48, 32, seed))
    coded = steps.jpeg(np.ascontiguousarray(clean[0].permute(1, 2, 0).numpy()), quality)
    ours = diffjpeg(clean, quality, differentiable=False)[0].permute(1, 2, 0).numpy()
    assert np.abs(ours - coded).mean() < 3 / 255


def test_diffjpeg_takes_any_size_and_the_best_quality_is_no_nan() -> None:
    for height, width in ((1, 1), (17, 5), (16, 32)):
        clean = muted(pictures(2, height, width))
        qualities = torch.tensor([100.0, 35.0])
        coded = diffjpeg(clean, qualities)
        assert coded.shape == clean.shape and torch.isfinite(coded).all()
        assert width < 32 or float((coded[0] - clean[0]).abs().max()) < 0.2  # smaller ones are mixed with the black around them
        assert qualities.tolist() == [100.0, 35.0]  # the published one writes into them
