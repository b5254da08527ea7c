"""VQFR and its deformable convolution, where the reference cases do not reach."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.nets.blocks.deformable import DeformableConv, deformable_conv
from facewright.nets.vqfr import VQFRv1, VQFRv2

SMALL: dict[str, Any] = {"base_channels": 32, "channel_multipliers": (1, 2), "inpfeat_dim": 4, "num_code": 10, "code_dim": 8}


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(down=st.integers(-3, 3), along=st.integers(-3, 3), groups=st.sampled_from([1, 2]))
@settings(max_examples=20, deadline=None)
def test_equal_whole_offsets_move_the_picture(down: int, along: int, groups: int) -> None:
    x, weight = maps(2, 4, 7, 9), maps(3, 4, 3, 3, seed=1)
    offset = torch.tensor([down, along]).float().repeat(9 * groups)[None, :, None, None].expand(2, -1, 7, 9)
    moved = F.pad(x, (4, 4, 4, 4))[:, :, 3 + down : 12 + down, 3 + along : 14 + along]
    expected = F.conv2d(moved, weight)
    found = deformable_conv(x, offset, torch.ones(2, 9 * groups, 7, 9), weight, groups=groups)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_each_tap_looks_where_it_is_told() -> None:
    """Against the definition, place by place."""
    x, offset, mask = maps(1, 4, 5, 6), 2 * maps(1, 2 * 2 * 9, 5, 6, seed=1), torch.rand(1, 2 * 9, 5, 6)
    weight, bias = maps(2, 4, 3, 3, seed=2), maps(2, seed=3)

    def at(channel: int, row: float, column: float) -> Tensor:
        total = torch.zeros(())
        for r in (int(row // 1), int(row // 1) + 1):
            for c in (int(column // 1), int(column // 1) + 1):
                if 0 <= r < 5 and 0 <= c < 6:
                    total = total + (1 - abs(row - r)) * (1 - abs(column - c)) * x[0, channel, r, c]
        return total

    found = deformable_conv(x, offset, mask, weight, bias, groups=2)
    for row, column in ((0, 0), (2, 3), (4, 5)):
        expected = bias.clone()
        for tap in range(9):
            for channel in range(4):
                group = channel // 2
                down, along = (float(offset[0, (group * 9 + tap) * 2 + axis, row, column]) for axis in (0, 1))
                seen = at(channel, row + tap // 3 - 1 + down, column + tap % 3 - 1 + along) * mask[0, group * 9 + tap, row, column]
                expected = expected + weight[:, channel, tap // 3, tap % 3] * seen
        torch.testing.assert_close(found[0, :, row, column], expected, atol=1e-4, rtol=1e-4)


def test_a_fresh_layer_is_half_a_plain_convolution() -> None:
    layer = DeformableConv(4, 6, groups=2)
    x = maps(1, 4, 6, 6)
    torch.testing.assert_close(layer(x, maps(1, 4, 6, 6, seed=1)), F.conv2d(x, layer.weight, padding=1) / 2, atol=1e-5, rtol=1e-4)


def test_half_precision_does_not_round_the_places() -> None:
    x = maps(1, 4, 6, 400)
    offset, mask, weight = torch.full((1, 18, 6, 400), 0.25), torch.ones(1, 9, 6, 400), maps(2, 4, 3, 3, seed=1)
    exact, half = (deformable_conv(*(each.to(kind) for each in (x, offset, mask, weight))) for kind in (torch.float32, torch.bfloat16))
    assert half.dtype == torch.bfloat16 and (exact - half).abs().mean() < 0.01 * exact.std()


def lively(net: VQFRv1 | VQFRv2) -> VQFRv1 | VQFRv2:
    """With offsets that a fresh network does not have."""
    torch.manual_seed(5)
    for module in net.modules():
        if isinstance(module, DeformableConv):
            torch.nn.init.normal_(module.conv_offset.weight, std=0.1)
    return net.eval()


def test_the_ratio_leads_from_the_texture_to_the_damaged_face() -> None:
    net, x = lively(VQFRv2(**SMALL)), maps(1, 3, 16, 16)
    assert isinstance(net, VQFRv2)
    none, half, whole = (net.code(x, ratio) for ratio in (0.0, 0.5, 1.0))
    assert torch.equal(none.picture, none.texture) and torch.equal(none.texture, whole.texture)
    assert (half.picture - none.picture).abs().max() > 1e-3 and (whole.picture - half.picture).abs().max() > 1e-3
    torch.testing.assert_close(net(x), none.picture)
    assert none.logits is not None and torch.equal(none.logits.argmax(2).view(1, 8, 8), none.codes)


def test_texture_and_codes_learn_nothing_from_the_warped_branch() -> None:
    net = lively(VQFRv2(**SMALL))
    net.code(maps(1, 3, 16, 16), 1.0).picture.square().mean().backward()  # type: ignore[call-arg]
    taught = {name.split(".")[0] for name, parameter in net.named_parameters() if parameter.grad is not None}
    assert taught == {"main_branch", "inpfeat_extraction", "decoder"}
    assert {name for name, parameter in net.decoder.named_parameters() if parameter.grad is not None} == {
        f"conv_out.{place}.{kind}" for place in (0, 2) for kind in ("weight", "bias")
    }


@pytest.mark.parametrize("mode", ["Predict", "Nearest"])
def test_codes_by_the_mode(mode: Any) -> None:
    net = VQFRv2(**SMALL, code_selection_mode=mode).eval()
    result = net.code(maps(1, 3, 16, 16))
    nearest = net.quantizer.nearest(result.features)
    assert torch.equal(result.codes, nearest) == (mode == "Nearest") and (result.logits is None) == (mode == "Nearest")


def test_the_first_version_sees_the_damaged_face_to_the_end() -> None:
    net, x = lively(VQFRv1(**SMALL)), maps(1, 3, 24, 16)
    result = net.code(x)
    assert result.picture.shape == x.shape and result.codes.shape == (1, 12, 8)
    torch.testing.assert_close(net(x), result.picture)
    # the codes kept, the picture still follows
    other = net.main_decoder(
        net.decoder(net.quantizer.only.post_quant_conv(net.quantizer.only.look_up(result.codes))), maps(1, 4, 24, 16), x
    )
    assert (other - result.picture).abs().max() > 1e-3 and (result.texture - result.picture).abs().max() > 1e-3
