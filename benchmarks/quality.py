"""The table of the README and of the model cards: what `facewright evaluate` says of a suite.

    python benchmarks/quality.py                                  # reporting: test-faces, all damages
    python benchmarks/quality.py --suite val-faces --model runs/a/export.safetensors runs/b/export.safetensors     # choosing
    python benchmarks/quality.py --suite fair-faces --out fair/   # by group, gender and age
    python benchmarks/quality.py --readme README.md --damage medium heavy old-photo    # writes the table between its marks

Damage is seeded, so every method sees the same pictures. Judges marked * are close to a loss that trained our models (dlib's embedding);
no loss saw the others. A run goes on where it was killed if --out names the same folder.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from facewright.evaluate import Choices, Evaluated, Evaluation
from facewright.evaluate.rivals import DEFAULT
from marks import write_between


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--suite", default="test-faces")
    parser.add_argument("--model", nargs="+", default=["gfpgan-mini"])
    parser.add_argument("--damage", nargs="+", default=[])
    parser.add_argument("--rival", nargs="+", default=list(DEFAULT))
    parser.add_argument("--data", type=Path)
    parser.add_argument("--limit", type=int, help="about so many faces, evenly spread")
    parser.add_argument("--out", type=Path, help="folder for the page, the tables and the numbers of every face")
    parser.add_argument("--readme", type=Path, help="put the table between its marks in this file")
    arguments = parser.parse_args()

    evaluation = Evaluation(
        Choices(
            suite=arguments.suite,
            models=tuple(arguments.model),
            damage=tuple(arguments.damage),
            rivals=tuple(arguments.rival),
            data=arguments.data,
            limit=arguments.limit,
        )
    )
    done = 0

    def advance(count: int) -> None:
        nonlocal done
        done += count
        if sys.stderr.isatty():
            print(f"\r{done} of {evaluation.amount}", end="", file=sys.stderr, flush=True)

    text = told(evaluation.run(arguments.out, advance))
    print(text)
    if arguments.readme:
        write_between(arguments.readme, "quality", text)


def told(done: Evaluated) -> str:
    """The table, with what it is a table of."""
    suite = done.choices.suite
    again = f"python benchmarks/quality.py --suite {suite}"
    again += f" --damage {' '.join(done.choices.damage)}" if done.choices.damage else ""
    again += f" --limit {done.choices.limit}" if done.choices.limit else ""
    head = (
        f"{len(done.results.cases)} faces of {done.results.people} people, {suite}, {done.source.facts['size']} px. Bold: the best method, "
        "and those not told apart from it (sign-flip test over people, Holm, p ≥ 0.05; distances between sets are not tested). Judges "
        f"marked * are close to a loss that trained our models, which they flatter. Made by `{again}`."
    )
    groups = by_group(done) if suite == "fair-faces" else ""
    return f"{head}\n\n{done.markdown}{groups}"


def by_group(done: Evaluated) -> str:
    """How each group is served by the first model: damaged -> restored."""
    shown = [metric for metric in done.results.metrics if metric.name.startswith(("psnr", "identity", "landmarks", "features"))]
    lines, column = [], ""
    for row in done.results.groups:
        if row.column != column:
            column = row.column
            lines += [
                "",
                f"| {column} | faces | damage | {' | '.join(metric.name for metric in shown)} |",
                "|---|---|---|" + "---|" * len(shown),
            ]
        before, after = row.numbers["damaged"], row.numbers[done.choices.models[0]]
        cells = [f"{metric.shown(before[metric.name])} → {metric.shown(after[metric.name])}" for metric in shown]
        lines.append(f"| {row.group} | {row.count} | {row.condition} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
