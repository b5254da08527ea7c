"""How far the judges can be trusted: three measurements on faces that nobody trained on.

    python benchmarks/judge.py               where the limits of `restore.judge` come from
    python benchmarks/judge.py separation    how well dlib's embedding, our own and local binary patterns tell people apart
    python benchmarks/judge.py ordering      whether kid[dlib] and fid[dlib] order damage as people do

limits prints, for each damage: percentiles of the identity distance between the damaged and the restored face (what a user sees), how
often a warning is raised, how often the restored face really is further from the truth than the judge's limit, and which faces the rule
"already sharper" would leave alone.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from facewright.data import AlignedFaces, FaceRow, read_manifest
from facewright.degrade import preset, steps
from facewright.evaluate import damages
from facewright.evaluate.distances import gaussian_distance, kernel_distance
from facewright.evaluate.ordering import ordering
from facewright.evaluate.separation import all_distances, embedded, separated
from facewright.evaluate.source import Image
from facewright.faces.identity import SAME_PERSON, Identity
from facewright.media import Origin, Photo
from facewright.metrics import lbp
from facewright.nets.mobilefacenet import MobileFaceNet
from facewright.restore import Restorer, judge
from facewright.weights import load_model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("what", nargs="?", default="limits", choices=("limits", "separation", "ordering"))
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--split", default="val", choices=("val", "test", "fair"))
    parser.add_argument("--model", default="gfpgan-mini")
    parser.add_argument("--limit", type=int, help="this many faces, evenly spread [limits: 96]")
    arguments = parser.parse_args()

    rows = read_manifest(arguments.data, lambda row: row.split == arguments.split and row.stored_width >= 256)
    limit = arguments.limit or (96 if arguments.what == "limits" else None)
    rows = rows[:: max(1, len(rows) // limit)][:limit] if limit else rows
    faces = AlignedFaces(rows, 256)
    print(f"{len(faces)} faces of {len({row.person for row in faces.rows})} people, split {arguments.split}\n")
    {"limits": limits, "separation": apart, "ordering": ordered}[arguments.what](faces.stacked(), list(faces.rows), arguments.model)


def limits(pictures: NDArray[np.uint8], rows: list[FaceRow], model: str) -> None:
    truth = pictures.astype(np.float32) / np.float32(255)
    restorer = Restorer(model=model, aligned=True)
    print("| damage | drift 50 % | 90 % | 95 % | 99 % | warned | truly beyond the limit | left alone as sharper |\n|" + "---|" * 8)
    for level in ("none", "light", "medium", "heavy"):
        drift, beyond, left = [], [], 0
        for index, clean in enumerate(truth):
            damaged = clean if level == "none" else preset(level).scaled(256)(clean, np.random.default_rng([7, index]))[0]
            job = restorer.prepare(Photo(steps.eight_bits(damaged), None, Origin()))
            restorer.run([job])
            face = job.faces[0]
            left += face.action == "left alone"
            assert face.crop is not None and face.restored is not None
            drift.append(restorer.distance(face.crop, face.restored))
            beyond.append(restorer.distance(clean, face.restored))
        shown = [f"{np.percentile(drift, part):.3f}" for part in (50, 90, 95, 99)]
        warned = f"{np.mean(np.array(drift) >= judge.IDENTITY_WARNING):.0%}"
        print(
            f"| {level} | "
            + " | ".join(shown)
            + f" | {warned} | {np.mean(np.array(beyond) >= SAME_PERSON):.0%} | {left} of {len(truth)} |",
            flush=True,
        )


def apart(pictures: NDArray[np.uint8], rows: list[FaceRow], model: str) -> None:
    people = [row.person for row in rows]
    mini = load_model("identity-mini").net
    assert isinstance(mini, MobileFaceNet)
    judges: dict[str, Eye] = {
        "dlib": Eye(lambda found: embedded(found, Identity.load().embed), all_distances),
        "mini": Eye(lambda found: embedded(found, mini.people), all_distances),
        "lbp": Eye(lambda found: np.stack([lbp.describe(each) for each in found]), lbp.chi_square),
    }
    clean = {name: judge.describe(pictures) for name, judge in judges.items()}
    found = {name: separated(judge.distances(clean[name], clean[name]), people) for name, judge in judges.items()}

    rows_told: dict[str, list[str]] = {}
    for part in (0, 5, 50, 95, 100):
        name = {0: "closest", 50: "median", 100: "furthest"}.get(part, f"{part} % lie closer than")
        rows_told[name] = [f"{np.percentile(each.same, part):.3f} / {np.percentile(each.different, part):.3f}" for each in found.values()]
    rows_told["area under the ROC"] = [f"{each.auc:.5f}" for each in found.values()]
    rows_told["equal error rate (at)"] = ["{:.2%} ({:.3f})".format(*each.equal_error) for each in found.values()]
    rows_told["overlap, of all pairs"] = [f"{each.overlap:.2%}" for each in found.values()]
    for rate in (0.001, 0.01, 0.1):
        rows_told[f"true acceptances at {rate:.1%} false ones"] = [f"{each.roc((rate,))[0][1]:.1%}" for each in found.values()]
    for name in ("light", "medium", "heavy", "x8", "x16", "old-photo", "old-photo+heavy"):
        damaged = _damaged(pictures, name)
        seen = {each: judge.describe(damaged) for each, judge in judges.items()}
        nearest = {each: judge.distances(seen[each], clean[each]).argmin(1) for each, judge in judges.items()}
        rows_told[f"rank-1, {name}"] = [f"{(each == np.arange(len(pictures))).mean():.1%}" for each in nearest.values()]

    any_judge = found["dlib"]
    print(f"{len(any_judge.same):,} pairs of one person, {len(any_judge.different):,} of two; distances: same / different\n")
    print("| | " + " | ".join(judges) + " |\n|---|" + "---|" * len(judges))
    for name, told in rows_told.items():
        print(f"| {name} | " + " | ".join(told) + " |")
    refused, taken = any_judge.refused(SAME_PERSON), any_judge.taken(SAME_PERSON)
    print(f"\nat {SAME_PERSON:g}, dlib's own limit: {refused:.1%} of the same are refused, {taken:.2%} of the different are taken")


@dataclass(frozen=True)
class Eye:
    """describe: N x S x S x 3 to N x D; distances: of N x D to M x D, N x M."""

    describe: Callable[[NDArray[np.uint8]], NDArray[np.float32]]
    distances: Callable[[NDArray[np.float32], NDArray[np.float32]], NDArray[np.float64]]


def _damaged(pictures: NDArray[np.uint8], name: str) -> NDArray[np.uint8]:
    damage, clean = damages.named(name, pictures.shape[1]), pictures.astype(np.float32) / np.float32(255)
    return np.stack([steps.eight_bits(damage(each, np.random.default_rng([7, index])).picture) for index, each in enumerate(clean)])


def ordered(pictures: NDArray[np.uint8], rows: list[FaceRow], model: str) -> None:
    identity = Identity.load()
    names = [row.name for row in rows]

    def vectors(images: list[Image]) -> NDArray[np.float32]:
        return embedded(np.stack([steps.eight_bits(image) for image in images]), identity.embed)

    metrics = {
        "kid[dlib]": lambda x, y: 1000 * kernel_distance(lambda: zip(names, x, strict=True), lambda: zip(names, y, strict=True))[0],
        "fid[dlib]": lambda x, y: gaussian_distance(lambda: zip(names, x, strict=True), lambda: zip(names, y, strict=True))[0],
    }
    print("| damage | metric | strengths | numbers | rises |\n|---|---|---|---|---|")
    for order in ordering(pictures, names, vectors, metrics):
        digits = 1 if order.metric.startswith("kid") else 4
        told = ", ".join(f"{number:.{digits}f}" for number in order.numbers)
        strengths = ", ".join(f"{each:g}" for each in order.strengths)
        print(f"| {order.kind} | {order.metric} | {strengths} | {told} | {'yes' if order.rises else 'NO'} |")


if __name__ == "__main__":
    main()
