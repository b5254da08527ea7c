"""Codebook losses, where the reference cases do not reach."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from facewright.losses import adaptive_weight, code_cross_entropy, code_feature_loss, lpips_loss, mean_distance, perplexity


def maps(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@given(used=st.integers(1, 40), each=st.integers(1, 5))
def test_evenly_used_codes_are_counted(used: int, each: int) -> None:
    assert float(perplexity(torch.arange(used).repeat(each), 40)) == pytest.approx(used, rel=1e-4)


def test_perplexity_is_what_the_entropy_says() -> None:
    numbers = torch.tensor([[0, 0, 0], [1, 1, 5]])
    entropy = -(1 / 2 * math.log(1 / 2) + 1 / 3 * math.log(1 / 3) + 1 / 6 * math.log(1 / 6))
    assert float(perplexity(numbers, 9)) == pytest.approx(math.exp(entropy), rel=1e-5)


def test_an_even_guess_costs_log_k_and_the_truth_nothing() -> None:
    numbers = torch.randint(0, 12, (2, 3, 4))
    assert float(code_cross_entropy(torch.zeros(2, 12, 12), numbers)) == pytest.approx(math.log(12), rel=1e-5)
    sure = 50.0 * torch.nn.functional.one_hot(numbers.flatten(1), 12)
    assert float(code_cross_entropy(sure, numbers)) < 1e-6 < float(code_cross_entropy(sure.flip(1), numbers))


def test_the_codes_learn_nothing_from_the_features() -> None:
    features, codes = maps(1, 4, 2, 2).requires_grad_(True), maps(1, 4, 2, 2, seed=1).requires_grad_(True)
    loss = code_feature_loss(features, codes)
    found = torch.autograd.grad(loss, [features, codes], allow_unused=True)
    torch.testing.assert_close(found[0], 2 * (features - codes).detach() / 16)
    assert found[1] is None


@given(ratio=st.floats(0.01, 30), largest=st.sampled_from([1.0, 10.0, 1e4]))
def test_the_weight_is_the_ratio_of_the_pulls(ratio: float, largest: float) -> None:
    weight = maps(3, 3).requires_grad_(True)
    first, second = (weight * maps(3, 3, seed=1)).sum() * 50 * ratio, (weight * maps(3, 3, seed=1)).sum() * 50
    found = adaptive_weight(first, second, weight, largest=largest)
    assert float(found) == pytest.approx(min(ratio, largest), rel=1e-3) and not found.requires_grad
    torch.autograd.grad(first + second, weight)  # the graphs are still there


def test_a_generator_that_pulls_nowhere_gets_the_largest_weight() -> None:
    weight = maps(3, 3).requires_grad_(True)
    assert float(adaptive_weight(weight.sum(), (weight * 0).sum(), weight)) == 1
    assert float(adaptive_weight((weight * 0).sum(), weight.sum(), weight)) == 0


def test_mean_distance_is_that_of_all_pairs() -> None:
    features, book = maps(2, 5, 3, 2), maps(7, 5, seed=1)
    pairs = torch.cdist(features.permute(0, 2, 3, 1).reshape(-1, 5), book).square()
    torch.testing.assert_close(mean_distance(features, book), pairs.mean(), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("norm", [False, True])
def test_lpips_is_shown_what_the_published_program_shows(norm: bool) -> None:
    shown: list[Tensor] = []

    def judge(first: Tensor, second: Tensor) -> Tensor:
        shown.extend([first, second])
        return (first - second).abs().mean(dim=(1, 2, 3), keepdim=True)

    restored, truth = torch.ones(2, 3, 4, 4), torch.full((2, 3, 4, 4), -1.0, requires_grad=True)
    lpips_loss(judge, restored, truth, range_norm=norm, use_input_norm=norm)
    white = (1 - torch.tensor([0.485, 0.456, 0.406])) / torch.tensor([0.229, 0.224, 0.225]) if norm else torch.ones(3)
    torch.testing.assert_close(shown[1][0, :, 0, 0], white)
    assert not shown[0].requires_grad and float(shown[0].max()) <= 0
