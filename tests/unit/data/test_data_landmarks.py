"""Files of landmarks: the published layout and ours, and which parts go to which face."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_faces import face, make_faces
from PIL import Image

from facewright.data import open_faces
from facewright.data.components import PARTS, parts_of, parts_of_five
from facewright.data.landmarks import component_table, encode_landmarks, read_landmarks
from facewright.errors import InputError, ModelError, UsageError

FIVE = np.array([[192.0, 240], [319, 241], [256, 314], [201, 371], [313, 372]])


def crops(folder: Path, names: list[str]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for seed, name in enumerate(names):
        Image.fromarray(face(seed, 64)).save(folder / name)
    return folder


def published(path: Path, count: int, *, zipped: bool = True, key: str = "{:08d}") -> np.ndarray:
    """A file as the published one, NumPy scalars in lists; returns count x 3 x 3."""
    table = np.random.default_rng(3).uniform(20, 400, (count, 3, 3))
    entries = {key.format(n): {name: list(part) for name, part in zip(PARTS, parts, strict=True)} for n, parts in enumerate(table)}
    assert isinstance(entries[key.format(0)]["mouth"][0], np.float64)
    torch.save(entries, path, _use_new_zipfile_serialization=zipped)
    return table


@pytest.mark.parametrize("zipped", [True, False])
def test_the_published_layout_goes_by_position(tmp_path: Path, zipped: bool) -> None:
    table = published(tmp_path / "landmarks.pth", 4, zipped=zipped)
    faces = open_faces(crops(tmp_path / "crops", ["d.png", "b.png", "a.png", "c.png"]), 128)
    np.testing.assert_allclose(component_table(faces, tmp_path / "landmarks.pth"), table / 4)
    # a picture that is left out does not move the others
    (tmp_path / "crops/b.png").write_text("broken")
    rest = open_faces(tmp_path / "crops", 256)
    np.testing.assert_allclose(component_table(rest, tmp_path / "landmarks.pth"), table[[0, 2, 3]] / 2)
    # one that is gone would: positions mean nothing any more
    (tmp_path / "crops/b.png").unlink()
    with pytest.raises(InputError, match="does not belong to these pictures"):
        component_table(open_faces(tmp_path / "crops", 256), tmp_path / "landmarks.pth")


def test_numbers_are_positions_in_a_part_of_ffhq(tmp_path: Path) -> None:
    table = published(tmp_path / "landmarks.pth", 30)
    faces = open_faces(crops(tmp_path / "crops", ["00007.png", "00021.png"]), 512)
    np.testing.assert_allclose(component_table(faces, tmp_path / "landmarks.pth"), table[[7, 21]])
    crops(tmp_path / "crops", ["00031.png"])
    with pytest.raises(InputError, match=r"1 of 3 faces have no landmarks \(00031.png\)"):
        component_table(open_faces(tmp_path / "crops", 512), tmp_path / "landmarks.pth")


@pytest.mark.parametrize("key", ["face{}.png", "face{}"])
def test_names_may_be_keys(tmp_path: Path, key: str) -> None:
    table = published(tmp_path / "landmarks.pth", 5, key=key)
    crops(tmp_path / "crops/sub", ["face3.png"])
    faces = open_faces(crops(tmp_path / "crops", ["face4.png", "face0.png"]), 512)
    np.testing.assert_allclose(component_table(faces, tmp_path / "landmarks.pth"), table[[0, 4, 3]])


@pytest.mark.parametrize("suffix", [".json", ".npz", ".pth"])
def test_what_we_write_we_read(tmp_path: Path, suffix: str) -> None:
    points = {"b.png": FIVE, "a.png": FIVE + np.array([3, -2]), "c d/é.png": FIVE * 0.9}
    path = tmp_path / f"landmarks{suffix}"
    path.write_bytes(encode_landmarks(path, points, found=dict.fromkeys(points, True)))
    read = read_landmarks(path)
    for position, name in enumerate(sorted(points)):
        parts = read.of(name, position)
        assert parts is not None
        np.testing.assert_allclose(parts, parts_of_five(points[name], 512), atol=1e-3)
        if suffix != ".pth":
            np.testing.assert_allclose(read.points[name], points[name], atol=0.006)
    if suffix == ".pth":  # as the published program reads it
        entry = torch.load(path, weights_only=True)["00000001"]
        assert list(entry) == list(PARTS) and len(entry["mouth"]) == 3


def test_points_of_any_detector(tmp_path: Path) -> None:
    many = np.random.default_rng(0).uniform(100, 400, (68, 2))
    path = tmp_path / "points.json"
    path.write_text(json.dumps({"a.png": FIVE.tolist(), "b.png": {"points": many.tolist()}}))
    read = read_landmarks(path)
    np.testing.assert_allclose(np.array([read.parts["a.png"], read.parts["b.png"]]), [parts_of(FIVE, 512), parts_of(many, 512)])
    path.write_text(json.dumps({"size": 1024, "faces": {"a.png": (FIVE * 2 + 0.5).tolist()}}))
    np.testing.assert_allclose(read_landmarks(path).parts["a.png"], parts_of(FIVE, 512))


def test_a_manifest_has_its_own_points_until_a_file_lies_beside(tmp_path: Path) -> None:
    folder = make_faces(tmp_path, 64)
    faces = open_faces(folder, 48)
    table = component_table(faces)
    row = faces.rows[3]
    assert row.landmarks is not None
    np.testing.assert_allclose(table[3], parts_of_five(row.landmarks, 64) * 48 / 64)
    points = {each.name: FIVE for each in faces.rows}
    (folder / "landmarks.json").write_bytes(encode_landmarks(folder / "landmarks.json", points, found=dict.fromkeys(points, True)))
    np.testing.assert_allclose(component_table(faces)[3], parts_of_five(FIVE, 512) * 48 / 512, atol=1e-3)


def test_faces_without_landmarks_are_counted(tmp_path: Path) -> None:
    faces = open_faces(crops(tmp_path / "crops", [f"{n}.png" for n in "abcde"]), 64)
    with pytest.raises(InputError, match="5 of 5 faces have no landmarks") as caught:
        component_table(faces)
    assert "facewright dataset landmarks" in caught.value.what_to_do


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("a.json", "{", "no JSON"),
        ("a.json", "[]", "names no picture"),
        ("a.json", '{"a.png": {"left_eye": [1, 2, 3]}}', "'a.png' has neither"),
        ("a.json", '{"a.png": {"left_eye": [1, 2], "right_eye": [1, 2], "mouth": [1, 2]}}', "'a.png' has neither"),
        ("a.json", '{"a.png": [[1, 2], [3, 4]]}', "2 x 2"),
        ("a.json", '{"a.png": 7}', "landmarks of the shape"),
        ("a.npz", "no archive", "a.npz"),
        ("a.pth", "no archive", "a.pth"),
    ],
)
def test_a_bad_file_is_refused_by_name(tmp_path: Path, name: str, content: str, told: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises((InputError, ModelError), match=told):
        read_landmarks(tmp_path / name)
    with pytest.raises((InputError, ModelError), match="gone"):
        read_landmarks(tmp_path / f"gone{Path(name).suffix}")


def test_a_pickle_that_means_harm_is_not_run(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> object:
            return Path.touch, (tmp_path / "marker",)

    torch.save({"00000000": Harm()}, tmp_path / "a.pth")
    with pytest.raises(ModelError, match="refused"):
        read_landmarks(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps({"00000000": Harm()}))
    with pytest.raises(ModelError):
        read_landmarks(tmp_path / "b.pth")
    assert not (tmp_path / "marker").exists()


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.csv"):
        encode_landmarks(tmp_path / "a.csv", {"a.png": FIVE}, found={"a.png": True})
