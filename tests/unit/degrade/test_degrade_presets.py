"""Every preset: its draws stay in its table, the same draws do the same, and it runs at any size."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.degrade import PRESETS, Degradation, FirstOrder, preset
from facewright.degrade.colours import RANGES
from facewright.degrade.dfdnet import Dfdnet
from facewright.degrade.grids import Grid
from facewright.degrade.inpainting import Strokes
from facewright.degrade.old_photo import OldPhoto, aged
from facewright.degrade.presets import ABOUT
from facewright.degrade.psfrgan import Psfrgan
from facewright.degrade.second_order import SecondOrder
from facewright.degrade.uneven import Uneven
from facewright.errors import UsageError

NAMES = sorted(PRESETS)
ALL = [*NAMES, "old-photo+medium"]
SEEDS = st.integers(0, 2**32 - 1)


def scene(height: int, width: int, seed: int = 0) -> np.ndarray:
    """Smooth colours with edges."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width] / max(height, width)
    waves = [np.sin(2 * np.pi * (a * x + b * y) + c) for a, b, c in rng.uniform(-5, 5, (4, 3))]
    picture = np.stack([waves[0] + (waves[3] > 0), waves[1], waves[2]], axis=2)
    return np.asarray((picture - picture.min()) / np.ptp(picture), np.float32)


# The published table ----------------------------------------------------------------------------------------------------------------------

TABLE: dict[str, dict[str, Any]] = {
    "gfpgan-v1": {"k": (41,), "sigma": (0.1, 10), "scale": (0.8, 8), "noise": (0, 20), "quality": (60, 100), "p": (0.3, 0.3, 0.01)},
    "gfpgan-no-color": {"k": (41,), "sigma": (0.1, 10), "scale": (0.8, 8), "noise": (0, 20), "quality": (60, 100), "p": (0, 0, 0.01)},
    "codeformer-stage2": {"k": (41,), "sigma": (1, 15), "scale": (4, 30), "noise": (0, 20), "quality": (30, 80), "p": (0, 0, 0)},
    "codeformer-stage3-small": {"k": (41,), "sigma": (0.1, 10), "scale": (1, 12), "noise": (0, 15), "quality": (60, 100), "p": (0, 0, 0)},
    "codeformer-stage3-large": {"k": (41,), "sigma": (1, 15), "scale": (4, 30), "noise": (0, 20), "quality": (30, 80), "p": (0, 0, 0)},
    "codeformer-colorization": {
        "k": (41,), "sigma": (1, 15), "scale": (4, 30), "noise": (0, 20), "quality": (30, 80), "p": (0.3, 0.3, 0.01)
    },
    "vqfr-v1": {"k": (41,), "sigma": (0.1, 10), "scale": (0.8, 8), "noise": (0, 20), "quality": (60, 100), "p": (0, 0, 0)},
    "vqfr-v2": {"k": (41,), "sigma": (1, 15), "scale": (1, 30), "noise": (0, 20), "quality": (30, 90), "p": (0, 0, 0)},
    "restoreformer": {"k": (39, 41), "sigma": (0.1, 10), "scale": (0.8, 8), "noise": (0, 20), "quality": (60, 100), "p": (0, 0, 0)},
    "difface": {"k": (41,), "sigma": (0.1, 15), "scale": (0.8, 32), "noise": (0, 20), "quality": (30, 100), "p": (0, 0, 0.01)},
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(TABLE))
def test_first_order_draws_are_those_of_the_published_table(name: str) -> None:
    row, degradation = TABLE[name], preset(name)
    drawn = [degradation.draw(np.random.default_rng([3, seed])) for seed in range(1500)]
    for key, field in (("sigma", "sigma_x"), ("sigma", "sigma_y"), ("scale", "scale"), ("noise", "noise_sigma"), ("quality", "quality")):
        values = np.array([getattr(each, field) for each in drawn], float)
        low, high = row[key]
        assert low <= values.min() and values.max() <= high
        # and all of the range is used, evenly
        np.testing.assert_allclose(
            np.quantile(values, [0.01, 0.5, 0.99]), low + (high - low) * np.array([0.01, 0.5, 0.99]), atol=0.06 * high
        )
    assert {each.kernel_size for each in drawn} == set(row["k"])
    isotropic = [each for each in drawn if each.sigma_x == each.sigma_y]
    assert len(isotropic) / 1500 == pytest.approx(0.5, abs=0.05)
    chances = [np.mean([bool(getattr(each, field)) for each in drawn]) for field in ("shift", "jitter", "grey")]
    np.testing.assert_allclose(chances, row["p"], atol=0.04)
    for each in drawn:
        assert each.shift is None or max(map(abs, each.shift)) <= 20 / 255
        if each.jitter is not None:
            assert sorted(named for named, _ in each.jitter) == sorted(RANGES)
            assert all(RANGES[named][0] <= value <= RANGES[named][1] for named, value in each.jitter)


