"""What a sweep says: each number along the values, whether it goes one way, and what `auto` has beside them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from facewright.evaluate.catalogue import Metric
from facewright.evaluate.methods import AUTO, Sweep, variant
from facewright.evaluate.results import Results

ACROSS = ("lpips[vgg]", "lpips[alex]", "fid", "niqe[published]", "features[onet]", "kid[dlib]", "niqe[faces]", "ssim[y]", "psnr[rgb]")
"""Quality in a trade-off: the first of these that is measured."""
UP = ("identity[dlib]", "identity[arcface]", "landmarks[onet]", "psnr[rgb]")
"""Identity in a trade-off."""
SHARPNESS = "sharpness[ratio]"


@dataclass
class Swept:
    """A sweep's points: model to value to the method's name, and model to that of `auto`, where it has one. across, up: see ACROSS, UP."""

    symbol: str
    methods: Mapping[str, Mapping[float, str]]
    auto: Mapping[str, str]
    across: Metric
    up: Metric


@dataclass(frozen=True)
class Course:
    """One metric of one model under one damage: its means at the sweep's values, and at `auto` (None where there is none)."""

    condition: str
    model: str
    metric: Metric
    values: tuple[float, ...]
    means: tuple[float, ...]
    auto: float | None

    @property
    def rank(self) -> float:
        """Spearman's correlation of the means with the values: 1 rises at every step, -1 falls; nan where nothing moves."""
        return spearman(self.values, self.means)

    @property
    def words(self) -> str:
        """ "rises", "falls", or at which values it turns."""
        steps = np.sign(np.diff(self.means))
        moved = [(value, step) for value, step in zip(self.values, steps, strict=False) if step]
        if not moved:
            return "stays"
        turns = [value for (_, before), (value, step) in pairwise(moved) if step != before]
        return f"turns at {', '.join(f'{value:g}' for value in turns)}" if turns else "rises" if moved[0][1] > 0 else "falls"


def swept(results: Results, models: Sequence[str], sweep: Sweep) -> Swept | None:
    """models: the methods' names. None where the results have no two numbers to trade."""
    there = {metric.name: metric for metric in results.metrics}
    across = next((there[name] for name in ACROSS if name in there), None)
    up = next((there[name] for name in UP if name in there and name != (across.name if across else "")), None)
    if across is None or up is None:
        return None
    names = dict.fromkeys(name.rpartition(" (")[0] for name in models)
    methods = {model: {value: variant(model, sweep.symbol, value) for value in sweep.values} for model in names}
    auto = {model: variant(model, sweep.symbol, AUTO) for model in names if AUTO in sweep.points}
    return Swept(sweep.symbol, methods, auto, across, up)


def courses(results: Results, told: Swept) -> list[Course]:
    """Identity, quality and sharpness of each damage and model."""
    sharp = [metric for metric in results.metrics if metric.name == SHARPNESS]
    found = []
    for table in results.tables:
        for model, methods in told.methods.items():
            auto = table.numbers[told.auto[model]] if model in told.auto else None
            for metric in (told.up, told.across, *sharp):
                means = tuple(table.numbers[method][metric.name].mean for method in methods.values())
                beside = None if auto is None else auto[metric.name].mean
                found.append(Course(table.condition, model, metric, tuple(methods), means, beside))
    return found


def markdown(found: Sequence[Course], symbol: str) -> str:
    """One row a course, "identity falls as w rises" in its last columns."""
    if not found:
        return ""
    several = len({course.model for course in found}) > 1
    beside = any(course.auto is not None for course in found)
    heads = ["damage", *(["model"] if several else []), "", *(f"{symbol} {value:g}" for value in found[0].values)]
    heads += [*(["auto"] if beside else []), f"as {symbol} rises", "Spearman"]
    lines = [f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    for course in found:
        cells = [course.condition, *([course.model] if several else []), course.metric.heading, *map(course.metric.shown, course.means)]
        cells += [course.metric.shown(course.auto) if course.auto is not None else "–"] if beside else []
        rank = f"{course.rank:.2f}" if np.isfinite(course.rank) else "–"
        lines.append(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in [*cells, course.words, rank])} |")
    return "\n".join(lines) + "\n"


def spearman(a: Sequence[float], b: Sequence[float]) -> float:
    """Pearson's correlation of the ranks, equal values sharing theirs; nan where one side does not move."""
    first, second = (_ranks(np.asarray(each, np.float64)) for each in (a, b))
    first, second = first - first.mean(), second - second.mean()
    scale = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / scale if scale else float("nan")


def _ranks(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    after = np.cumsum(counts)
    return np.asarray((after - (counts - 1) / 2)[place], np.float64)
