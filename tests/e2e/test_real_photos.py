"""Photographs of many kinds and centuries, where they are present: the faces that a person sees are found, nothing else is touched.

The folder is FACEWRIGHT_DATA/photos, else ../shared/data/photos beside the checkout; its manifest.csv says how many faces there are.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.testing import assert_array_equal

from facewright.faces.align import similarity
from facewright.faces.warp import invert, transform
from facewright.media import encode, read
from facewright.restore import Restoration, Restorer

PHOTOS = Path(os.environ.get("FACEWRIGHT_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data") / "photos"
SEEN: dict[str, int] = {}
if (PHOTOS / "manifest.csv").is_file():
    with (PHOTOS / "manifest.csv").open(newline="", encoding="utf-8") as file:
        SEEN = {row["file"]: int(row["faces"]) for row in csv.DictReader(file)}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not SEEN, reason="the photos are not here: set FACEWRIGHT_DATA"),
    pytest.mark.xdist_group("real photos"),  # they are restored once for all
]


@pytest.fixture(scope="module")
def restorations(tiny_model: Path) -> Iterator[dict[str, Restoration]]:
    """Each photo restored once, with one Restorer."""
    restorer = Restorer(model=str(tiny_model), batch=4)
    yield {name: next(iter(restorer.restore([PHOTOS / name]))) for name in SEEN}


def under_faces(shape: tuple[int, ...], restoration: Restoration) -> np.ndarray[Any, Any]:
    mask = np.zeros(shape[:2], np.uint8)
    for face in restoration.faces:
        if face.action != "left alone":
            corners = transform(invert(similarity(face.face.landmarks)), np.array([[0.0, 0], [511, 0], [511, 511], [0, 511]]))
            cv2.fillConvexPoly(mask, np.rint(corners).astype(np.int32), 1)
    return mask.astype(bool)


def test_faces_that_a_person_sees_are_found(restorations: dict[str, Restoration], record_testsuite_property: Any, capsys: Any) -> None:
    found = {name: len(restoration.faces) for name, restoration in restorations.items()}
    hits = sum(min(found[name], count) for name, count in SEEN.items())
    false = sum(max(0, found[name] - count) for name, count in SEEN.items())
    missed = {name: f"{found[name]} of {count}" for name, count in SEEN.items() if found[name] < count}
    extra = {name: f"{found[name]} for {count}" for name, count in SEEN.items() if found[name] > count}
    with capsys.disabled():
        print(f"\n    recall {hits} of {sum(SEEN.values())} faces in {len(SEEN)} photos, {false} false finds")
        print(f"    missed: {missed}\n    too many: {extra}")
    record_testsuite_property("recall", hits / sum(SEEN.values()))
    assert hits >= 0.85 * sum(SEEN.values())
    assert false <= 0.03 * sum(SEEN.values())


def test_nothing_beside_the_faces_changes(restorations: dict[str, Restoration]) -> None:
    for name, restoration in restorations.items():
        before, after = restoration.original.pixels, restoration.image
        assert (after.shape, after.dtype) == (before.shape, before.dtype), name
        beside = ~under_faces(before.shape, restoration)
        assert_array_equal(after[beside], before[beside], err_msg=name)


def test_restored_faces_are_others_and_each_has_its_reasons(restorations: dict[str, Restoration]) -> None:
    actions: dict[str, int] = {}
    for name, restoration in restorations.items():
        for face in restoration.faces:
            actions[face.action] = actions.get(face.action, 0) + 1
            assert face.reasons or face.action == "restored", name
            if face.action != "left alone":
                left, top, right, bottom = np.clip(face.face.box, 0, [*restoration.image.shape[1::-1]] * 2).astype(int)
                inside = np.s_[top:bottom, left:right]
                assert (restoration.image[inside] != restoration.original.pixels[inside]).mean() > 0.02, name
    assert actions["restored"] + actions.get("blended", 0) > 0.5 * sum(actions.values()), actions


def test_what_is_written_is_the_same_photo(restorations: dict[str, Restoration]) -> None:
    """Size, greyness, depth and transparency after a round through the photo's own format."""
    for name, restoration in restorations.items():
        origin = restoration.photo.origin
        written = read(encode(restoration.photo, format=origin.format))
        assert written.pixels.shape == restoration.image.shape and written.pixels.dtype == restoration.image.dtype, name
        assert (written.alpha is None) == (restoration.original.alpha is None), name
        assert written.origin.icc == origin.icc or "CMYK" in origin.mode, name


def test_no_seam_shows_along_the_masks_edge(restorations: dict[str, Restoration]) -> None:
    """Where the mask runs out the change has faded: to a few levels of 255, or in tiny faces to a small part of what it is inside."""
    for name, restoration in restorations.items():
        change = np.abs(luma(restoration.image) - luma(restoration.original.pixels))
        # closed: a face's inner pixels that happen to keep their level are no rim
        changed = cv2.morphologyEx((change > 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9)))
        rim = (cv2.dilate(changed, np.ones((3, 3))) - cv2.erode(changed, np.ones((3, 3)))).astype(bool)
        if rim.any():
            inside = float(np.percentile(change[changed.astype(bool)], 99))
            assert np.percentile(change[rim], 99) < max(4, 0.3 * inside), name


def luma(pixels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    scale = np.float32(255 / np.iinfo(pixels.dtype).max)
    grey = pixels.astype(np.float32) * scale
    return grey if grey.ndim == 2 else grey @ np.array([0.299, 0.587, 0.114], np.float32)
