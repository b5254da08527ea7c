"""Distances of sets: running moments, FID, KID, precision and recall, the Inception Score, plain means."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.errors import InputError, ModelError, UsageError
from facewright.metrics import (
    Fid,
    Kid,
    Mean,
    PrecisionRecall,
    Statistics,
    frechet_distance,
    inception_input,
    inception_score,
    kid,
    mmd,
    precision_recall,
)
from facewright.metrics.gathered import Gathered
from facewright.metrics.moments import WAITING, Moments


def rows(count: int, size: int = 6, seed: int = 0, shift: float = 0.0) -> Tensor:
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((count, size)) @ random.standard_normal((size, size))
    return torch.from_numpy(mixed + shift)


# Moments and FID -----------------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 9) | st.integers(200, 300), min_size=2, max_size=6).filter(lambda s: sum(s) > 2),
    shift=st.sampled_from([0.0, 1e6]),
)
def test_batches_of_any_size_give_the_same_moments(sizes: list[int], shift: float) -> None:
    all_rows = rows(sum(sizes), shift=shift)
    parts = all_rows.split(sizes)
    running, other = Moments(), Moments()
    for number, part in enumerate(parts):
        (running if number < len(parts) // 2 else other).update(part)
    running.merge(other)
    assert running.count == len(all_rows)
    np.testing.assert_allclose(running.mean, all_rows.mean(0), rtol=1e-13, atol=1e-12)
    # a mean of a million leaves numpy's own covariance nine digits
    np.testing.assert_allclose(running.covariance, np.cov(all_rows.numpy(), rowvar=False), rtol=1e-7, atol=1e-8)


def test_merging_leaves_the_other_as_it_is() -> None:
    one, two = Moments(), Moments()
    two.update(rows(5))
    before = two.covariance.clone()
    one.merge(two)
    one.update(rows(7, seed=2))
    assert torch.equal(two.covariance, before) and two.count == 5


def test_memory_does_not_grow_with_the_pictures() -> None:
    fid, batch = Fid(fewest=2), torch.randn(64, 128, dtype=torch.float64)
    most = 0
    for _ in range(100):
        fid.update(batch, batch)
        held = [value for moments in (fid.restored, fid.truth) for value in vars(moments).values()]
        tensors = [each for value in held for each in (value if isinstance(value, list) else [value]) if isinstance(each, Tensor)]
        most = max(most, sum(each.numel() for each in tensors))
    assert fid.restored.count == 6400
    assert most <= 2 * (128 * 128 + 128 + WAITING * 128)


def test_what_was_handed_in_may_change_afterwards() -> None:
    moments, features = Moments(), rows(5)
    expected = features.mean(0)
    moments.update(features)
    features.zero_()
    torch.testing.assert_close(moments.mean, expected)


def moments_of(features: Tensor) -> Statistics:
    moments = Moments()
    moments.update(features)
    return Statistics(moments.mean, moments.covariance, moments.count)


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(3, 40))
def test_frechet_is_symmetric_and_zero_only_for_the_same(seed: int, count: int) -> None:
    a, b = moments_of(rows(count, seed=seed)), moments_of(rows(count + 5, seed=seed + 1))
    assert frechet_distance(a, a) == 0.0
    assert frechet_distance(a, b) > 1e-3
    assert frechet_distance(a, b) == pytest.approx(frechet_distance(b, a), rel=1e-6, abs=1e-6)


@given(shift=st.floats(0.1, 50), scale=st.floats(0.2, 5))
@settings(max_examples=25, deadline=None)
def test_frechet_of_known_gaussians(shift: float, scale: float) -> None:
    """Moved by d: |d|^2. Spread s times as wide: (s - 1)^2 tr S."""
    a = moments_of(rows(50))
    moved = Statistics(a.mean + shift, a.covariance)
    assert frechet_distance(a, moved) == pytest.approx(6 * shift**2, rel=1e-6)
    wider = Statistics(a.mean, a.covariance * scale**2)
    assert frechet_distance(a, wider) == pytest.approx((scale - 1) ** 2 * float(a.covariance.trace()), rel=1e-6, abs=1e-6)


def test_fid_of_parts_is_the_fid_of_the_whole() -> None:
    a, b = rows(80), rows(70, seed=1, shift=0.5)
    whole = Fid()
    whole.update(a, b)
    left, right = Fid(), Fid()
    left.update(restored=a[:30])
    left.update(truth=b[:11])
    right.update(a[30:], b[11:])
    left.merge(right)
    assert left.compute() == pytest.approx(whole.compute(), rel=1e-9)
    assert left.compute() == pytest.approx(Fid_against(b, a), rel=1e-9)


def Fid_against(truth: Tensor, restored: Tensor) -> float:
    fid = Fid(against=moments_of(truth))
    fid.update(restored)
    return fid.compute()


def test_too_few_pictures_for_fid_says_how_many_are_needed() -> None:
    fid = Fid()
    fid.update(rows(6), rows(40))
    with pytest.raises(InputError, match="too few restored pictures for FID: 6: it needs at least 7"):
        fid.compute()
    fid.update(rows(1, seed=3))
    assert fid.compute() >= 0
    lenient = Fid(fewest=3)
    lenient.update(rows(3), rows(3, seed=1))
    assert lenient.compute() > 0
    with pytest.raises(InputError, match="restored pictures for FID: 0"):
        Fid().compute()


def test_features_that_do_not_fit_are_refused() -> None:
    bad = rows(4)
    bad[2, 1] = float("nan")
    gathered: list[Callable[[], Fid | Kid]] = [Fid, Kid]
    for make in gathered:
        with pytest.raises(InputError, match="not numbers"):
            make().update(bad)
        one = make()
        one.update(rows(4))
        with pytest.raises(InputError, match="cannot take these features"):
            one.update(rows(4, size=5))
        with pytest.raises(InputError, match="cannot take these features"):
            one.update(torch.rand(4, 6, 1))
    with pytest.raises(InputError, match="cannot compare these statistics"):
        frechet_distance(moments_of(rows(9)), moments_of(rows(9, size=5)))


def test_statistics_are_kept_and_damaged_ones_refused(tmp_path: Path) -> None:
    kept = moments_of(rows(20))
    kept.save(tmp_path / "set.npz")
    again = Statistics.read(tmp_path / "set.npz")
    assert frechet_distance(kept, again) == 0 and again.count == 20
    with pytest.raises(ModelError, match="no such file"):
        Statistics.read(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("no")
    np.savez(tmp_path / "shape.npz", mu=np.ones(4), sigma=np.eye(3))
    np.savez(tmp_path / "nan.npz", mu=np.ones(3), sigma=np.full((3, 3), np.nan))
    np.savez(tmp_path / "other.npz", a=np.ones(3))
    for name in ("text", "shape", "nan", "other"):
        with pytest.raises(ModelError, match="cannot use the statistics"):
            Statistics.read(tmp_path / f"{name}.npz")


# KID, precision and recall, Inception Score --------------------------------------------------------------------------------------------


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 1000))
def test_mmd_is_symmetric_and_about_zero_within_one_set(seed: int) -> None:
    a, b = rows(30, seed=seed), rows(25, seed=seed + 1)
    assert float(mmd(a, b)) == pytest.approx(float(mmd(b, a)), rel=1e-9, abs=1e-9)
    assert float(mmd(a, a, unbiased=False)) == pytest.approx(0, abs=1e-9)
    assert float(mmd(a, b, unbiased=False)) > 0


def test_kid_grows_with_the_distance_and_needs_a_subset() -> None:
    base = torch.randn(300, 8, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    other = torch.randn(300, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    values = [kid(other + shift, base, subsets=10, subset_size=200)[0] for shift in (0, 0.3, 0.6, 1.2)]
    assert abs(values[0]) < 0.05 < values[1] < values[2] < values[3]
    with pytest.raises(InputError, match="too few restored pictures for KID: 300: a subset has 1000"):
        kid(base, base)


def test_gathered_features_give_the_numbers_of_all_at_once() -> None:
    a, b = rows(40).float(), rows(35, seed=1).float()
    halves = [Kid(subsets=5, subset_size=20), Kid(subsets=5, subset_size=20)]
    balls = [PrecisionRecall(), PrecisionRecall()]
    for pair in (halves, balls):
        gathered: list[Gathered] = [*pair]
        gathered[0].update(a[:13], b[:30])
        gathered[1].update(a[13:])
        gathered[1].update(truth=b[30:])
        gathered[0].merge(gathered[1])
    assert halves[0].compute() == kid(a, b, subsets=5, subset_size=20)
    assert balls[0].compute() == precision_recall(a, b)
    with pytest.raises(InputError, match="no true pictures"):
        only = Kid()
        only.update(a)
        only.compute()


def test_precision_and_recall_of_known_sets() -> None:
    real = rows(60)
    assert precision_recall(real, real) == (1.0, 1.0)
    assert precision_recall(real + 1000, real) == (0.0, 0.0)
    # a few of the real, repeated: all look real, most of the real are missing
    repeated = real[:6].repeat(10, 1) + 1e-3 * rows(60, seed=3)
    precision, recall = precision_recall(repeated, real)
    assert precision > 0.9 and recall < 0.4
    assert precision_recall(real, repeated) == (recall, precision)
    with pytest.raises(InputError, match="3: it needs at least 4"):
        precision_recall(real[:3], real)


def test_inception_score_of_known_classes() -> None:
    """Sure of one of ten even classes: 10. Always the same answer: 1."""
    sure = 100 * torch.eye(10).repeat(100, 1)
    assert inception_score(sure, splits=1)[0] == pytest.approx(10, rel=1e-6)
    assert inception_score(torch.zeros(100, 10)) == (pytest.approx(1), pytest.approx(0, abs=1e-9))
    with pytest.raises(InputError, match="at least 10"):
        inception_score(sure[:9])


# What Inception is shown ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("resize", ["pytorch-fid", "torch-fidelity", "clean-fid"])
def test_every_way_to_299_keeps_flat_pictures(resize: str) -> None:
    flat = torch.full((1, 3, 64, 40), 51, dtype=torch.uint8)
    shown = inception_input(flat, resize)  # type: ignore[arg-type]
    assert shown.shape == (1, 3, 299, 299) and shown.dtype == torch.float32
    expected = 51 / 127.5 - 1 if resize == "pytorch-fid" else (51 - 128) / 128
    np.testing.assert_allclose(shown, expected, atol=1e-6)
    pictures = torch.rand(3, 3, 50, 310)
    whole = inception_input(pictures, resize)  # type: ignore[arg-type]
    torch.testing.assert_close(whole[1:2], inception_input(pictures[1:2], resize), rtol=0, atol=1e-6)  # type: ignore[arg-type]


def test_only_clean_fid_takes_the_stripes_away() -> None:
    stripes = torch.zeros(1, 3, 897, 897)
    stripes[..., ::2] = 1
    shades = {way: float(inception_input(stripes, way).std()) for way in ("pytorch-fid", "torch-fidelity", "clean-fid")}  # type: ignore[arg-type]
    assert shades["clean-fid"] < 0.05 < 0.3 < min(shades["pytorch-fid"], shades["torch-fidelity"])
    with pytest.raises(UsageError, match="no way to resize 'area'"):
        inception_input(stripes, "area")  # type: ignore[arg-type]


# Means ---------------------------------------------------------------------------------------------------------------------------------


@given(values=st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=40), cut=st.integers(0, 40))
@settings(max_examples=50, deadline=None)
def test_a_mean_of_parts(values: list[float], cut: int) -> None:
    one, two = Mean(), Mean()
    one.update(torch.tensor(values[:cut], dtype=torch.float64))
    two.update(torch.tensor(values[cut:], dtype=torch.float64))
    one.merge(two)
    assert one.count == len(values)
    assert one.compute() == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert one.deviation == pytest.approx(np.std(values, ddof=1), rel=1e-6, abs=1e-3)


def test_a_mean_leaves_out_and_refuses() -> None:
    angles = Mean(above=1.0)
    angles.update(torch.tensor([0.2, 30.0, 0.99, 50.0]))
    assert (angles.compute(), angles.count, angles.left_out) == (40.0, 2, 2)
    with pytest.raises(InputError, match="no picture"):
        Mean().compute()
    with pytest.raises(InputError, match="not a number"):
        angles.update(torch.tensor([float("nan")]))
    perfect = Mean()
    perfect.update(torch.tensor([30.0, math.inf]))
    assert perfect.compute() == math.inf and math.isnan(perfect.deviation)
