"""Draw what w does: identity, quality and sharpness along a sweep, as one SVG.

    facewright evaluate --suite val-faces --model gfpgan-mini --damage light medium heavy --sweep w=0:1:0.1 -o eval/
    python scripts/draw_w_curve.py eval/results.jsonl -o docs/w-curve.svg

One panel a number, one line a damage; a diamond beyond w = 1 is `--fidelity auto`, where each face has its own.
"""

from __future__ import annotations

import argparse
import json
import math
import re
from collections import defaultdict
from pathlib import Path

from panels import COLOURS, Line, Panel, drawing

PANELS = {
    "identity[dlib]": "identity[dlib] distance ↓",
    "features[onet]": "features[onet] distance ↓",
    "sharpness[ratio]": "sharpness / truth → 1",
}
BESIDE = 1.1
"""Where auto stands."""
METHOD = re.compile(r"(?P<model>.*) \((?:w|fidelity) (?P<value>[\d.]+|auto)\)")

Means = dict[tuple[str, str], dict[str, float]]
"""(damage, value of w) to metric to mean."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("results", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--model", help="of several [the first]")
    arguments = parser.parse_args()
    found = means(arguments.results, arguments.model)
    damages = list(dict.fromkeys(damage for damage, _ in found))
    if not damages or len({value for _, value in found}) < 3:
        raise SystemExit(f"{arguments.results}: no sweep of w, a curve needs two values")
    colours = dict(zip(damages, COLOURS, strict=False))
    panels = [
        Panel(title, [line(found, damage, metric, colours[damage]) for damage in colours], ("w 0", "1, auto"))
        for metric, title in PANELS.items()
        if all(metric in each for each in found.values())
    ]
    arguments.output.write_text(drawing(panels, colours), encoding="utf-8")


def line(found: Means, damage: str, metric: str, colour: str) -> Line:
    points = sorted((float(value), numbers[metric]) for (name, value), numbers in found.items() if name == damage and value != "auto")
    auto = found.get((damage, "auto"))
    mark = None if auto is None else (BESIDE, auto[metric])
    return Line(colour, points, mark=mark)


def means(path: Path, model: str | None) -> Means:
    """Of one model's pictures; geometric for ratios."""
    values: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for text in path.read_text(encoding="utf-8").splitlines():
        told = json.loads(text)
        method = METHOD.fullmatch(told.get("method", ""))
        if method is None or (model or method["model"]) != method["model"]:
            continue
        model = method["model"]
        for metric in PANELS:
            if isinstance(number := told.get(metric), (int, float)):
                values[told["damage"], method["value"]][metric].append(math.log(number) if metric.endswith("[ratio]") else number)
    return {
        key: {
            metric: math.exp(sum(each) / len(each)) if metric.endswith("[ratio]") else sum(each) / len(each) for metric, each in row.items()
        }
        for key, row in values.items()
    }


if __name__ == "__main__":
    main()
