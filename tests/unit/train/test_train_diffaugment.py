"""What a discriminator is shown, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.errors import UsageError
from facewright.train.diffaugment import Changes, check_policy, cut_out, diff_augment, draw, recoloured, translated


def pictures(count: int = 2, height: int = 6, width: int = 8) -> torch.Tensor:
    return torch.randn(count, 3, height, width, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(down=st.integers(-8, 8), right=st.integers(-10, 10))
def test_a_shift_moves_every_pixel_and_lets_grey_in(down: int, right: int) -> None:
    x = pictures()
    moved = translated(x, torch.tensor([[down, right], [0, 0]]))
    wanted = torch.zeros_like(x[0])
    for row in range(6):
        for column in range(8):
            if 0 <= row + down < 6 and 0 <= column + right < 8:
                wanted[:, row, column] = x[0, :, row + down, column + right]
    assert torch.equal(moved[0], wanted) and torch.equal(moved[1], x[1])


@settings(max_examples=50, deadline=None)
@given(row=st.integers(0, 6), column=st.integers(0, 8))
def test_the_window_is_cut_off_at_the_border(row: int, column: int) -> None:
    cut = cut_out(torch.ones(1, 1, 6, 8), torch.tensor([[row, column]]))
    rows, columns = (max(0, min(at + side - side // 2, size) - max(at - side // 2, 0)) for at, side, size in ((row, 3, 6), (column, 4, 8)))
    assert int((cut == 0).sum()) == rows * columns > 0


def test_colours_by_hand() -> None:
    x, still = pictures(), torch.full((2, 3), 0.5, dtype=torch.float64)
    torch.testing.assert_close(recoloured(x, still), x)
    bright, grey, flat = still.clone(), still.clone(), still.clone()
    bright[:, 0], grey[:, 1], flat[:, 2] = 0.75, 0.0, 0.0
    torch.testing.assert_close(recoloured(x, bright), x + 0.25)
    torch.testing.assert_close(recoloured(x, grey), x.mean(1, keepdim=True).expand_as(x))
    mean = x.mean((1, 2, 3), keepdim=True)
    torch.testing.assert_close(recoloured(x, flat), (x + mean) / 2)


def test_draws_stay_in_range_and_reach_its_ends() -> None:
    changes = draw("color,translation,cutout", 2000, 64, np.random.default_rng(0))
    assert changes.colour is not None and changes.shift is not None and changes.window is not None
    assert changes.colour.min() >= 0 and changes.colour.max() < 1
    assert (int(changes.shift.min()), int(changes.shift.max())) == (-8, 8)
    assert (int(changes.window.min()), int(changes.window.max())) == (0, 64)
    assert draw("", 4, 64, np.random.default_rng(0)) == Changes()
    some = draw("translation", 4, 64, np.random.default_rng(0))
    assert some.colour is None and some.window is None and some.shift is not None


def test_gradients_pass_twice() -> None:
    """R1 differentiates the slope of a score through the changes."""
    x = pictures(2, 6, 6).requires_grad_(True)
    changes = draw("color,translation,cutout", 2, 6, np.random.default_rng(3))
    assert torch.autograd.gradcheck(lambda p: diff_augment(p, changes), (x,), atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda p: diff_augment(p, changes).pow(3), (x,), atol=1e-4)


def test_an_unknown_policy_is_refused_with_the_nearest() -> None:
    assert check_policy(" color , cutout") == ("color", "cutout")
    with pytest.raises(UsageError) as refused:
        check_policy("colour")
    assert refused.value.what_to_do == "use: color"
