"""By whose rules a number is computed. Papers and libraries agree on a metric's name and differ in its digits.

A `Convention` holds one rule for each metric that has several; `CONVENTIONS` holds those of the papers and libraries by name. Every
number is printed with its rule, as `label` writes it: "psnr[rgb, basicsr]", "ssim[y, codeformer]", "lpips[vgg, gfpgan]".
"""

from __future__ import annotations

import difflib
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from facewright.errors import UsageError

Channel = Literal["rgb", "y", "yiq"]
"""rgb: all three; y: studio-range luma of BT.601, 16 to 235, as MATLAB's rgb2ycbcr; yiq: full-range luma, 0 to 255."""
Net = Literal["alex", "vgg", "squeeze"]
Order = Literal["rgb", "bgr"]


@dataclass(frozen=True)
class PsnrRule:
    """crop: pixels left out along each border. whole_levels: studio-range luma is rounded. epsilon: added to the mean squared error of
    [0, 1], so that equal pictures have a finite number. matched: first each channel of the restored picture gets the truth's mean and
    deviation.
    """

    channel: Channel = "rgb"
    crop: int = 0
    whole_levels: bool = False
    epsilon: float = 0.0
    matched: bool = False


@dataclass(frozen=True)
class SsimRule:
    """channel, crop, matched: as PsnrRule. whole_levels: all levels are rounded.

    window: "gaussian" with `sigma`, cut off at 3.5 sigma, or "uniform" over 7 x 7. border: the mean is over the places where the window
    fits ("valid"), or over all, the picture continued by reflection ("reflect"). unbiased: variances by n - 1. clamped: the contrast
    term is not below 0. halved: first averaged down by the shorter side / 256, rounded, where that
    is 2 or more (MATLAB's). of_the_pair: the constants are those of the pair's own range instead of 255.
    """

    channel: Channel = "rgb"
    crop: int = 0
    whole_levels: bool = False
    matched: bool = False
    window: Literal["gaussian", "uniform"] = "gaussian"
    sigma: float = 1.5
    border: Literal["valid", "reflect"] = "valid"
    unbiased: bool = False
    clamped: bool = False
    halved: bool = False
    of_the_pair: bool = False


@dataclass(frozen=True)
class MsSsimRule:
    """channel, whole_levels, border: as SsimRule. joined: product of powers, or weighted sum; negative: what is done with a negative
    term before: "relu" takes 0, "simple" (t + 1) / 2; odd: whether a last odd line counts as half of a pair with nothing, or is left out.
    """

    channel: Channel = "rgb"
    whole_levels: bool = False
    border: Literal["valid", "reflect"] = "valid"
    joined: Literal["product", "sum"] = "product"
    negative: Literal["relu", "simple"] = "relu"
    odd: Literal["padded", "dropped"] = "padded"


@dataclass(frozen=True)
class NiqeRule:
    """channel: "y" and "yiq" as `Channel`, "gray" as OpenCV. crop: pixels left out along each border. guarded: pyiqa's arithmetic."""

    channel: Literal["y", "yiq", "gray"] = "y"
    crop: int = 0
    guarded: bool = False


@dataclass(frozen=True)
class LpipsRule:
    """order: of the channels that the network is shown. signed: it is shown [-1, 1], for which it was trained, else [0, 1]."""

    net: Net = "vgg"
    order: Order = "rgb"
    signed: bool = True


@dataclass(frozen=True)
class FidRule:
    """resize: see `metrics.inception_input`. against: statistics of FFHQ (`ffhq`), or the true pictures (`truth`)."""

    resize: Literal["pytorch-fid", "torch-fidelity", "clean-fid"] = "pytorch-fid"
    against: Literal["ffhq", "truth"] = "ffhq"


@dataclass(frozen=True)
class IdentityRule:
    """unit: of the angle between two embeddings, or its cosine (then higher is better). order, signed: as LpipsRule.

    whole_levels: the grey picture is rounded, then reduced, then rounded (8-bit OpenCV). least: pairs nearer than this many degrees
    count as the same picture and are left out of the mean.
    """

    unit: Literal["degrees", "radians", "cosine"] = "degrees"
    order: Order = "rgb"
    signed: bool = True
    whole_levels: bool = True
    least: float = 0.0


@dataclass(frozen=True)
class Convention:
    """One source's rules. unstated: metrics that the source prints but does not say how it computes; the rule here is the likely one.

    source: where it can be read.
    """

    name: str
    psnr: PsnrRule = PsnrRule()
    ssim: SsimRule = SsimRule()
    ms_ssim: MsSsimRule = MsSsimRule()
    niqe: NiqeRule = NiqeRule()
    lpips: LpipsRule = LpipsRule()
    fid: FidRule = FidRule()
    identity: IdentityRule = IdentityRule(least=1.0)
    unstated: frozenset[str] = field(default_factory=frozenset)
    source: str = ""