def test_grey_reaches_the_truth_where_the_table_says_so() -> None:
    asked = {name for name, degradation in PRESETS.items() if isinstance(degradation, FirstOrder) and degradation.grey_target}
    assert asked == {"gfpgan-no-color", "difface"}


@settings(max_examples=150, deadline=None)
@given(seed=SEEDS, size=st.sampled_from([64, 256, 512]))
def test_other_draws_stay_in_their_tables(seed: int, size: int) -> None:
    rng = np.random.default_rng(seed)
    for name in ("realesrgan-x4", "realesrgan-x2"):
        original = PRESETS[name]
        assert isinstance(original, SecondOrder)
        drawn = original.scaled(size).draw(rng)
        bounds = ((drawn.first, 3, (0.15, 1.5), (1, 30), (0.05, 3)), (drawn.second, 1.5, (0.3, 1.2), (1, 25), (0.05, 2.5)))
        for stage, sigma, (low, high), noise, poisson in bounds:
            assert low <= stage.factor <= high and 30 <= stage.quality <= 95
            within = poisson if stage.poisson else noise
            assert within[0] <= stage.strength <= within[1]
            if stage.kernel is not None:
                assert stage.kernel.size in range(7, 22, 2) and stage.kernel.padded == 21
                assert stage.kernel.kind == "sinc" or 0.2 <= stage.kernel.sigma_x <= sigma
        assert drawn.last is None or math.pi / 3 <= (drawn.last.cutoff or 0) <= math.pi
    uneven = PRESETS["restoreformer++"]
    assert isinstance(uneven, Uneven)
    drawn = uneven.draw(rng)
    assert drawn.exposure is None and drawn.first.kernel_size in (39, 41)
    assert drawn.displacement is None or (min(drawn.displacement) >= 0 and max(drawn.displacement) <= 64)
    assert drawn.first.haze is None or 0.75 <= drawn.first.haze <= 0.95
    assert (drawn.square is None) == (drawn.second is None)
    assert drawn.square is None or (128 <= drawn.square[2] <= 256 and max(drawn.square[:2]) + drawn.square[2] <= 512)
    dfdnet = PRESETS["dfdnet"].draw(rng)
    assert dfdnet.blur is None or (dfdnet.blur[0] in range(3, 36, 2) and 0.3 <= dfdnet.blur[1] <= 2)
    assert (dfdnet.blur is None or dfdnet.shake is None) and (dfdnet.side is None or 51 <= dfdnet.side <= 256)
    assert dfdnet.noise_sigma in (None, *range(1, 11)) and dfdnet.quality in (None, *range(40, 81))
    assert all(0.7 <= factor <= 1.3 for _, factor in dfdnet.jitter)
    psfrgan = PRESETS["psfrgan"].draw(rng)
    assert 32 <= psfrgan.side <= 255 and psfrgan.quality in (None, *range(35, 91))
    assert psfrgan.noise_sigma is None or 0 <= psfrgan.noise_sigma <= 25.5
    assert psfrgan.blur is None or psfrgan.blur[1] >= (5 if psfrgan.blur[0] == "motion" else 3)
    for stroke in PRESETS["codeformer-inpainting"].draw(rng).strokes:
        assert 30 <= stroke.width * 512 <= 70 and 9 <= len(stroke.points) <= 28
    old = PRESETS["old-photo"]
    assert isinstance(old, OldPhoto)
    told = old.draw(rng).print
    for field in ("black", "white", "gamma", "yellow", "grain", "grain_size", "stains", "foxing", "scratches", "creases", "dust"):
        low, high = getattr(old, field)
        assert low <= getattr(told, field) <= high
    assert told.halftone is None or told.paper in ("grey", "colour")


