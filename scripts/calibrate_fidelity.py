"""Finds which w suits which damage for one model, and writes it into src/facewright/restore/fidelity.yaml.

    python scripts/calibrate_fidelity.py --model gfpgan-mini
    python scripts/calibrate_fidelity.py --model runs/codeformer/export.safetensors --name codeformer-mini --kind
    python scripts/calibrate_fidelity.py --model gfpgan-mini --weights       # the index of damage anew; needs no other model's rule

Measured on validation faces under `evaluate.calibration.DAMAGE`, along `--sweep`; what "better" means is said there. It prints what a rule
learned on one half of the people is worth on the other half, beside the best single w, and writes the rule of all of them. Where a w for
each face is not better than one w for all (95 % interval over people), that one w is written.

40 faces, five damages, five w and auto are 1,200 restorations: about three minutes of one core where the network takes no w (it is asked
once a face), one network pass more for each w where it does. With --out a killed run goes on.
"""

from __future__ import annotations

import argparse
from importlib.resources import files
from pathlib import Path

import numpy as np
import torch
import yaml

from facewright.evaluate import Evaluation
from facewright.evaluate.calibration import Curves, choices, compared, curves, fit, indices, shown, weigh
from facewright.restore.fidelity import FILE, Rule, Weights, table

HEAD = """\
# Which w suits which damage: read by restore/fidelity.py, written by scripts/calibrate_fidelity.py from validation faces.
# parts: the median of clean faces, and the weight in the index of damage. rules: w at some indices, and what they were measured on;
# kinds: whose rule serves the networks of a kind that have none of their own.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", required=True, help="a name of `facewright models list`, or a weight file")
    parser.add_argument("--name", help="under which the rule is kept [the model's own]")
    parser.add_argument("--kind", action="store_true", help="the rule also serves networks of this kind that have none of their own")
    parser.add_argument("--weights", action="store_true", help="also weigh the parts of the index anew")
    parser.add_argument("--limit", type=int, default=40, help="faces")
    parser.add_argument("--sweep", default="w=0:1:0.25")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--out", type=Path, help="folder for the evaluation; a killed run goes on there")
    parser.add_argument("--dry", action="store_true", help="write nothing")
    given = parser.parse_args()
    torch.set_num_threads(1)

    asked = choices(given.model, limit=given.limit, sweep=given.sweep, data=given.data, seed=given.seed, device="cpu")
    found = curves(Evaluation(asked).run(given.out))
    weights = weigh(found) if given.weights else table().weights
    rule = fit(found, weights)
    index = indices(found, weights)
    print(f"{len(found.people)} damaged faces of {len(set(found.people))} people; a network of the kind {found.kind}\n{rule}\n{weights}")
    print(f"correlation of the index with the true distance: {np.corrcoef(index, found.distance)[0, 1]:.2f}; by damage 5, 50, 95 %:")
    for condition in dict.fromkeys(found.conditions):
        told = np.percentile(index[np.array(found.conditions) == condition], [5, 50, 95])
        print(f"    {condition}: {', '.join(f'{each:.2f}' for each in told)}")
    worth = compared(found, given.seed)
    print(f"\n{worth.markdown}\nauto, learned on the other half of the people, less the best w for all: {shown(worth.crossed)}")
    if not worth.crossed.high < 0:
        rule = Rule((0.0,), (round(worth.fixed, 2),))
        print(f"\na w for each face is not better for sure: w {rule.w[0]:g} for all")
    if not given.dry:
        name = given.name or Path(given.model).stem
        write(name, rule, weights, found, shown(worth.crossed), given.kind)
        print(f"\nwritten: {name} in {FILE}")


def write(name: str, rule: Rule, weights: Weights, found: Curves, gain: str, kind: bool) -> None:
    path = Path(str(files("facewright") / "restore" / FILE))
    known = yaml.safe_load(path.read_text(encoding="utf-8"))
    known["parts"] = {"clean": weights.clean._asdict(), "weight": weights.weight._asdict()}
    measured = f"{len(found.people)} damaged faces of {len(set(found.people))} people; against one w for all {gain}"
    known["rules"][name] = {"damage": list(rule.damage), "w": list(rule.w), "measured": measured}
    if kind:
        known["kinds"][found.kind] = name
    path.write_text(HEAD + yaml.safe_dump(known, sort_keys=False, width=140, default_flow_style=None), encoding="utf-8")


if __name__ == "__main__":
    main()
