"""The judges that the chosen metrics need, each loaded once."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import ModelError
from facewright.evaluate.catalogue import Metric
from facewright.evaluate.distances import Whole
from facewright.evaluate.judges.judge import Judge, Values

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Wanted:
    """What a judge is opened for. side: the pictures' shorter side, where all have the same."""

    metrics: Sequence[Metric]
    convention: str
    device: torch.device
    side: int | None = None


def _pixels(wanted: Wanted) -> Judge:
    from facewright.evaluate.judges.pixels import Pixels

    return Pixels(wanted.metrics, wanted.convention)


def _dlib(wanted: Wanted) -> Judge:
    from facewright.evaluate.judges.faces import Dlib

    return Dlib(wanted.device)


def _mini(wanted: Wanted) -> Judge:
    from facewright.evaluate.judges.faces import Mini

    return Mini(wanted.device)


def _onet(wanted: Wanted) -> Judge:
    from facewright.evaluate.judges.faces import Onet

    return Onet(wanted.device)


def _lbp(wanted: Wanted) -> Judge:
    from facewright.evaluate.judges.faces import Lbp

    return Lbp()


def _fetched(name: str) -> Opener:
    """One of the field's judges, whose parts are fetched."""

    def open_it(wanted: Wanted) -> Judge:
        from facewright.evaluate.judges.fetched import OPENERS

        return OPENERS[name](wanted.convention, wanted.device, wanted.side)

    return open_it


Opener = Callable[[Wanted], Judge]
FETCHED = ("niqe-faces", "niqe-published", "lpips-vgg", "lpips-alex", "lpips-squeeze", "arcface", "inception")
JUDGES: dict[str, Opener] = {
    "pixels": _pixels,
    "dlib": _dlib,
    "mini": _mini,
    "onet": _onet,
    "lbp": _lbp,
    **{name: _fetched(name) for name in FETCHED},
}


@dataclass
class Panel:
    """metrics: those that can be had; left_out: name to why, of those that would be in the default but whose file is missing."""

    metrics: tuple[Metric, ...]
    judges: list[Judge]
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def single(self) -> tuple[Metric, ...]:
        """One number a picture."""
        return tuple(metric for metric in self.metrics if not metric.whole)

    @property
    def whole(self) -> tuple[Metric, ...]:
        """One number a set."""
        return tuple(metric for metric in self.metrics if metric.whole)

    def of_sets(self, metric: Metric) -> Whole:
        """How a metric of `whole` comes from vectors."""
        return next(judge.whole[metric.name] for judge in self.judges if metric.name in judge.whole)

    @property
    def kinds(self) -> frozenset[str]:
        """Of vectors that have to be kept."""
        return frozenset(metric.vectors for metric in self.whole)

    def look(self, pictures: Tensor) -> list[Any]:
        return [judge.look(pictures) for judge in self.judges]

    def compare(self, seen: list[Any], truth: list[Any] | None) -> dict[str, Values]:
        """By the metrics' names; only those of the panel."""
        found: dict[str, Values] = {}
        for place, judge in enumerate(self.judges):
            found |= judge.compare(seen[place], None if truth is None else truth[place])
        return {metric.name: found[metric.name] for metric in self.single if metric.name in found}

    def vectors(self, seen: list[Any]) -> dict[str, NDArray[Any]]:
        kept: dict[str, NDArray[Any]] = {}
        for place, judge in enumerate(self.judges):
            kept |= judge.vectors(seen[place])
        return {kind: kept[kind] for kind in self.kinds if kind in kept}


def open_panel(
    metrics: Sequence[Metric],
    convention: str = "basicsr",
    device: torch.device | None = None,
    *,
    optional: Iterable[str] = (),
    side: int | None = None,
) -> Panel:
    """Load the judges of these metrics. optional: names that are left out, with a word, where their judge's file is missing. side: the
    pictures' shorter side, where all have the same.

    Raises ModelError where the file of any other is missing, naming metric and how to get it.
    """
    device = device or torch.device("cpu")
    spared = set(optional)
    judges: list[Judge] = []
    left_out: dict[str, str] = {}
    for name in dict.fromkeys(metric.judge for metric in metrics):
        wanted = [metric for metric in metrics if metric.judge == name]
        try:
            judges.append(JUDGES[name](Wanted(wanted, convention, device, side)))
        except ModelError as problem:
            needed = [metric.name for metric in wanted if metric.name not in spared]
            if needed:
                why = f"its judge needs a file: {problem}"
                raise ModelError(f"cannot compute {', '.join(needed)}", why, problem.what_to_do) from problem
            why = "; ".join(filter(None, (str(problem), problem.what_to_do)))
            left_out |= {metric.name: why for metric in wanted}
            log.info("left out: %s (%s)", ", ".join(metric.name for metric in wanted), why)
    return Panel(tuple(metric for metric in metrics if metric.name not in left_out), judges, left_out)


def batched(pictures: Sequence[NDArray[np.float32]], device: torch.device) -> Tensor:
    """H x W x 3 each, in [0, 1], to N x 3 x H x W on the device."""
    return torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).contiguous().to(device)
