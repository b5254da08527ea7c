"""Which noise a StyleGAN2 decoder gets: the file's own, a seed's, or none. Published programs draw fresh noise at every call."""

from __future__ import annotations

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

from facewright.errors import UsageError
from facewright.nets.gfpgan import GFPGAN
from facewright.nets.stylegan2 import StyleGAN2Generator

Kind = Literal["stored", "seeded", "zero"]
KINDS: tuple[Kind, ...] = ("stored", "seeded", "zero")


def choose_noise(net: nn.Module, kind: Kind, seed: int = 0) -> list[Tensor]:
    """Noise for the `noise` of a GFPGAN's or StyleGAN2's forward: one tensor a layer, 1 x 1 x r x r, the same for each picture of a batch.

    stored: what the file holds; seeded: drawn from `seed`, on every machine the same; zero: none, the smoothest picture. All three make
    the result reproducible; without any the network draws fresh noise. Raises UsageError for another kind or network.
    """
    decoder = _decoder(net)
    if decoder is None:
        raise UsageError("this network takes no noise", f"it is a {type(net).__name__}, not a GFPGAN or StyleGAN2", "leave the noise out")
    if kind not in KINDS:
        raise UsageError(f"there is no noise {kind!r}", "", f"use one of: {', '.join(KINDS)}")
    if kind == "seeded":
        return decoder.make_noise(torch.Generator().manual_seed(seed))
    return decoder.zero_noise() if kind == "zero" else [cast(Tensor, each) for each in decoder.choose_noise(None, randomize_noise=False)]


def noise_facts(net: nn.Module) -> dict[str, Any]:
    """{} for a network without noise; else its layers and the largest strength with which a layer adds it (0: noise has no effect)."""
    decoder = _decoder(net)
    if decoder is None:
        return {}
    strengths = [float(value.abs()) for name, value in decoder.named_parameters() if _is_strength(name)]
    return {"layers": len(strengths), "largest strength": round(max(strengths), 4), "choices": list(KINDS)}


def _decoder(net: nn.Module) -> StyleGAN2Generator | None:
    inner = net.stylegan_decoder if isinstance(net, GFPGAN) else net
    return inner if isinstance(inner, StyleGAN2Generator) else None


def _is_strength(name: str) -> bool:
    """style_conv1.weight, style_convs.3.weight: a single number beside the convolution's own weights."""
    return name.startswith("style_conv") and name.endswith(".weight") and "modulated_conv" not in name
