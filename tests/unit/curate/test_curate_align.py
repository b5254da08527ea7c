"""From photos to crops and a manifest: who is who, what is left out, and a run that was ended."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import pytest
from made_up import POINTS, Detector, Identity, photo
from PIL import Image

from facewright.curate.album import Aligned, AlignSettings, align_photos
from facewright.curate.photos import find_photos
from facewright.data import open_faces, read_manifest
from facewright.data.landmarks import component_table
from facewright.errors import InputError, OutputError, UsageError
from facewright.faces import TEMPLATE, similarity

SETTINGS = AlignSettings(size=256, min_face=64)


def aligned(album: Path, out: Path, settings: AlignSettings = SETTINGS, detector: Detector | None = None) -> Aligned:
    return align_photos(find_photos([album], leave_out=out), out, settings, detector or Detector(), Identity())  # type: ignore[arg-type]


def rows_of(out: Path) -> dict[str, dict[str, str]]:
    with (out / "manifest.csv").open(newline="", encoding="utf-8") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


@pytest.fixture
def album(tmp_path: Path) -> Path:
    """Folders of two people, loose photos of others, and what makes trouble."""
    folder = tmp_path / "album"
    for number in range(3):
        photo(folder / f"anna/{number}.png", [1], seed=number)
        photo(folder / f"bob/deep/{number}.png", [2], seed=number)
    photo(folder / "anna/party.png", [1, 3, 2], sides=[300, 240, 200], seed=7)
    photo(folder / "loose.png", [4, 5], seed=1)
    photo(folder / "loose again.png", [5], seed=2)
    photo(folder / "nobody.png", [])
    photo(folder / "far.png", [6, 7], sides=[240, 70])
    photo(folder / "cut off.png", [8], shift=0.75)
    (folder / "broken.jpg").write_text("not a photo")
    (folder / ".hidden.png").write_text("not a photo")
    return folder


def test_every_face_becomes_a_row_that_training_reads(album: Path, tmp_path: Path) -> None:
    result = aligned(album, tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    assert {name: row["person"] for name, row in rows.items()} == {
        **{f"anna-{n}_0.webp": "anna" for n in range(3)},
        **{f"bob-deep-{n}_0.webp": "bob" for n in range(3)},
        "anna-party_0.webp": "anna",
        "anna-party_1.webp": "anna-party_1",
        "anna-party_2.webp": "bob",  # known from his own folder
        "loose_0.webp": "loose_0",
        "loose_1.webp": "loose_again_0",
        "loose_again_0.webp": "loose_again_0",
        "far_0.webp": "far_0",
    }
    assert result.photos == 13 and result.crops == 13 and result.people == 6
    assert result.without_face == ["nobody.png"] and result.too_small == {"far.png": 1} and result.cut_off == {"cut off.png": 1}
    assert [each["photo"] for each in result.unreadable] == ["broken.jpg"]
    assert json.loads((tmp_path / "out/align-report.json").read_text())["without_face"] == ["nobody.png"]
    assert sorted(path.name for path in (tmp_path / "out").glob("*.webp")) == sorted(rows)

    faces = open_faces(tmp_path / "out", 128)
    assert len(faces) == 13 and not faces.skipped and component_table(faces).shape == (13, 3, 3)
    assert all(sum(row.split == name for row in faces.rows) for name in ("train", "val", "test"))
    by_person: dict[str, set[str]] = {}
    for row in read_manifest(tmp_path / "out"):
        by_person.setdefault(row.person, set()).add(row.split)
        assert row.use == "train-ok" and not row.grey and float(row.columns["sharpness"]) > 0
    assert all(len(splits) == 1 for splits in by_person.values())


def test_crops_lie_at_the_template_and_are_never_enlarged(album: Path, tmp_path: Path) -> None:
    aligned(album, tmp_path / "out", AlignSettings(size=512, min_face=64))
    for row in read_manifest(tmp_path / "out"):
        assert row.landmarks is not None
        at_512 = (row.landmarks + 0.5) * (512 / row.stored_width) - 0.5
        # a made-up face is not of the template's shape: the nearest similarity is the identity
        np.testing.assert_allclose(similarity(at_512)[:, :2], np.eye(2), atol=0.02)
        assert np.abs(at_512 - TEMPLATE).mean() < 40
        native = int(row.columns["native_width"])
        assert row.stored_width == min(512, native) and native < 512
        # the eyes are dark and the forehead is not
        with Image.open(row.file) as picture:
            pixels = np.asarray(picture.convert("L")).astype(float)
        for x, y in row.landmarks[:2].round().astype(int):
            assert pixels[y, x] < 60


def test_the_photo_covers_what_inside_says(tmp_path: Path) -> None:
    photo(tmp_path / "album/a.png", [1])
    photo(tmp_path / "album/b.png", [2], shift=0.3)
    aligned(tmp_path / "album", tmp_path / "out")
    rows = rows_of(tmp_path / "out")
    affine = similarity(POINTS * 240 + [40 - round(0.3 * 240), 20])
    axis = np.arange(512)
    left = -affine[0, 2] / affine[0, 0]  # the photo's x at the crop's left edge
    expected = 1 - max(0.0, -left * affine[0, 0]) / 512
    assert float(rows["b_0.webp"]["inside"]) == pytest.approx(expected, abs=0.08) and len(axis) == 512
    assert float(rows["a_0.webp"]["inside"]) > float(rows["b_0.webp"]["inside"]) > 0.7


def test_a_photograph_that_is_there_twice_counts_once(tmp_path: Path) -> None:
    folder = tmp_path / "album"
    photo(folder / "large.png", [1], sides=[300])
    with Image.open(folder / "large.png") as picture:
        small = picture.crop((10, 0, *picture.size))
        small.save(folder / "a copy.png")
    # the copy's marks say where its face is: ten pixels further left
    photo(folder / "a copy.png", [1], sides=[280])
    photo(folder / "another.png", [1], seed=5)
    result = aligned(folder, tmp_path / "out")
    assert result.repeated == [{"file": "a_copy_0.webp", "photo": "a copy.png", "same_as": "large_0.webp"}]
    assert set(rows_of(tmp_path / "out")) == {"large_0.webp", "another_0.webp"}
    assert not (tmp_path / "out/a_copy_0.webp").exists()
    # and again, without looking at a photo
    detector = Detector()
    assert aligned(folder, tmp_path / "out", detector=detector).repeated == result.repeated and detector.calls == 0
    # without the better copy the other one serves
    (folder / "large.png").unlink()
    (tmp_path / "out/large_0.webp").unlink()
    aligned(folder, tmp_path / "out")
    aligned(folder, tmp_path / "out")
    assert set(rows_of(tmp_path / "out")) == {"a_copy_0.webp", "another_0.webp"}
    assert (tmp_path / "out/a_copy_0.webp").is_file()


class Killed(BaseException):
    pass


@pytest.mark.parametrize("after", [0, 5])
def test_a_run_that_was_ended_goes_on(album: Path, tmp_path: Path, after: int) -> None:
    straight = tmp_path / "straight"
    aligned(album, straight)

    class Ending(Detector):
        def detect(self, photo: np.ndarray) -> list:  # type: ignore[type-arg]
            if self.calls == after:
                raise Killed
            return super().detect(photo)

    out = tmp_path / "out"
    with pytest.raises(Killed):
        aligned(album, out, detector=Ending())
    assert not (out / "manifest.csv").exists()
    if after:  # a kill in the middle of a line
        journal = out / ".facewright-align.jsonl"
        journal.write_bytes(journal.read_bytes()[:-30])
    detector = Detector()
    aligned(album, out, detector=detector)
    assert detector.calls == 12 - max(0, after - 1)
    assert rows_of(out) == rows_of(straight)
    assert sorted(path.name for path in out.iterdir()) == sorted(path.name for path in straight.iterdir())
    for name in rows_of(out):
        assert (out / name).read_bytes() == (straight / name).read_bytes()


def test_more_photos_and_changed_ones_join(album: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    aligned(album, out)
    before = {row["person"]: row["split"] for row in rows_of(out).values()}
    photo(album / "zoe/1.png", [11])
    photo(album / "anna/1.png", [1], seed=77)
    os.utime(album / "anna/1.png", ns=(1, 1))
    detector = Detector()
    result = aligned(album, out, detector=detector)
    assert detector.calls == 2 and result.crops == 14
    after = {row["person"]: row["split"] for row in rows_of(out).values()}
    assert after.items() >= before.items() and "zoe" in after


def test_photos_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    photo(tmp_path / "album/a b.png", [1])
    photo(tmp_path / "album/a_b.png", [2])
    photo(tmp_path / "album/a_b.tif", [3])
    aligned(tmp_path / "album", tmp_path / "out")
    assert sorted(rows_of(tmp_path / "out")) == ["a_b_0.webp", "a_b~2_0.webp", "a_b~3_0.webp"]


def test_folders_that_are_not_of_people_name_nobody(tmp_path: Path) -> None:
    """Years, say: their photos show different people, who are known by their likeness."""
    for person in range(1, 7):
        photo(tmp_path / f"album/2019/{person}.png", [person], seed=1)
    photo(tmp_path / "album/2020/1.png", [1], seed=2)
    aligned(tmp_path / "album", tmp_path / "out")
    people = {name: row["person"] for name, row in rows_of(tmp_path / "out").items()}
    assert "2019" not in people.values() and len(set(people.values())) == 6
    assert people["2019-1_0.webp"] == people["2020-1_0.webp"]


def test_bad_wishes_are_refused_before_the_work(album: Path, tmp_path: Path) -> None:
    for wrong in ({"size": 32}, {"min_face": 3}, {"format": "gif"}, {"val": 0.6, "test": 0.5}, {"val": -0.1}):
        with pytest.raises(UsageError):
            AlignSettings(**wrong)  # type: ignore[arg-type]
    with pytest.raises(InputError, match="no such photo"):
        find_photos([tmp_path / "nowhere"])
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no photos in"):
        find_photos([tmp_path / "empty"])
    made = tmp_path / "made"
    made.mkdir()
    (made / "manifest.csv").write_text("file\n")
    with pytest.raises(OutputError, match="made otherwise"):
        aligned(album, made)
    assert (made / "manifest.csv").read_text() == "file\n"
    aligned(album, tmp_path / "out")
    with pytest.raises(InputError, match="--size 256"):
        aligned(album, tmp_path / "out", AlignSettings(size=128, min_face=64))


def test_photos_without_a_single_face_say_so(tmp_path: Path) -> None:
    photo(tmp_path / "album/a.png", [])
    photo(tmp_path / "album/b.png", [1], sides=[70])
    (tmp_path / "album/c.jpg").write_text("not a photo")
    with pytest.raises(InputError, match="no photo has a face") as caught:
        aligned(tmp_path / "album", tmp_path / "out")
    assert caught.value.why == "of 3 photos 1 cannot be read, 1 show no face, 1 show faces smaller than 64 pixels"
    assert not (tmp_path / "out/manifest.csv").exists()


def test_an_output_inside_the_album_is_not_read_as_photos(album: Path) -> None:
    out = album / "faces"
    first = aligned(album, out)
    assert aligned(album, out).photos == first.photos == 13
