"""Networks as small as they can be built, and their files, for tests anywhere."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facewright.nets.codeformer import CodeFormer
from facewright.nets.lpips import WIDTHS, Trunk
from facewright.weights.header import header_of, written

CODEFORMER: dict[str, Any] = {
    "dim_embd": 16,
    "n_head": 2,
    "n_layers": 1,
    "codebook_size": 16,
    "connect_list": [16, 32],
    "img_size": 64,
    "nf": 32,
    "ch_mult": [1, 1, 2],
    "res_blocks": 1,
    "attn_resolutions": [16],
    "emb_dim": 8,
}


def codeformer_file(path: Path, **more: Any) -> Path:
    """One that never learned. more: what its header says beside the sizes, as task="inpainting"."""
    torch.manual_seed(3)
    path.write_bytes(written(CodeFormer(**CODEFORMER).state_dict(), header_of("codeformer", CODEFORMER | more, licence="test")))
    return path


def lpips_heads(net: str, value: float = 0.5) -> dict[str, Tensor]:
    """As richzhang/PerceptualSimilarity publishes them."""
    return {f"lin{number}.model.1.weight": torch.full((1, width, 1, 1), value) for number, width in enumerate(WIDTHS[net])}


def lpips_trunk(net: str) -> dict[str, Tensor]:
    """A torchvision file: the trunk of "alex" or "squeeze" with a small classifier behind it."""
    random = torch.Generator().manual_seed(0)
    with torch.device("meta"):
        names = Trunk(net).state_dict()  # type: ignore[arg-type]
    shapes = {re.sub(r"^net\.slice\d\.", "features.", name): tuple(value.shape) for name, value in names.items()}
    shapes |= {"classifier.1.weight": (4, 8), "classifier.1.bias": (4,)}
    return {name: 0.05 * torch.randn(shape, generator=random) for name, shape in shapes.items()}