def test_chances_of_the_programs_that_leave_steps_out() -> None:
    drawn = {
        name: [PRESETS[name].draw(np.random.default_rng([9, seed])) for seed in range(1200)]
        for name in ("dfdnet", "psfrgan", "restoreformer++", "realesrgan-x4")
    }

    for name, happens, chance in (
        ("dfdnet", lambda d: d.blur is not None, 0.9 * 0.65),
        ("dfdnet", lambda d: d.shake is not None, 0.9 * 0.35),
        ("dfdnet", lambda d: d.side is not None, 0.95),
        ("dfdnet", lambda d: d.noise_sigma is not None, 0.9),
        ("dfdnet", lambda d: d.quality is not None, 0.6),
        ("psfrgan", lambda d: d.grey, 0.3),
        ("psfrgan", lambda d: d.blur is not None, 0.5),
        ("psfrgan", lambda d: d.noise_sigma is not None, 0.2),
        ("psfrgan", lambda d: d.quality is not None, 0.7),
        ("restoreformer++", lambda d: d.displacement is not None, 0.2),
        ("restoreformer++", lambda d: d.second is not None, 0.1),
        ("restoreformer++", lambda d: d.first.haze is not None, 0.008),
        ("restoreformer++", lambda d: d.first.grey, 0.008),
        ("realesrgan-x4", lambda d: d.first.kernel is not None, 1.0),
        ("realesrgan-x4", lambda d: d.first.kernel.kind == "sinc", 0.1),
        ("realesrgan-x4", lambda d: d.first.kernel.kind == "iso", 0.9 * 0.45),
        ("realesrgan-x4", lambda d: d.second.kernel is not None, 0.8),
        ("realesrgan-x4", lambda d: d.first.factor > 1, 0.2),
        ("realesrgan-x4", lambda d: d.second.factor < 1, 0.4),
        ("realesrgan-x4", lambda d: d.first.poisson, 0.5),
        ("realesrgan-x4", lambda d: d.last is not None, 0.8),
        ("realesrgan-x4", lambda d: d.last_before_jpeg, 0.5),
    ):
        assert np.mean([happens(each) for each in drawn[name]]) == pytest.approx(chance, abs=0.05), name


def test_the_grids_have_the_published_cells() -> None:
    journal, earlier, guided = PRESETS["difface-test"], PRESETS["difface-test-iclr"], PRESETS["gfrnet"]
    assert isinstance(journal, Grid) and isinstance(earlier, Grid) and isinstance(guided, Grid)
    assert (len(journal), len(earlier)) == (4000, 3500)
    cells = [journal.at(cell, np.random.default_rng(0)) for cell in range(4000)]
    assert len({(each.quality, each.scale, each.noise_sigma, each.sigma_x, each.theta) for each in cells}) == 4000
    assert {each.sigma_y for each in cells} <= set(journal.sigmas)
    drawn = [guided.draw(np.random.default_rng(seed)) for seed in range(300)]
    assert all(each.sigma_x == each.sigma_y and each.sigma_x in (0, *(n / 10 for n in range(10, 31))) for each in drawn)
    assert None in {each.quality for each in drawn} and max(each.scale for each in drawn) <= 8


# What all of them promise -----------------------------------------------------------------------------------------------------------------


def test_every_preset_is_told_of_and_says_so_when_it_is_misspelt() -> None:
    assert set(ABOUT) == set(PRESETS)
    assert "unverified" in ABOUT["gfrnet"]
    with pytest.raises(UsageError) as caught:
        preset("old-photo+psfrgan")
    assert "first-order" in caught.value.why
    with pytest.raises(UsageError) as caught:
        preset("old-photo+meduim")
    assert "medium" in caught.value.what_to_do


