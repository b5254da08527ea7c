"""What each part of the small restorer's training is worth: one change a row, the same start, faces, seed and number of steps.

    python benchmarks/ablation.py --start G.safetensors --start-discriminator D.safetensors --out runs/ablation [--steps 400]
    python benchmarks/ablation.py ... --docs docs/gfpgan-mini.md        # puts the table between its marks

The rows stand in benchmarks/ablation.yaml. Each trains in a folder of its own below --out, where a killed one goes on and a finished one is
taken as it is; --only NAME ... trains some, so that several processes can share the rows. Then all are measured on val-faces. A cell is the
mean of a row less that of the first row, over the same faces; bold where they differ for sure (sign-flip test over people, Holm over the
rows).
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from facewright.errors import UsageError
from facewright.evaluate import Choices, Evaluation
from facewright.evaluate.results import ALIKE, Results
from facewright.evaluate.statistics import holm, sign_flip
from facewright.train.run import train
from marks import write_between

ROWS = Path(__file__).with_suffix(".yaml")
DAMAGE = ("light", "medium", "heavy", "old-photo")
SHOWN = {"psnr": 2, "identity": 4, "layers": 4, "landmarks": 3, "features": 4, "sharpness": 3}
"""Metrics by how their names begin, and digits."""
COMMON = ("run.precision=bf16", "run.tensorboard=false", "run.log_every=50", "run.checkpoint_every=100", "run.batch=8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--start-discriminator", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--data", default="../shared/data/faces")
    parser.add_argument("--set", nargs="*", default=[], help="settings that all rows share, as key=value")
    parser.add_argument("--only", nargs="+", help="train these rows, and measure nothing")
    parser.add_argument("--limit", type=int, help="measure about so many faces")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    rows: dict[str, dict[str, Any]] = yaml.safe_load(ROWS.read_text(encoding="utf-8"))["rows"]
    if unknown := [name for name in given.only or () if name not in rows]:
        raise UsageError(f"there is no row {unknown[0]!r}", what_to_do=f"use: {', '.join(rows)}")
    shared = [*COMMON, f"run.steps={given.steps}", f"recipe.data={given.data}", f"recipe.start={given.start}", *given.set]
    exports = {}
    for name in given.only or rows:
        exports[name] = trained(name, rows[name], shared, given.start_discriminator, given.out)
    if given.only:
        return
    text = table(list(rows), list(exports.values()), given)
    print(text)
    if given.docs:
        write_between(given.docs, "ablation", text)


def trained(name: str, changes: dict[str, Any], shared: list[str], discriminator: Path, out: Path) -> Path:
    """The row's exported weights, under the row's name."""
    slug = re.sub(r"\W+", "-", name)
    export = out / f"{slug}.safetensors"
    if export.is_file():
        return export
    overrides = [*shared, *(f"{key}={json.dumps(value)}" for key, value in changes.items())]
    if changes.get("recipe.weights.adversarial") != 0:
        overrides += [f"recipe.start_discriminator={discriminator}", "recipe.adversarial_from=0"]
    print(f"{name}: {out / slug}", flush=True)
    shutil.copyfile(train("gfpgan", "mini", overrides, out / slug), export)
    return export


def table(names: list[str], exports: list[Path], given: argparse.Namespace) -> str:
    choices = Choices(
        suite="val-faces", models=tuple(map(str, exports)), damage=DAMAGE, data=Path(given.data), limit=given.limit, rivals=()
    )
    results = Evaluation(choices).run(given.out / "measured").results
    metrics = [(metric.name, digits) for start, digits in SHOWN.items() for metric in results.metrics if metric.name.startswith(start)]
    lines = [
        f"{len(results.cases)} faces of {results.people} people, val-faces; {given.steps} steps of 8 faces from the same weights. The "
        "first row is the mean itself, the others what changes; bold: for sure (sign-flip test over people, Holm, p < 0.05). Made by "
        f"`python benchmarks/ablation.py --steps {given.steps}`."
    ]
    for condition in results.scores:
        lines += ["", f"| {condition} | {' | '.join(metric for metric, _ in metrics)} |", "|---" * (len(metrics) + 1) + "|"]
        columns = [column(results, condition, metric, digits) for metric, digits in metrics]
        lines += [f"| {name} | {' | '.join(cells)} |" for name, *cells in zip(names, *columns, strict=True)]
    return "\n".join(lines) + "\n"


def column(results: Results, condition: str, metric: str, digits: int) -> list[str]:
    """A cell for each row."""
    people = [case.person for case in results.cases]
    methods = list(results.scores[condition])
    base, *others = (results.scores[condition][method][metric] for method in methods)
    worth = holm([sign_flip(values, base, people, seed=7) for values in others])
    cells = [f"{np.nanmean(base):.{digits}f}"]
    for values, p in zip(others, worth, strict=True):
        change = f"{np.nanmean(values - base):+.{digits}f}"
        cells.append(f"**{change}**" if p < ALIKE else change)
    return cells


if __name__ == "__main__":
    main()
