"""Folders, manifests and shards are one thing to training; what is broken in them costs a picture, never the run."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import logging
import os
import subprocess
import sys
import tarfile
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_faces import face, make_faces
from PIL import Image

from facewright.data import AlignedFaces, FaceRow, FaceSet, PairStream, open_faces, read_manifest
from facewright.data.augment import Augmentation
from facewright.data.faces import list_pictures
from facewright.data.shards import write_shards
from facewright.errors import InputError, OutputError, UsageError

SIZE = 48


def wanted(row: FaceRow) -> bool:
    return row.use == "train-ok" and row.split == "train"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"), 64)


@pytest.fixture(scope="module")
def shards(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    assert len(write_shards(list_pictures(manifest), folder, megabytes=0.1)) > 2
    return folder


@pytest.fixture
def plain(tmp_path: Path) -> Path:
    """PNG, JPEG and WebP in folders of people, in files that are not in the order of their names, and things that are no crops."""
    names = ["zoe/1.png", "anna/2.jpg", "anna/10.png", "anna/1.WEBP", "bob/deep/1.jpeg", "00001/77.png", "lone.png"]
    for seed, name in enumerate(names):
        path = tmp_path / "plain" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face(seed, 64)).save(path, quality=95)
    (tmp_path / "plain/.hidden").mkdir()
    Image.fromarray(face(9, 64)).save(tmp_path / "plain/.hidden/no.png")
    (tmp_path / "plain/read me.txt").write_text("not a picture")
    return tmp_path / "plain"


def stream(faces: FaceSet, **changes: object) -> PairStream:
    options = {"size": 32, "batch": 4, "seed": 5, **changes}
    return PairStream(faces, [(1.0, None)], Augmentation(), **options)  # type: ignore[arg-type]


def digest(source: Path, *, budget: int, start: int) -> str:
    """Of two batches from `start`, as training gets them."""
    total = hashlib.sha256()
    coming = stream(open_faces(source, SIZE, budget=budget))(start)
    for _ in range(2):
        total.update(next(coming).clean.contiguous().numpy().tobytes())
    return total.hexdigest()


def test_a_manifest_and_its_shards_are_the_same_faces(manifest: Path, shards: Path) -> None:
    rows = AlignedFaces(read_manifest(manifest, wanted), SIZE)
    for source in (manifest, manifest / "manifest.csv", shards, str(shards / "*.tar"), f"{shards}/faces-{{000000..000002}}.tar"):
        faces = open_faces(source, SIZE, keep=wanted)
        assert len(faces) == 12 and sorted(map(faces.name, range(12))) == sorted(map(rows.name, range(12)))
        order = [list(map(faces.name, range(12))).index(rows.name(index)) for index in range(12)]
        np.testing.assert_array_equal(faces.stacked()[order], rows.stacked())
        np.testing.assert_allclose(faces.weights({"us": 0.2})[order], rows.weights({"us": 0.2}))
        for index, other in enumerate(order):
            points = rows.landmarks(index)
            assert points is not None and np.array_equal(points, np.asarray(faces.landmarks(other)))
            assert faces.rows[other].columns["sharpness"] == "100"
    eyes = rows.landmarks(0)
    assert eyes is not None
    np.testing.assert_allclose(eyes[0], [0.38 * SIZE + 0.5 * SIZE / 64 - 0.5, 0.47 * SIZE + 0.5 * SIZE / 64 - 0.5])


def test_a_folder_tells_what_its_names_tell(plain: Path) -> None:
    faces = open_faces(plain, SIZE)
    assert list(map(faces.name, range(len(faces)))) == [
        "00001/77.png",
        "anna/1.WEBP",
        "anna/10.png",
        "anna/2.jpg",
        "bob/deep/1.jpeg",
        "lone.png",
        "zoe/1.png",
    ]
    assert [row.person for row in faces.rows] == ["00001/77", "anna", "anna", "anna", "bob", "lone", "zoe"]
    assert [row.position for row in faces.rows] == list(range(7))
    assert {row.use for row in faces.rows} == {"train-ok"} and {row.stored_width for row in faces.rows} == {64}
    assert faces.landmarks(0) is None
    np.testing.assert_array_equal(open_faces(plain, 64).pixels(6), face(0, 64))


def test_some_people_of_a_folder_are_held_out(tmp_path: Path) -> None:
    for person in range(40):
        for number in (1, 2):
            path = tmp_path / f"p{person}" / f"{number}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(path)
    rows = [picture.row for picture in list_pictures(tmp_path)]
    held = {row.person for row in rows if row.split == "val"}
    assert 1 <= len(held) < 8 and held.isdisjoint(row.person for row in rows if row.split == "train")
    alone = [picture.row.split for picture in list_pictures(tmp_path / "p1")]
    assert sorted(alone) == ["train", "val"]  # two pictures without folders count as two people
    (tmp_path / "p1/1.png").unlink()
    assert [picture.row.split for picture in list_pictures(tmp_path / "p1")] == ["train"]


@pytest.fixture
def faulty(tmp_path: Path) -> Path:
    folder = tmp_path / "faulty"
    folder.mkdir()
    for number in range(6):
        Image.fromarray(face(number, 64)).save(folder / f"good-{number}.png")
    (folder / "a-text.png").write_text("not a picture")
    (folder / "b-empty.jpg").touch()
    cut = (folder / "good-0.png").read_bytes()
    (folder / "c-cut.png").write_bytes(cut[: len(cut) // 2])
    Image.fromarray(np.zeros((64, 60, 3), np.uint8)).save(folder / "d-oblong.png")
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(folder / "e-tiny.png")
    (folder / "f-gone.png").symlink_to(folder / "nowhere.png")
    return folder


@pytest.mark.parametrize("budget", [0, 10**9])
def test_what_is_broken_is_left_out_and_listed(faulty: Path, budget: int, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        faces = open_faces(faulty, SIZE, budget=budget)
    told = {each.name: each.why for each in faces.skipped}
    assert {"a-text.png", "b-empty.jpg", "d-oblong.png", "e-tiny.png", "f-gone.png"} <= set(told)
    assert "60 x 64" in told["d-oblong.png"] and "16 pixels" in told["e-tiny.png"] and "no such file" in told["f-gone.png"].lower()
    assert f"{len(told)} of 12 pictures are left out: " in caplog.text
    if budget:
        assert len(faces) == 6 and len(told) == 6 and "truncated" in told["c-cut.png"]
        return
    # heads alone do not tell of a picture that ends early; the batches go on with its neighbour
    assert len(faces) == 7 and "c-cut.png" not in told
    with pytest.raises(InputError, match="c-cut"):
        faces.pixels(0)
    batches = [stream(faces).at(step).clean for step in range(8)]
    assert [each.name for each in faces.skipped].count("c-cut.png") == 1
    assert all(torch.equal(batch, stream(open_faces(faulty, SIZE, budget=0)).at(step).clean) for step, batch in enumerate(batches))


def test_a_manifest_s_bad_crops_are_left_out(tmp_path: Path) -> None:
    folder = make_faces(tmp_path, 48)
    (folder / "us-train-ok-train-3.png").unlink()
    (folder / "us-train-ok-train-4.png").write_text("not a picture")
    cv2.imwrite(str(folder / "us-train-ok-train-5.png"), np.zeros((48, 40, 3), np.uint8))
    faces = AlignedFaces(read_manifest(folder, wanted), 32)
    assert len(faces) == 9 and {each.name for each in faces.skipped} == {f"us-train-ok-train-{n}.png" for n in (3, 4, 5)}
    good = [AlignedFaces([row], 32).pixels(0) for row in faces.rows]
    np.testing.assert_array_equal(faces.stacked(), np.stack(good))  # the gaps have not moved the others


def test_not_one_good_picture_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such folder"):
        open_faces(tmp_path / "nowhere", SIZE)
    with pytest.raises(InputError, match="no faces in"):
        open_faces(tmp_path, SIZE)
    (tmp_path / "a.png").write_text("not a picture")
    with pytest.raises(InputError, match=r"not one of 1 pictures.*a\.png"):
        open_faces(tmp_path, SIZE)
    Image.fromarray(np.zeros((20, 20, 3), np.uint8)).save(tmp_path / "a.png")
    for budget in (0, 10**9):
        with pytest.raises(InputError, match="20 pixels"):
            open_faces(tmp_path, SIZE, budget=budget)
    with pytest.raises(InputError, match="of the wanted use"):
        open_faces(tmp_path, SIZE, keep=lambda row: False)


def test_memory_has_a_bound_and_pixels_do_not_depend_on_it(plain: Path) -> None:
    everything, some, nothing = (open_faces(plain, SIZE, budget=budget) for budget in (10**9, 3 * SIZE * SIZE * 3, 0))
    assert (everything._kept.nbytes, some._kept.nbytes, nothing._kept.nbytes) == (7 * 6912, 3 * 6912, 0)
    for index in (5, 0, 5, 6, 2, 1, 0, 3, 4, 6):
        for faces in (some, nothing):
            np.testing.assert_array_equal(faces.pixels(index), everything.pixels(index))
    assert sorted(some._slots) == [0, 5, 6] and not nothing._slots
    assert len(open_faces(plain, SIZE, limit=3)) == 4 and len(open_faces(plain, SIZE, limit=100)) == 7


def test_sixteen_bit_grey_is_not_clipped(tmp_path: Path) -> None:
    ramp = np.tile(np.linspace(0, 65535, 64).astype(np.uint16), (64, 1))
    Image.fromarray(ramp).save(tmp_path / "deep.png")
    pixels = open_faces(tmp_path, 64).pixels(0)
    assert np.abs(pixels.astype(int) - (ramp / 257)[..., None]).max() <= 0.51


SCRIPT = """
import sys
sys.path.insert(0, sys.argv[1])
from pathlib import Path
from test_data_sources import digest
for source in sys.argv[2:]:
    print(digest(Path(source), budget=0, start=3))
