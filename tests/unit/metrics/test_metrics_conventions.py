"""PSNR, SSIM and MS-SSIM under the field's conventions, and how a number names its own."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.errors import InputError, UsageError
from facewright.metrics import CONVENTIONS, convention, label, ms_ssim, psnr, ssim

NAMES = sorted(CONVENTIONS)
PAIRS = (psnr, ssim, ms_ssim)


def pictures(count: int = 2, side: int = 48, seed: int = 0, channels: int = 3) -> Tensor:
    """Smooth ones with some texture, in whole levels."""
    random = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, channels, 7, 7, generator=random, dtype=torch.float64)
    smooth = torch.nn.functional.interpolate(coarse, size=(side, side), mode="bilinear")
    return ((smooth * 0.8 + 0.1 + 0.05 * torch.randn(smooth.shape, generator=random, dtype=torch.float64)).clamp(0, 1) * 255).round() / 255


def side_for(number: Callable[..., Tensor]) -> int:
    return 176 if number is ms_ssim else 48


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("number", PAIRS)
def test_a_batch_is_its_pictures_one_by_one(number: Callable[..., Tensor], name: str) -> None:
    truth = pictures(3, side_for(number))
    restored = truth.lerp(pictures(3, side_for(number), seed=9), 0.2)
    together = number(restored, truth, convention=name)
    alone = torch.cat([number(restored[n : n + 1], truth[n : n + 1], convention=name) for n in range(3)])
    assert together.shape == (3,) and together.dtype == torch.float64
    assert torch.equal(together, alone)


@pytest.mark.parametrize("name", NAMES)
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_equal_pictures_are_best_and_damage_is_worse(name: str, seed: int) -> None:
    truth, other = pictures(2, seed=seed), pictures(2, seed=seed + 20_000)
    for number in (psnr, ssim):
        best, *worse = (number(truth.lerp(other, part), truth, convention=name) for part in (0, 0.2, 0.6))
        assert (best > worse[0]).all() and (worse[0] > worse[1]).all()
    np.testing.assert_allclose(ssim(truth, truth, convention=name), 1, atol=1e-12)
    perfect = psnr(truth, truth, convention=name)
    if CONVENTIONS[name].psnr.epsilon:
        np.testing.assert_allclose(perfect, 80, atol=1e-6)
    elif not CONVENTIONS[name].psnr.matched:
        assert perfect.isinf().all()


@pytest.mark.parametrize("name", [name for name in NAMES if not CONVENTIONS[name].psnr.matched])
@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_neither_picture_comes_first(name: str, seed: int) -> None:
    a, b = pictures(1, seed=seed), pictures(1, seed=seed + 20_000)
    for number in (psnr, ssim):
        torch.testing.assert_close(number(a, b, convention=name), number(b, a, convention=name), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("number", PAIRS)
def test_uint8_float32_and_float64_are_the_same_picture(number: Callable[..., Tensor]) -> None:
    truth, restored = pictures(1, side_for(number)), pictures(1, side_for(number), seed=3)
    exact = number(restored, truth)
    assert torch.equal(number((restored * 255).round().byte(), (truth * 255).round().byte()), exact)
    torch.testing.assert_close(number(restored.float(), truth.float()), exact, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("channel", ["rgb", "y", "yiq"])
@pytest.mark.parametrize("number", PAIRS)
def test_a_grey_picture_is_one_with_three_equal_channels(number: Callable[..., Tensor], channel: str) -> None:
    truth, restored = (pictures(1, side_for(number), seed=seed, channels=1) for seed in (0, 1))
    grey = number(restored, truth, channel=channel)
    colour = number(restored.repeat(1, 3, 1, 1), truth.repeat(1, 3, 1, 1), channel=channel)
    torch.testing.assert_close(grey, colour, rtol=1e-12, atol=1e-12)


def test_psnr_of_whole_levels_is_exact() -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(0, 256, (2, 3, 3, 300, 200), dtype=np.uint8)
    error = ((a.astype(np.int64) - b.astype(np.int64)) ** 2).mean(axis=(1, 2, 3))
    np.testing.assert_allclose(psnr(torch.from_numpy(a), torch.from_numpy(b)), 10 * np.log10(255**2 / error), rtol=1e-14)
    np.testing.assert_array_equal(psnr(torch.from_numpy(a), torch.from_numpy(a)), np.inf)


def test_studio_luma_moves_less_than_full_range_luma() -> None:
    """219 of 255 levels: the same error of grey pictures is 20 log10(255 / 219) dB smaller."""
    flat = torch.full((1, 1, 16, 16), 0.25, dtype=torch.float64)
    wide, studio = (float(psnr(flat + 0.1, flat, channel=channel)) for channel in ("yiq", "y"))
    assert wide == pytest.approx(20, abs=1e-9)
    assert studio - wide == pytest.approx(20 * np.log10(255 / 219), abs=1e-9)


def test_the_correction_of_vqfr_forgives_colour_and_contrast() -> None:
    truth = pictures(1)
    tinted = truth * torch.tensor([0.7, 0.8, 0.6]).view(1, 3, 1, 1) + torch.tensor([0.2, 0.05, 0.1]).view(1, 3, 1, 1)
    assert float(psnr(tinted, truth, convention="gfpgan")) < 25 < 100 < float(psnr(tinted, truth, convention="vqfr"))
    flat = torch.full_like(truth, 0.5)
    assert bool(psnr(flat, truth, convention="vqfr").isfinite())


def test_a_crop_is_the_same_as_cropped_pictures() -> None:
    truth, restored = pictures(1), pictures(1, seed=1)
    inner = (..., slice(4, -4), slice(4, -4))
    for number in (psnr, ssim):
        assert torch.equal(number(restored, truth, convention="codeformer"), number(restored[inner], truth[inner]))


def test_the_smallest_pictures_that_can_be_compared() -> None:
    for number, least in ((ssim, 11), (ms_ssim, 161)):
        a, b = (torch.rand(1, 3, least, least + 5) for _ in range(2))
        assert bool(number(a, b).isfinite())
        with pytest.raises(InputError, match=f"needs {least} pixels"):
            number(a[..., 1:, :], b[..., 1:, :])
    with pytest.raises(InputError, match="leave nothing of 16 x 12"):
        psnr(torch.rand(1, 3, 12, 16), torch.rand(1, 3, 12, 16), crop=6)


@pytest.mark.parametrize("number", PAIRS)
def test_what_is_no_picture_is_refused(number: Callable[..., Tensor]) -> None:
    good = torch.rand(1, 3, 176, 176)
    for value in (float("nan"), float("inf")):
        bad = good.clone()
        bad[0, 1, 5, 7] = value
        for pair in ((bad, good), (good, bad)):
            with pytest.raises(InputError, match="not numbers"):
                number(*pair)
    with pytest.raises(InputError, match=r"values go from .* to 2\d\d"):
        number(good * 255, good * 255)
    with pytest.raises(InputError, match="not N x 3"):
        number(good[0], good[0])
    with pytest.raises(InputError, match="int32"):
        number(good.int(), good.int())
    with pytest.raises(InputError, match="different sizes"):
        number(good, good[:, :1])
    before = good.clone()
    number(good, good)
    assert torch.equal(good, before)


def test_a_convention_is_named_with_every_number() -> None:
    assert label("psnr") == "psnr[rgb, basicsr]"
    assert label("ssim", "pyiqa") == "ssim[yiq, pyiqa]"
    assert label("psnr", "basicsr", channel="y") == "psnr[y, basicsr]"
    assert label("psnr", "codeformer") == "psnr[rgb, codeformer]"
    assert label("psnr", "basicsr", crop=4) == "psnr[rgb, basicsr, crop 4]"
    assert label("psnr", "vqfr") == "psnr[rgb, vqfr, matched mean and deviation]"
    assert label("lpips", "gfpgan") == "lpips[vgg, gfpgan]"
    assert label("lpips", "codeformer") == "lpips[vgg, codeformer, assumed]"
    assert label("identity", "restoreformer") == "identity[radians, restoreformer]"
    assert label("fid", "difface") == "fid[pytorch-fid, difface]"
    assert label("dists", "gfpgan") == "dists[gfpgan]"
    assert len({label("psnr", name) for name in NAMES}) == len(NAMES)


def test_unknown_names_are_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match="'gfpgun'") as refused:
        convention("gfpgun")
    assert "did you mean 'gfpgan'" in refused.value.what_to_do
    with pytest.raises(UsageError, match="no channel 'lab'"):
        psnr(torch.rand(1, 3, 8, 8), torch.rand(1, 3, 8, 8), channel="lab")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="-1 pixels"):
        ssim(torch.rand(1, 3, 16, 16), torch.rand(1, 3, 16, 16), crop=-1)


def test_the_accelerators_way_gives_the_processors_numbers() -> None:
    """A tensor that wants a gradient takes the way through torch."""
    truth, restored = pictures(1), pictures(1, seed=2)
    for name in ("basicsr", "torchmetrics", "skimage"):
        followed = restored.clone().requires_grad_(True)
        value = ssim(followed, truth, convention=name)
        torch.testing.assert_close(value.detach(), ssim(restored, truth, convention=name), rtol=1e-11, atol=1e-11)
        uphill = torch.autograd.grad(value.sum(), followed)[0]
        assert float(ssim((restored + 0.5 * uphill).clamp(0, 1), truth, convention=name)) > float(value.detach())
