"""Draw a training's validation numbers over its steps, as one SVG.

    python scripts/draw_curves.py runs/gfpgan-mini/log.jsonl -o docs/gfpgan-mini-curves.svg

One panel a number, one line a strength of damage; dashed, where it was measured, what the damaged pictures have.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path

from panels import COLOURS, Line, Panel, drawing

PANELS = {"psnr": "PSNR, dB", "identity": "identity[dlib] distance", "sharpness": "sharpness / truth"}
LEVELS = dict(zip(("light", "medium", "heavy"), COLOURS, strict=False))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("log", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    lines = [json.loads(line) for line in arguments.log.read_text(encoding="utf-8").splitlines()]
    measured = [line for line in lines if any(name.startswith("val/") for name in line)]
    if len(measured) < 2:
        raise SystemExit(f"{arguments.log}: {len(measured)} validations, a curve needs two")
    ends = (f"{measured[0]['step']:,.0f}", f"{measured[-1]['step']:,.0f}")
    panels = [Panel(title, lines_of(measured, name), ends) for name, title in PANELS.items()]
    arguments.output.write_text(drawing(panels, LEVELS), encoding="utf-8")


def lines_of(measured: list[dict[str, float]], name: str) -> list[Line]:
    """The levels' lines, and dashed those of the damaged pictures."""
    return [
        Line(colour, points(measured, f"val/{level}/{name}{kind}"), dashed=bool(kind))
        for level, colour in LEVELS.items()
        for kind in ("", "_damaged")
    ]


def points(measured: list[dict[str, float]], name: str) -> list[tuple[float, float]]:
    return [(float(line["step"]), float(line[name])) for line in measured if name in line and math.isfinite(line[name])]


if __name__ == "__main__":
    main()
