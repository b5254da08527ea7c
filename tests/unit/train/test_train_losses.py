"""What training minimises, where the answer is known by hand."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from facewright.losses import (
    EmbeddingLoss,
    artifact_l1,
    discriminator_logistic,
    generator_nonsaturating,
    grid_l1,
    pyramid_l1,
    r1_penalty,
    relativistic_logistic,
)
from facewright.weights import load_model


def test_r1_of_a_quadratic_is_known() -> None:
    """D(x) = sum(a x^2 / 2) has the slope a x; the penalty's own slope with respect to a is 2 a x^2."""
    picture = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(0)).requires_grad_(True)
    a = torch.tensor(1.7, requires_grad=True)
    penalty = r1_penalty((a * picture.square() / 2).flatten(1).sum(1), picture)
    mean = picture.detach().square().flatten(1).sum(1).mean()
    torch.testing.assert_close(penalty, a.detach().square() * mean)
    (slope,) = torch.autograd.grad(penalty, a)
    torch.testing.assert_close(slope, 2 * a.detach() * mean)


@given(score=st.floats(-50, 50))
def test_the_game_s_two_sides(score: float) -> None:
    s, undecided = torch.tensor([score]), torch.tensor([0.0])
    assert float(generator_nonsaturating(s)) == pytest.approx(max(-score, 0) + math.log1p(math.exp(-abs(score))), abs=1e-5)
    # the generator's wish is the discriminator's fear of a real one
    one = discriminator_logistic(s, undecided) - discriminator_logistic(undecided, undecided) / 2
    assert float(one) == pytest.approx(float(generator_nonsaturating(s)), abs=1e-5)
    # the slope is never lost, however sure the discriminator is: that is what non-saturating means
    wrong = torch.tensor([-50.0], requires_grad=True)
    generator_nonsaturating(wrong).backward()  # type: ignore[no-untyped-call]
    assert wrong.grad is not None and float(wrong.grad) == pytest.approx(-1)


@given(scores=st.lists(st.tuples(st.floats(-20, 20), st.floats(-20, 20)), min_size=1, max_size=6), shift=st.floats(-9, 9))
def test_a_relativistic_discriminator_knows_differences_only(scores: list[tuple[float, float]], shift: float) -> None:
    real, fake = torch.tensor(scores, dtype=torch.float64).T
    expected = sum(math.log1p(math.exp(-(r - f))) for r, f in scores) / len(scores)
    assert float(relativistic_logistic(real, fake)) == pytest.approx(expected, rel=1e-9)
    torch.testing.assert_close(relativistic_logistic(real + shift, fake + shift), relativistic_logistic(real, fake))
    # what one side hopes the other fears: the two losses differ by what they play for
    torch.testing.assert_close(relativistic_logistic(fake, real) - relativistic_logistic(real, fake), (real - fake).mean())


def test_the_pyramid_sees_every_level_alike() -> None:
    truth = torch.rand(2, 3, 32, 32)
    levels = [torch.nn.functional.interpolate(truth, size=(r, r), mode="bilinear", antialias=False) for r in (8, 16)] + [truth]
    # two halvings are not one quartering without antialiasing: level 8 is the half of level 16
    levels[0] = torch.nn.functional.interpolate(levels[1], size=(8, 8), mode="bilinear")
    assert float(pyramid_l1(levels, truth)) == pytest.approx(0, abs=1e-6)
    for place in range(3):
        moved = [level + (0.25 if n == place else 0) for n, level in enumerate(levels)]
        assert float(pyramid_l1(moved, truth)) == pytest.approx(0.25, abs=1e-5)


def test_an_artifact_weighs_more_than_a_soft_error_of_the_same_size() -> None:
    truth = torch.zeros(1, 3, 32, 32)
    speckle = 0.1 * (1 - 2 * ((torch.arange(32)[:, None] + torch.arange(32)) % 2)).float().expand(1, 3, -1, -1)
    soft = torch.full_like(truth, 0.1)
    assert float((speckle - truth).abs().mean()) == pytest.approx(float((soft - truth).abs().mean()))
    assert float(artifact_l1(soft, truth)) == pytest.approx(0, abs=1e-8)
    # the variance of +-0.1 is 0.01 everywhere, but for what 7 x 7 places, an odd number, leave over
    assert float(artifact_l1(speckle, truth)) == pytest.approx(0.01**0.2 * 0.01 * 0.1, rel=0.01)
    # the map says how much an error counts, and is not to be learned from: the slope is the map
    restored = speckle.clone().requires_grad_(True)
    (slope,) = torch.autograd.grad(artifact_l1(restored, truth), restored)
    torch.testing.assert_close(slope.abs() * slope.numel(), torch.full_like(slope, 0.01**0.2 * 0.01), rtol=0.01, atol=0)


