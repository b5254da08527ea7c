"""From real photographs to a training run: aligned, checked, marked, packed, and accepted by a recipe, where the photographs are present.

The folder is FACEWRIGHT_DATA/photos, else ../shared/data/photos beside the checkout.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from facewright.cli import dataset
from facewright.data import open_faces, read_manifest
from facewright.data.components import boxes
from facewright.data.landmarks import component_table
from facewright.faces import TEMPLATE
from facewright.train.run import train

PHOTOS = Path(os.environ.get("FACEWRIGHT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "photos"
SHOWN = {"alpha_bearded_man.png": 1, "cmyk_portrait.jpg": 1, "exif6_glasses_man.jpg": 1, "couple_1855.jpg": 2, "gray16_girls_1860.png": 3}
"""Photos and the faces of at least 100 pixels in them: an alpha channel, CMYK, a turned one, an old print, 16 bits."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (PHOTOS / "couple_1855.jpg").is_file(), reason="the photos are not here: set FACEWRIGHT_DATA"),
]


def ran(*words: str | Path) -> str:
    return CliRunner().invoke(dataset.app, list(map(str, words)), catch_exceptions=False).stdout


@pytest.fixture(scope="module")
def crops(tmp_path_factory: pytest.TempPathFactory) -> Path:
    album = tmp_path_factory.mktemp("album")
    for name in (*SHOWN, "desk_noface.jpg", "girls_1860.jpg"):
        shutil.copy(PHOTOS / name, album / name)
    out = album / "crops"
    told = json.loads(ran("align", album, "-o", out, "--min-face", "100", "--size", "256", "--json"))
    assert told["photos"] == 7 and told["without_face"] == ["desk_noface.jpg"]
    assert {each["photo"] for each in told["repeated"]} == {"gray16_girls_1860.png"}  # the same photograph as girls_1860.jpg, smaller
    return out


def test_every_face_that_a_person_sees_is_a_crop(crops: Path) -> None:
    rows = read_manifest(crops)
    found = {name: sum(row.columns["photo"] == name for row in rows) for name in (*SHOWN, "girls_1860.jpg")}
    assert found == {**SHOWN, "gray16_girls_1860.png": 0, "girls_1860.jpg": 3}
    assert all(row.grey == (row.columns["photo"] in ("couple_1855.jpg", "girls_1860.jpg")) for row in rows)
    assert {row.split for row in rows} == {"train", "val", "test"}
    assert ran("check", crops) == "8 of 8 pictures are good\n"


def test_landmarks_found_in_the_crops_are_those_that_cut_them(crops: Path) -> None:
    ran("landmarks", crops, "-q")
    faces = open_faces(crops, 512)
    by_hand = np.stack([np.asarray(faces.landmarks(index)) for index in range(len(faces))])
    again = component_table(faces)
    (crops / "landmarks.json").rename(crops / "landmarks.kept")
    manifest = component_table(faces)
    assert np.abs(by_hand - TEMPLATE).mean() < 15
    assert np.abs(again - manifest).max() < 16 and np.abs(again - manifest).mean() < 4
    assert boxes(again).min() > 0 and boxes(again).max() < 512


@pytest.mark.parametrize("form", ["folder", "shards"])
def test_a_recipe_trains_on_it(crops: Path, tmp_path: Path, form: str) -> None:
    source = crops
    if form == "shards":
        source = tmp_path / "shards"
        ran("shards", crops, "-o", source)
    chosen = [
        f"recipe.data={source}",
        "run.device=cpu",
        "run.steps=3",
        "run.validate_every=3",
        "run.sample_every=0",
        "run.checkpoint_every=0",
    ]
    losses: list[dict[str, float]] = []
    exported = train("gfpgan", "tiny", [*chosen, "run.log_every=1"], tmp_path / "run", lambda step, numbers: losses.append(numbers))
    assert exported.is_file() and np.isfinite([value for numbers in losses for value in numbers.values()]).all()
    assert any("component" in name or "left_eye" in name for numbers in losses for name in numbers)
