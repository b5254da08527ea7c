"""Draw a training's validation numbers over its steps, as one SVG.

    python scripts/draw_curves.py runs/gfpgan-mini/log.jsonl -o docs/gfpgan-mini-curves.svg

One panel a number, one line a strength of damage; dashed, where it was measured, what the damaged pictures have.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

PANELS = {"psnr": "PSNR, dB", "identity": "identity[dlib] distance", "sharpness": "sharpness / truth"}
COLOURS = {"light": "#3b8ea5", "medium": "#c98a1b", "heavy": "#b4483c"}
WIDTH, HEIGHT, LEFT, TOP, BOTTOM, GAP = 280, 190, 44, 26, 30, 16
STYLE = (
    "text{font:12px system-ui,sans-serif;fill:#444}.t{font-weight:600}.g{stroke:#8884;stroke-width:1}.d{stroke-dasharray:4 4;opacity:.6}"
    "polyline{fill:none;stroke-width:2}@media(prefers-color-scheme:dark){text{fill:#ccc}}"
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.log.read_text(encoding="utf-8").splitlines()]
    measured = [line for line in lines if any(name.startswith("val/") for name in line)]
    if len(measured) < 2:
        raise SystemExit(f"{arguments.log}: {len(measured)} validations, a curve needs two")
    panels = [panel(index, name, title, measured) for index, (name, title) in enumerate(PANELS.items())]
    size = f"0 0 {len(PANELS) * (WIDTH + GAP)} {HEIGHT}"
    drawn = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="{size}" role="img"><style>{STYLE}</style>{"".join(panels)}</svg>'
    arguments.output.write_text(drawn + "\n", encoding="utf-8")


def panel(index: int, name: str, title: str, measured: list[dict[str, float]]) -> str:
    """The lines of one number, in their own scale."""
    lines = {(level, kind): points(measured, f"val/{level}/{name}{kind}") for level in COLOURS for kind in ("", "_damaged")}
    values = [value for line in lines.values() for _, value in line]
    steps = [float(line["step"]) for line in measured]
    low, high = min(values), max(values)
    low, high = low - 0.05 * (high - low), high + 0.05 * (high - low)
    left = index * (WIDTH + GAP) + LEFT

    def at(step: float, value: float) -> str:
        x = left + (WIDTH - LEFT) * (step - steps[0]) / (steps[-1] - steps[0])
        return f"{x:.1f},{TOP + (HEIGHT - TOP - BOTTOM) * (high - value) / (high - low):.1f}"

    parts = [f'<text class="t" x="{left}" y="14">{title}</text>']
    for value in (low + part * (high - low) for part in (0.05, 0.35, 0.65, 0.95)):
        y = at(steps[0], value).split(",")[1]
        parts.append(f'<line class="g" x1="{left}" x2="{left + WIDTH - LEFT}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{left - 6}" y="{float(y) + 4:.1f}" text-anchor="end">{value:.3g}</text>')
    for step, anchor in ((steps[0], "start"), (steps[-1], "end")):
        parts.append(f'<text x="{at(step, low).split(",")[0]}" y="{HEIGHT - 10}" text-anchor="{anchor}">{step:,.0f}</text>')
    for (level, kind), line in lines.items():
        path = " ".join(at(*point) for point in line)
        parts.append(f'<polyline class="{"d" if kind else ""}" stroke="{COLOURS[level]}" points="{path}"/>' if line else "")
    if index == 0:
        legend = "".join(f'<tspan fill="{colour}" dx="8">{level}</tspan>' for level, colour in COLOURS.items())
        parts.append(f'<text x="{left + WIDTH - LEFT}" y="14" text-anchor="end">{legend}</text>')
    return "".join(parts)


def points(measured: list[dict[str, float]], name: str) -> list[tuple[float, float]]:
    return [(float(line["step"]), float(line[name])) for line in measured if name in line and math.isfinite(line[name])]


if __name__ == "__main__":
    main()
