"""Real clips through the real command: frames, times and sound stay; a kill loses nothing; what is broken is told in one line."""

from __future__ import annotations

import csv
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import cv2
import numpy as np
import pytest
from driving import ENVIRONMENT, Run, command
from numpy.testing import assert_array_equal
from numpy.typing import NDArray
from scenes import camera_over, film, frames_of, people_crossing, sound_of, times_of
from skimage import data

from facewright.media.clips import part_folder

pytestmark = pytest.mark.slow

DATA = Path(os.environ.get("FACEWRIGHT_DATA", Path(__file__).resolve().parents[3] / "shared" / "data"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("clips")


@pytest.fixture(scope="module")
def panned(folder: Path, portrait: NDArray[np.uint8]) -> Path:
    """The astronaut by a moving camera, at a variable rate, with sound."""
    times = [40 * t + 9 * (t % 4) for t in range(24)]
    return film(folder / "panned.mp4", camera_over(portrait, 24), times=times)


def test_frames_times_and_sound_stay_and_the_face_gets_calmer(panned: Path, call: Run, model: str) -> None:
    ran = call("restore", panned, "--model", model, "--json", "--report", panned.with_name("report.html"))
    assert ran.code == 0, ran.errors
    told, out = ran.told["panned.mp4"], panned.with_name("panned-restored.mp4")
    before, after = frames_of(panned), frames_of(out)
    assert len(before) == len(after) == told["frames"] == 24
    assert times_of(panned) == times_of(out)
    assert sound_of(panned) == sound_of(out) and len(sound_of(out)) > 5
    assert [(person["frames"], person["action"]) for person in told["faces"]] == [(24, "restored")]
    if model == "gfpgan-mini":
        assert told["flicker[motion]"][1] < told["flicker[motion]"][0]
    corner = np.abs(after[0][150:, :60].astype(int) - before[0][150:, :60])
    assert corner.mean() < 4, "beside the face only the coding changes anything: it saves on noise"
    assert "of the clip" in panned.with_name("report.html").read_text()


def test_a_clip_that_lies_on_its_side(folder: Path, portrait: NDArray[np.uint8], call: Run, tiny_model: Path) -> None:
    views = [np.ascontiguousarray(np.rot90(view, -1)) for view in camera_over(portrait, 8)]
    source = film(folder / "lying.mp4", views, turned=90, sound=False)
    ran = call("restore", source, "--model", tiny_model, "--json")
    assert ran.code == 0, ran.errors
    told = ran.told["lying.mp4"]
    after = frames_of(Path(told["output"]))
    assert (told["width"], told["height"]) == (320, 240) and len(after) == 8 and after[0].shape == (240, 320, 3)
    assert [person["action"] for person in told["faces"]] == ["restored"]


@pytest.mark.parametrize("real", [True, False], ids=["two real faces", "one face and its mirror image"])
def test_two_people_who_cross_keep_their_numbers(folder: Path, call: Run, tiny_model: Path, real: bool) -> None:
    heads = two_real_faces() if real else [data.astronaut()[0:300, 80:380], data.astronaut()[0:300, 80:380][:, ::-1]]
    source = film(folder / f"crossing-{real}.mp4", people_crossing(heads[0], heads[1], 30), sound=False)
    ran = call("restore", source, "--model", tiny_model, "--json")
    assert ran.code == 0, ran.errors
    told = ran.told[source.name]
    assert len(frames_of(Path(told["output"]))) == 30
    people = told["faces"]
    if real:
        assert len(people) == 2 and all(person["frames"] >= 10 for person in people)
    else:  # twins: whoever was hidden for long gets a new number
        assert 2 <= len(people) <= 4 and sum(person["frames"] for person in people) >= 40


def two_real_faces() -> list[NDArray[np.uint8]]:
    """Of two people of the test split, as large as they are stored."""
    manifest = DATA / "faces" / "manifest.csv"
    if not manifest.is_file():
        pytest.skip(f"no faces in {DATA}")
    with manifest.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["split"] == "test" and row["gray"] == "0" and row["gender"]]
    first = next(row for row in rows if row["gender"] == "female")
    second = next(row for row in rows if row["gender"] == "male")
    pictures = [cv2.imread(str(DATA / "faces" / row["file"])) for row in (first, second)]
    return [np.ascontiguousarray(each[..., ::-1]) for each in pictures]


def test_photos_and_clips_on_one_command_line(folder: Path, panned: Path, portrait: NDArray[np.uint8], call: Run, tiny_model: Path) -> None:
    photo = folder / "photo.png"
    cv2.imwrite(str(photo), portrait[..., ::-1])
    empty = film(folder / "empty.mp4", camera_over(np.ascontiguousarray(data.coffee()[::2, ::2]), 10))
    ran = call("restore", panned, photo, empty, "-o", folder / "out", "--model", tiny_model, "--journal", folder / "journal.jsonl")
    assert ran.code == 0, ran.errors
    lines = [line for line in ran.output.decode().splitlines() if " -> " in line]
    assert [Path(line.split(" -> ")[0]).name for line in lines] == ["photo.png", "panned.mp4", "empty.mp4"]
    assert "24 frames, faces followed: 1 " in lines[1] and "flicker" in lines[1]
    assert lines[2].endswith("no face was found, the clip is unchanged")
    assert (folder / "out" / "empty.mp4").read_bytes() == empty.read_bytes()
    again = call("restore", panned, photo, empty, "-o", folder / "out", "--model", tiny_model, "--journal", folder / "journal.jsonl")
    assert again.output.decode().count("already done") == 3


def test_a_killed_run_goes_on_to_the_same_frames(folder: Path, portrait: NDArray[np.uint8], call: Run, tiny_model: Path) -> None:
    # at about 4 frames a second a segment of ten seconds is some 40 frames
    source = film(folder / "long.mp4", camera_over(portrait, 60, size=(160, 120)), times=[250 * t for t in range(60)])
    whole, target = folder / "whole.mp4", folder / "killed.mp4"
    # without a loss: from one process to another x264 does not always code the same pictures alike
    options = ("--model", tiny_model, "--quality", "100")
    assert call("restore", source, "-o", whole, *options).code == 0
    process = subprocess.Popen(command("restore", source, "-o", target, *options), env=ENVIRONMENT, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 240
    while not list(part_folder(target).glob("00000.json")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()
        time.sleep(0.002)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists(), "the kill came too late to prove anything"
    safe = len(frames_of(part_folder(target) / "00000.mp4"))
    assert 38 <= safe <= 42, "what is there plays"

    again = call("restore", source, "-o", target, *options, "--json")
    assert again.code == 0, again.errors
    assert again.told["long.mp4"]["notes"][0].startswith(f"goes on after the {safe} frames")
    for number, (a, b) in enumerate(zip(frames_of(whole), frames_of(target), strict=True)):
        assert_array_equal(a, b, err_msg=f"frame {number}")
    assert sound_of(whole) == sound_of(target) and not part_folder(target).exists()


def test_a_full_disk_in_the_middle_says_how_to_go_on(folder: Path, portrait: NDArray[np.uint8], call: Run, tiny_model: Path) -> None:
    """A limit on the size of files stands for the disk's."""
    source = film(folder / "full.mp4", camera_over(portrait, 60), times=[250 * t for t in range(60)], sound=False)
    target = folder / "full-out.mp4"
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        ran = call("restore", source, "-o", target, "--model", tiny_model, "--quality", "95")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert ran.code == 5 and len(ran.complaints) == 1 and not target.exists()
    assert "the file may not grow further" in ran.complaints[0] and "run it again" in ran.errors
    again = call("restore", source, "-o", target, "--model", tiny_model, "--quality", "95")
    assert again.code == 0 and len(frames_of(target)) == 60


def test_broken_clips_are_told_in_one_line(folder: Path, panned: Path, call: Run, tiny_model: Path) -> None:
    whole = panned.read_bytes()
    (folder / "cut.mp4").write_bytes(whole[: len(whole) // 2])  # its index stood at the end
    (folder / "text.mp4").write_text("not a clip")
    for name, why in (("cut.mp4", "truncated"), ("text.mp4", "a text file")):
        ran = call("restore", folder / name, "--model", tiny_model)
        assert ran.code == 3 and len(ran.complaints) == 1 and why in ran.complaints[0]
        assert not (folder / name.replace(".", "-restored.")).exists()
    for option in ("--compare", "--save-faces", "--aligned", "--as-published"):
        ran = call("restore", panned, "--model", tiny_model, option)
        assert ran.code == 2 and ran.complaints[0].startswith(f"{option} is not for clips")
    ran = call("restore", panned, "-o", "-", "--model", tiny_model)
    assert ran.code == 2 and "is a clip" in ran.complaints[0]
