"""Make docs/gfpgan-inside.jpg: what the parts of the embedded GFPGAN do with one face.

    python scripts/make_gfpgan_figures.py

The face is scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain). First row: the damaged crop, the U-Net's
own pictures at rising sizes (the pyramid that training guides), the network's picture and the truth. Second row: what the decoder alone
paints without the U-Net's conditions, with the scales alone, with the shifts alone, with both (mid-grey is nothing), and the whole
change of the input, doubled.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from astronaut import astronaut
from facewright.degrade import preset
from facewright.nets.gfpgan import GFPGAN
from facewright.weights import load_model

Picture = NDArray[np.float32]
ROOT = Path(__file__).resolve().parent.parent
GAP, SIDE = 6, 224


def main() -> None:
    model = load_model("gfpgan-mini")
    net, size = model.net, int(model.arguments["out_size"])
    assert isinstance(net, GFPGAN)
    truth = astronaut(size)
    damaged, _ = preset("medium").scaled(size)(truth, np.random.default_rng(11))
    x = torch.from_numpy(damaged).permute(2, 0, 1)[None] * 2 - 1
    noise = net.make_noise(torch.Generator().manual_seed(0))

    with torch.inference_mode():
        picture, pyramid = net(x, noise=noise)
        decoded = {name: without(net, muted, x, noise) for name, muted in MUTED.items()}
    first = [damaged, *(levels(level) for level in pyramid), levels(picture), truth]
    added = (levels(picture) - damaged) * 2 + 0.5
    second = [*decoded.values(), added]
    width = max(len(first), len(second))
    sheet = np.concatenate([row(first, width), np.ones((GAP, width * (SIDE + GAP) - GAP, 3), np.float32), row(second, width)])
    Image.fromarray(np.rint(np.clip(sheet, 0, 1) * 255).astype(np.uint8)).save(ROOT / "docs" / "gfpgan-inside.jpg", quality=88)


MUTED = {"no conditions": ("scale", "shift"), "scale alone": ("shift",), "shift alone": ("scale",), "both": ()}


def without(net: GFPGAN, muted: tuple[str, ...], x: Tensor, noise: list[Tensor]) -> Picture:
    """The decoder's own picture (without the input's skip), with the scales held at 1 or the shifts at 0."""
    constant: dict[str, Callable[[Tensor], Tensor]] = {"scale": torch.ones_like, "shift": torch.zeros_like}
    hooks = []
    for name in muted:
        for branch in getattr(net, f"condition_{name}"):
            hooks.append(branch.register_forward_hook(lambda module, given, result, make=constant[name]: make(result)))
    if net.input_skip is not None:
        hooks.append(net.input_skip.register_forward_hook(lambda module, given, result: torch.zeros_like(result)))
    if net.refine is not None:
        hooks.append(net.refine.register_forward_hook(lambda module, given, result: given[0]))
    try:
        return levels(net(x, noise=noise, return_rgb=False)[0])
    finally:
        for hook in hooks:
            hook.remove()


def levels(picture: Tensor) -> Picture:
    return np.asarray(((picture[0] + 1) / 2).clamp(0, 1).permute(1, 2, 0).numpy(), np.float32)


def row(pictures: list[Picture], width: int) -> Picture:
    """Pictures of any size, enlarged to SIDE without smoothing where they are small."""
    cells: list[Picture] = []
    for index in range(width):
        cell = np.ones((SIDE, SIDE, 3), np.float32)
        if index < len(pictures):
            small = pictures[index].shape[0] < SIDE
            cell = cv2.resize(pictures[index], (SIDE, SIDE), interpolation=cv2.INTER_NEAREST if small else cv2.INTER_AREA)
        cells += [cell, np.ones((SIDE, GAP, 3), np.float32)]
    return np.concatenate(cells[:-1], axis=1)


if __name__ == "__main__":
    main()
