"""Crops of boxes, against the definition written out sample by sample."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.nets.blocks.roi_align import roi_align

OUT = 3
coordinates = st.integers(-120, 200).map(lambda eighths: eighths / 8)


def sampled(picture: Tensor, x1: float, y1: float, x2: float, y2: float, out: int) -> Tensor:
    """C x H x W and one box, as the paper says it: every cell, every sample, four neighbours."""
    channels, height, width = picture.shape
    cells_y, cells_x = max(y2 - y1, 1.0) / out, max(x2 - x1, 1.0) / out
    count_y, count_x = math.ceil(cells_y), math.ceil(cells_x)
    result = torch.zeros(channels, out, out, dtype=picture.dtype)
    for row in range(out):
        for column in range(out):
            for i in range(count_y):
                for j in range(count_x):
                    y = y1 + row * cells_y + (i + 0.5) * cells_y / count_y
                    x = x1 + column * cells_x + (j + 0.5) * cells_x / count_x
                    # a matter of rounding is no matter of this test
                    assume(all(abs(place - edge) > 1e-3 for place, edge in ((y, -1), (x, -1), (y, height), (x, width))))
                    if -1 <= y <= height and -1 <= x <= width:
                        result[:, row, column] += bilinear(picture, max(y, 0.0), max(x, 0.0)) / (count_y * count_x)
    return result


def bilinear(picture: Tensor, y: float, x: float) -> Tensor:
    height, width = picture.shape[1:]
    y, x = min(y, height - 1), min(x, width - 1)
    top, left = min(int(y), height - 2), min(int(x), width - 2)
    down, along = y - top, x - left
    upper = picture[:, top, left] * (1 - along) + picture[:, top, left + 1] * along
    lower = picture[:, top + 1, left] * (1 - along) + picture[:, top + 1, left + 1] * along
    return upper * (1 - down) + lower * down


@settings(deadline=None, max_examples=60)
@given(places=st.lists(st.tuples(coordinates, coordinates, coordinates, coordinates), min_size=1, max_size=3))
def test_every_sample_is_where_the_definition_says(places: list[tuple[float, float, float, float]]) -> None:
    pictures = torch.randn(2, 2, 7, 9, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    boxes = torch.tensor([[number % 2, *place] for number, place in enumerate(places)])
    wanted = torch.stack([sampled(pictures[number % 2], *place, OUT) for number, place in enumerate(places)])
    torch.testing.assert_close(roi_align(pictures, boxes, OUT), wanted, atol=1e-5, rtol=0)


@settings(deadline=None)
@given(x=st.floats(0, 20), y=st.floats(0, 20), width=st.floats(1, 19), height=st.floats(1, 19))
def test_a_slope_is_read_off_at_the_cells_centres(x: float, y: float, width: float, height: float) -> None:
    rows, columns = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    crop = roi_align((3 * columns - 2 * rows + 5)[None, None], torch.tensor([[0, x, y, x + width, y + height]]), 6)[0, 0]
    centres = (torch.arange(6) + 0.5) / 6
    wanted = 3 * (x + centres * width)[None, :] - 2 * (y + centres * height)[:, None] + 5
    torch.testing.assert_close(crop, wanted, atol=1e-3, rtol=0)


def test_gradients_add_up_where_boxes_overlap_and_go_on_to_the_second() -> None:
    pictures = torch.randn(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)
    boxes = torch.tensor([[0, 1.0, 1, 5, 6], [0, 2, 2, 7, 7], [1, -3, -3, 4, 4]])
    assert torch.autograd.gradcheck(lambda p: roi_align(p, boxes, 3), (pictures,), atol=1e-6)
    assert torch.autograd.gradgradcheck(lambda p: roi_align(p, boxes, 3).square(), (pictures,), atol=1e-5)


def test_boxes_outside_and_no_boxes_at_all() -> None:
    pictures = torch.ones(1, 3, 10, 10)
    outside = torch.tensor([[0, 20.0, 20, 30, 30], [0, -30, 0, -20, 5]])
    assert roi_align(pictures, outside, 4).abs().max() == 0
    assert roi_align(pictures, torch.zeros(0, 5), 4).shape == (0, 3, 4, 4)
    # a box turned inside out is one pixel wide
    torch.testing.assert_close(roi_align(pictures, torch.tensor([[0, 5.0, 5, 3, 3]]), 2), torch.ones(1, 3, 2, 2))
    with pytest.raises(IndexError):
        roi_align(pictures, torch.tensor([[1, 0.0, 0, 4, 4]]), 4)