@pytest.mark.parametrize("name", ALL)
def test_the_same_seed_does_the_same_damage_at_any_size(name: str) -> None:
    for number, (height, width) in enumerate(((64, 64), (65, 47), (96, 131), (16, 24))):
        degradation, clean = preset(name).scaled(max(height, width)), scene(height, width, number)
        kept = clean.copy()
        draws = degradation.draw(np.random.default_rng(number))
        assert draws == degradation.draw(np.random.default_rng(number))
        assert json.loads(json.dumps(dataclasses.asdict(draws)))  # what --json prints
        damaged, truth = degradation(clean, np.random.default_rng(number))
        np.testing.assert_array_equal(damaged, degradation.apply(clean, draws))
        np.testing.assert_array_equal(truth, degradation.truth(clean, draws))
        np.testing.assert_array_equal(clean, kept)
        assert damaged.dtype == truth.dtype == np.float32 and truth.shape == clean.shape
        scale = degradation.scale if isinstance(degradation, SecondOrder) else 1
        assert damaged.shape == (height // scale, width // scale, 3)
        np.testing.assert_array_equal(np.rint(damaged * 255) / np.float32(255), damaged)  # on 256 levels
        assert damaged.min() >= 0 and damaged.max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("name", ALL)
def test_every_preset_runs_at_its_own_size(name: str) -> None:
    for size in (256, 511, 512):
        damaged, _ = preset(name).scaled(size)(scene(size, size), np.random.default_rng(1))
        assert np.isfinite(damaged).all() and damaged.std() > 0.01


@pytest.mark.parametrize("name", NAMES)
def test_scaling_there_and_back_keeps_a_preset(name: str) -> None:
    degradation: Degradation = PRESETS[name]
    if not isinstance(degradation, (Grid, Psfrgan)):  # whose lists and integers have an end below
        assert degradation.scaled(degradation.size) == degradation
        assert degradation.scaled(2 * degradation.size).scaled(degradation.size) == degradation
    assert degradation.scaled(128).size == 128


# Single ones ------------------------------------------------------------------------------------------------------------------------------


def test_haze_before_the_shrink_and_after_it_are_one() -> None:
    from facewright.degrade import steps
    from facewright.degrade.fused import blur_and_shrink
    from facewright.degrade.kernels import gaussian_kernel

    clean, kernel = scene(60, 60), gaussian_kernel(15, 2)
    published = steps.shrink(steps.haze(steps.blur(clean, kernel), 0.8), 2.7)
    np.testing.assert_allclose(steps.haze(blur_and_shrink(clean, kernel, 22, 22), 0.8), published, atol=1e-3)


def test_uneven_damage_is_in_the_square_and_the_rest_elsewhere() -> None:
    uneven = Uneven(FirstOrder(noise=(0, 0), quality=(99, 100), size=64), displace_p=0, uneven_p=1, square=(16, 32))
    clean = scene(64, 64)
    draws = uneven.draw(np.random.default_rng(4))
    left, top, side = draws.square
    damaged = uneven.apply(clean, draws)
    inside = np.zeros((64, 64), bool)
    inside[top : top + side, left : left + side] = True
    np.testing.assert_array_equal(damaged[inside], uneven.base.apply(clean, draws.first)[inside])
    np.testing.assert_array_equal(damaged[~inside], uneven.base.apply(clean, draws.second)[~inside])
    moved = dataclasses.replace(uneven, displace=8, displace_p=1)
    draws = moved.draw(np.random.default_rng(1))
    down, along = draws.displacement
    truth = moved.truth(clean, draws)
    rows, columns = slice(max(0, 8 - down), 64 - max(0, down - 8)), slice(max(0, 8 - along), 64 - max(0, along - 8))
    there = slice(rows.start + down - 8, rows.stop + down - 8), slice(columns.start + along - 8, columns.stop + along - 8)
    np.testing.assert_array_equal(truth[rows, columns], clean[there])


def test_strokes_are_white_and_touch_nothing_else() -> None:
    strokes = PRESETS["codeformer-inpainting"].scaled(128)
    assert isinstance(strokes, Strokes)
    clean, covered = scene(128, 128) * np.float32(0.9), []
    for seed in range(30):
        draws = strokes.draw(np.random.default_rng(seed))
        mask = strokes.mask(128, 128, draws) > 0
        damaged = strokes.apply(clean, draws)
        lost = (clean - damaged)[~mask] * 255
        assert (damaged[mask] == 1).all() and lost.min() > -1e-3 and 0.9 < lost.max() < 1 + 1e-3  # truncated to 8 bits
        np.testing.assert_array_equal(strokes.apply(damaged, draws), damaged)
        covered.append(mask.mean())
    assert min(covered) > 0.05 and max(covered) < 0.9


def test_dfdnet_jitters_the_target_and_swaps_what_jpeg_weighs() -> None:
    dfdnet = Dfdnet(blur_p=0, scale_p=0, noise_p=0, quality_p=1, quality=(40, 40), size=64)
    red, blue = np.zeros((64, 64, 3), np.float32), np.zeros((64, 64, 3), np.float32)
    ramp = np.tile(np.linspace(0, 1, 64, dtype=np.float32) ** 0.5 * (np.arange(64) % 4 < 2), (64, 1))
    red[..., 0] = blue[..., 2] = ramp
    draws = dataclasses.replace(dfdnet.draw(np.random.default_rng(0)), jitter=())
    from facewright.degrade import steps

    for picture in (red, blue):
        swapped = steps.jpeg(np.ascontiguousarray(picture[..., ::-1]), 40)[..., ::-1]
        np.testing.assert_array_equal(dfdnet.apply(picture, draws), swapped)
    lit = dataclasses.replace(draws, jitter=(("brightness", 0.7),))
    np.testing.assert_allclose(dfdnet.truth(red, lit), steps.quantise(red * np.float32(0.7)), atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(seed=SEEDS)
def test_an_old_print_has_the_marks_that_were_drawn(seed: int) -> None:
    old = PRESETS["old-photo"]
    clean = scene(96, 96)
    draws = old.scaled(96).draw(np.random.default_rng(seed)).print
    bare = dataclasses.replace(draws, stains=0, foxing=0, scratches=0, creases=0, dust=0, grain=0.0, halftone=None)
    before = aged(clean, bare)
    if draws.paper == "grey" and draws.yellow == 0:
        assert np.ptp(before, axis=2).max() < 0.02
    for mark in ("stains", "foxing", "scratches", "creases", "dust"):
        marked = aged(clean, dataclasses.replace(bare, **{mark: 3}))
        changed = np.abs(marked - before).max(axis=2) > 0.004
        assert changed.mean() < (0.75 if mark in ("stains", "creases") else 0.3)  # marks, not another picture
        again = aged(clean, dataclasses.replace(bare, **{mark: 3}))
        np.testing.assert_array_equal(marked, again)
    assert old.truth(clean, old.draw(np.random.default_rng(seed))).shape == clean.shape


def test_fading_takes_the_range_of_tones_and_sepia_is_warm() -> None:
    old = PRESETS["old-photo"]
    draws = old.draw(np.random.default_rng(0)).print
    plain = dataclasses.replace(
        draws, paper="grey", black=0.0, white=0.0, gamma=1.0, yellow=0.0, cast=0.0, grain=0.0, halftone=None,
        stains=0, foxing=0, scratches=0, creases=0, dust=0,
    )  # fmt: skip
    clean = scene(96, 96)
    from facewright.degrade import steps

    np.testing.assert_allclose(aged(clean, plain), steps.grey(clean), atol=1e-5)  # nothing drawn, nothing done
    faded = aged(clean, dataclasses.replace(plain, black=0.25, white=0.15))
    assert np.ptp(faded) < 0.8 * np.ptp(steps.grey(clean)) and faded.min() > 0.1
    sepia = aged(clean, dataclasses.replace(plain, paper="sepia")).mean(axis=(0, 1))
    assert sepia[0] > sepia[1] > sepia[2]
