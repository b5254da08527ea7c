"""Where the default model stands: what it should reach against the damaged picture, on people it never saw, and what it does reach.

    python benchmarks/bars.py                                 # test-faces, the shipped model
    python benchmarks/bars.py --suite val-faces --model runs/a/export.safetensors --out measured/
    python benchmarks/bars.py --docs docs/default.md          # puts the table between its marks

A change of a judge counts where it is sure (sign-flip test over people, corrected for all pairs of methods); what is said of a whole set
has no such test. The milliseconds are the median of 30 faces through the network, one at a time, as `facewright restore` runs it.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import torch

from facewright.evaluate import Choices, Evaluated, Evaluation
from facewright.evaluate.results import ALIKE, Table
from facewright.restore.network import FaceNetwork
from facewright.weights import find, load_model
from marks import write_between

DAMAGE = ("none", "light", "medium", "heavy", "old-photo")
LIGHT_JUDGES = ("psnr", "ssim", "identity", "layers", "landmarks", "features", "rank1", "niqe", "kid")
Row = tuple[str, str, str, str, str, str]
"""Damage, judge, bar, damaged, restored, whether it is met."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="test-faces")
    parser.add_argument("--model", default="gfpgan-mini")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, help="about so many faces, evenly spread")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--docs", type=Path)
    given = parser.parse_args()
    choices = Choices(suite=given.suite, models=(given.model,), damage=DAMAGE, data=given.data, limit=given.limit, rivals=())
    done = Evaluation(choices).run(given.out)
    text = told(done, [*quality(done), *cost(given.model)])
    print(text)
    if given.docs:
        write_between(given.docs, "bars", text)


def told(done: Evaluated, rows: list[Row]) -> str:
    suite = done.choices.suite
    again = f"python benchmarks/bars.py --suite {suite}" + (f" --limit {done.choices.limit}" if done.choices.limit else "")
    head = f"{len(done.results.cases)} faces of {done.results.people} people, {suite}. Made by `{again}`."
    lines = [
        "| damage | judge | bar | damaged | restored | met |",
        "|---|---|---|---|---|---|",
        *(f"| {' | '.join(row)} |" for row in rows),
    ]
    return "\n".join([head, "", *lines]) + "\n"


class Level:
    """One damage: the damaged pictures' numbers beside the model's."""

    def __init__(self, done: Evaluated, table: Table) -> None:
        self.metrics = {metric.name: metric for metric in done.results.metrics}
        self.table, (self.model,) = table, done.choices.models
        self.condition = table.condition

    def names(self, *starts: str) -> list[str]:
        return [name for name in self.metrics if name.startswith(starts)]

    def row(self, name: str, bar: str, met: Callable[[float, float, float | None], bool]) -> Row:
        """met: of the damaged number, the restored one, and p where it is known."""
        before, after = (self.table.numbers[method][name].mean for method in ("damaged", self.model))
        p = self.table.p.get(name, {}).get(("damaged", self.model))
        shown = self.metrics[name].shown
        change = f" ({100 * (after / before - 1):+.0f} %)" if self.metrics[name].better == "lower" and before > 0 else ""
        return self.condition, name, bar, shown(before), shown(after) + change, "yes" if met(before, after, p) else "no"

    def worse(self, name: str) -> bool:
        """Worse for sure; of a whole set, worse by more than a twentieth."""
        before, after = (self.metrics[name].worse_first(self.table.numbers[method][name].mean) for method in ("damaged", self.model))
        p = self.table.p.get(name, {}).get(("damaged", self.model))
        return after < before - 0.05 * abs(before) if p is None else after < before and p < ALIKE


def quality(done: Evaluated) -> list[Row]:
    levels = {table.condition: Level(done, table) for table in done.results.tables}
    rows = [levels["none"].row("psnr[rgb]", "at least 38 dB", lambda _, after, __: after >= 38)]
    light = levels["light"]
    rows += [light.row(name, "not worse", lambda *_, name=name: not light.worse(name)) for name in light.names(*LIGHT_JUDGES)]
    for condition, identity, layers in (("medium", 0.15, 0.2), ("heavy", 0.25, 0.3)):
        level = levels[condition]
        rows += [less(level, name, identity) for name in level.names("identity")]
        rows += [less(level, "layers[dlib]", layers), less(level, "kid[dlib]", 0.5)]
    rows += [
        levels["heavy"].row(name, "up for sure", lambda before, after, p: after > before and p is not None and p < ALIKE)
        for name in levels["heavy"].names("rank1")
    ]
    for condition in DAMAGE[1:]:
        level = levels[condition]
        rows.append(level.row("psnr[rgb]", "at most 0.3 dB below", lambda before, after, _: after >= before - 0.3))
        rows.append(level.row("sharpness[ratio]", "0.8 to 1.2", lambda _, after, __: 0.8 <= after <= 1.2))
    return rows


def less(level: Level, name: str, part: float) -> Row:
    return level.row(name, f"at least {100 * part:.0f} % less", lambda before, after, _: after <= (1 - part) * before)


def cost(model: str) -> list[Row]:
    size, spent = find(model).stat().st_size / 1e6, milliseconds(model)
    return [
        ("", "size of the file", "at most 16 MB", "", f"{size:.1f} MB", "yes" if size <= 16 else "no"),
        ("", "a face, two threads", "at most 60 ms", "", f"{spent:.0f} ms", "yes" if spent <= 60 else "no"),
    ]


def milliseconds(model: str, runs: int = 30) -> float:
    torch.set_num_threads(2)
    network = FaceNetwork(load_model(model), torch.device("cpu"), "auto", seed=0)
    face, spent = torch.zeros(1, 3, network.size, network.size), []
    for _ in range(runs):
        began = time.perf_counter()
        network(face)
        spent.append(time.perf_counter() - began)
    return 1000 * statistics.median(spent)


if __name__ == "__main__":
    main()
