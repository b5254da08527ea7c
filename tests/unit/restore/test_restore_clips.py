"""Clips through the restorer: every frame once and in its time, faces followed, runs gone on with, memory that does not grow."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from restored_clips import Counted, Knows, MarkFinder, Pixels, drawn, film, frames_of, times_of

from facewright.errors import InputError, OutputError, UsageError
from facewright.faces.identity import Identity
from facewright.media.clips import ClipReader, ClipWriter, part_folder
from facewright.restore import Restorer
from facewright.restore.clips import ClipOutcome, restore_clip

LOSSLESS = 100
Make = Callable[..., Restorer]


@pytest.fixture
def clips(model: str, monkeypatch: pytest.MonkeyPatch) -> Make:
    """Restorers that find marks."""
    monkeypatch.setattr(Identity, "load", lambda device: Knows(0.0))

    def make(**choices: Any) -> Restorer:
        return Restorer(detector=MarkFinder(), model=model, device="cpu", precision="fp32", **choices)

    return make


def walking(count: int, start: int = 0) -> list[Pixels]:
    """Somebody walks, 1 px a frame, 20 steps to the right and back."""
    return drawn([{"red": (100 + 20 - abs(20 - (start + t) % 40), 80)} for t in range(count)])


def restored(source: Path, restorer: Restorer, **choices: Any) -> tuple[ClipOutcome, list[Pixels]]:
    target = source.with_name(f"{source.stem}-restored{source.suffix}")
    outcome = restore_clip(source, target, restorer, quality=LOSSLESS, **choices)
    assert outcome.target == target and not part_folder(target).exists()
    return outcome, frames_of(target)


def changed(before: list[Pixels], after: list[Pixels]) -> list[int]:
    """For each frame how many pixels are clearly others; the conversion from RGB and back errs by one or two levels."""
    return [int((np.abs(a.astype(int) - b) > 4).any(axis=2).sum()) for a, b in zip(before, after, strict=True)]


def test_every_frame_comes_out_once_in_its_time_with_its_face(tmp_path: Path, clips: Make) -> None:
    times = [40 * t + (t % 3) * 7 for t in range(30)]
    source = film(tmp_path / "walk.mp4", walking(30), times)
    told: list[tuple[int, int | None]] = []
    restorer = clips()
    outcome, after = restored(source, restorer, on_progress=lambda done, total: told.append((done, total)))
    assert times_of(outcome.target) == times_of(source)
    assert told == [(done, 30) for done in range(31)]
    counts = changed(frames_of(source), after)
    assert min(counts) > 300 and max(counts) < 2 * min(counts)
    (person,) = outcome.report["faces"]
    assert (person["frames"], person["frames_restored"], person["action"]) == (30, 30, "restored")
    before, calm = outcome.report["flicker[motion]"]
    assert 0 < before < 5 and 0 < calm < 5
    assert outcome.sample is not None and outcome.sample.report["faces"][0]["action"] == "restored"
    assert restorer.detector.looks <= 30 / 3 + 4  # type: ignore[attr-defined]


def test_a_frame_is_restored_as_a_photo_would_be(tmp_path: Path, clips: Make) -> None:
    source = film(tmp_path / "still.mp4", drawn([{"red": (100, 80)}] * 12))
    _, after = restored(source, clips(), steady=False)
    photo = next(iter(clips().restore([frames_of(source)[5]]))).image
    assert np.abs(after[5].astype(int) - photo).max() <= 4


def test_faces_fade_in_and_out_and_the_rest_is_left(tmp_path: Path, clips: Make) -> None:
    frames = [{"red": (60, 80)} | ({"blue": (180, 80)} if 10 <= t < 30 else {}) for t in range(45)]
    source = film(tmp_path / "two.mp4", drawn(frames))
    outcome, after = restored(source, clips())
    before = frames_of(source)
    right = [int(np.abs(a[:, 120:].astype(int) - b[:, 120:]).max()) for a, b in zip(before, after, strict=True)]
    assert max(right[:10] + right[30:]) <= 4
    shown = [float(np.abs(a[:, 120:].astype(int) - b[:, 120:]).mean()) for a, b in zip(before, after, strict=True)]
    assert shown[10] < 0.5 * shown[14] < 0.9 * shown[20] and shown[29] < 0.5 * shown[25] < 0.9 * shown[20]
    people = {person["face"]: person for person in outcome.report["faces"]}
    assert [(each["first_frame"], each["last_frame"]) for each in people.values()] == [(0, 44), (10, 29)]
    assert all(each["action"] == "restored" for each in people.values())


def test_a_cut_is_no_fade(tmp_path: Path, clips: Make) -> None:
    source = film(tmp_path / "cut.mp4", drawn([{"red": (60, 80)}] * 12) + drawn([{"blue": (180, 80)}] * 12, seed=9))
    outcome, after = restored(source, clips(), steady=False)
    counts = changed(frames_of(source), after)
    assert min(counts[:12]) > 0.8 * max(counts[:12]) and min(counts[12:]) > 0.8 * max(counts[12:])
    assert [person["first_frame"] for person in outcome.report["faces"]] == [0, 12]


def test_only_the_faces_that_are_named(tmp_path: Path, clips: Make) -> None:
    frames = [{"red": (60, 80)} | ({"blue": (180, 80)} if t >= 8 else {}) for t in range(24)]
    source = film(tmp_path / "two.mp4", drawn(frames))
    outcome, after = restored(source, clips(faces="1"))
    before = frames_of(source)
    assert changed([each[:, :115] for each in before], [each[:, :115] for each in after]) == [0] * 24
    assert [person["action"] for person in outcome.report["faces"]] == ["left alone", "restored"]
    assert outcome.report["faces"][0]["reasons"] == ["not chosen (--faces 1)"]
    outcome, _ = restored(source, clips(faces="7"))
    assert outcome.unchanged and "face 7, named by --faces, is not in the clip" in outcome.notes


def test_a_clip_without_faces_is_the_very_same_file(tmp_path: Path, clips: Make) -> None:
    source = film(tmp_path / "empty.mp4", drawn([{}] * 15))
    outcome, _ = restored(source, clips())
    assert outcome.target.read_bytes() == source.read_bytes()
    assert outcome.unchanged and outcome.notes == ["no face was found"] and outcome.report["flicker[motion]"] is None
    # but where it is to be larger, it is written
    outcome, after = restored(source, clips(upscale=2.0))
    assert not outcome.unchanged and after[0].shape == (320, 480, 3) and len(after) == 15


def test_it_can_be_enlarged(tmp_path: Path, clips: Make) -> None:
    outcome, after = restored(film(tmp_path / "walk.mp4", walking(12)), clips(upscale=1.5))
    assert after[0].shape == (240, 360, 3) and len(after) == 12
    assert outcome.report["flicker[motion]"][1] < 5


@pytest.mark.parametrize("steady", [True, False])
def test_a_killed_run_is_gone_on_with_to_the_very_same_frames(
    tmp_path: Path, clips: Make, monkeypatch: pytest.MonkeyPatch, steady: bool
) -> None:
    frames = [{"red": (100 + 20 - abs(20 - t % 40), 60)} | ({"blue": (180, 110)} if 55 <= t < 110 else {}) for t in range(120)]
    source = film(tmp_path / "walk.mp4", drawn(frames))
    whole = tmp_path / "whole.mp4"
    # without a loss: x264 does not always code the same pictures alike
    choices: dict[str, Any] = {"quality": LOSSLESS, "segment_frames": 25, "steady": steady}
    first = restore_clip(source, whole, clips(), **choices)

    def killed(done: int, total: int | None) -> None:
        if done == 90:
            raise RuntimeError("killed")

    target = tmp_path / "again.mp4"
    monkeypatch.setattr(ClipWriter, "stop", lambda self: None)
    with pytest.raises(RuntimeError, match="killed"):
        restore_clip(source, target, clips(), **choices, on_progress=killed)
    monkeypatch.undo()
    monkeypatch.setattr(Identity, "load", lambda device: Knows(0.0))
    assert not target.exists() and part_folder(target).is_dir()

    told = []
    again = restore_clip(source, target, clips(), **choices, on_progress=lambda done, total: told.append(done))
    assert told[0] in (50, 75) and told[-1] == 120
    assert any("goes on after the" in note for note in again.notes)
    for number, (a, b) in enumerate(zip(frames_of(whole), frames_of(target), strict=True)):
        assert_array_equal(a, b, err_msg=f"frame {number}")
    assert not part_folder(target).exists()
    assert [each["frames"] for each in again.report["faces"]] == [each["frames"] for each in first.report["faces"]]
    assert again.report["flicker[motion]"] == pytest.approx(first.report["flicker[motion]"], rel=0.05)


def test_other_settings_begin_anew(tmp_path: Path, clips: Make) -> None:
    source, target = film(tmp_path / "walk.mp4", walking(40)), tmp_path / "out.mp4"

    def stopped(done: int, total: int | None) -> None:
        if done == 30:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        restore_clip(source, target, clips(), segment_frames=10, on_progress=stopped)
    told: list[int] = []
    restore_clip(source, target, clips(strength=0.5), segment_frames=10, on_progress=lambda done, total: told.append(done))
    assert told[0] == 0 and len(frames_of(target)) == 40


def test_frames_in_memory_do_not_grow_with_the_clip(tmp_path: Path, clips: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ClipReader, "frames", lambda self, start=0: Counted.frames(self, start))

    def most_alive(count: int) -> int:
        peak = 0

        def look(done: int, total: int | None) -> None:
            nonlocal peak
            peak = max(peak, len(Counted.held))

        restored(film(tmp_path / f"{count}.mp4", walking(count)), clips(), on_progress=look)
        return peak

    short, long = most_alive(40), most_alive(200)
    assert 10 < long <= short + 3 < 45


def test_a_change_of_size_keeps_what_came_before(tmp_path: Path, clips: Make) -> None:
    source = tmp_path / "changes.mkv"
    first, second = film(tmp_path / "a.mp4", walking(20)), film(tmp_path / "b.mp4", [each[:120, :180] for each in walking(20)])
    joined_with_a_change(first, second, source)
    outcome, after = restored(source, clips())
    assert len(after) == 20 and min(changed(frames_of(first), after)) > 300
    assert outcome.broken is not None and "240 x 160 to 180 x 120" in outcome.broken.why
    assert "the 20 frames before are restored, in " in outcome.broken.what_to_do


def joined_with_a_change(first: Path, second: Path, target: Path) -> None:
    """Packets of both, one stream: Matroska takes that, and players have to live with it."""
    import av

    with av.open(str(target), "w") as out:
        stream, offset = None, 0
        for path in (first, second):
            with av.open(str(path)) as clip:
                own = clip.streams.video[0]
                stream = stream or out.add_stream_from_template(own)
                annex_b = av.BitStreamFilterContext("h264_mp4toannexb", own) if hasattr(av, "BitStreamFilterContext") else None
                for packet in clip.demux(own):
                    if not packet.size:
                        continue
                    packet.pts, packet.dts = packet.pts + offset, packet.dts + offset
                    for piece in annex_b.filter(packet) if annex_b else [packet]:
                        piece.stream = stream
                        out.mux(piece)
                offset += own.duration


def test_what_means_nothing_for_a_clip_is_refused(tmp_path: Path, clips: Make) -> None:
    source = film(tmp_path / "walk.mp4", walking(4))
    with pytest.raises(UsageError, match="--aligned is not for clips"):
        restore_clip(source, tmp_path / "out.mp4", clips(aligned=True))
    with pytest.raises(UsageError, match="it is the clip that is read"):
        restore_clip(source, source, clips())
    with pytest.raises(InputError, match="no such file"):
        restore_clip(tmp_path / "none.mp4", tmp_path / "out.mp4", clips())
    with pytest.raises(OutputError, match="there is no folder"):
        restore_clip(source, tmp_path / "none" / "out.mp4", clips())


def test_a_truncated_clip_gives_what_can_be_read(tmp_path: Path, clips: Make) -> None:
    whole = film(tmp_path / "whole.mkv", walking(60))
    source = tmp_path / "short.mkv"
    shutil.copy(whole, source)
    with source.open("r+b") as file:
        file.truncate(whole.stat().st_size * 2 // 3)
    outcome, after = restored(source, clips())
    assert 10 < len(after) < 60 and outcome.report["frames"] == len(after)
    assert any("ends early" in note for note in outcome.notes)
