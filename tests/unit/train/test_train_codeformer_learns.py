"""That the stages of `codeformer` learn what they are for, on real faces of 32 pixels.

The faces are in FACEWRIGHT_DATA/faces, else ../shared/data/faces beside the checkout.
"""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from shutil import copyfile
from typing import Any

import pytest
from codeformer_runs import all_stages
from fake_faces import write_manifest

FACES = Path(os.environ.get("FACEWRIGHT_DATA") or Path(__file__).resolve().parents[4] / "shared" / "data") / "faces"
COUNTS = {"train": 64, "val": 12}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (FACES / "manifest.csv").is_file(), reason=f"no faces in {FACES} (FACEWRIGHT_DATA names another place)"),
    pytest.mark.xdist_group("codeformer learns"),  # the stages are run once for all
]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three stages, on a few of the faces."""
    folder, chosen = tmp_path_factory.mktemp("faces"), []
    with (FACES / "manifest.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    for split, count in COUNTS.items():
        chosen += [row for row in rows if (row["use"], row["split"]) == ("train-ok", split)][:count]
    for row in chosen:
        copyfile(FACES / row["file"], folder / row["file"])
    write_manifest(folder, chosen, list(rows[0]))
    into = tmp_path_factory.mktemp("run")
    given = ["run.log_every=5", "run.sample_every=0", "run.checkpoint_every=0", "recipe.shares={}", "recipe.validation_faces=6"]
    given += ["recipe.perceptual=none", "recipe.weights.adversarial=0", "recipe.weights.pixel=4", "recipe.damage={light: 1}", "run.batch=4"]
    first = ["recipe.codes_from=15", "recipe.revive_every=15", "run.steps=60", "run.validate_every=30"]
    all_stages(folder, into, *given, *first, stage="vqgan")
    all_stages(folder, into, *given, "run.steps=90", "run.validate_every=30", "run.batch=8", stage="transformer")
    last = ["recipe.large_from=100000", "recipe.large_mixed_from=100000", "run.steps=30", "run.validate_every=10"]
    all_stages(folder, into, *given, *last, stage="fuse")
    return into


def course(folder: Path, name: str) -> list[float]:
    log: list[dict[str, Any]] = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line[name] for line in log if name in line]


def test_the_autoencoder_paints_more_and_more_faithfully(run: Path) -> None:
    pixel, psnr = (course(run / "vqgan", name) for name in ("generator/pixel", "val/none/psnr"))
    assert sum(pixel[-3:]) / 3 < 0.75 * pixel[0] and psnr[-1] > psnr[0] + 0.5
    assert course(run / "vqgan", "generator/perplexity")[-1] > 4


def test_more_and_more_codes_are_right(run: Path) -> None:
    learned, unseen = (course(run / "transformer", name) for name in ("generator/right_codes", "val/medium/right_codes"))
    assert sum(learned[-3:]) / 3 > learned[0] + 0.3
    assert unseen == sorted(unseen) and unseen[-1] > unseen[0] + 0.1


def test_what_is_let_in_brings_faces_nearer(run: Path) -> None:
    for damage in ("light", "heavy", "none"):
        psnr = course(run / "fuse", f"val/{damage}/psnr")
        assert psnr[-1] > psnr[0] + 0.8
        assert psnr[-1] > course(run / "transformer", f"val/{damage}/psnr")[-1]  # codes alone cannot do it
