"""PSNR and SSIM under the conventions that we offer.

The cases hold every convention of the field in one place. Each of their numbers stands in one of two lists here: those that we
compute, by name, and those that we do not offer; a number in neither is a failure.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from facewright.metrics import psnr, ssim
from parity.reading import Fixture

Number = Callable[[Tensor, Tensor, int], Tensor]

OURS: dict[str, Number] = {
    "basicsr_psnr_rgb": lambda a, b, border: psnr(a, b),
    "basicsr_psnr_y": lambda a, b, border: psnr(a, b, channel="y"),
    "basicsr_psnr_rgb_border": lambda a, b, border: psnr(a, b, crop=border),
    "basicsr_psnr_y_border": lambda a, b, border: psnr(a, b, channel="y", crop=border),
    "basicsr_ssim_rgb": lambda a, b, border: ssim(a, b, channel="rgb"),
    "basicsr_ssim_y": lambda a, b, border: ssim(a, b),
    "basicsr_ssim_y_border": lambda a, b, border: ssim(a, b, crop=border),
    # 1e-8 added to the error of [0, 1], which the tolerance covers
    "basicsr_pt_psnr_rgb": lambda a, b, border: psnr(a, b),
    "basicsr_pt_psnr_y": lambda a, b, border: psnr(a, b, channel="y"),
    "basicsr_pt_ssim_rgb": lambda a, b, border: ssim(a, b, channel="rgb"),
    "basicsr_pt_ssim_y": lambda a, b, border: ssim(a, b),
    "pyiqa_psnr": lambda a, b, border: psnr(a, b),
    "torchmetrics_psnr": lambda a, b, border: psnr(a, b),
    "skimage_psnr": lambda a, b, border: psnr(a, b),
    "skimage_ssim_gaussian": lambda a, b, border: ssim(a, b, channel="rgb"),
}
# luma of YIQ or rounded luma; reflect-padded maps; other windows; multi-scale
NOT_OFFERED = ("pyiqa_", "torchmetrics_ssim", "torchmetrics_ms", "skimage_ssim_default", "y_matlab", "y_yiq", "ms_ssim")


def handles(fixture: Fixture) -> bool:
    return fixture.case.startswith("psnr_ssim_")


def run(fixture: Fixture) -> None:
    first, second = pictures(fixture)
    for name in fixture.meta["outputs"]:
        if name in OURS:
            fixture.check(name, OURS[name](first, second, fixture.call["border"])[0])
        else:
            assert name.startswith(NOT_OFFERED), f"{fixture.name}: {name} is neither checked nor known to be another convention"


def pictures(fixture: Fixture) -> list[Tensor]:
    given = fixture.input_arrays()
    base = np.rint(given["base"][0].transpose(1, 2, 0)).astype(np.int64)
    pair = (base + given["noise1"], base + given["noise1"] // 2 + given["noise2"])
    return [torch.from_numpy(np.clip(one, 0, 255)).permute(2, 0, 1)[None].double() / 255 for one in pair]
