"""Parsing with networks of filled weights, and the masks that are made of a parse map."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

from facewright.errors import ModelError
from facewright.faces.mask import parsed_mask, soft_parsed_mask
from facewright.faces.parse import CLASSES, SIZE, FaceParser
from facewright.nets import bisenet, parsenet
from facewright.nets.bisenet import BiSeNet
from facewright.nets.parsenet import ParseNet


class Answers(ParseNet):
    """Stands for ParseNet: the class is the brightness of the crop."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        numbers = ((x[:, :1] + 1) / 2 * 18).round()
        return -(numbers - torch.arange(19.0).view(1, -1, 1, 1)).abs(), x


class OtherOrder(BiSeNet):
    """Stands for BiSeNet: the class is the brightness of the crop, in BiSeNet's order and after its normalisation."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)
        self.scale = torch.nn.Parameter(torch.ones(()))

    def forward(self, x: torch.Tensor, return_feat: bool = False) -> tuple[torch.Tensor, ...]:
        numbers = ((x[:, :1] * bisenet.STD[0] + bisenet.MEAN[0]) * 18).round()
        return (-(numbers - torch.arange(19.0).view(1, -1, 1, 1)).abs(),)


def crop_of(numbers: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(numbers).float().div(18).mul(2).sub(1)[None, None].expand(-1, 3, -1, -1)


def test_both_networks_answer_in_one_order_of_classes() -> None:
    numbers = np.repeat(np.arange(19), 27)[:512][None].repeat(512, axis=0)
    ours = FaceParser(Answers()).labels(crop_of(numbers))
    assert ours.shape == (1, SIZE, SIZE) and ours.dtype == np.uint8
    assert_array_equal(ours[0], numbers)
    theirs = FaceParser(OtherOrder()).labels(crop_of(numbers))
    names = np.array(CLASSES)[theirs[0]]
    assert_array_equal(names, np.array(bisenet.CLASSES)[numbers])


def test_the_orders_hold_the_same_classes_and_are_the_published_ones() -> None:
    assert sorted(bisenet.CLASSES) == sorted(parsenet.CLASSES) and len(parsenet.CLASSES) == 19
    assert (parsenet.CLASSES[3], parsenet.CLASSES[13], parsenet.CLASSES[14], parsenet.CLASSES[18]) == ("glasses", "hair", "hat", "cloth")
    assert (bisenet.CLASSES[6], bisenet.CLASSES[10], bisenet.CLASSES[17], bisenet.CLASSES[18]) == ("glasses", "nose", "hair", "hat")


def test_a_crop_does_not_depend_on_its_neighbours_and_any_size_is_taken() -> None:
    torch.manual_seed(0)
    net = ParseNet(512, 512, base_ch=8, res_depth=1, ch_range=(8, 16))
    with torch.no_grad():
        net.out_mask_conv.conv2d.weight.mul_(10)
        net.out_mask_conv.conv2d.bias.zero_()
    parser = FaceParser(net)
    crops = torch.rand(2, 3, 256, 256) * 2 - 1
    both = parser.labels(crops)
    assert both.shape == (2, SIZE, SIZE) and both.max() < 19 and len(np.unique(both)) > 1
    assert_array_equal(parser.labels(crops[1:])[0], both[1])
    assert parser.labels(crops[:0]).shape == (0, SIZE, SIZE)


def test_a_missing_parser_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    with pytest.raises(ModelError) as caught:
        FaceParser.load()
    assert caught.value.what_to_do == "facewright models get parsenet"


def test_a_file_that_is_no_parser_is_refused() -> None:
    with pytest.raises(ModelError, match="cannot parse"):
        FaceParser.load(name="mtcnn")


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.sampled_from([128, 512]))
def test_our_mask_has_no_edge_and_stays_inside_of_what_was_parsed(seed: int, size: int) -> None:
    labels = blobs(seed)
    mask = soft_parsed_mask(labels, size)
    assert mask.shape == (size, size) and mask.dtype == np.float32 and mask.min() >= 0 and mask.max() <= 1
    assert not mask[[0, -1]].any() and not mask[:, [0, -1]].any()
    steps = [np.abs(np.diff(mask, axis=axis)).max() for axis in (0, 1)]
    assert max(steps) < 0.06 * 512 / size
    assert parsed_mask(labels, size)[labels[:: 512 // size, :: 512 // size] == 0].max() > 0.3  # the published one reaches out


def test_the_published_mask_steps_at_the_border_where_ours_slopes() -> None:
    labels = np.ones((512, 512), np.uint8)
    assert np.abs(np.diff(parsed_mask(labels, 512), axis=0)).max() > 0.9
    assert np.abs(np.diff(soft_parsed_mask(labels, 512), axis=0)).max() < 0.06


def test_background_and_hat_keep_the_photo_specks_and_holes_do_not_count() -> None:
    labels = np.zeros((512, 512), np.uint8)
    labels[150:400, 120:400] = 1
    labels[60:150, 120:400] = 14
    clean = soft_parsed_mask(labels, 512)
    assert clean[60:140].max() < 0.01 and clean[275, 260] == 1 and clean[275, :110].max() < 0.01
    labels[200:210, 200:215] = 14  # a hole
    labels[20:28, 20:28] = 15  # a speck
    assert_array_equal(soft_parsed_mask(labels, 512), clean)


def blobs(seed: int) -> np.ndarray:
    """512 x 512 labels, 0 or 1, of a few smooth shapes."""
    random = np.random.default_rng(seed)
    y, x = np.mgrid[0:512, 0:512] / 512
    wave = sum(np.sin(2 * np.pi * (random.uniform(-2, 2) * x + random.uniform(-2, 2) * y + random.random())) for _ in range(4))
    labels = (np.asarray(wave) > 0.3).astype(np.uint8)
    labels[200:320, 180:330] = 1
    labels[:150, :150] = 0
    return labels
