"""Intervals that hold what they promise, tests that find a difference and no other, corrections as published."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.evaluate.catalogue import METRICS
from facewright.evaluate.results import interval_of
from facewright.evaluate.statistics import EXACT, FLIPS, holm, interval, sign_flip


def names(count: int) -> list[str]:
    return [f"person {number}" for number in range(count)]


def test_the_interval_is_that_of_the_normal_where_that_is_known() -> None:
    values = np.random.default_rng(0).normal(5, 2, 400)
    told = interval(values, names(400), seed=1)
    error = 1.96 * values.std(ddof=1) / 20
    assert told.mean == pytest.approx(values.mean()) and told.count == 400
    assert (told.low, told.high) == pytest.approx((told.mean - error, told.mean + error), abs=0.05)


def test_the_interval_covers_the_true_mean_about_as_often_as_it_says() -> None:
    random = np.random.default_rng(2)
    told = [interval(random.exponential(1, 60), names(60), seed=trial) for trial in range(150)]
    assert 0.86 <= np.mean([each.low <= 1 <= each.high for each in told]) <= 0.99


def test_pictures_of_one_person_are_not_taken_for_several_people() -> None:
    people = np.random.default_rng(3).normal(0, 1, 30)
    alone = interval(people, names(30), seed=1)
    five_times = interval(np.repeat(people, 5), [name for name in names(30) for _ in range(5)], seed=1)
    as_if_apart = interval(np.repeat(people, 5), names(150), seed=1)
    assert five_times.high - five_times.low == pytest.approx(alone.high - alone.low, rel=0.02)
    assert as_if_apart.high - as_if_apart.low < 0.6 * (alone.high - alone.low)


def test_the_same_seed_gives_the_same_interval_and_another_another() -> None:
    values = np.random.default_rng(4).normal(size=50)
    assert interval(values, names(50), 1) == interval(values, names(50), 1)
    assert interval(values, names(50), 1) != interval(values, names(50), 2)


def test_the_geometric_mean_is_the_mean_of_logarithms() -> None:
    told = interval(np.array([0.1, 1.0, 10.0, 100.0]), names(4), 1, geometric=True)
    assert told.mean == pytest.approx(10**0.5) and 0 < told.low < told.mean < told.high


def test_infinite_numbers_make_an_infinite_mean_without_an_interval() -> None:
    told = interval(np.array([30.0, np.inf, 31.0, 29.0]), names(4), 1)
    assert told.mean == np.inf and np.isnan(told.low) and np.isnan(told.high)


@given(st.lists(st.floats(-3, 3).filter(lambda x: abs(x) > 1e-3), min_size=2, max_size=8))
@settings(deadline=None)
def test_few_people_are_tested_by_every_pattern_of_signs(differences: list[float]) -> None:
    a = np.array(differences)
    sums = [abs(np.dot(signs, a)) for signs in product((-1, 1), repeat=len(a))]
    expected = np.mean([each >= abs(a.sum()) * (1 - 1e-12) for each in sums])
    assert sign_flip(a, np.zeros(len(a)), names(len(a)), seed=0) == pytest.approx(expected)


def test_many_people_agree_with_the_exact_test() -> None:
    """Of twelve differences, once exactly and once, with two pairs more that do not matter, by random patterns."""
    a = np.random.default_rng(7).normal(0.35, 1, EXACT - 1)
    exact = sign_flip(a, np.zeros(len(a)), names(len(a)), 0)
    drawn = sign_flip(np.append(a, [1e-9] * 3), np.zeros(len(a) + 3), names(len(a) + 3), 0)
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / FLIPS) ** 0.5)


def test_no_difference_is_found_no_more_often_than_the_level() -> None:
    random = np.random.default_rng(8)
    found = [sign_flip(random.normal(size=20), random.normal(size=20), names(20), trial) < 0.05 for trial in range(200)]
    assert np.mean(found) < 0.1


def test_a_small_but_steady_difference_is_found_where_the_spread_is_large() -> None:
    truth = np.random.default_rng(9).normal(30, 5, 40)
    assert sign_flip(truth + 0.2, truth, names(40), 0) < 0.001
    assert sign_flip(truth, np.random.default_rng(10).permutation(truth), names(40), 0) > 0.05


def test_infinite_pairs_are_left_out_of_a_test() -> None:
    a, b = np.array([np.inf, 31, 32, 33, 34.0]), np.array([np.inf, 30, 31, 32, 33.0])
    assert sign_flip(a, b, names(5), 0) == pytest.approx(2 / 16)
    assert np.isnan(sign_flip(a[:1], b[:1], names(1), 0))


def test_holms_correction_is_that_of_his_paper() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    corrected = holm([0.5, float("nan"), 0.2])
    assert corrected[0] == 0.5 and np.isnan(corrected[1]) and corrected[2] == pytest.approx(0.4)


def test_exact_pictures_do_not_hide_how_far_off_the_others_are() -> None:
    psnr, people = METRICS["psnr[rgb]"], ["a", "b", "c", "d"]
    assert interval_of(psnr, np.array([np.inf, 30.0, 40.0, np.nan]), people, 0).mean == 35
    assert interval_of(psnr, np.array([np.inf, np.inf, np.nan, np.inf]), people, 0).mean == np.inf