@pytest.fixture(scope="module")
def guidance() -> EmbeddingLoss:
    return EmbeddingLoss(load_model("identity-dlib").net, (2, 6), (0,), shift=0)  # type: ignore[arg-type]


def crops(seed: int, size: int = 64) -> Tensor:
    small = torch.rand(2, 3, 8, 8, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(small, size=(size, size), mode="bicubic").clamp(-1, 1)


def test_equal_pictures_cost_nothing(guidance: EmbeddingLoss) -> None:
    losses = guidance(crops(0), crops(0))
    assert {name: float(value) for name, value in losses.items()} == {"identity": 0.0, "perceptual": 0.0}


def test_a_step_down_the_slope_comes_nearer(guidance: EmbeddingLoss) -> None:
    truth, restored = crops(0), (crops(0) + 0.3 * crops(1)).requires_grad_(True)
    before = guidance(restored, truth)
    assert before["identity"] > 0 and before["perceptual"] > 0
    for name in ("identity", "perceptual"):
        (slope,) = torch.autograd.grad(before[name], restored, retain_graph=True)
        assert torch.isfinite(slope).all() and (slope.flatten(1).norm(dim=1) > 0).all()
        step = restored.detach() - 0.05 * before[name].detach() * slope / slope.square().sum()
        assert guidance(step, truth)[name] < before[name]
    assert all(p.grad is None and not p.requires_grad for p in guidance.network.parameters())  # type: ignore[attr-defined]


def test_the_truth_gets_no_gradient(guidance: EmbeddingLoss) -> None:
    truth = crops(0).requires_grad_(True)
    assert not any(value.requires_grad for value in guidance(crops(1), truth).values())


def test_the_grid_loss_sees_the_grid_and_nothing_else() -> None:
    generator = torch.Generator().manual_seed(3)
    truth = torch.rand(2, 3, 64, 64, generator=generator)
    assert grid_l1(truth + 0.1, truth, 4) < 1e-6, "an even error is no pattern"
    dots = torch.zeros(4, 4)
    dots[1, 2] = 0.1
    assert grid_l1(truth + dots.repeat(16, 16), truth, 4) > 0.01
    other = torch.zeros(64, 64)
    other[::5, ::5] = 0.1  # a pattern of another period is spread over all places
    assert grid_l1(truth + other, truth, 4) < 0.3 * grid_l1(truth + dots.repeat(16, 16), truth, 4)


class _Mixing(torch.nn.Module):
    """A stand-in for the embedding in float64, where no rounding decides."""

    def chip(self, crops: torch.Tensor) -> torch.Tensor:
        return crops

    def features(self, chips: torch.Tensor, taps: object) -> tuple[torch.Tensor, list[torch.Tensor]]:
        return chips.flatten(1), [chips.square(), chips.sin() * 3]

    def early(self, pictures: torch.Tensor, taps: object) -> list[torch.Tensor]:
        return [pictures.square()]


def test_the_gradient_of_a_batch_is_the_mean_of_its_parts() -> None:
    loss = EmbeddingLoss(_Mixing(), (0,), (0,), shift=0)  # type: ignore[arg-type]
    truth = torch.rand(4, 3, 8, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * torch.tensor(
        [1.0, 0.2, 3.0, 0.5]
    ).view(4, 1, 1, 1)
    restored = (truth + 0.1).requires_grad_(True)
    whole = torch.autograd.grad(loss(restored, truth)["perceptual"], restored)[0]
    halves = [
        torch.autograd.grad(loss(restored[half], truth[half])["perceptual"] / 2, restored)[0] for half in (slice(0, 4, 2), slice(1, 4, 2))
    ]
    torch.testing.assert_close(halves[0] + halves[1], whole, rtol=1e-5, atol=1e-9)
