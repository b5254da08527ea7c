"""From a manifest to batches of pairs."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from fake_faces import ROWS, make_faces, row, write_manifest

from facewright.data import AlignedFaces, Batch, PairStream, read_manifest
from facewright.data.augment import Augmentation
from facewright.degrade import preset
from facewright.errors import InputError


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_faces(tmp_path_factory.mktemp("faces"), 64)


def test_only_the_rows_asked_for(folder: Path) -> None:
    everything = read_manifest(folder)
    assert len(everything) == sum(count for *_, count in ROWS)
    wanted = read_manifest(folder, lambda row: row.use == "train-ok" and row.split == "train")
    assert {row.file.name for row in wanted} == {f"{s}-train-ok-train-{n}.png" for s, many in (("us", 8), ("hist", 4)) for n in range(many)}
    assert wanted == sorted(wanted, key=lambda row: row.file.name)
    assert wanted[0].source == "hist" and wanted[0].landmarks.shape == (5, 2)
    np.testing.assert_allclose(wanted[0].landmarks[0], [0.38 * 64, 0.47 * 64])


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (lambda lines: [line.replace("nose_y", "nase_y") for line in lines], "no column 'nose_y'"),
        (lambda lines: [*lines[:2], lines[2].replace(",64,", ",wide,"), *lines[3:]], "line 3"),
        (lambda lines: [*lines[:4], lines[4].rsplit(",", 4)[0], *lines[5:]], "line 5: it has another number of values"),
        (lambda lines: [*lines[:4], lines[4] + ",7", *lines[5:]], "line 5: it has another number of values"),
        (lambda lines: [*lines[:2], "\xff\x00" * 9], "line 3"),
    ],
)
def test_a_bad_manifest_is_refused_by_name_and_line(folder: Path, tmp_path: Path, spoil: object, told: str) -> None:
    lines = (folder / "manifest.csv").read_text().splitlines()
    (tmp_path / "manifest.csv").write_text("\n".join(spoil(lines)))  # type: ignore[operator]
    with pytest.raises(InputError) as caught:
        read_manifest(tmp_path)
    assert str(tmp_path / "manifest.csv") in str(caught.value) and told in caught.value.why


def test_no_manifest_and_no_row_say_so(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no face manifest") as caught:
        read_manifest(tmp_path)
    assert "--data" in caught.value.what_to_do
    with pytest.raises(InputError, match="no faces to read"):
        AlignedFaces(read_manifest(folder, lambda row: row.split == "moon"), 32)


def test_crops_come_in_rgb_at_the_size_asked_for(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.png"), np.full((40, 40, 3), (10, 100, 200), np.uint8))
    write_manifest(tmp_path, [row("a.png", "us-a", "train-ok", "train", 40)])
    for size in (16, 40, 64):
        pixels = AlignedFaces(read_manifest(tmp_path), size, least=8).stacked()
        assert pixels.shape == (1, size, size, 3)
        assert (pixels == np.array([200, 100, 10])).all()


def test_shares_are_shares_of_all_draws(folder: Path) -> None:
    faces = AlignedFaces(read_manifest(folder, lambda row: row.split == "train" and row.use == "train-ok"), 16)
    sources = np.array([row.source for row in faces.rows])
    for share in (0.1, 0.34, 0.9):
        probabilities = faces.weights({"us": share})
        assert probabilities.sum() == pytest.approx(1)
        assert probabilities[sources == "us"].sum() == pytest.approx(share)
        assert np.ptp(probabilities[sources == "us"]) == pytest.approx(0) == np.ptp(probabilities[sources != "us"])
    np.testing.assert_allclose(faces.weights({"nobody": 0.5}), 1 / len(faces))
    alone = AlignedFaces([row for row in faces.rows if row.source == "us"], 16)
    np.testing.assert_allclose(alone.weights({"us": 0.34}), 1 / len(alone))


def stream(folder: Path, **changes: object) -> PairStream:
    rows = read_manifest(folder, lambda row: row.split == "train" and row.use == "train-ok")
    faces = AlignedFaces(rows, 48)
    mixture = [(0.5, preset("medium")), (0.5, None)]
    options = {"size": 32, "batch": 3, "seed": 5, "probabilities": faces.weights({"us": 0.34})} | changes
    return PairStream(faces, mixture, Augmentation(), **options)  # type: ignore[arg-type]


def same(a: Batch, b: Batch) -> bool:
    return torch.equal(a.damaged, b.damaged) and torch.equal(a.clean, b.clean)


def test_a_batch_is_a_function_of_seed_and_step(folder: Path) -> None:
    pairs = stream(folder)
    straight = list(islice(pairs(0), 7))
    for start in (0, 3, 6):
        for step, batch in zip(range(start, 7), stream(folder, threads=3, ahead=1)(start), strict=False):
            assert same(batch, straight[step]) and same(batch, pairs.at(step))
    assert not any(same(a, b) for n, a in enumerate(straight) for b in straight[:n])
    assert not same(stream(folder, seed=6).at(0), straight[0])


def test_pairs_are_pairs(folder: Path) -> None:
    batches = [stream(folder).at(step) for step in range(12)]
    for batch in batches:
        assert batch.damaged.shape == batch.clean.shape == (3, 3, 32, 32)
        assert batch.clean.is_contiguous(memory_format=torch.channels_last)
        assert float(batch.damaged.min()) >= -1 and float(batch.damaged.max()) <= 1
    # half of the mixture is undamaged, and there the pair is one picture
    equal = [bool(torch.equal(a, b)) for batch in batches for a, b in zip(batch.damaged, batch.clean, strict=True)]
    assert 0.25 < np.mean(equal) < 0.75


def test_a_fault_in_a_thread_reaches_the_loop(folder: Path) -> None:
    pairs = stream(folder)
    good = pairs.at

    def at(step: int) -> Batch:
        if step == 4:
            raise InputError("cannot read a crop")
        return good(step)

    pairs.at = at  # type: ignore[method-assign]
    coming = pairs(2)
    assert same(next(coming), good(2)) and same(next(coming), good(3))
    with pytest.raises(InputError, match="cannot read a crop"):
        next(coming)


def test_augmentation_keeps_the_face_in_its_place() -> None:
    """A dot stays within the stated turn, zoom and shift of where it was, or of its mirror image."""
    pixels = np.zeros((128, 128, 3), np.uint8)
    cv2.circle(pixels, (40, 52), 3, (255, 255, 255), -1)
    bounds = Augmentation()
    framing_only = Augmentation(light_p=0, tone_p=0, grey_p=0, toned_p=0)
    radius = np.hypot(63.5 - 40, 63.5 - 52) / 128
    reach = radius * (np.radians(bounds.angle) + np.expm1(bounds.zoom)) + bounds.shift * 2**0.5 + 0.01
    seen = set()
    for seed in range(200):
        image, _ = framing_only(pixels, 128, np.random.default_rng(seed))
        y, x = (float((image[..., 0] * axis).sum() / image[..., 0].sum()) for axis in np.mgrid[:128, :128])
        straight, mirrored = np.hypot(x - 40, y - 52) / 128, np.hypot(127 - x - 40, y - 52) / 128
        assert min(straight, mirrored) < reach
        seen.add(straight < mirrored)
    assert seen == {True, False}


def test_augmented_light_stays_in_range_and_grey_happens() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (48, 48, 3), np.uint8)
    pictures = [Augmentation()(pixels, 32, np.random.default_rng(seed))[0] for seed in range(150)]
    assert all(p.dtype == np.float32 and p.shape == (32, 32, 3) and p.min() >= 0 and p.max() <= 1 for p in pictures)
    grey = np.mean([np.ptp(p, axis=2).max() < 1e-6 for p in pictures])
    assert 0.05 < grey < 0.25  # 0.12 of them; as many more are toned
