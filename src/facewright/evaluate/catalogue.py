"""The numbers that an evaluation can print, by name: what each needs, and which way is better.

A name says what is measured and by whom: `identity[dlib]`, `fid[dlib]`. What is printed beside a number also says by whose rules, see
`metrics.conventions`. Nothing here loads a network.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from difflib import get_close_matches
from typing import Literal

from facewright.errors import UsageError
from facewright.metrics.conventions import convention as named_convention
from facewright.metrics.conventions import label as labelled

Better = Literal["higher", "lower", "near 1"]


@dataclass(frozen=True)
class Metric:
    """judge: who gives it, see `judges`. words: for a person who does not know it. truth: it compares with the true picture. aligned: it
    needs square aligned face crops. whole: one number for a set of pictures, from their `vectors`; least: of so many pictures.
    rules: what `conventions.label` calls it, where conventions differ, and `options` in place of the convention's own.
    factor: what it is multiplied by when shown. geometric: the mean is. flatters: close to a loss that trains our models. label: as
    printed.
    """

    name: str
    judge: str
    better: Better
    digits: int
    words: str
    truth: bool = True
    aligned: bool = False
    whole: bool = False
    vectors: str = ""
    least: int = 1
    rules: str = ""
    options: tuple[tuple[str, str], ...] = ()
    factor: float = 1.0
    geometric: bool = False
    flatters: bool = False
    label: str = ""

    @property
    def arrow(self) -> str:
        return {"higher": "↑", "lower": "↓", "near 1": "→ 1"}[self.better]

    @property
    def heading(self) -> str:
        return f"{self.label or self.name}{'*' if self.flatters else ''} {self.arrow}"

    def worse_first(self, value: float) -> float:
        """A key that sorts the worst first."""
        return value if self.better == "higher" else -abs(value - 1) if self.better == "near 1" else -value

    def shown(self, value: float) -> str:
        if value == float("inf"):
            return "exact" if self.rules == "psnr" else "∞"
        return "–" if value != value else f"{self.factor * value:.{self.digits}f}"


_ANGLE = "angle between two faces' ArcFace embeddings (Deg.)"
_EYES = "distance in the eyes of a network trained on people's answers"
# fmt: off
METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric("psnr[rgb]", "pixels", "higher", 2, "decibels of signal over error", rules="psnr", options=(("channel", "rgb"),)),
        Metric("psnr[y]", "pixels", "higher", 2, "the same of brightness alone", rules="psnr", options=(("channel", "y"),)),
        Metric("ssim[rgb]", "pixels", "higher", 4, "likeness of local structure", rules="ssim", options=(("channel", "rgb"),)),
        Metric("ssim[y]", "pixels", "higher", 4, "likeness of local structure, of brightness alone", rules="ssim",
               options=(("channel", "y"),)),
        Metric("ms_ssim", "pixels", "higher", 4, "SSIM over five scales", rules="ms_ssim"),
        Metric("lpips[vgg]", "lpips-vgg", "lower", 4, _EYES, rules="lpips", options=(("net", "vgg"),)),
        Metric("lpips[alex]", "lpips-alex", "lower", 4, _EYES, rules="lpips", options=(("net", "alex"),)),
        Metric("lpips[squeeze]", "lpips-squeeze", "lower", 4, _EYES, rules="lpips", options=(("net", "squeeze"),)),
        Metric("identity[arcface]", "arcface", "lower", 2, _ANGLE, aligned=True, rules="identity"),
        Metric("identity[dlib]", "dlib", "lower", 3, "distance of two faces in dlib's embedding; one person lies under 0.6",
               aligned=True, flatters=True),
        Metric("layers[dlib]", "dlib", "lower", 3, "relative difference in dlib's inner layers", aligned=True, flatters=True),
        Metric("identity[mini]", "mini", "lower", 3, "distance of two faces in our own embedding, which no loss uses: 0 to 2",
               aligned=True),
        Metric("landmarks[onet]", "onet", "lower", 2, "how far O-Net's five points move, in % of the eye distance", aligned=True),
        Metric("features[onet]", "onet", "lower", 3, "relative difference of what O-Net sees", aligned=True),
        Metric("rank1[lbp]", "lbp", "higher", 1, "% of faces whose nearest true face, by local binary patterns, is their own",
               aligned=True, whole=True, vectors="lbp", least=2, factor=100),
        Metric("rank1[mini]", "mini", "higher", 1, "% of faces whose nearest true face, by our own embedding, is their own",
               aligned=True, whole=True, vectors="mini", least=2, factor=100),
        Metric("sharpness[ratio]", "pixels", "near 1", 2, "variance of the face's Laplacian over the truth's", aligned=True,
               geometric=True),
        Metric("niqe[faces]", "niqe-faces", "lower", 3, "unlikeness to clean faces; our own fit, not the published model", truth=False,
               rules="niqe"),
        Metric("niqe[published]", "niqe-published", "lower", 3, "unlikeness to clean photographs, the published model", truth=False,
               rules="niqe"),
        Metric("kid[dlib]", "dlib", "lower", 1, "kernel distance of the two sets in dlib's embedding, not Inception's; times 1,000",
               aligned=True, whole=True, vectors="dlib", least=24, factor=1000),
        Metric("fid[dlib]", "dlib", "lower", 4, "Fréchet distance of the two sets in dlib's embedding, not Inception's", aligned=True,
               whole=True, vectors="dlib", least=129),
        Metric("fid", "inception", "lower", 2, "Fréchet distance of the two sets in Inception's features", truth=False, whole=True,
               vectors="inception", least=100, rules="fid"),
        Metric("kid", "inception", "lower", 3, "kernel distance of the two sets in Inception's features; times 1,000", whole=True,
               vectors="inception", least=100, factor=1000),
    )
}
# fmt: on

OFFLINE = (
    "psnr[rgb]", "ssim[y]", "identity[dlib]", "layers[dlib]", "identity[mini]", "landmarks[onet]", "features[onet]", "rank1[lbp]",
    "rank1[mini]", "sharpness[ratio]", "kid[dlib]", "fid[dlib]",
)  # fmt: skip
"""What needs nothing but what ships inside."""
WHERE_THERE = ("lpips[vgg]", "lpips[alex]", "niqe[faces]", "niqe[published]", "identity[arcface]", "fid")
"""What is added to them where its files are there."""
DEFAULT = "basicsr"
"""The convention where none is named."""
PICTURES = ("psnr[rgb]", "ssim[rgb]")
"""What any two pictures have, faces or not."""
MEANT = {"identity": "identity[dlib]", "landmarks": "landmarks[onet]", "rank1": "rank1[lbp]",
         "sharpness": "sharpness[ratio]", "niqe": "niqe[faces]", "lmd": "landmarks[onet]", "deg": "identity[arcface]",
         "ids": "identity[arcface]"}  # fmt: skip
"""What a bare word means; psnr, ssim and lpips mean what the convention takes."""


def find(names: Iterable[str], convention: str = DEFAULT) -> tuple[Metric, ...]:
    """The metrics of these names under a convention, in the catalogue's order. Raises UsageError with the nearest names."""
    rules = named_convention(convention)
    own = {"psnr": f"psnr[{rules.psnr.channel}]", "ssim": f"ssim[{rules.ssim.channel}]", "lpips": f"lpips[{rules.lpips.net}]"}
    meant = MEANT | {key: value for key, value in own.items() if value in METRICS}
    chosen = set()
    for word in names:
        name = meant.get(word.strip(), word.strip())
        if name not in METRICS:
            near = get_close_matches(name, [*METRICS, *meant], 3, 0.4)
            raise UsageError(
                f"there is no metric called {word.strip()!r}",
                f"the nearest {'are' if len(near) > 1 else 'is'} {', '.join(near)}" if near else "",
                f"use some of: {', '.join(METRICS)}",
            )
        chosen.add(name)
    return tuple(_under(metric, convention) for metric in METRICS.values() if metric.name in chosen)


def labels(metrics: Sequence[Metric]) -> str:
    return ", ".join(metric.name for metric in metrics)


def _under(metric: Metric, convention: str) -> Metric:
    """With the label that the convention gives it."""
    if not metric.rules:
        return replace(metric, label=metric.name)
    better: Better = metric.better
    words = metric.words
    if metric.rules == "identity":
        unit = named_convention(convention).identity.unit
        if unit == "cosine":
            better, words = "higher", "cosine of two faces' ArcFace embeddings (IDS)"
        elif unit == "radians":
            words = f"{words}, in radians"
    truth = named_convention(convention).fid.against == "truth" if metric.rules == "fid" else metric.truth
    printed = labelled(metric.rules, convention, **dict(metric.options))
    if metric.name.startswith(("niqe", "identity")):
        kind = metric.name.partition("[")[2].rstrip("]")
        printed = printed.replace("[", f"[{kind}, ", 1)
    return replace(metric, better=better, words=words, label=printed, truth=truth)
