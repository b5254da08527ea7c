"""The reader itself: a comparison that cannot fail would make every parity test worthless."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from parity.following import named, with_inputs
from parity.reading import Fixture, filled, made

REFERENCE_WEIGHT = [1.05542672, 0.95462966, 1.04138243]
REFERENCE_BIAS = [-0.07973272, 0.23753467, 0.13943513]
REFERENCE_SMOOTH = [-0.91111374, -0.59149146, -0.09263352, 0.25993362, -0.40236065, -0.4827584]


def recorded(tmp_path: Path, expected: np.ndarray, **record: object) -> Fixture:
    np.savez(tmp_path / "case.npz", stored=expected)
    return Fixture(tmp_path / "case.json", {"outputs": {"y": {"array": "stored", "shape": list(expected.shape), **record}}})


def test_a_difference_within_the_tolerance_passes(tmp_path: Path) -> None:
    recorded(tmp_path, np.full((2, 3), 10.0), atol=0.01, rtol=0.001).check("y", torch.full((2, 3), 10.0199))


@pytest.mark.parametrize("wrong", [10.0202, -10.0, float("nan"), float("inf")])
def test_one_wrong_value_fails(tmp_path: Path, wrong: float) -> None:
    actual = torch.full((2, 3), 10.0)
    actual[1, 2] = wrong
    with pytest.raises(AssertionError, match="1 of 6"):
        recorded(tmp_path, np.full((2, 3), 10.0), atol=0.01, rtol=0.001).check("y", actual)


def test_another_shape_fails_although_it_broadcasts(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="shape"):
        recorded(tmp_path, np.zeros((2, 3))).check("y", torch.zeros(1, 3))


def test_a_slice_is_compared_with_the_slice(tmp_path: Path) -> None:
    full = np.arange(12.0).reshape(3, 4)
    np.savez(tmp_path / "case.npz", stored=full[:, 0:4:3])
    fixture = Fixture(tmp_path / "case.json", {"outputs": {"y": {"array": "stored", "shape": [3, 4], "slice": [None, [0, 4, 3]]}}})
    fixture.check("y", full)
    with pytest.raises(AssertionError):
        fixture.check("y", full[:, ::-1])


def test_values_follow_from_the_name() -> None:
    """The numbers that the published side wrote for these names and recipes."""
    np.testing.assert_allclose(filled("a.weight", (3,)), REFERENCE_WEIGHT, rtol=0, atol=1e-7)
    np.testing.assert_allclose(filled("a.bias", (3,)), REFERENCE_BIAS, rtol=0, atol=1e-7)
    smooth = made({"kind": "smooth", "seed": 4, "shape": [1, 2, 5, 6], "low": -1, "high": 1}, {})
    assert smooth.min() == -1 and smooth.max() == 1
    np.testing.assert_allclose(smooth[0, 1, 2], REFERENCE_SMOOTH, rtol=0, atol=1e-7)


def test_calls_are_spelled_out() -> None:
    x, y = torch.zeros(1), torch.ones(1)
    assert with_inputs([["$x"], {"k": "$y"}, 3, "word"], {"x": x, "y": y}) == [[x], {"k": y}, 3, "word"]
    assert set(named(["image", None, "rgbs", "more"], (x, y, [x, y], {"a": x}))) == {"image", "rgbs.0", "rgbs.1", "more.a"}