"""


def test_after_a_restart_the_very_same_samples_come(manifest: Path, shards: Path, plain: Path) -> None:
    sources = [manifest, shards, plain]
    environment = {**os.environ, "PYTHONHASHSEED": "77"}
    command = [sys.executable, "-c", SCRIPT, str(Path(__file__).parent), *map(str, sources)]
    again = subprocess.run(command, capture_output=True, text=True, env=environment, check=True).stdout.split()
    assert again == [digest(source, budget=10**9, start=3) for source in sources]
    assert again[0] == again[1] != again[2]  # shards of a manifest give its very batches
    assert len({*again, *(digest(source, budget=10**9, start=4) for source in sources)}) == 4
    for source in sources:
        pairs = stream(open_faces(source, SIZE))
        coming = pairs(0)
        straight = [next(coming) for _ in range(5)]
        assert torch.equal(straight[4].clean, pairs.at(4).clean)


# Shards -----------------------------------------------------------------------------------------------------------------------------------


def members(shard: Path) -> list[str]:
    with tarfile.open(shard) as archive:
        return archive.getnames()


def test_shards_are_as_webdataset_has_them(plain: Path, tmp_path: Path) -> None:
    (plain / "lone.png").rename(plain / "lone.v2.final.png")
    Image.fromarray(face(11, 64)).save(plain / "lone_v2_final.png")
    pictures = list_pictures(plain)
    written = write_shards(pictures, tmp_path / "out", megabytes=0.01)
    names = [name for shard in written for name in members(shard)]
    assert len(written) > 2 and [shard.name for shard in written] == [f"faces-{n:06d}.tar" for n in range(len(written))]
    # two files under each key, side by side, the key ends at the first dot of the file's name, and no key comes twice
    split = [(name.rpartition("/")[0], *name.rpartition("/")[2].split(".", 1)) for name in names]
    keys = [each[:2] for each in split]
    assert keys[::2] == keys[1::2] and len(set(keys)) == len(keys) / 2 == 8
    assert {each[2] for each in split[1::2]} == {"json"} and {each[2] for each in split[::2]} == {"png", "jpg", "jpeg", "webp"}
    faces = open_faces(tmp_path / "out", 64)
    assert len(faces) == 8 and [row.person for row in faces.rows] == [picture.row.person for picture in pictures]
    assert [row.split for row in faces.rows] == [picture.row.split for picture in pictures]
    np.testing.assert_array_equal(faces.stacked(), open_faces(plain, 64).stacked())
    with tarfile.open(written[0]) as archive:
        content = archive.extractfile(names[0])
        assert content is not None and content.read() == pictures[0].read()
    again = write_shards(pictures, tmp_path / "again", megabytes=0.01)
    assert [shard.read_bytes() for shard in written] == [shard.read_bytes() for shard in again]


def test_the_webdataset_library_reads_them(shards: Path) -> None:
    webdataset = pytest.importorskip("webdataset")
    samples = list(webdataset.WebDataset(sorted(map(str, shards.glob("*.tar"))), shardshuffle=False))
    assert len(samples) == 27 and all(json.loads(sample["json"])["person"] in sample["__key__"] for sample in samples)
    assert all(Image.open(io.BytesIO(sample["png"])).size == (64, 64) for sample in samples)


def test_shards_of_others_need_no_json(tmp_path: Path) -> None:
    def add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))

    with tarfile.open(tmp_path / "x.tar", "w") as archive:
        for number in range(3):
            png = io.BytesIO()
            Image.fromarray(face(number, 64)).save(png, "PNG")
            add(archive, f"./000{number}.cls", b"7")
            add(archive, f"./000{number}.png", png.getvalue())
            add(archive, f"./000{number}.json", [b'["a list"]', b"{broken", b'{"person": "anna", "split": "test", "age": 3}'][number])
        add(archive, "0009.png", b"not a picture")
    faces = open_faces(tmp_path / "x.tar", 64)
    assert [row.name for row in faces.rows] == ["0000.png", "0001.png", "0002.png"]
    assert [row.person for row in faces.rows] == ["0000", "0001", "anna"] and faces.rows[2].split == "test"
    assert faces.rows[2].columns["age"] == "3" and [each.name for each in faces.skipped] == ["0009.png"]
    np.testing.assert_array_equal(faces.pixels(1), face(1, 64))


def test_bad_shards(shards: Path, tmp_path: Path) -> None:
    whole = (shards / "faces-000000.tar").read_bytes()
    count = len(members(shards / "faces-000000.tar")) // 2
    cut = tmp_path / "cut.tar"
    for part in (0.5, 0.8):
        cut.write_bytes(whole[: int(len(whole) * part)])
        assert 0 < len(open_faces(cut, SIZE)) < count
    cut.write_bytes(b"")
    (tmp_path / "text.tar").write_text("not an archive " * 100)
    (tmp_path / "packed.tar").write_bytes(gzip.compress(whole))
    for name in ("cut", "text", "packed"):
        with pytest.raises(InputError, match=f"{name}.tar"):
            open_faces(tmp_path / f"{name}.tar", SIZE)
    with pytest.raises(InputError, match="1 of 4 shards are not there"):
        (tmp_path / "r").mkdir()
        for number in range(3):
            (tmp_path / f"r/f-0{number}.tar").write_bytes(whole)
        open_faces(f"{tmp_path}/r/f-{{00..03}}.tar", SIZE)


def test_writing_shards_refuses_in_a_sentence(manifest: Path, shards: Path, tmp_path: Path) -> None:
    pictures = list_pictures(manifest)
    with pytest.raises(UsageError, match="are there already"):
        write_shards(pictures, shards)
    with pytest.raises(UsageError, match="0 MB"):
        write_shards(pictures, tmp_path, megabytes=0)
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write shards"):
        write_shards(pictures, tmp_path / "file")
    copy = make_faces(tmp_path / "copy", 64)
    (copy / "us-train-ok-train-3.png").unlink()
    with pytest.raises(InputError, match="us-train-ok-train-3"):
        write_shards(list_pictures(copy), tmp_path / "out", megabytes=0.01)
    assert not list((tmp_path / "out").iterdir())  # nothing half written
