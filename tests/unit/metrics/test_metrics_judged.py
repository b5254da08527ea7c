"""Numbers that a network or points or colours give: LPIPS, DISTS, identity, landmarks, colours, paths, flicker."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from facewright.errors import InputError, UsageError
from facewright.metrics import (
    arcface_input,
    colourization_auc,
    colourization_curve,
    dists,
    flicker,
    identity_angle,
    identity_similarity,
    landmark_distance,
    lpips,
    lpips_each,
    mean_angle,
    path_lengths,
    ppl,
)
from facewright.metrics.colourization import lab
from facewright.metrics.ppl import interpolated, latents
from facewright.nets.dists import DISTS
from facewright.nets.lpips import LPIPS, TAPS


def pictures(count: int = 2, side: int = 64, seed: int = 0) -> Tensor:
    return torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))


def with_weights(net: nn.Module) -> nn.Module:
    """Any will do here; the heads' are positive, as published."""
    random = torch.Generator().manual_seed(1)
    for name, value in net.named_parameters():
        if value.ndim == 4 and "lin" not in name and value.shape[0] > 1 and name not in ("alpha", "beta"):
            value.copy_(torch.randn(value.shape, generator=random) * (2 / value[0].numel()) ** 0.5)
        else:
            value.copy_(torch.rand(value.shape, generator=random) + 0.1)
    return net.eval()


JUDGES = {**{f"lpips-{net}": (lpips, LPIPS, net) for net in TAPS}, "dists": (dists, DISTS, None)}


