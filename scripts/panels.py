"""Panels of lines side by side, as one small SVG that also reads on a dark page."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 280, 190, 44, 26, 30, 16
COLOURS = ("#3b8ea5", "#c98a1b", "#b4483c", "#6b7f3a", "#7a5ca8")
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.t{font-weight:600}.g{stroke:#8884;stroke-width:1}.d{stroke-dasharray:4 4;opacity:.6}"
    "polyline{fill:none;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)

Points = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Line:
    """mark: a point of its own beside the line, drawn as a diamond."""

    colour: str
    points: Points
    dashed: bool = False
    mark: tuple[float, float] | None = None


@dataclass(frozen=True)
class Panel:
    """ends: what stands under the first and the last place across."""

    title: str
    lines: Sequence[Line]
    ends: tuple[str, str]


def drawing(panels: Sequence[Panel], legend: dict[str, str]) -> str:
    """The SVG's text. legend: name to colour, over the first panel, or below all where it is long."""
    below = len(legend) > 3
    size = f"0 0 {len(panels) * (WIDTH + GAP)} {HEIGHT + (22 if below else 0)}"
    parts = [_panel(index, panel) for index, panel in enumerate(panels)]
    names = "".join(f'<tspan fill="{colour}" dx="8">{escape(name)}</tspan>' for name, colour in legend.items())
    place = f'x="{LEFT - 8}" y="{HEIGHT + 14}"' if below else f'x="{WIDTH}" y="14" text-anchor="end"'
    parts.append(f"<text {place}>{names}</text>")
    return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img"><style>{STYLE}</style>{"".join(parts)}</svg>\n'


def _panel(index: int, panel: Panel) -> str:
    """The lines of one number, in their own scale."""
    points = [point for line in panel.lines for point in (*line.points, *([line.mark] if line.mark else []))]
    first, last = min(x for x, _ in points), max(x for x, _ in points)
    low, high = min(y for _, y in points), max(y for _, y in points)
    room = 0.05 * ((high - low) or abs(high) or 1)
    low, high = low - room, high + room
    left = index * (WIDTH + GAP) + LEFT

    def at(x: float, y: float) -> tuple[str, str]:
        across = left + (WIDTH - LEFT) * (x - first) / ((last - first) or 1)
        return f"{across:.1f}", f"{TOP + (HEIGHT - TOP - BOTTOM) * (high - y) / (high - low):.1f}"

    parts = [f'<text class="t" x="{left}" y="14">{escape(panel.title)}</text>']
    for value in (low + part * (high - low) for part in (0.05, 0.35, 0.65, 0.95)):
        y = at(first, value)[1]
        parts.append(f'<line class="g" x1="{left}" x2="{left + WIDTH - LEFT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{left - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{_short(value)}</text>')
    for x, words, anchor in ((first, panel.ends[0], "start"), (last, panel.ends[1], "end")):
        parts.append(f'<text x="{at(x, low)[0]}" y="{HEIGHT - 10}" text-anchor="{anchor}">{escape(words)}</text>')
    for line in panel.lines:
        path = " ".join(",".join(at(*point)) for point in line.points if math.isfinite(point[1]))
        parts.append(f'<polyline class="{"d" if line.dashed else ""}" stroke="{line.colour}" points="{path}"/>' if path else "")
        if line.mark is not None:
            x, y = at(*line.mark)
            parts.append(f'<path fill="{line.colour}" d="M{x} {float(y) - 5:.1f}l5 5l-5 5l-5 -5z"/>')
    return "".join(parts)


def _short(value: float) -> str:
    """In at most five letters or so: the room beside a panel."""
    return f"{value:.3g}" if abs(value) >= 0.01 else f"{value:.1g}"
