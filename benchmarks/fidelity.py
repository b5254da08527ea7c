"""What `--fidelity auto` is worth: a w for each face beside every single w for all, on validation faces, by damage.

    python benchmarks/fidelity.py                                               # gfpgan-mini
    python benchmarks/fidelity.py --model runs/a/export.safetensors --out eval/ # the curve, too: eval/index.html, eval/results.jsonl
    python benchmarks/fidelity.py --docs docs/restore.md                        # writes the tables between their marks

The loss is that of `evaluate.calibration`: the mean of four distances from the true face, two of identity and two of quality, each divided
by its spread. "auto" was learned on one half of the people and measured on the other, both ways round; "auto, shipped" is what the program
does, whose few numbers saw all of them. A run goes on where it was killed if --out names the same folder.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from facewright.evaluate import Evaluation
from facewright.evaluate.calibration import choices, compared, curves, shown
from marks import write_between


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", nargs="+", default=["gfpgan-mini"])
    parser.add_argument("--sweep", default="w=0:1:0.25")
    parser.add_argument("--limit", type=int, help="about so many faces, evenly spread")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the page, the tables and the numbers of every face; one in it for each model")
    parser.add_argument("--docs", type=Path, help="put the tables between their marks in this file")
    given = parser.parse_args()
    text = ""
    for model in given.model:
        out = given.out / Path(model).stem if given.out else None
        text += section(model, given.sweep, given.limit, given.data, out)
    print(text)
    if given.docs:
        write_between(given.docs, "fidelity", text)


def section(model: str, sweep: str, limit: int | None, data: Path | None, out: Path | None) -> str:
    done = Evaluation(choices(model, sweep=sweep, limit=limit, data=data)).run(out)
    found = curves(done)
    worth = compared(found, done.choices.seed)
    again = f"python benchmarks/fidelity.py --model {Path(model).stem} --sweep {sweep}" + (f" --limit {limit}" if limit else "")
    faces = f"{len(done.results.cases)} faces of {done.results.people} people, val-faces, {done.source.facts['size']} px"
    return (
        f"\n{Path(model).stem}: {faces}. Mean loss, less is better. Made by `{again}`.\n\n{worth.markdown}\n"
        f"Against the best single w, {worth.fixed:g} for all: auto {shown(worth.crossed)}, auto as shipped {shown(worth.shipped)}.\n\n"
        f"Along w:\n\n{done.swept}"
    )


if __name__ == "__main__":
    main()
