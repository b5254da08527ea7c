"""Sets of crops: divided, checked, counted, marked, packed; and what the commands say."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import pytest
from fake_faces import face, make_faces, row, write_manifest
from hypothesis import given
from hypothesis import strategies as st
from made_up import POINTS, Detector
from PIL import Image
from typer.testing import CliRunner

from facewright.cli import dataset
from facewright.curate import alike
from facewright.curate.check import check
from facewright.curate.landmarks import write_landmarks
from facewright.curate.split import split, split_people
from facewright.curate.stats import stats
from facewright.data import open_faces
from facewright.data.faces import list_pictures
from facewright.data.landmarks import component_table, read_landmarks
from facewright.errors import FacewrightError, InputError, PartialFailure, UsageError
from facewright.faces import TEMPLATE, Face

parts = st.floats(0, 0.45)


@given(st.dictionaries(st.text(max_size=5), st.integers(1, 20), max_size=40), parts, parts, st.integers(0, 3))
def test_a_split_keeps_people_whole_and_parts_near(people: dict[str, int], val: float, test: float, seed: int) -> None:
    chosen = split_people(people, val, test, seed)
    assert chosen.keys() == people.keys() and set(chosen.values()) <= {"train", "val", "test"}
    counts = Counter[str]()
    for person, name in chosen.items():
        counts[name] += people[person]
    assert counts["train"] > 0 or not people
    largest = max(people.values(), default=0)
    for name, part in (("val", val), ("test", test)):
        assert abs(counts[name] - part * sum(people.values())) <= max(1, 1.5 * largest)
        assert part > 0 or counts[name] == 0
    if len(people) > 2:
        assert (val == 0 or counts["val"]) and (test == 0 or counts["test"])
    assert chosen == split_people(dict(sorted(people.items())), val, test, seed)


def test_a_split_is_steady() -> None:
    people = {f"p{number}": 1 + number % 4 for number in range(60)}
    before = split_people(people, 0.1, 0.1)
    assert Counter(before.values()).keys() == {"train", "val", "test"}
    assert split_people(people, 0.1, 0.1, seed=1) != before
    more = split_people({**people, "new": 2}, 0.1, 0.1, known=before)
    assert all(more[person] == name for person, name in before.items())
    moved = sum(split_people({**people, "new": 2}, 0.1, 0.1)[person] != name for person, name in before.items())
    assert moved <= 6
    for val, test in ((0.5, 0.5), (-0.1, 0.1), (1.0, 0.0)):
        with pytest.raises(UsageError):
            split_people(people, val, test)


def test_split_rewrites_the_manifest_and_nothing_else(tmp_path: Path) -> None:
    folder = make_faces(tmp_path, 40)
    before = (folder / "manifest.csv").read_text()
    counts = split(folder, 0.2, 0.2, seed=3)
    with (folder / "manifest.csv").open(newline="") as file:
        after = list(csv.DictReader(file))
    for old, new in zip(csv.DictReader(before.splitlines()), after, strict=True):
        assert {**old, "split": ""} == {**new, "split": ""}
    assert counts == {name: sum(each["split"] == name for each in after) for name in ("train", "val", "test")}
    assert not [path for path in folder.iterdir() if path.suffix not in (".png", ".csv")]
    text = (folder / "manifest.csv").read_text()
    with pytest.raises(UsageError):
        split(folder, 0.9, 0.9)
    assert (folder / "manifest.csv").read_text() == text
    with pytest.raises(InputError, match="manifest"):
        split(tmp_path / "nowhere")


@pytest.fixture
def spoiled(tmp_path: Path) -> Path:
    """A manifest of 27 good crops with one of each fault added."""
    folder = make_faces(tmp_path, 64)
    with (folder / "manifest.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))

    def add(name: str, person: str, split: str = "train", side: int = 64, **changes: str) -> None:
        rows.append({**row(name, person, "train-ok", split, side), **changes})

    add("gone.png", "us-a")
    (folder / "text.png").write_text("not a picture")
    add("text.png", "us-b")
    cv2.imwrite(str(folder / "oblong.png"), np.zeros((64, 50, 3), np.uint8))
    add("oblong.png", "us-c")
    cv2.imwrite(str(folder / "tiny.png"), face(501, 20))
    add("tiny.png", "us-d", side=20)
    cv2.imwrite(str(folder / "wide.png"), face(502, 80))
    add("wide.png", "us-e", side=64)
    cv2.imwrite(str(folder / "points.png"), face(503, 64))
    add("points.png", "us-f", leye_x="-30")
    cv2.imwrite(str(folder / "moved.png"), face(504, 64))
    add("moved.png", "us-train-ok-train-0", "val")
    (folder / "leak.png").write_bytes((folder / "us-train-ok-train-1.png").read_bytes())
    add("leak.png", "us-g", "test")
    (folder / "twice.png").write_bytes((folder / "us-train-ok-train-2.png").read_bytes())
    add("twice.png", "us-h")
    Image.open(folder / "us-train-ok-train-3.png").resize((60, 60), Image.Resampling.LANCZOS).save(folder / "smaller.webp", quality=90)
    add("smaller.webp", "us-i", side=60)
    cv2.imwrite(str(folder / "unlisted.png"), face(505, 64))
    write_manifest(folder, rows)
    return folder


def test_check_finds_each_fault(spoiled: Path) -> None:
    result = check(spoiled)
    assert result.pictures == 27 + 10
    faults = {kind: sorted(name for name, _ in found) for kind, found in result.faults.items()}
    assert faults == {
        "unreadable": ["gone.png", "text.png"],
        "oblong": ["oblong.png"],
        "tiny": ["tiny.png"],
        "other width": ["wide.png"],
        "landmarks outside": ["points.png"],
        "person in two splits": ["moved.png", "us-train-ok-train-0.png"],
        "repeated across splits": [max("leak.png", "us-train-ok-train-1.png")],
    }
    remarks = {kind: sorted(name for name, _ in found) for kind, found in result.remarks.items()}
    assert remarks == {
        "repeated": ["us-train-ok-train-2.png"],
        "nearly the same": ["us-train-ok-train-3.png"],
        "not in the manifest": ["unlisted.png"],
    }
    assert len(result.bad) == 9


def test_check_passes_what_is_good(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "a", 64)
    assert check(folder).bad == [] and not check(folder).remarks
    (folder / "manifest.csv").unlink()
    assert check(folder).bad == []
    make_faces(tmp_path / "b", 64)
    text = (tmp_path / "b/manifest.csv").read_text()
    (tmp_path / "b/manifest.csv").write_text(text.replace("nose_y", "nase_y").replace("inside", "outside"))
    with pytest.raises(InputError, match="nose_y, inside"):
        check(tmp_path / "b")


def test_stats_count(tmp_path: Path) -> None:
    folder = make_faces(tmp_path, 130)
    told = stats(folder)
    assert told["pictures"] == told["people"] == told["with_landmarks"] == 27 and told["people_with_several"] == 0
    assert told["split"] == {
        "train": {"pictures": 14, "people": 14},
        "val": {"pictures": 6, "people": 6},
        "test": {"pictures": 4, "people": 4},
        "fair": {"pictures": 3, "people": 3},
    }
    assert list(told["source"]) == ["us", "hist", "frl"] and list(told["width"]) == ["128 to 255"] and list(told["colour"]) == ["colour"]


class Marking(Detector):
    """Knows the made-up faces' eyes; finds nothing in pictures that are all of one colour, and another face beside."""

    def detect(self, photo: np.ndarray) -> list[Face]:
        if np.ptp(photo) == 0:
            return []
        side = len(photo)
        box = np.array([0.2, 0.2, 0.8, 0.9]) * side
        return [Face(box, POINTS * side - side, 0.99), Face(box, POINTS * side, 0.95)]


