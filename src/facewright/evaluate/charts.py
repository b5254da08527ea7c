"""Drawings for the page: plain SVG in the page's own colours, nothing fetched, nothing run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from facewright.evaluate.catalogue import Metric
from facewright.evaluate.statistics import Interval

ROW, WIDTH = 22, 250


def strip(metric: Metric, numbers: Mapping[str, Interval], colours: Mapping[str, int]) -> str:
    """A dot with its interval for each method, one below the other; better is to the right."""
    values = [value for each in numbers.values() for value in (each.mean, each.low, each.high) if math.isfinite(value)]
    if not values:
        return ""
    low, high = min(values), max(values)
    room = (high - low) or abs(high) or 1.0
    low, high = low - 0.06 * room, high + 0.06 * room
    turned = metric.better == "lower"

    def x(value: float) -> float:
        part = (value - low) / (high - low)
        return round(8 + (WIDTH - 16) * (1 - part if turned else part), 1)

    height = ROW * len(numbers)
    middles = [ROW * row + ROW / 2 for row in range(len(numbers))]
    parts = [f'<line class="grid" x1="0" x2="{WIDTH}" y1="{y:g}" y2="{y:g}"/>' for y in middles]
    if metric.better == "near 1" and low < 1 < high:
        parts.append(f'<line class="goal" x1="{x(1)}" x2="{x(1)}" y1="0" y2="{height}"/>')
    for y, (method, each) in zip(middles, numbers.items(), strict=True):
        if not math.isfinite(each.mean):
            continue
        told = f"{escape(method)}: {metric.shown(each.mean)}"
        if math.isfinite(each.low):
            told += f" ({metric.shown(each.low)} to {metric.shown(each.high)})"
            parts.append(f'<line class="span c{colours[method]}" x1="{x(each.low)}" x2="{x(each.high)}" y1="{y:g}" y2="{y:g}"/>')
        parts.append(f'<circle class="c{colours[method]}" cx="{x(each.mean)}" cy="{y:g}" r="4.5"><title>{told}</title></circle>')
    label = f"{metric.name}: {', '.join(f'{method} {metric.shown(each.mean)}' for method, each in numbers.items())}"
    return f'<svg class="strip" viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class Point:
    """One value of a sweep; its name in words for one that is none of the line's ("auto")."""

    value: float | str
    across: Interval
    up: Interval

    @property
    def name(self) -> str:
        return self.value if isinstance(self.value, str) else f"{self.value:g}"


def curve(
    lines: Mapping[str, Sequence[Point]],
    across: Metric,
    up: Metric,
    symbol: str,
    colours: Mapping[str, int],
    beside: Mapping[str, Point] | None = None,
) -> str:
    """The trade-off of two metrics over a sweep: better is to the right and to the top; each point names its value of `symbol`.

    beside: a point of its own for each line, a diamond.
    """
    beside = beside or {}
    points = [*(point for line in lines.values() for point in line), *beside.values()]
    width, height, left, bottom, top, right = 720, 430, 84, 62, 18, 26
    xs, ys = (_scale([getattr(point, side) for point in points], metric) for side, metric in (("across", across), ("up", up)))

    def at(point: Point) -> tuple[float, float]:
        return (
            round(left + (width - left - right) * xs(point.across.mean), 1),
            round(height - bottom - (height - bottom - top) * ys(point.up.mean), 1),
        )

    parts = []
    for value, part in xs.ticks:
        x = round(left + (width - left - right) * part, 1)
        parts.append(f'<line class="grid" x1="{x}" x2="{x}" y1="{top}" y2="{height - bottom}"/>')
        parts.append(f'<text class="tick" x="{x}" y="{height - bottom + 20}" text-anchor="middle">{across.shown(value)}</text>')
    for value, part in ys.ticks:
        y = round(height - bottom - (height - bottom - top) * part, 1)
        parts.append(f'<line class="grid" x1="{left}" x2="{width - right}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text class="tick" x="{left - 10}" y="{y + 4}" text-anchor="end">{up.shown(value)}</text>')
    middle, centre = (top + height - bottom) / 2, (left + width - right) / 2
    words = (f"{escape(across.name)}, better →", f"{escape(up.name)}, better →")
    parts.append(f'<text class="axis" x="{centre:g}" y="{height - 14}" text-anchor="middle">{words[0]}</text>')
    parts.append(f'<text class="axis" transform="translate(20 {middle:g}) rotate(-90)" text-anchor="middle">{words[1]}</text>')
    for model, line in lines.items():
        colour = colours[model]
        path = " ".join(f"{x},{y}" for x, y in map(at, line))
        parts.append(f'<polyline class="c{colour}" points="{path}"/>')
        for index, point in enumerate([*line, *([beside[model]] if model in beside else [])]):
            x, y = at(point)
            numbers = f"{up.name} {up.shown(point.up.mean)}, {across.name} {across.shown(point.across.mean)}"
            told = f"<title>{escape(model)}, {symbol} {escape(point.name)}: {numbers}</title>"
            if index == len(line):
                parts.append(f'<path class="c{colour}" d="M{x} {y - 8}l8 8l-8 8l-8 -8z">{told}</path>')
                parts.append(f'<text class="mark" x="{x + 10}" y="{y + 16}">{escape(point.name)}</text>')
                continue
            parts.append(f'<circle class="c{colour}" cx="{x}" cy="{y}" r="4.5">{told}</circle>')
            if index in (0, len(line) - 1) or (len(line) <= 12 and index % 2 == 0):
                parts.append(f'<text class="mark" x="{x + 8}" y="{y - 8}">{point.name}</text>')
    label = f"{up.name} against {across.name} over {symbol}"
    return f'<svg class="curve" viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float
    turned: bool
    ticks: tuple[tuple[float, float], ...]

    def __call__(self, value: float) -> float:
        part = (value - self.low) / (self.high - self.low)
        return 1 - part if self.turned else part


def _scale(intervals: Sequence[Interval], metric: Metric) -> _Scale:
    values = [each.mean for each in intervals if math.isfinite(each.mean)] or [0.0]
    low, high = min(values), max(values)
    room = (high - low) or abs(high) * 0.1 or 1.0
    low, high = low - 0.08 * room, high + 0.08 * room
    step = _round_step((high - low) / 5)
    first = math.ceil(low / step)
    turned = metric.better == "lower"
    bare = _Scale(low, high, turned, ())
    ticks = [index * step for index in range(first, first + 12) if index * step <= high]
    return _Scale(low, high, turned, tuple((value, bare(value)) for value in ticks))


def _round_step(width: float) -> float:
    """The nearest of 1, 2, 5 times a power of ten, upwards."""
    power = float(10 ** math.floor(math.log10(width)))
    return next(power * each for each in (1, 2, 5, 10) if power * each >= width * 0.999)
