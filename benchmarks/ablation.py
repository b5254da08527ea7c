"""What each part of the small restorer's training is worth: one change a row, the same start, faces, seed and number of steps.

    python benchmarks/ablation.py --start G.safetensors --start-discriminator D.safetensors --out runs/ablation
    python benchmarks/ablation.py ... --docs docs/default.md        # puts the tables between their marks

The rows stand in benchmarks/ablation.yaml, in groups. Each trains in a folder of its own below --out, where a killed one goes on and a
finished one is taken as it is; --only NAME ... trains some, so that several processes can share the rows. Then all are measured on
val-faces. A cell is the mean of a row less that of its group's first row, over the same faces; bold where they differ for sure (sign-flip
test over people, Holm over the rows).
"""

from __future__ import annotations

import argparse
import gc
import json
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
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
COMMON = {"run.precision": "bf16", "run.tensorboard": False, "run.log_every": 50, "run.checkpoint_every": 100, "run.batch": 8}


@dataclass(frozen=True)
class Row:
    """settings: all that differ from the preset's."""

    group: str
    name: str
    settings: dict[str, Any]

    def trained(self, out: Path) -> Path:
        """The row's exported weights, under its own name."""
        slug = re.sub(r"\W+", "-", f"{self.group} {self.name}")
        export = out / f"{slug}.safetensors"
        if not export.is_file():
            print(f"{self.name}: {out / slug}", flush=True)
            overrides = [f"{key}={json.dumps(value)}" for key, value in self.settings.items()]
            shutil.copyfile(train("gfpgan", "mini", overrides, out / slug), export)
            gc.collect()  # a recipe and its engine know each other, and hold a gigabyte
        return export


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--start-discriminator", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--data", default="../shared/data/faces")
    parser.add_argument("--only", nargs="+", help="train these rows, of every group that has them, and measure nothing")
    parser.add_argument("--limit", type=int, help="measure about so many faces")
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    rows = list(read_rows(given))
    names = [row.name for row in rows]
    if unknown := [name for name in given.only or () if name not in names]:
        raise UsageError(f"there is no row {unknown[0]!r}", what_to_do=f"use: {', '.join(names)}")
    if given.only:
        for row in rows:
            if row.name in given.only:
                row.trained(given.out)
        return
    text = told(rows, [row.trained(given.out) for row in rows], given)
    print(text)
    if given.docs:
        write_between(given.docs, "ablation", text)


def read_rows(given: argparse.Namespace) -> Iterator[Row]:
    told = yaml.safe_load(ROWS.read_text(encoding="utf-8"))
    files = {"{start}": str(given.start), "{discriminator}": str(given.start_discriminator)}
    for group, each in told["groups"].items():
        shared = COMMON | told["settings"] | {"run.steps": each["steps"], "recipe.data": given.data} | each["settings"]
        for name, changes in each["rows"].items():
            settings = {key: files.get(value, value) if isinstance(value, str) else value for key, value in (shared | changes).items()}
            yield Row(group, name, settings)


def told(rows: list[Row], exports: list[Path], given: argparse.Namespace) -> str:
    choices = Choices(
        suite="val-faces", models=tuple(map(str, exports)), damage=DAMAGE, data=Path(given.data), limit=given.limit, rivals=()
    )
    results = Evaluation(choices).run(given.out / "measured").results
    lines = [
        f"{len(results.cases)} faces of {results.people} people, val-faces. The first row of a table is the mean itself, the others what "
        "changes; bold: for sure (sign-flip test over people, Holm, p < 0.05). Made by "
        f"`python benchmarks/ablation.py{f' --limit {given.limit}' if given.limit else ''}`."
    ]
    for group in dict.fromkeys(row.group for row in rows):
        places = [place for place, row in enumerate(rows) if row.group == group]
        steps = rows[places[0]].settings["run.steps"]
        lines += ["", f"### {group[0].upper()}{group[1:]}: {steps} steps of {COMMON['run.batch']} faces"]
        for condition in results.scores:
            lines += ["", *table(results, condition, [rows[place].name for place in places], places)]
    return "\n".join(lines) + "\n"


def table(results: Results, condition: str, names: list[str], places: list[int]) -> Iterator[str]:
    """places: of the rows among the models that were measured."""
    metrics = [(metric.name, digits) for start, digits in SHOWN.items() for metric in results.metrics if metric.name.startswith(start)]
    # the first method is the damaged picture
    methods = [method for method in results.scores[condition] if method != "damaged"]
    yield f"| {condition} | {' | '.join(metric for metric, _ in metrics)} |"
    yield "|---" * (len(metrics) + 1) + "|"
    columns = [column(results, condition, [methods[place] for place in places], metric, digits) for metric, digits in metrics]
    for name, *cells in zip(names, *columns, strict=True):
        yield f"| {name} | {' | '.join(cells)} |"


def column(results: Results, condition: str, methods: list[str], metric: str, digits: int) -> list[str]:
    """A cell for each method."""
    people = [case.person for case in results.cases]
    base, *others = (results.scores[condition][method][metric] for method in methods)
    worth = holm([sign_flip(values, base, people, seed=7) for values in others])
    cells = [f"{np.nanmean(base):.{digits}f}"]
    for values, p in zip(others, worth, strict=True):
        change = f"{np.nanmean(values - base):+.{digits}f}"
        cells.append(f"**{change}**" if p < ALIKE else change)
    return cells


if __name__ == "__main__":
    main()
