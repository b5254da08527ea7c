"""A CodeFormer that never learned, for any task, and a stand-in for its network that paints what it is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from small_networks import codeformer_file

SIDE = 64
LUMA = np.array([0.299, 0.587, 0.114])


def weight_file(folder: Path, **more: Any) -> str:
    """more: what its header says beside the sizes, as task="inpainting"."""
    return str(codeformer_file(folder / f"{more.get('task', 'untold')}.safetensors", **more))


class Painter:
    """In place of a restorer's network: gives one picture, or what a function makes of the crops; keeps what it was shown."""

    size, has_fidelity, usual_fidelity = SIDE, False, 0.0

    def __init__(self, paint: Any) -> None:
        self.paint = paint
        self.shown: list[NDArray[np.float32]] = []

    def __call__(self, crops: Tensor, fidelity: Any = None) -> Tensor:
        self.shown += list(((crops + 1) / 2).permute(0, 2, 3, 1).numpy())
        if callable(self.paint):
            return torch.as_tensor(self.paint(crops))
        colour = torch.tensor(self.paint, dtype=torch.float32).reshape(1, 3, 1, 1) * 2 - 1
        return colour.expand(len(crops), 3, SIDE, SIDE).clone()


def luma(pixels: NDArray[Any]) -> NDArray[np.float64]:
    """In the photo's own levels."""
    values = pixels.astype(np.float64)
    return values if values.ndim == 2 else np.asarray(values @ LUMA)
