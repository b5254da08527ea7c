"""Which pixels are holes: by a file, by a folder of files, by white strokes; and everything that a mask can be wrong in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from PIL import Image

from facewright.errors import InputError
from facewright.media import Origin, Photo, read
from facewright.restore.masks import Masks, white

HOLES = np.zeros((20, 30), bool)
HOLES[5:9, 3:20] = True
PHOTO = np.full((20, 30, 3), 90, np.uint8)


def photo(path: Path | None = None) -> Photo:
    return Photo(PHOTO, None, Origin(path=path))


def saved(path: Path, picture: Image.Image | None = None) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    (picture or Image.fromarray(np.where(HOLES, 255, 0).astype(np.uint8))).save(path)
    return path


@pytest.mark.parametrize("kind", ["L", "1", "RGB", "P", "I;16", "LA", "RGBA", "CMYK"])
def test_a_mask_of_any_kind(tmp_path: Path, kind: str) -> None:
    grey = Image.fromarray(np.where(HOLES, 255, 0).astype(np.uint8))
    picture = Image.fromarray(np.where(HOLES, 65535, 0).astype(np.uint16)) if kind == "I;16" else grey.convert(kind)
    path = saved(tmp_path / ("mask.tif" if kind == "CMYK" else "mask.png"), picture)
    assert_array_equal(Masks(path)(photo()), HOLES)


@pytest.mark.parametrize("paint", [0, 120, 255])
def test_strokes_on_a_clear_layer_count_whatever_they_were_painted_with(tmp_path: Path, paint: int) -> None:
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[..., :3] = 33
    layer[HOLES] = (paint, paint, paint, 255)
    assert_array_equal(Masks(saved(tmp_path / "mask.png", Image.fromarray(layer)))(photo()), HOLES)


def test_a_layer_in_black_and_white_counts_where_it_is_white(tmp_path: Path) -> None:
    layer = np.zeros((20, 30, 4), np.uint8)
    layer[HOLES] = 255
    layer[0, 0] = (0, 0, 0, 255)
    assert_array_equal(Masks(saved(tmp_path / "mask.png", Image.fromarray(layer)))(photo()), HOLES)


def test_half_of_white_is_white(tmp_path: Path) -> None:
    ramp = np.repeat(np.arange(20, dtype=np.uint8)[:, None] + 118, 30, axis=1)
    assert_array_equal(Masks(saved(tmp_path / "m.png", Image.fromarray(ramp)))(photo()), ramp >= 128)


def test_pure_white_of_the_photo() -> None:
    for depth in (np.uint8, np.uint16):
        full = np.iinfo(depth).max
        pixels = np.full((20, 30, 3), full - 1, depth)
        pixels[HOLES] = full
        pixels[0, 0, :2] = full
        assert_array_equal(white(Photo(pixels, None, Origin())), HOLES)
        assert_array_equal(white(Photo(pixels[..., 2], None, Origin())), HOLES)


def test_a_mask_is_turned_upright_as_photos_are(tmp_path: Path) -> None:
    picture = Image.fromarray(np.where(HOLES, 255, 0).astype(np.uint8)).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "m.png", exif=exif)
    assert_array_equal(Masks(tmp_path / "m.png")(photo()), HOLES)


# Folders --------------------------------------------------------------------------------------------------------------------------------


def test_masks_are_found_by_name_the_longest_path_first(tmp_path: Path) -> None:
    folder = tmp_path / "masks"
    for name in ("a.png", "1950/a.png", "b-mask.png", "c.jpg", "c.png"):
        saved(folder / name)
    masks = Masks(folder)
    found = {
        name: masks.of(photo(tmp_path / "album" / name)).relative_to(folder).as_posix()
        for name in ("a.jpg", "1950/a.jpg", "1960/a.tif", "b.jpg", "c.png", "c.jpg")
    }
    assert found == {
        "a.jpg": "a.png",
        "1950/a.jpg": "1950/a.png",
        "1960/a.tif": "a.png",
        "b.jpg": "b-mask.png",
        "c.png": "c.png",
        "c.jpg": "c.jpg",
    }
    assert masks.holds(folder / "1950" / "a.png") and not masks.holds(tmp_path / "album" / "a.jpg")
    assert len(masks.facts) == 5


def test_a_photo_without_a_mask_or_with_two(tmp_path: Path) -> None:
    saved(tmp_path / "masks" / "c.jpg")
    saved(tmp_path / "masks" / "c.png")
    masks = Masks(tmp_path / "masks")
    with pytest.raises(InputError, match=r"there is no mask for .*x\.jpg: .*masks holds none of its name") as caught:
        masks(photo(tmp_path / "x.jpg"))
    assert caught.value.what_to_do == "put a x.png there"
    with pytest.raises(InputError, match=r"cannot choose a mask for .*c\.tif: c\.jpg and c\.png could be meant"):
        masks(photo(tmp_path / "c.tif"))
    with pytest.raises(InputError, match="a photo from standard input has no name"):
        masks(photo())


def test_a_mask_painted_anew_makes_another_journal(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png")
    before = Masks(path).facts
    saved(path, Image.new("L", (30, 20), 255))
    assert Masks(path).facts != before


# What is wrong with it ------------------------------------------------------------------------------------------------------------------


def test_another_size_is_never_resized(tmp_path: Path) -> None:
    path = saved(tmp_path / "m.png", Image.new("L", (60, 40)))
    with pytest.raises(InputError, match=r"cannot use the mask .*m\.png: it is 60 x 40, the photo is 30 x 20") as caught:
        Masks(path)(photo())
    assert caught.value.what_to_do.startswith("save it at the photo's size")
    with pytest.raises(InputError, match="it is 20 x 30, the photo is 30 x 20, it lies on its side"):
        Masks(saved(tmp_path / "side.png", Image.new("L", (20, 30))))(photo())


@pytest.mark.parametrize("content", [b"", b"no picture at all, only words", b"\x89PNG\r\n\x1a\n cut"])
def test_a_mask_that_cannot_be_read(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"cannot read the mask .*m\.png: "):
        Masks(path)(photo())


def test_a_mask_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot read the mask .*: there is no such file or folder"):
        Masks(tmp_path / "m.png")


def test_the_last_mask_is_kept_and_no_other(tmp_path: Path) -> None:
    masks = Masks(saved(tmp_path / "m.png"))
    assert masks(photo()) is masks(photo())
    assert_array_equal(read(tmp_path / "m.png").pixels > 0, masks(photo()))