@pytest.mark.parametrize("name", JUDGES)
def test_judges_are_distances(name: str) -> None:
    measure, build, net = JUDGES[name]
    judge = with_weights(build(net) if net else build())  # type: ignore[arg-type]
    a, b = pictures(3), pictures(3, seed=5)
    value = measure(a, b, judge)
    assert value.shape == (3,) and value.dtype == torch.float64 and (value > 0.01).all()
    torch.testing.assert_close(measure(b, a, judge), value, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(measure(a, a, judge), 0, atol=1e-6)
    torch.testing.assert_close(measure(a, b, judge, batch=2), value, rtol=1e-5, atol=1e-6)
    steps = [float(measure(a.lerp(b, part), a, judge).mean()) for part in (0.05, 0.2, 0.6)]
    assert steps[0] < steps[1] < steps[2]
    with pytest.raises(InputError, match="64 x 31, it needs 32"):
        measure(a[:, :, :31], b[:, :, :31], judge)
    with pytest.raises(InputError, match="not numbers"):
        measure(a, a / 0, judge)
    assert not value.requires_grad


def test_the_features_of_a_truth_can_be_kept() -> None:
    net = with_weights(LPIPS("alex"))
    assert isinstance(net, LPIPS)
    a, b = pictures(), pictures(seed=3)
    kept = net.features(b)
    torch.testing.assert_close(torch.stack(net.distances(net.features(a), kept)).sum(0), net(a, b))
    # the mean of the map is the distance, but for the enlargement of its parts
    torch.testing.assert_close(net(a, b, spatial=True).mean(dim=(1, 2, 3)), net(a, b).flatten(), rtol=0.02, atol=0)


def test_a_convention_says_what_the_network_is_shown() -> None:
    class Watching:
        def __init__(self) -> None:
            self.seen: list[Tensor] = []

        def features(self, pictures: Tensor, /) -> list[Tensor]:
            self.seen.append(pictures)
            return [pictures]

        def distance(self, first: list[Tensor], second: list[Tensor], /) -> Tensor:
            return (first[0] - second[0]).abs().mean(dim=(1, 2, 3))

    a, b = pictures(), pictures(seed=2)
    for convention, expected in (("gfpgan", 2 * b - 1), ("restoreformer", b.flip(1))):
        judge = Watching()
        values = lpips_each([a, b], b, judge, convention=convention)
        # the truth once, then each restoration
        assert len(judge.seen) == 3
        torch.testing.assert_close(judge.seen[0], expected)
        assert (values[0] > 0.1).all() and (values[1] == 0).all()


# Identity ------------------------------------------------------------------------------------------------------------------------------


@given(degrees=st.floats(0, 180), length=st.floats(0.01, 100))
@settings(max_examples=60, deadline=None)
def test_the_angle_is_the_angle(degrees: float, length: float) -> None:
    turned = math.radians(degrees)
    a = torch.tensor([[1.0, 0.0, 0.0]], dtype=torch.float64)
    b = length * torch.tensor([[math.cos(turned), math.sin(turned), 0.0]], dtype=torch.float64)
    assert float(identity_angle(a, b)) == pytest.approx(degrees, abs=1e-6)
    assert float(identity_angle(a, b, convention="restoreformer")) == pytest.approx(turned, abs=1e-8)
    assert float(identity_similarity(a, b)) == pytest.approx(math.cos(turned), abs=1e-9)


def test_pairs_that_are_the_same_picture_are_left_out_of_the_mean() -> None:
    angles = torch.tensor([0.0, 0.999, 1.0, 31.0])
    assert mean_angle(angles) == 16
    assert mean_angle(torch.tensor([0.5, 0.1]), convention="restoreformer") == pytest.approx(0.3)
    with pytest.raises(InputError, match="all of 2 pairs are the same picture"):
        mean_angle(angles[:2])
    with pytest.raises(UsageError, match="codeformer measures no angle"):
        identity_angle(torch.rand(2, 5), torch.rand(2, 5), convention="codeformer")
    with pytest.raises(InputError, match="cannot compare these embeddings"):
        identity_angle(torch.rand(2, 5), torch.rand(2, 6))
    with pytest.raises(InputError, match="not numbers"):
        identity_similarity(torch.rand(2, 5) / 0, torch.rand(2, 5))


def test_what_arcface_is_shown() -> None:
    red = torch.zeros(1, 3, 40, 40, dtype=torch.uint8)
    red[:, 0] = 255
    assert float(arcface_input(red).mean()) == pytest.approx(2 * 76 / 255 - 1, abs=1e-6)
    assert float(arcface_input(red, convention="restoreformer").mean()) == pytest.approx(0.114, abs=1e-6)
    assert arcface_input(pictures(3)).shape == (3, 1, 128, 128)
    torch.testing.assert_close(arcface_input(pictures(3))[1:2], arcface_input(pictures(3)[1:2]))


# Points and colours --------------------------------------------------------------------------------------------------------------------


@given(dx=st.floats(-50, 50), dy=st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_moved_landmarks_are_off_by_the_move(dx: float, dy: float) -> None:
    points = torch.rand(3, 5, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 100
    points[:, 0], points[:, 1] = torch.tensor([10.0, 10.0]), torch.tensor([50.0, 40.0])
    moved = points + torch.tensor([dx, dy])
    np.testing.assert_allclose(landmark_distance(moved, points), math.hypot(dx, dy), atol=1e-9)
    np.testing.assert_allclose(landmark_distance(moved, points, across=(0, 1)), math.hypot(dx, dy) / 50, atol=1e-9)


def test_landmarks_that_cannot_be_compared() -> None:
    points = torch.rand(1, 5, 2)
    for bad in (torch.rand(1, 4, 2), torch.rand(1, 5, 3)):
        with pytest.raises(InputError, match="cannot compare these landmarks"):
            landmark_distance(bad, points)
    with pytest.raises(InputError, match="not numbers"):
        landmark_distance(points / 0, points)
    with pytest.raises(InputError, match="points 2 and 2 are the same"):
        landmark_distance(points, points, across=(2, 2))


def test_lab_of_known_colours() -> None:
    """Lindbloom's values for sRGB under D65."""
    known = {(1, 1, 1): (100, 0, 0), (0, 0, 0): (0, 0, 0), (1, 0, 0): (53.24, 80.09, 67.20), (0, 0, 1): (32.30, 79.19, -107.86)}
    colours = torch.tensor(list(known), dtype=torch.float64).T[None, :, :, None]
    np.testing.assert_allclose(lab(colours)[0, :, :, 0].T, list(known.values()), atol=0.05)


def test_the_curve_of_colours() -> None:
    truth = pictures(2, 24)
    np.testing.assert_allclose(colourization_auc(truth, truth), 1)
    grey = truth.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    curve = colourization_curve(grey, truth)
    assert curve.shape == (2, 151) and (curve.diff(dim=1) >= 0).all() and (curve[:, -1] > 0.99).all()
    auc = [float(colourization_auc(grey.lerp(truth, part), truth).mean()) for part in (0, 0.5, 0.9)]
    assert auc[0] < auc[1] < auc[2] < 1
    # only colours count; a and b of grey are 0 but for the digits of the matrix
    assert (colourization_curve(grey * 0.5, grey)[:, 1:] == 1).all()


# Paths and clips -----------------------------------------------------------------------------------------------------------------------


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 1000), t=st.floats(0, 1))
def test_interpolations_start_and_end_where_they_should(seed: int, t: float) -> None:
    random = np.random.RandomState(seed)
    a, b = latents(3, 6, random).double(), latents(3, 6, random).double()
    u, v = (latents(3, 6, random, unit=True).double() for _ in range(2))
    for how, (start, end) in {"lerp": (a, b), "slerp_any": (a, b), "slerp_unit": (u, v)}.items():
        torch.testing.assert_close(interpolated(start, end, 0.0, how), start, rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]
        torch.testing.assert_close(interpolated(start, end, 1.0, how), end, rtol=1e-4, atol=1e-5)  # type: ignore[arg-type]
    np.testing.assert_allclose(interpolated(u, v, t, "slerp_unit").norm(dim=1), 1, atol=1e-6)
    torch.testing.assert_close(interpolated(a, 3 * a, t, "slerp_any"), a + 2 * t * a, rtol=1e-4, atol=1e-5)
    with pytest.raises(UsageError, match="no interpolation 'cubic'"):
        interpolated(a, b, t, "cubic")  # type: ignore[arg-type]


def test_path_length_of_a_linear_generator() -> None:
    """Squared distance of A(z): |A (b - a)|^2, whatever epsilon."""
    random = torch.Generator().manual_seed(0)
    matrix, a, b = (torch.randn(size, generator=random, dtype=torch.float64) for size in ((4, 7), (20, 4), (20, 4)))
    lengths = path_lengths(
        lambda z: z @ matrix,
        lambda x, y: (x - y).square().sum(1),
        a,
        b,
        torch.rand(20, generator=random, dtype=torch.float64),
        epsilon=1e-3,
        batch=3,
    )
    torch.testing.assert_close(lengths, ((b - a) @ matrix).square().sum(1), rtol=1e-6, atol=0)
    mean, deviation = ppl(torch.arange(1.0, 101.0))
    assert (mean, deviation) == (pytest.approx(50.5), pytest.approx(np.arange(1, 101).std(), abs=0.6))
    outlier = torch.cat([torch.ones(300), torch.tensor([1e9])])
    assert ppl(outlier)[0] == 1
    with pytest.raises(InputError):
        ppl(torch.zeros(0))
    with pytest.raises(InputError, match="20 starts, 20 ends, 3 places"):
        path_lengths(lambda z: z, lambda x, y: x, a, b, torch.rand(3))


def test_flicker_counts_only_what_was_added() -> None:
    still = pictures(1).expand(5, -1, -1, -1)
    moving = torch.stack([pictures(1)[0].roll(shift, -1) for shift in range(5)])
    for clip in (still, moving):
        np.testing.assert_allclose(flicker(clip, clip), 0)
    assert flicker(moving, moving).shape == (4,)
    # dimmed, or calmer in one half: no flicker; calmer there does not make up for more elsewhere
    np.testing.assert_allclose(flicker(moving * 0.5, moving), 0, atol=1e-9)
    flash = still.clone() * 0.5
    flash[2] += 10 / 255
    np.testing.assert_allclose(flicker(flash, still), [0, 10, 10, 0], atol=1e-4)
    half = moving.clone()
    half[..., :32] = 0
    half[2, ..., :32] = 1
    assert float(flicker(half, moving)[1]) > 60
    for noise in (0.02, 0.1):
        noisy = (still + noise * torch.randn(still.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
        assert float(flicker(noisy, still).mean()) == pytest.approx(255 * noise * 2 / math.sqrt(math.pi), rel=0.15)
    with pytest.raises(InputError, match="1 of at least 2 frames"):
        flicker(still[:1], still[:1])
