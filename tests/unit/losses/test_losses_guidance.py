"""Perceptual, style, identity, component and pixel losses, where the answer is known by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.errors import UsageError
from facewright.losses import ArcFaceIdentityLoss, PerceptualLoss, charbonnier, component_style_loss, gram, l1, mse


def maps(pictures: Tensor) -> dict[str, Tensor]:
    """Features that one can follow: the picture, and its half."""
    return {"fine": pictures, "coarse": torch.nn.functional.avg_pool2d(pictures, 2)}


def pictures(seed: int, *shape: int) -> Tensor:
    return torch.randn(*(shape or (2, 3, 8, 8)), generator=torch.Generator().manual_seed(seed))


def test_layers_weigh_what_they_are_told() -> None:
    truth, shift = pictures(0), 0.25
    for criterion, one in (("l1", shift), ("l2", shift**2)):
        loss = PerceptualLoss(maps, {"fine": 0.5, "coarse": 2.0}, criterion, perceptual_weight=3)  # type: ignore[arg-type]
        assert float(loss(truth + shift, truth)["perceptual"]) == pytest.approx(3 * 2.5 * one, rel=1e-5)
    frobenius = PerceptualLoss(maps, {"fine": 1.0}, "fro")
    assert float(frobenius(truth + shift, truth)["perceptual"]) == pytest.approx(shift * truth.numel() ** 0.5, rel=1e-5)


def test_a_term_without_weight_is_not_there() -> None:
    truth = pictures(0)
    assert set(PerceptualLoss(maps, {"fine": 1.0})(truth, truth)) == {"perceptual"}
    style = PerceptualLoss(maps, {"fine": 1.0}, perceptual_weight=0, style_weight=2)
    assert set(style(truth, truth)) == {"style"}
    # style does not know where things are: the picture turned round has the same
    assert float(style(truth.flip(2, 3), truth)["style"]) == pytest.approx(0, abs=1e-6)
    assert float(style(truth * 1.1, truth)["style"]) > 1e-3
    with pytest.raises(UsageError, match="'l3'"):
        PerceptualLoss(maps, {"fine": 1.0}, "l3")  # type: ignore[arg-type]


def test_the_truth_is_a_constant() -> None:
    truth, restored = pictures(0).requires_grad_(True), pictures(1).requires_grad_(True)
    losses = PerceptualLoss(maps, {"fine": 1.0}, style_weight=1)(restored, truth)
    losses["identity"] = ArcFaceIdentityLoss(lambda p: p.mean((2, 3)))(restored, truth)
    losses["component"] = component_style_loss([restored, restored], [truth, truth])
    for value in losses.values():
        ours, theirs = torch.autograd.grad(value, [restored, truth], allow_unused=True, retain_graph=True)
        assert ours.abs().sum() > 0 and theirs is None


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(-3, 3))
def test_the_gram_matrix_is_a_mean_product_of_channels(scale: float) -> None:
    x = pictures(0, 1, 4, 3, 5)
    product = gram(scale * x)
    by_hand = torch.stack([torch.stack([(a * b).sum() for b in x[0]]) for a in x[0]]) * scale**2 / (4 * 3 * 5)
    torch.testing.assert_close(product[0], by_hand, atol=1e-5, rtol=1e-5)


def test_the_finer_map_of_a_component_counts_half() -> None:
    truth = [pictures(0), pictures(1)]
    first = component_style_loss([truth[0] * 2, truth[1]], truth)
    assert float(first) == pytest.approx(0.5 * float((gram(truth[0] * 2) - gram(truth[0])).abs().mean()), rel=1e-5)
    second = component_style_loss([truth[0], truth[1] * 2], truth)
    assert float(second) == pytest.approx(float((gram(truth[1] * 2) - gram(truth[1])).abs().mean()), rel=1e-5)


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(0.1, 10))
def test_a_weighted_mean_knows_no_scale_of_the_weights(scale: float) -> None:
    a, b, weight = pictures(0), pictures(1), torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(2))
    for loss in (l1, mse, charbonnier):
        torch.testing.assert_close(loss(a, b, weight * scale), loss(a, b, weight))
        torch.testing.assert_close(loss(a, b, weight), loss(a, b, weight.expand_as(a)))
        torch.testing.assert_close(loss(a, b, torch.ones_like(a)), loss(a, b))
        torch.testing.assert_close(loss(a, b, weight, "sum"), loss(a, b, weight, "none").sum())


def test_what_weighs_nothing_is_not_looked_at() -> None:
    a, b = pictures(0), pictures(1)
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., :4] = 1
    broken = b.clone()
    broken[..., 4:] += 100
    torch.testing.assert_close(l1(a, broken, mask), l1(a[..., :4], b[..., :4]))
    with pytest.raises(UsageError, match=r"\(2, 2, 8, 8\)"):
        l1(a, b, torch.ones(2, 2, 8, 8))
    with pytest.raises(UsageError, match="'median'"):
        l1(a, b, reduction="median")  # type: ignore[arg-type]


def test_charbonnier_is_smooth_where_l1_has_a_corner() -> None:
    x = torch.zeros(1, 1, 1, 1, requires_grad=True)
    (slope,) = torch.autograd.grad(charbonnier(x, torch.zeros_like(x)), x)
    assert float(slope) == 0 and float(charbonnier(x, x)) == pytest.approx(1e-6)
    torch.testing.assert_close(charbonnier(pictures(0), pictures(1)), l1(pictures(0), pictures(1)), atol=1e-6, rtol=1e-6)