def test_landmarks_are_those_of_the_crop_s_own_face(tmp_path: Path) -> None:
    for number, side in enumerate((64, 128, 512)):
        path = tmp_path / f"set/person{number}/{side}.png"
        path.parent.mkdir(parents=True)
        cv2.imwrite(str(path), face(number, side))
    cv2.imwrite(str(tmp_path / "set/blank.png"), np.zeros((64, 64, 3), np.uint8))
    (tmp_path / "set/broken.png").write_text("not a picture")
    marked = write_landmarks(list_pictures(tmp_path / "set"), tmp_path / "set/landmarks.json", Marking())
    assert marked.unsure == ["blank.png"] and [each.name for each in marked.skipped] == ["broken.png"]
    read = read_landmarks(tmp_path / "set/landmarks.json")
    for number, side in enumerate((64, 128, 512)):
        expected = (POINTS * side + 0.5) * 512 / side - 0.5
        np.testing.assert_allclose(read.points[f"person{number}/{side}.png"], expected, atol=0.01)
    np.testing.assert_allclose(read.points["blank.png"], TEMPLATE, atol=0.01)
    assert json.loads((tmp_path / "set/landmarks.json").read_text())["faces"]["blank.png"]["found"] is False
    assert component_table(open_faces(tmp_path / "set", 64)).shape == (4, 3, 3)


def test_marking_nothing_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_text("not a picture")
    with pytest.raises(InputError, match="not one crop"):
        write_landmarks(list_pictures(tmp_path), tmp_path / "landmarks.json", Marking())
    with pytest.raises(UsageError, match="csv"):
        write_landmarks(list_pictures(tmp_path), tmp_path / "landmarks.csv", Marking())
    assert [path.name for path in tmp_path.iterdir()] == ["broken.png"]


