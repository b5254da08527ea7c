"""The additive angular margin: against its formula written out, and at the ends of its range."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch.nn import functional as F

from facewright.losses import angular_margin_softmax


def drawn(seed: int = 0) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Embeddings, centres, people."""
    g = torch.Generator().manual_seed(seed)
    return torch.randn(6, 8, generator=g), torch.randn(5, 8, generator=g), torch.randint(0, 5, (6,), generator=g)


@pytest.mark.parametrize(("scale", "margin"), [(64.0, 0.5), (16.0, 0.2), (1.0, 0.0)])
def test_it_is_equation_3(scale: float, margin: float) -> None:
    embeddings, centres, people = (each.double() if each.is_floating_point() else each for each in drawn())
    total = 0.0
    for embedding, person in zip(embeddings, people.tolist(), strict=True):
        angles = [math.acos(float(embedding @ w / embedding.norm() / w.norm())) for w in centres]
        own = math.exp(scale * math.cos(angles[person] + margin))
        others = sum(math.exp(scale * math.cos(angle)) for j, angle in enumerate(angles) if j != person)
        total -= math.log(own / (own + others))
        assert angles[person] + margin < math.pi
    found = float(angular_margin_softmax(embeddings, centres, people, scale=scale, margin=margin))
    assert found == pytest.approx(total / len(people), rel=1e-4, abs=1e-5)


def test_without_a_margin_it_is_softmax_over_cosines() -> None:
    embeddings, centres, people = drawn(1)
    cosines = F.normalize(embeddings) @ F.normalize(centres).T
    assert float(angular_margin_softmax(embeddings, centres, people, scale=30.0, margin=0.0)) == pytest.approx(
        float(F.cross_entropy(30 * cosines, people)), abs=1e-5
    )


def test_lengths_do_not_matter_and_a_margin_costs() -> None:
    embeddings, centres, people = drawn(2)
    losses = [float(angular_margin_softmax(embeddings, centres, people, scale=8.0, margin=margin)) for margin in (0.0, 0.2, 0.4, 0.8)]
    assert losses == sorted(losses) and losses[0] < losses[-1]
    longer = float(angular_margin_softmax(embeddings * 7, centres * 0.1, people, scale=8.0, margin=0.4))
    assert longer == pytest.approx(losses[2], rel=1e-5)


@pytest.mark.parametrize("sign", [1, -1])
def test_its_gradient_is_finite_on_and_opposite_the_centre_and_the_cost_never_falls_with_the_angle(sign: int) -> None:
    centres = torch.eye(4)
    embedding = (sign * centres[:1]).clone().requires_grad_()
    angular_margin_softmax(embedding, centres, torch.tensor([0])).backward()
    assert embedding.grad is not None and bool(embedding.grad.isfinite().all())

    angles = torch.linspace(0, math.pi, 200)
    turned = torch.stack([angles.cos(), torch.zeros(200), torch.zeros(200), angles.sin()], dim=1)
    away = torch.stack([centres[0], centres[1]])
    costs = [float(angular_margin_softmax(each[None], away, torch.tensor([0]), scale=4.0)) for each in turned]
    assert all(later >= earlier - 1e-4 for earlier, later in pairwise(costs))
