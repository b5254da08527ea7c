"""The adversarial game and its penalties, where the answer is known by hand."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.errors import UsageError
from facewright.losses import gan_loss, path_length_penalty, path_lengths

scores = st.lists(st.floats(-30, 30), min_size=1, max_size=5).map(torch.tensor)
KINDS = ("vanilla", "lsgan", "wgan", "wgan_softplus", "hinge")


@settings(max_examples=50, deadline=None)
@given(score=scores, real=st.booleans(), discriminator=st.booleans())
def test_with_labels_of_one_and_nought_vanilla_is_the_logistic_loss(score: torch.Tensor, real: bool, discriminator: bool) -> None:
    sides = {"target_is_real": real, "is_discriminator": discriminator}
    torch.testing.assert_close(gan_loss(score, "vanilla", **sides), gan_loss(score, "wgan_softplus", **sides), atol=1e-5, rtol=1e-5)


@settings(max_examples=50, deadline=None)
@given(score=scores, kind=st.sampled_from(KINDS))
def test_only_the_generator_is_weighed(score: torch.Tensor, kind: str) -> None:
    def loss(discriminator: bool, weight: float) -> torch.Tensor:
        return gan_loss(score, kind, target_is_real=True, is_discriminator=discriminator, loss_weight=weight)  # type: ignore[arg-type]

    assert float(loss(True, 0.1)) == float(loss(True, 1.0))
    assert float(loss(False, 0.5)) == pytest.approx(float(loss(False, 1.0)) / 2)


@pytest.mark.parametrize("kind", KINDS)
def test_each_side_pulls_its_own_way(kind: str) -> None:
    for discriminator, real, sign in ((True, True, -1), (True, False, 1), (False, True, -1)):
        score = torch.tensor([0.3], requires_grad=True)
        gan_loss(score, kind, target_is_real=real, is_discriminator=discriminator).backward()  # type: ignore[arg-type, no-untyped-call]
        assert score.grad is not None and sign * float(score.grad) > 0


def test_hinge_rests_beyond_its_margin_and_a_generator_has_none() -> None:
    score = torch.tensor([1.5])
    assert float(gan_loss(score, "hinge", target_is_real=True, is_discriminator=True)) == 0
    assert float(gan_loss(score, "hinge", target_is_real=False, is_discriminator=True)) == 2.5
    assert float(gan_loss(score, "hinge", target_is_real=True, is_discriminator=False)) == -1.5


def test_an_unknown_game_is_refused() -> None:
    with pytest.raises(UsageError, match="'ragan'"):
        gan_loss(torch.zeros(1), "ragan", target_is_real=True, is_discriminator=True)  # type: ignore[arg-type]


def test_the_path_length_of_a_linear_map_is_known() -> None:
    """pictures = A w in every layer's own latent: the slope in each of L layers is A^T y."""
    torch.manual_seed(0)
    matrix = torch.randn(3 * 4 * 4, 6, requires_grad=True)
    latents = torch.randn(5, 2, 6, requires_grad=True)
    pictures = (latents @ matrix.T).sum(1).view(5, 3, 4, 4)
    noise = torch.randn(5, 3, 4, 4)
    lengths = path_lengths(pictures, latents, noise)
    torch.testing.assert_close(lengths, (noise.flatten(1) / 4 @ matrix).norm(dim=1))
    (slope,) = torch.autograd.grad(lengths.sum(), matrix)  # a derivative of a derivative
    assert torch.isfinite(slope).all() and slope.abs().max() > 0


@settings(max_examples=50, deadline=None)
@given(lengths=st.lists(st.floats(0.01, 50), min_size=1, max_size=6), mean=st.floats(0, 20))
def test_the_mean_follows_the_lengths_and_is_part_of_the_penalty(lengths: list[float], mean: float) -> None:
    values = torch.tensor(lengths, dtype=torch.float64, requires_grad=True)
    penalty, after = path_length_penalty(values, torch.tensor(mean, dtype=torch.float64))
    wanted = mean + 0.01 * (sum(lengths) / len(lengths) - mean)
    assert float(after) == pytest.approx(wanted) and not after.requires_grad
    torch.testing.assert_close(penalty.detach(), (values.detach() - wanted).square())
    # through the mean too: with one length l and mean m the penalty is (0.99 (l - m))^2
    if len(lengths) == 1:
        (slope,) = torch.autograd.grad(penalty.sum(), values)
        assert float(slope) == pytest.approx(2 * 0.99**2 * (lengths[0] - mean), abs=1e-6)


def test_a_generator_whose_paths_have_one_length_pays_nothing_in_the_end() -> None:
    lengths, mean = torch.full((4,), 7.0), torch.tensor(0.0)
    for _ in range(1500):
        penalty, mean = path_length_penalty(lengths, mean)
    assert float(mean) == pytest.approx(7.0, abs=1e-3) and float(penalty.max()) < 1e-5
