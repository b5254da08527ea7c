"""Files as the publishers lay them out: their names, shapes and wrapping, with zeros for numbers, small on the disk whatever the shapes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

REFERENCE = Path(os.environ.get("FACEWRIGHT_REFERENCE") or Path(__file__).parents[4] / "shared" / "reference")


def table(name: str) -> dict[str, list[int]]:
    """{name: shape} of a reference case, e.g. "gfpgan/keys_clean_512_cm2"."""
    parameters: dict[str, list[int]] = json.loads((REFERENCE / f"{name}.json").read_text())["parameters"]
    return parameters


def torchvision(vgg: str, hidden: int = 4096) -> dict[str, tuple[int, ...]]:
    """Names and shapes of torchvision's VGG files."""
    shapes: dict[str, tuple[int, ...]] = {}
    place, before = 0, 3
    for stage, width in zip({"vgg19": (2, 2, 4, 4, 4), "vgg16": (2, 2, 3, 3, 3)}[vgg], (64, 128, 256, 512, 512), strict=True):
        for _ in range(stage):
            shapes |= {f"features.{place}.weight": (width, before, 3, 3), f"features.{place}.bias": (width,)}
            place, before = place + 2, width
        place += 1
    for layer, (inputs, outputs) in {0: (25088, hidden), 3: (hidden, hidden), 6: (hidden, 1000)}.items():
        shapes |= {f"classifier.{layer}.weight": (outputs, inputs), f"classifier.{layer}.bias": (outputs,)}
    return shapes


def zeros(shapes: Mapping[str, Sequence[int]], prefix: str = "") -> dict[str, Tensor]:
    """Tensors of these shapes that share one number, and are saved as one."""
    counter, number = torch.zeros((), dtype=torch.int64), torch.zeros(())
    return {
        prefix + name: (counter if name.endswith("num_batches_tracked") else number).expand(tuple(shape)) for name, shape in shapes.items()
    }


def save(path: Path, content: Any, *, legacy: bool = False) -> Path:
    """As torch saves since 1.6, or as it did before."""
    torch.save(content, path, _use_new_zipfile_serialization=not legacy)
    return path