def test_the_shipped_detector_reads_an_aligned_crop(tmp_path: Path) -> None:
    """The window of the second looks is known beforehand in an aligned crop; the answer is that of a search."""
    from skimage import data

    from facewright.curate.landmarks import points_of_crop
    from facewright.faces import align, similarity
    from facewright.faces.detect import load_detector

    detector = load_detector("mtcnn")
    photo = data.astronaut()
    found = detector.detect(photo)[0]
    affine = similarity(found.landmarks)
    expected = found.landmarks @ affine[:, :2].T + affine[:, 2]
    crop = (align(photo, affine) * 255).round().astype(np.uint8)
    points = points_of_crop(crop, detector)
    assert points is not None and np.abs(points - expected).max() < 8
    assert points_of_crop(np.full((256, 256, 3), 90, np.uint8), detector) is None


def seen(embedding: list[float], thumb: np.ndarray | None = None, width: float = 100) -> alike.Seen:
    vector = np.zeros(128, np.float32)
    vector[: len(embedding)] = embedding
    return alike.Seen(vector, np.zeros((32, 32), np.uint8) if thumb is None else thumb, width)


def test_repeats_need_the_same_pixels_and_keep_the_widest() -> None:
    random = np.random.default_rng(0)
    one, other = (cv2.resize(random.integers(0, 256, (8, 8), np.uint8), (32, 32)) for _ in range(2))
    brighter = np.clip(one * 0.8 + 40, 0, 255).astype(np.uint8)
    noisy = np.clip(one + random.normal(0, 3, one.shape), 0, 255).astype(np.uint8)
    faces = [seen([0.0], one, 200), seen([0.1], brighter, 300), seen([0.05], other, 400), seen([0.9], one, 500), seen([0.12], noisy, 250)]
    assert alike.repeats(faces) == {0: 1, 4: 1}
    assert alike.repeats([]) == {}


def test_likeness_groups_what_folders_do_not() -> None:
    names = ["a0", "a1", "b0", "x0", "x1", "y0"]
    faces = [seen([0.0]), seen([0.1]), seen([3.0]), seen([0.2]), seen([6.0]), seen([6.3])]
    args = dict(photos=list("123455"), folders=["anna", "anna", "bob", "", "", ""], largest=[True] * 6, names=names)
    assert alike.people(faces, **args) == ["anna", "anna", "bob", "anna", "x1", "y0"]  # type: ignore[arg-type]
    args["photos"] = list("123456")
    assert alike.people(faces, **args)[4:] == ["x1", "x1"]  # type: ignore[arg-type]
    assert alike.people([], [], [], [], []) == []


# The commands --------------------------------------------------------------------------------------------------------------------------


def ran(*words: str | Path) -> tuple[str, FacewrightError | None]:
    """What a command printed, and how it failed."""
    done = CliRunner().invoke(dataset.app, list(map(str, words)))
    assert done.exception is None or isinstance(done.exception, FacewrightError), done.exception
    return done.stdout, done.exception


def test_check_ends_with_six_where_something_is_bad(spoiled: Path, tmp_path: Path) -> None:
    told, error = ran("check", spoiled)
    assert isinstance(error, PartialFailure) and error.exit_code == 6
    assert str(error).startswith(f"9 of 37 pictures in {spoiled} are bad")
    assert "2 cannot be read:\n    gone.png: No such file or directory\n    text.png: it is no PNG, JPEG or WebP picture\n" in told
    assert told.endswith("28 of 37 pictures are good\n")
    told, error = ran("check", spoiled, "--json")
    assert error is not None and json.loads(told)["bad"] == 9 and json.loads(told)["faults"]["tiny"] == [["tiny.png", "20 pixels"]]
    good = make_faces(tmp_path / "good", 64)
    assert ran("check", good) == ("27 of 27 pictures are good\n", None)
    assert ran("check", good, "-q") == ("", None)


def test_stats_split_and_shards(tmp_path: Path) -> None:
    folder = make_faces(tmp_path / "set", 64)
    told, error = ran("stats", folder)
    assert error is None and told.startswith("27 pictures of 27 people, 0 of them with several\n27 have landmarks\n")
    assert [line.split() for line in told.splitlines()[3:7]] == [
        ["split", "train", "14", "14"],
        ["val", "6", "6"],
        ["test", "4", "4"],
        ["fair", "3", "3"],
    ]
    assert json.loads(ran("stats", folder, "--json")[0])["split"]["val"]["pictures"] == 6
    told, error = ran("split", folder, "--val", "0.2", "--test", "0.1")
    assert error is None and told == "train 19, val 5, test 3\n"
    told, error = ran("shards", folder, "-o", tmp_path / "out", "--size-mb", "0.05")
    assert error is None and told.startswith("27 pictures in ")
    assert len(open_faces(tmp_path / "out", 32, keep=lambda row: row.split == "val")) == 5
    assert isinstance(ran("shards", folder, "-o", tmp_path / "out")[1], UsageError)
    (folder / "manifest.csv").unlink()
    (folder / "broken.png").write_text("not a picture")
    told, error = ran("shards", folder, "-o", tmp_path / "rest", "-q")
    assert told == "" and isinstance(error, PartialFailure) and "1 of 28" in str(error) and len(open_faces(tmp_path / "rest", 32)) == 27
    assert isinstance(ran("stats", tmp_path / "nowhere")[1], InputError)
