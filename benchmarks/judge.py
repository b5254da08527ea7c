"""Where the judge's limits come from: identity drift and sharpness of restored validation faces, by strength of damage.

    python benchmarks/judge.py

Prints, for each damage: percentiles of the identity distance between the damaged and the restored face (what a user sees), how often a
warning is raised, how often the restored face really is further from the truth than the judge's limit, and which faces the rule
"already sharper" would leave alone.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from facewright.data import AlignedFaces, read_manifest
from facewright.degrade import preset
from facewright.faces.identity import SAME_PERSON
from facewright.media import Origin, Photo
from facewright.restore import Restorer, judge


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--model", default="gfpgan-mini")
    parser.add_argument("--limit", type=int, default=96)
    arguments = parser.parse_args()

    rows = read_manifest(arguments.data, lambda row: row.split == "val" and row.stored_width >= 256)
    rows = rows[:: max(1, len(rows) // arguments.limit)]
    faces = AlignedFaces(rows, 256)
    rows, truth = faces.rows, faces.stacked().astype(np.float32) / np.float32(255)
    restorer = Restorer(model=arguments.model, aligned=True)
    print(f"{len(rows)} validation faces\n")
    print("| damage | drift 50 % | 90 % | 95 % | 99 % | warned | truly beyond the limit | left alone as sharper |\n|" + "---|" * 8)
    for level in ("none", "light", "medium", "heavy"):
        drift, apart, left = [], [], 0
        for index, clean in enumerate(truth):
            damaged = clean if level == "none" else preset(level).scaled(256)(clean, np.random.default_rng([7, index]))[0]
            job = restorer.prepare(Photo(np.rint(damaged * 255).astype(np.uint8), None, Origin()))
            restorer.run([job])
            face = job.faces[0]
            left += face.action == "left alone"
            assert face.crop is not None and face.restored is not None
            drift.append(restorer.distance(face.crop, face.restored))
            apart.append(restorer.distance(clean, face.restored))
        shown = [f"{np.percentile(drift, part):.3f}" for part in (50, 90, 95, 99)]
        warned = f"{np.mean(np.array(drift) >= judge.IDENTITY_WARNING):.0%}"
        print(
            f"| {level} | " + " | ".join(shown) + f" | {warned} | {np.mean(np.array(apart) >= SAME_PERSON):.0%} | {left} of {len(truth)} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
