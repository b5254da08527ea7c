"""Real-ESRGAN's networks where the reference cases do not reach: the inference form, interpolation, wrong sizes."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.errors import UsageError
from facewright.nets.realesrgan import PreparedRRDBNet, RRDBNet, SRVGGNetCompact, interpolated, merge_doubling, prepare

SMALL: dict[str, Any] = {"num_feat": 8, "num_block": 2, "num_grow_ch": 4}


def livened(net: Any) -> Any:
    """With weights under which every layer matters; ESRGAN starts with dense blocks that do next to nothing."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            fan_in = parameter[0].numel() if parameter.ndim == 4 else 100
            parameter.normal_(std=fan_in**-0.5)
    return net.eval()


def picture(height: int, width: int, count: int = 1) -> Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


class TestPrepared:
    @settings(max_examples=15, deadline=None)
    @given(
        scale=st.sampled_from([1, 2, 4]),
        rows=st.integers(1, 24),
        columns=st.integers(1, 9),
        strip=st.integers(1, 12),
        count=st.integers(1, 2),
    )
    def test_it_computes_the_same_strip_by_strip(self, scale: int, rows: int, columns: int, strip: int, count: int) -> None:
        net = livened(RRDBNet(scale=scale, **SMALL))
        prepared = prepare(net)
        assert isinstance(prepared, PreparedRRDBNet)
        prepared.STRIP = strip
        x = picture(rows * net.unshuffle, columns * net.unshuffle, count)
        with torch.no_grad():
            wanted = net(x)
        torch.testing.assert_close(prepared(x), wanted, atol=1e-5 * float(wanted.abs().max()), rtol=1e-5)

    def test_a_shorter_reach_shows(self) -> None:
        net = livened(RRDBNet(**SMALL))
        prepared = prepare(net)
        assert isinstance(prepared, PreparedRRDBNet)
        prepared.STRIP, prepared.REACH = 4, 1
        with torch.no_grad():
            assert (prepared(picture(16, 16)) - net(picture(16, 16))).abs().max() > 1e-3

    @pytest.mark.parametrize("act_type", ["prelu", "relu", "leakyrelu"])
    def test_the_compact_network_too(self, act_type: Any) -> None:
        net = livened(SRVGGNetCompact(num_feat=8, num_conv=3, act_type=act_type))
        with torch.no_grad():
            torch.testing.assert_close(prepare(net)(picture(7, 9, 2)), net(picture(7, 9, 2)), atol=1e-5, rtol=1e-5)

    @pytest.mark.parametrize("kind", [RRDBNet, SRVGGNetCompact])
    def test_half_precision_is_near_and_returns_float32(self, kind: Any) -> None:
        net = livened(kind(num_feat=8))
        with torch.no_grad():
            wanted = net(picture(16, 16))
        for dtype, far in ((torch.bfloat16, 0.2), (torch.float16, 0.03)):
            enlarged = prepare(net, dtype)(picture(16, 16))
            assert enlarged.dtype == torch.float32
            assert 0 < (enlarged - wanted).abs().max() < far * wanted.std()

    def test_it_is_a_copy(self) -> None:
        net = livened(RRDBNet(**SMALL))
        prepared, x = prepare(net), picture(8, 8)
        before = prepared(x)
        with torch.no_grad():
            for parameter in net.parameters():
                parameter.zero_()
        assert (prepared(x) == before).all()
        assert not any(parameter.requires_grad for parameter in prepared.parameters())

    def test_one_transposed_convolution_enlarges_and_convolves(self) -> None:
        weight, x = torch.randn(5, 3, 3, 3, dtype=torch.float64), torch.randn(2, 3, 4, 6, dtype=torch.float64)
        plain = F.conv2d(x.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3), weight, padding=1)
        torch.testing.assert_close(F.conv_transpose2d(x, merge_doubling(weight), stride=2, padding=1), plain)


class TestInterpolated:
    def test_its_ends_are_the_two_models(self) -> None:
        a, b = (RRDBNet(**SMALL).state_dict() for _ in range(2))
        for weight, end in ((1.0, a), (0.0, b)):
            assert all(torch.equal(value, end[name]) for name, value in interpolated(a, b, weight).items())

    @pytest.mark.parametrize("other", [SRVGGNetCompact(num_feat=8), RRDBNet(num_feat=8, num_block=1, num_grow_ch=4), RRDBNet(num_feat=16)])
    def test_two_networks_are_refused(self, other: torch.nn.Module) -> None:
        with pytest.raises(UsageError, match="cannot interpolate"):
            interpolated(RRDBNet(**SMALL).state_dict(), other.state_dict(), 0.5)


def test_another_scale_is_refused() -> None:
    with pytest.raises(UsageError, match="3 times"):
        RRDBNet(scale=3)