_YIQ = SsimRule("yiq", whole_levels=True, clamped=True)
CONVENTIONS: dict[str, Convention] = {
    each.name: each
    for each in (
        Convention("basicsr", source="basicsr/metrics; what GFPGAN's and CodeFormer's tables are made with"),
        Convention("basicsr-pt", psnr=PsnrRule(epsilon=1e-8), source="the _pt functions of basicsr/metrics"),
        Convention(
            "pyiqa",
            psnr=PsnrRule(whole_levels=True, epsilon=1e-8),
            ssim=_YIQ,
            ms_ssim=MsSsimRule("yiq", whole_levels=True),
            niqe=NiqeRule("yiq", guarded=True),
            lpips=LpipsRule("alex"),
            source="IQA-PyTorch; its luma is that of YIQ",
        ),
        Convention(
            "torchmetrics",
            ssim=SsimRule(border="reflect"),
            ms_ssim=MsSsimRule(border="reflect", odd="dropped"),
            lpips=LpipsRule("alex"),
            fid=FidRule("torch-fidelity"),
            source="torchmetrics since it averages the whole map; earlier versions left out the border",
        ),
        Convention("skimage", ssim=SsimRule(window="uniform", unbiased=True), source="scikit-image's default window"),
        Convention("skimage-gaussian", source="scikit-image with gaussian_weights, sigma 1.5, use_sample_covariance False"),
        Convention("gfpgan", source="BasicSR's functions; FID against FFHQ at 512 px, so that the truth itself has 43.43"),
        Convention(
            "vqfr",
            psnr=PsnrRule(matched=True),
            ssim=SsimRule(matched=True),
            source="metric_paper of VQFR, whose correct_mean_var is on unless switched off",
        ),
        Convention(
            "codeformer",
            psnr=PsnrRule(crop=4),
            ssim=SsimRule(crop=4),
            identity=IdentityRule("cosine"),
            unstated=frozenset(("lpips", "fid", "niqe", "identity")),
            source="the options files; no script for the other metrics is published",
        ),
        Convention(
            "restoreformer",
            lpips=LpipsRule(order="bgr", signed=False),
            identity=IdentityRule("radians", order="bgr", signed=False, whole_levels=False),
            unstated=frozenset(("psnr", "ssim", "niqe")),
            source="scripts/metrics of RestoreFormer; BGR pictures in [0, 1] where the networks want RGB in [-1, 1]",
        ),
        Convention(
            "difface",
            fid=FidRule(against="truth"),
            unstated=frozenset(("psnr", "ssim", "niqe")),
            source="DifFace, issue 4: FID against the true pictures, the others with VQFR's scripts",
        ),
        Convention("mganprior", unstated=frozenset(("psnr", "ssim", "lpips")), source="no scorer is published"),
    )
}


def convention(name: str | Convention) -> Convention:
    """The convention of that name; one of the caller's own is handed back. Raises UsageError with the nearest names."""
    if isinstance(name, Convention):
        return name
    if name not in CONVENTIONS:
        near = difflib.get_close_matches(name, CONVENTIONS, n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise UsageError(f"there is no convention {name!r}", what_to_do=f"{hint}known are: {', '.join(CONVENTIONS)}")
    return CONVENTIONS[name]


def changed(rule: Any, **options: Any) -> Any:
    """The rule with those options that are not None. Raises UsageError for an unknown luma or a crop below 0."""
    rule = replace(rule, **{name: value for name, value in options.items() if value is not None})
    channels = ("y", "yiq", "gray") if isinstance(rule, NiqeRule) else ("rgb", "y", "yiq")
    if rule.channel not in channels:
        raise UsageError(f"there is no channel {rule.channel!r}", what_to_do=f"use one of: {', '.join(channels)}")
    if getattr(rule, "crop", 0) < 0:
        raise UsageError(f"cannot leave out {rule.crop} pixels along each border", what_to_do="use 0 or more")
    return rule


def label(metric: str, name: str | Convention = "basicsr", **options: Any) -> str:
    """How a number is printed: "psnr[rgb, basicsr]", "psnr[y, basicsr, crop 4]", "lpips[vgg, codeformer, assumed]".

    metric: psnr, ssim, ms_ssim, niqe, lpips, fid or identity, see `Convention`. options: what was asked for in place of the
    convention's own; named where they differ. "assumed" where the source does not say how it computes it.
    """
    source = convention(name)
    own = getattr(source, metric, None)
    if own is None or isinstance(own, (str, frozenset)):
        return f"{metric}[{source.name}]"
    rule = replace(own, **{key: value for key, value in options.items() if value is not None})
    first, *others = asdict(rule)
    words = [str(getattr(rule, first)), source.name]
    words += [_words(key, getattr(rule, key)) for key in others if getattr(rule, key) != getattr(own, key)]
    if getattr(rule, "matched", False):
        words.append("matched mean and deviation")
    if metric in source.unstated:
        words.append("assumed")
    return f"{metric}[{', '.join(dict.fromkeys(words))}]"


def _words(key: str, value: object) -> str:
    name = key.replace("_", " ")
    return (name if value else f"not {name}") if isinstance(value, bool) else f"{name} {value}"
