"""The field's metrics, under every convention: each recorded number is one of ours by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from facewright.metrics import CONVENTIONS, ms_ssim, psnr, ssim
from facewright.metrics.colour import levels, matched
from facewright.metrics.conventions import Convention
from parity.reading import Fixture

Run = Callable[[Fixture], None]


def handles(fixture: Fixture) -> bool:
    return _runner(fixture) is not None


def run(fixture: Fixture) -> None:
    runner = _runner(fixture)
    assert runner is not None
    runner(fixture)


def _runner(fixture: Fixture) -> Run | None:
    return next((run for start, run in RUNNERS.items() if fixture.case.startswith(start)), None)


# PSNR and SSIM -------------------------------------------------------------------------------------------------------------------------

Number = Callable[[Tensor, Tensor, int], Tensor]


def _altered(name: str, **options: object) -> Convention:
    """A convention with another rule for SSIM."""
    return replace(CONVENTIONS[name], ssim=replace(CONVENTIONS[name].ssim, **options))


def _ms(name: str, **options: object) -> Convention:
    return replace(CONVENTIONS[name], ms_ssim=replace(CONVENTIONS[name].ms_ssim, **options))


PAIRS: dict[str, Number] = {
    "basicsr_psnr_rgb": lambda a, b, border: psnr(a, b),
    "basicsr_psnr_y": lambda a, b, border: psnr(a, b, channel="y"),
    "basicsr_psnr_rgb_border": lambda a, b, border: psnr(a, b, crop=border),
    "basicsr_psnr_y_border": lambda a, b, border: psnr(a, b, channel="y", crop=border),
    "basicsr_ssim_rgb": lambda a, b, border: ssim(a, b),
    "basicsr_ssim_y": lambda a, b, border: ssim(a, b, channel="y"),
    "basicsr_ssim_y_border": lambda a, b, border: ssim(a, b, channel="y", crop=border),
    "basicsr_pt_psnr_rgb": lambda a, b, border: psnr(a, b, convention="basicsr-pt"),
    "basicsr_pt_psnr_y": lambda a, b, border: psnr(a, b, convention="basicsr-pt", channel="y"),
    "basicsr_pt_ssim_rgb": lambda a, b, border: ssim(a, b, convention="basicsr-pt"),
    "basicsr_pt_ssim_y": lambda a, b, border: ssim(a, b, convention="basicsr-pt", channel="y"),
    "pyiqa_psnr": lambda a, b, border: psnr(a, b, convention="pyiqa"),
    "pyiqa_psnry": lambda a, b, border: psnr(a, b, convention="pyiqa", channel="yiq"),
    "pyiqa_psnry_ycbcr": lambda a, b, border: psnr(a, b, convention="pyiqa", channel="y"),
    "pyiqa_ssim": lambda a, b, border: ssim(a, b, convention="pyiqa"),
    "pyiqa_ssimc": lambda a, b, border: ssim(a, b, convention="pyiqa", channel="rgb"),
    "pyiqa_ssim_ycbcr": lambda a, b, border: ssim(a, b, convention="pyiqa", channel="y"),
    "pyiqa_ssim_downsample": lambda a, b, border: ssim(a, b, convention=_altered("pyiqa", halved=True)),
    "pyiqa_ms_ssim": lambda a, b, border: ms_ssim(a, b, convention="pyiqa"),
    "pyiqa_ms_ssim_sum": lambda a, b, border: ms_ssim(a, b, convention=_ms("pyiqa", joined="sum")),
    "torchmetrics_psnr": lambda a, b, border: psnr(a, b, convention="torchmetrics"),
    "torchmetrics_ssim": lambda a, b, border: ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ssim_double": lambda a, b, border: ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ssim_auto_range": lambda a, b, border: ssim(a, b, convention=_altered("torchmetrics", of_the_pair=True)),
    "torchmetrics_ssim_sigma3": lambda a, b, border: ssim(a, b, convention=_altered("torchmetrics", sigma=3.0)),
    "torchmetrics_ms_ssim": lambda a, b, border: ms_ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ms_ssim_simple": lambda a, b, border: ms_ssim(a, b, convention=_ms("torchmetrics", negative="simple")),
    "skimage_psnr": lambda a, b, border: psnr(a, b, convention="skimage"),
    "skimage_ssim_default": lambda a, b, border: ssim(a, b, convention="skimage"),
    "skimage_ssim_gaussian": lambda a, b, border: ssim(a, b, convention="skimage-gaussian"),
    "y_matlab": lambda a, b, border: levels(a, "y")[:, 0, :8, :8],
    "y_yiq_255": lambda a, b, border: levels(a, "yiq", whole_luma=True)[:, 0, :8, :8],
}


def run_pair(fixture: Fixture) -> None:
    first, second = pair(fixture)
    for name in fixture.meta["outputs"]:
        fixture.check(name, PAIRS[name](first, second, fixture.call["border"])[0])


def pair(fixture: Fixture) -> list[Tensor]:
    """The two pictures that such a case is about: 1 x 3 x H x W in [0, 1], whole levels."""
    given = fixture.input_arrays()
    base = np.rint(given["base"][0].transpose(1, 2, 0)).astype(np.int64)
    both = (base + given["noise1"], base + given["noise1"] // 2 + given["noise2"])
    return [torch.from_numpy(np.clip(one, 0, 255)).permute(2, 0, 1)[None].double() / 255 for one in both]


def run_matched(fixture: Fixture) -> None:
    given = fixture.inputs()
    truth, other = (given[name].round().to(torch.uint8).float() / 255 for name in ("truth", "other"))
    restored = (truth * 0.8 + 0.12 + 0.05 * (other - 0.5)).clamp(0, 1)
    fixture.check("corrected", matched(restored, truth)[0].permute(1, 2, 0))
    for suffix, convention in (("plain", "gfpgan"), ("corrected", "vqfr")):
        fixture.check(f"psnr_{suffix}", psnr(restored, truth, convention=convention)[0])
        fixture.check(f"ssim_{suffix}", ssim(restored, truth, convention=convention)[0])


RUNNERS: dict[str, Run] = {"psnr_ssim_": run_pair, "psnr_mean_var": run_matched}
