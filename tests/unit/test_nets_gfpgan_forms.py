"""Clean and bilinear are two forms of one network: there and back is the same network."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from facewright.errors import UsageError
from facewright.nets.gfpgan import GFPGAN, bilinear_of, clean_of

SMALL: dict[str, Any] = {"out_size": 16, "num_style_feat": 8, "num_mlp": 2, "narrow": 1 / 32}


def grown(seed: int, flavour: str, **options: Any) -> GFPGAN:
    """A small network whose every parameter matters, noise strengths included."""
    torch.manual_seed(seed)
    net = GFPGAN(**{**SMALL, "flavour": flavour, **options}).eval()
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return net


def assert_same_state(one: nn.Module, other: nn.Module) -> None:
    theirs = other.state_dict()
    assert list(one.state_dict()) == list(theirs)
    for name, value in one.state_dict().items():
        torch.testing.assert_close(value, theirs[name], rtol=1e-5, atol=1e-7, msg=lambda told, name=name: f"{name}: {told}")


OPTIONS = st.fixed_dictionaries(
    {
        "sft_half": st.booleans(),
        "different_w": st.booleans(),
        "input_skip": st.booleans(),
        "refine": st.sampled_from([0, 3]),
        "fold": st.sampled_from([1, 2]),
        "lr_mlp": st.sampled_from([0.01, 0.1]),
    }
)


@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 99), options=OPTIONS)
def test_to_the_trainable_form_and_back_is_the_same_network(seed: int, options: dict[str, Any]) -> None:
    clean = grown(seed, "clean", **options)
    bilinear = bilinear_of(clean)
    assert bilinear.flavour == "bilinear" and not bilinear.training
    assert_same_state(clean, clean_of(bilinear))

    faces = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    with torch.no_grad():
        ours, theirs = (net(faces, randomize_noise=False) for net in (clean, bilinear))
    for one, other in zip([ours[0], *ours[1]], [theirs[0], *theirs[1]], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4 * float(one.std()))


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 99), options=OPTIONS)
def test_the_other_way_round_too(seed: int, options: dict[str, Any]) -> None:
    bilinear = grown(seed, "bilinear", **options)
    assert_same_state(bilinear, bilinear_of(clean_of(bilinear)))


def test_a_network_keeps_the_form_it_has_and_original_has_no_other() -> None:
    bilinear = grown(0, "bilinear")
    assert bilinear_of(bilinear) is bilinear
    with pytest.raises(UsageError, match="no bilinear form"):
        bilinear_of(grown(0, "original"))
