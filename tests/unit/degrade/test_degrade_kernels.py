"""Kernels that pictures are blurred with, how they are drawn, and the short cut through them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.degrade import kernels, steps
from facewright.degrade.fused import TOLERANCE, blur_and_shrink, separable_terms
from facewright.degrade.kernels import Kernel
from facewright.degrade.sampling import KernelMix, sinc_draw

ALL = {kind: 1.0 for kind in ("iso", "aniso", "generalized_iso", "generalized_aniso", "plateau_iso", "plateau_aniso", "skew")}


def moment(kernel: Kernel) -> tuple[float, float]:
    """Centre of mass (x, y) from the middle."""
    axis = np.arange(len(kernel)) - len(kernel) // 2
    return float((kernel.sum(axis=0) * axis).sum()), float((kernel.sum(axis=1) * axis).sum())


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), half=st.integers(3, 20), rule=st.sampled_from(["basicsr", "codeformer"]))
def test_every_draw_is_a_kernel_within_its_ranges(seed: int, half: int, rule: str) -> None:
    mix = KernelMix(ALL, sigma=(0.5, 4), theta=(-1, 1), betag=(0.5, 4), betap=(1, 2), roughness=(0.75, 1.25), rule=rule)  # type: ignore[arg-type]
    drawn = mix.draw(2 * half + 1, np.random.default_rng(seed))
    assert drawn == mix.draw(2 * half + 1, np.random.default_rng(seed))
    assert 0.5 <= drawn.sigma_x <= 4 and 0.5 <= drawn.sigma_y <= 4 and -1 <= drawn.theta <= 1
    assert drawn.kind.endswith("aniso") or drawn.kind == "skew" or drawn.sigma_x == drawn.sigma_y
    assert (drawn.roughness is None) == drawn.kind.startswith("plateau")
    if drawn.kind.startswith("plateau"):
        assert 1 <= drawn.beta <= 2
    kernel = drawn.build()
    assert kernel.shape == (2 * half + 1, 2 * half + 1)
    assert kernel.sum() == pytest.approx(1, abs=1e-9)


def test_weights_are_weights_and_beta_is_half_below_one() -> None:
    mix, rng = KernelMix({"iso": 3, "generalized_iso": 1}, betag=(0.5, 4)), np.random.default_rng(0)
    drawn = [mix.draw(7, rng) for _ in range(2000)]
    general = [each.beta for each in drawn if each.kind == "generalized_iso"]
    assert len(general) / 2000 == pytest.approx(0.25, abs=0.04)
    assert np.mean(np.array(general) < 1) == pytest.approx(0.5, abs=0.08)
    flat = KernelMix({"plateau_iso": 1}, betap=(0.5, 8), rule="codeformer")
    assert np.mean([flat.draw(7, rng).beta < 1 for _ in range(2000)]) == pytest.approx(0.5 / 7.5, abs=0.03)


def test_a_sinc_draw_has_the_cutoff_of_its_size() -> None:
    rng = np.random.default_rng(1)
    drawn = [sinc_draw(range(7, 22, 2), 21, rng) for _ in range(300)]
    assert {each.size for each in drawn} == set(range(7, 22, 2))
    assert min(each.cutoff or 0 for each in drawn if each.size < 13) >= np.pi / 3
    assert min(each.cutoff or 0 for each in drawn if each.size >= 13) < np.pi / 3 - 0.2
    assert all(each.build().shape == (21, 21) for each in drawn[:20])


@given(skew=st.tuples(*[st.floats(-1, 1)] * 4), theta=st.floats(-3, 3))
def test_a_skewed_kernel_is_brought_back_to_its_middle(skew: tuple[float, float, float, float], theta: float) -> None:
    matrix = (skew[:2], skew[2:])
    before = moment(kernels.skew_kernel(21, 1.5, 2.5, theta, matrix, centred=False))
    after = moment(kernels.skew_kernel(21, 1.5, 2.5, theta, matrix))
    assert np.hypot(*after) < 0.02 + 0.1 * np.hypot(*before)


@given(angle=st.floats(-np.pi, np.pi), half=st.integers(1, 12))
def test_motion_goes_along_its_angle(angle: float, half: int) -> None:
    kernel = kernels.motion_kernel(2 * half + 1, angle)
    axis = np.arange(2 * half + 1) - half
    x, y = np.meshgrid(axis, axis)
    across = (kernel * (np.cos(angle) * y - np.sin(angle) * x) ** 2).sum()
    assert kernel.sum() == pytest.approx(1) and np.hypot(*moment(kernel)) < 1e-6 * half
    assert across < 0.35  # as thin as a line of two cells
    assert (kernel * (np.cos(angle) * x + np.sin(angle) * y) ** 2).sum() > 0.25 * half**2
    assert moment(kernels.motion_kernel(2 * half + 1, 0.0, 0.9))[0] > 0.1 * half


def test_shaken_kernels_differ_and_stay_in_the_middle() -> None:
    shaken = [kernels.shake_kernel(25, seed) for seed in range(8)]
    for kernel in shaken:
        assert np.hypot(*moment(kernel)) < 0.5 and kernel.max() < 0.6 and (kernel > 0).sum() > 12
    assert len({kernel.tobytes() for kernel in shaken}) == 8


# blur and shrink in one ------------------------------------------------------------------------------------------------------------------

KERNELS = st.one_of(
    st.builds(kernels.gaussian_kernel, st.just(41), st.floats(0.1, 15), st.floats(0.1, 15), st.floats(-np.pi, np.pi)),
    st.builds(kernels.gaussian_kernel, st.integers(1, 20).map(lambda n: 2 * n + 1), st.floats(0.1, 10)),
    st.builds(kernels.motion_kernel, st.just(25), st.floats(-np.pi, np.pi)),
    st.builds(kernels.sinc_kernel, st.just(21), st.floats(0.8, 3)),
)


@settings(max_examples=60, deadline=None)
@given(kernel=KERNELS, shape=st.tuples(st.integers(3, 90), st.integers(3, 90)), part=st.floats(0.05, 1.3), seed=st.integers(0, 99))
def test_the_short_cut_gives_what_the_two_steps_give(kernel: Kernel, shape: tuple[int, int], part: float, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 2, (*shape, 3)).astype(np.float32)  # the hardest: every pixel black or white
    width, height = max(1, int(shape[1] * part)), max(1, int(shape[0] * part))
    published = steps.resize(steps.blur(image, kernel), width, height)
    for picture in (image, np.ascontiguousarray(image.transpose(2, 0, 1)).transpose(1, 2, 0)):  # by pixels, by planes
        ours = blur_and_shrink(picture, kernel, width, height)
        assert ours.shape == published.shape and ours.dtype == np.float32
        assert np.abs(ours - published).max() <= TOLERANCE + 2e-5  # the last for what OpenCV's Fourier transform rounds


def test_an_upright_gaussian_is_one_term_and_a_slanted_one_few() -> None:
    assert len(separable_terms(kernels.gaussian_kernel(41, 7, 2, 0.0))[0]) == 1
    assert 1 < len(separable_terms(kernels.gaussian_kernel(41, 7, 5, 0.7))[0]) < 6
    across, down = separable_terms(kernels.gaussian_kernel(41, 1.0))
    assert across.shape == down.shape and across.shape[1] < 15  # the rim weighs nothing
