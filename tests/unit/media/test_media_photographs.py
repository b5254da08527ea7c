"""The project's real photographs, where they are present."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from facewright.media import encode, read

DATA = Path(os.environ.get("FACEWRIGHT_DATA") or Path(__file__).parents[4] / "shared" / "data") / "photos"
NAMES = [row["file"] for row in csv.DictReader((DATA / "manifest.csv").open(encoding="utf-8"))] if (DATA / "manifest.csv").is_file() else []


@pytest.mark.skipif(not NAMES, reason=f"no photographs in {DATA} (FACEWRIGHT_DATA names another place)")
@pytest.mark.parametrize("name", NAMES or ["none"])
def test_photograph_is_read_upright_and_written_back_alike(name: str) -> None:
    photo = read(DATA / name)
    with Image.open(DATA / name) as image:
        mode, size, stored_exif = image.mode, image.size, image.getexif().get(0x0112, 1)
    turned = stored_exif >= 5
    assert (photo.width, photo.height) == (size[::-1] if turned else size)
    wide = name.startswith(("gray16", "rgb16"))
    assert photo.pixels.dtype == (np.uint16 if wide else np.uint8)
    assert photo.origin.bits == (16 if wide else 8)
    if wide:
        assert len(np.unique(photo.pixels)) > 256, "all 16 bits are there"
    assert photo.is_grey == (mode in ("L", "I;16"))
    assert (photo.alpha is not None) == name.startswith("alpha")
    assert photo.origin.orientation == {"exif3": 3, "exif6": 6}.get(name[:5], 1)
    assert (photo.origin.icc is not None) == name.startswith("icc")
    assert any(note.startswith("CMYK") for note in photo.origin.notes) == name.startswith("cmyk")
    assert photo.origin.jpeg is None or photo.origin.jpeg.progressive == name.startswith("progressive")

    again = read(encode(photo, format=photo.origin.format))
    assert again.pixels.shape == photo.pixels.shape and again.pixels.dtype == photo.pixels.dtype
    assert (again.origin.orientation, again.origin.icc) == (1, photo.origin.icc)
    if photo.origin.format == "PNG":
        assert_array_equal(again.pixels, photo.pixels)
    else:
        assert again.origin.jpeg == photo.origin.jpeg or name.startswith("cmyk")
        assert np.abs(again.pixels.astype(int) - photo.pixels).mean() < 2.5
