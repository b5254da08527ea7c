"""A clip that was read and written is the clip: times, sound, colours, metadata, and pictures nearly."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from clip_samples import av, film_times, make, number_of, packets, picture, samples
from media_samples import saved
from test_clips_reading import BT601, BT709, BT2020, FULL, UNTOLD

from facewright.errors import OutputError, UsageError
from facewright.media.clips import ClipInfo, ClipReader, ClipWriter, part_folder


def copied(source: Path, target: Path, **settings: Any) -> tuple[ClipInfo, ClipInfo, ClipWriter]:
    with ClipReader(source) as reader, ClipWriter(target, reader.info, **{"preset": "veryfast", "segment_frames": 7, **settings}) as writer:
        for frame in reader.frames(writer.finished):
            writer.write(frame.pixels, frame.pts)
    with ClipReader(target) as result:
        return reader.info, result.info, writer


@pytest.mark.parametrize("suffix", ["mp4", "m4v", "mov", "mkv", "webm", "avi"])
def test_a_copy_keeps_all(tmp_path: Path, suffix: str) -> None:
    metadata = {"title": "Grandma’s garden", "creation_time": "1999-12-31T23:59:59.000000Z"}
    metadata = {"title": "Grandma"} if suffix == "avi" else metadata
    source = make(tmp_path / f"clip.{suffix}", 24, metadata=metadata, format="mp4" if suffix == "m4v" else None)
    target = tmp_path / f"copy.{suffix}"
    before, after, writer = copied(source, target)
    assert film_times(target) == film_times(source) or suffix == "avi"
    with ClipReader(source) as reader, ClipReader(target) as result:
        pairs = list(zip(reader, result, strict=True))
        assert all(one.pts == other.pts and number_of(other.pixels) == one.index for one, other in pairs)
        assert np.mean([np.abs(one.pixels.astype(int) - other.pixels).mean() for one, other in pairs]) < 1.5
        assert result.complaints == []
    assert packets(target, "audio") == packets(source, "audio") != [[]]
    assert (samples(target) == samples(source)).all()
    for name in ("frames", "rate", "time_base", "start", "width", "height", "codec", "pixel_format", "audio", "container", "variable"):
        assert getattr(after, name) == getattr(before, name), name
    assert after.duration == pytest.approx(before.duration, abs=0.006)
    assert after.metadata["title"] == before.metadata["title"]
    if suffix != "avi":
        assert after.metadata["creation_time"] == "1999-12-31T23:59:59.000000Z" == before.metadata["creation_time"]
    assert writer.notes == [] and sorted(path.name for path in tmp_path.iterdir()) == [f"clip.{suffix}", f"copy.{suffix}"]


@pytest.mark.parametrize("colour", [BT709, BT601, FULL, BT2020, UNTOLD], ids=["709", "601", "full", "2020", "untold"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "webm"])
def test_colour_tags_and_colours_stay(tmp_path: Path, suffix: str, colour: dict[str, int]) -> None:
    source = make(tmp_path / f"clip.{suffix}", 3, colour=colour, sound=0)
    before, after, _ = copied(source, tmp_path / f"copy.{suffix}", crf=4)
    assert after.colour == before.colour and after.pixel_format.replace("yuvj", "yuv") == "yuv420p"
    with ClipReader(source) as reader, ClipReader(tmp_path / f"copy.{suffix}") as result:
        one, other = list(reader)[2].pixels, list(result)[2].pixels
        # A wrong matrix or range shifts a channel by 5 and more.
        assert np.abs(one.mean((0, 1)) - other.mean((0, 1))).max() < (1.2 if colour["range"] == 2 else 0.5)
        assert np.abs(one.astype(int) - other).mean() < 1.2


def test_conversion_alone_errs_by_less_than_one_level() -> None:
    """RGB -> stored -> RGB without any codec. 4:4:4: rounding only. 4:2:0: of a smooth picture little more."""
    from facewright.media.clips.colour import FULL as FULL_RANGE
    from facewright.media.clips.colour import LIMITED, Converter

    y, x = np.mgrid[0:48, 0:64]
    smooth = np.stack([40 + 2.5 * x, 60 + 2.5 * y, 90 + 60 * np.sin(x / 17 + y / 11)], -1).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    for matrix in (1, 5, 6, 9):
        for range_, allowed in ((LIMITED, 0.45), (FULL_RANGE, 0.8)):
            converter = Converter(matrix, range_)
            for pixels, pixel_format in ((noise, "yuv444p"), (smooth, "yuv420p")):
                error = converter.to_rgb(converter.from_rgb(pixels, pixel_format)).astype(int) - pixels
                assert np.abs(error).mean() < allowed
                assert abs(error.mean()) < (0.05 if range_ == LIMITED else 0.5)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv"])
@pytest.mark.parametrize("first", [0, 700])
def test_a_variable_rate_stays(tmp_path: Path, suffix: str, first: int) -> None:
    """Also over the borders of segments, with B-frames, and where the clip does not begin at 0."""
    times = [first + t for t in (0, 900, 1000, 4700, 4720, 9000, 9900, 14000, 20000, 20500, 40000, 40100, 40200, 60000)]
    source = make(tmp_path / f"clip.{suffix}", times=times, time_base=Fraction(1, 12800))
    before, after, _ = copied(source, tmp_path / f"copy.{suffix}", segment_frames=5)
    assert before.variable and after.variable and after.time_base == before.time_base
    assert film_times(tmp_path / f"copy.{suffix}") == film_times(source)
    if suffix != "mkv":  # which tells of the sound's duration only, where that is longer
        assert after.duration == pytest.approx(
            60000 / 12800 + 1 / 12, abs=1e-4
        )  # the sample's own is too short: its last packet is not its last frame
    assert packets(tmp_path / f"copy.{suffix}", "audio") == packets(source, "audio")
    with ClipReader(tmp_path / f"copy.{suffix}") as result:
        assert [number_of(frame.pixels) for frame in result] == list(range(len(times)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_the_last_frame_is_shown_as_long(tmp_path: Path, suffix: str) -> None:
    path = make(tmp_path / f"clip.{suffix}", 5, rate=10, last_shown=10, sound=0, options={"bf": "0"})
    before, after, _ = copied(path, tmp_path / f"copy.{suffix}")
    assert before.duration == pytest.approx(1.4, abs=0.01)
    assert after.duration == before.duration


@pytest.mark.parametrize("degrees", [90, 180, -90])
def test_a_turned_clip_looks_the_same(tmp_path: Path, degrees: int) -> None:
    source = make(tmp_path / "clip.mov", 5, turn={"degrees": degrees}, aspect=Fraction(4, 3), sound=0)
    before, after, _ = copied(source, tmp_path / "copy.mov")
    assert (after.rotation, after.mirrored) == (0, False)
    assert (after.width, after.height, after.pixel_aspect) == (before.width, before.height, before.pixel_aspect)
    with ClipReader(source) as reader, ClipReader(tmp_path / "copy.mov") as result:
        for one, other in zip(reader, result, strict=True):
            assert np.abs(one.pixels.astype(int) - other.pixels).mean() < 2


@pytest.mark.parametrize("size", [(101, 75), (100, 75), (101, 76)])
@pytest.mark.parametrize("suffix, stored", [("mp4", "yuv444p"), ("webm", "yuv420p")])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int], suffix: str, stored: str) -> None:
    source = make(tmp_path / "clip.mkv", 3, size=size, pixel_format="yuv420p", codec="libvpx-vp9", sound=0)
    before, after, writer = copied(source, tmp_path / f"copy.{suffix}")
    assert (after.width, after.height) == size == (before.width, before.height)
    assert after.pixel_format == stored
    assert bool(writer.notes) == (suffix == "mp4") and all("4:4:4" in note for note in writer.notes)
    with ClipReader(tmp_path / f"copy.{suffix}") as result:
        assert [number_of(frame.pixels) for frame in result] == [0, 1, 2]


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuv420p10le"])
def test_chroma_is_stored_as_finely(tmp_path: Path, pixel_format: str) -> None:
    source = make(tmp_path / "clip.mkv", 3, pixel_format=pixel_format, sound=0)
    _, after, _ = copied(source, tmp_path / "copy.mkv")
    assert after.pixel_format == pixel_format.replace("10le", "")


def test_pictures_of_another_size(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", 3)
    with ClipReader(source) as reader, ClipWriter(tmp_path / "copy.mp4", reader.info, (192, 128)) as writer:
        for frame in reader:
            writer.write(frame.pixels.repeat(2, 0).repeat(2, 1), frame.pts)
    with ClipReader(tmp_path / "copy.mp4") as result:
        assert (result.info.width, result.info.height) == (192, 128) and len(list(result)) == 3


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_every_sound_track_and_the_subtitles_stay(tmp_path: Path, suffix: str) -> None:
    source, target = make(tmp_path / f"clip.{suffix}", 24, sound=3, subtitles=True), tmp_path / f"copy.{suffix}"
    copied(source, target)
    for kind, number in (("audio", 3), ("subtitle", 1)):
        before, after = packets(source, kind), packets(target, kind)
        assert len(after) == number and after == before and all(after)
    with av.open(str(target)) as container, av.open(str(source)) as original:
        assert [s.type for s in container.streams] == [s.type for s in original.streams]
        assert [s.metadata.get("language") for s in container.streams.audio] == ["eng", "deu", "fra"]
        assert [int(s.disposition) for s in container.streams] == [int(s.disposition) for s in original.streams]


def test_chapters_and_apples_own_keys_stay(tmp_path: Path) -> None:
    apple = {"com.apple.quicktime.make": "Apple", "title": "Garden"}
    source = make(tmp_path / "clip.mov", 24, metadata=apple, container_options={"movflags": "use_metadata_tags"})
    with (
        av.open(str(source)) as plain,
        av.open(str(tmp_path / "with.mov"), "w", container_options={"movflags": "use_metadata_tags"}) as out,
    ):
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in plain.streams}
        out.metadata.update(apple)
        second = Fraction(1, 1000)
        gate = {"id": 1, "start": 0, "end": 500, "time_base": second, "metadata": {"title": "the gate"}}
        roses = {"id": 2, "start": 500, "end": 1500, "time_base": second, "metadata": {"title": "the roses"}}
        out.set_chapters([gate, roses])
        for packet in plain.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)
    _, _, writer = copied(tmp_path / "with.mov", tmp_path / "copy.mov")
    with av.open(str(tmp_path / "copy.mov")) as container:
        assert container.metadata["com.apple.quicktime.make"] == "Apple"
        chapters = [(float(each["end"] * each["time_base"]), each["metadata"]["title"]) for each in container.chapters()]
        assert chapters == [(0.5, "the gate"), (1.5, "the roses")]
    assert writer.notes == []


def test_subtitles_that_the_container_does_not_hold_are_told(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mkv", 5, subtitles=True)
    _, after, writer = copied(source, tmp_path / "copy.mp4")
    assert "subtitle" in writer.notes[0] and after.others == () and after.has_audio


def test_sound_that_the_container_does_not_hold_is_refused_at_once(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", 5)
    with ClipReader(source) as reader, pytest.raises(OutputError, match="does not hold its sound"):
        ClipWriter(tmp_path / "copy.webm", reader.info)
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


@pytest.mark.parametrize("suffix", ["mkv", "mp4", "mov"])
def test_into_another_container(tmp_path: Path, suffix: str) -> None:
    source = make(tmp_path / "clip.ts", 24)
    _, after, _ = copied(source, tmp_path / f"copy.{suffix}")
    assert after.start * after.time_base < Fraction(1, 5)  # a stream's clock may begin anywhere, a clip's does not
    with ClipReader(tmp_path / f"copy.{suffix}") as result:
        frames = list(result)
        assert [number_of(frame.pixels) for frame in frames] == list(range(24))
        gaps = np.diff([float(frame.pts * after.time_base) for frame in frames])
        assert gaps == pytest.approx([1 / 12] * 23, abs=0.0011)


def test_into_avi(tmp_path: Path) -> None:
    """AVI counts frames: also from a container that counts milliseconds, at a rate that is no whole number of them."""
    source = make(tmp_path / "clip.mkv", 24, rate=Fraction(30000, 1001), time_base=Fraction(1001, 30000))
    _, after, _ = copied(source, tmp_path / "copy.avi")
    assert after.rate == Fraction(30000, 1001) and after.frames == 24
    with ClipReader(tmp_path / "copy.avi") as result:
        assert [(number_of(frame.pixels), frame.pts) for frame in result] == [(index, index) for index in range(24)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_covers_and_attachments_stay(tmp_path: Path, suffix: str) -> None:
    source, target = make(tmp_path / f"plain.{suffix}", 5), tmp_path / f"copy.{suffix}"
    cover = av.VideoFrame.from_ndarray(picture(3), format="rgb24")
    with av.open(str(source)) as plain, av.open(str(tmp_path / f"clip.{suffix}"), "w") as out:
        streams = {stream.index: out.add_stream_from_template(stream, opaque=True) for stream in plain.streams}
        if suffix == "mkv":
            out.add_attachment("letters.ttf", "font/ttf", b"letters" * 50)
            out.add_attachment("cover.jpg", "image/jpeg", saved(picture(3), "JPEG"))
        else:
            art = out.add_stream("mjpeg", rate=1, width=96, height=64, pix_fmt="yuvj420p")
            art.disposition = av.stream.Disposition.attached_pic
            out.mux(art.encode(cover))
        for packet in plain.demux():
            if packet.size:
                packet.stream = streams[packet.stream_index]
                out.mux(packet)

    def held(path: Path) -> list[Any]:
        with av.open(str(path)) as container:
            extra = [(stream.type, stream.metadata.get("filename"), int(stream.disposition)) for stream in container.streams][2:]
            sizes = {packet.size for packet in container.demux() if packet.stream_index >= 2}
            return [sorted(extra, key=str), sizes - {0}]

    copied(tmp_path / f"clip.{suffix}", target)
    assert held(target) == held(tmp_path / f"clip.{suffix}") and held(target)[0]


def test_times_below_zero_move_all(tmp_path: Path) -> None:
    source = make(tmp_path / "clip.mp4", 6)
    with ClipReader(source) as reader, ClipWriter(tmp_path / "copy.mp4", reader.info) as writer:
        step = int(1 / (12 * reader.info.time_base))
        for frame in reader:
            writer.write(frame.pixels, frame.pts - 2 * step)
    with ClipReader(tmp_path / "copy.mp4") as result:
        assert [number_of(frame.pixels) for frame in result] == list(range(6))
    before, after = packets(source, "audio")[0], packets(tmp_path / "copy.mp4", "audio")[0]
    assert [entry[4] for entry in after] == [entry[4] for entry in before]
    assert after[1][1] - before[1][1] == 8000  # two frames of 12 a second in 48,000ths: sound and pictures stay together


@pytest.mark.parametrize("codec", ["libx265", "libvpx-vp9"])
def test_other_codecs(tmp_path: Path, codec: str) -> None:
    source = make(tmp_path / "clip.mp4", 10, size=(128, 96))
    _, after, _ = copied(source, tmp_path / "copy.mp4", codec=codec, crf=20, preset="ultrafast")
    assert after.codec == {"libx265": "hevc", "libvpx-vp9": "vp9"}[codec]
    assert film_times(tmp_path / "copy.mp4") == film_times(source)


def test_settings_that_do_not_fit(tmp_path: Path) -> None:
    with ClipReader(make(tmp_path / "clip.mp4", 3, sound=0)) as reader:
        info = reader.info

    def refused(match: str, name: str = "copy.mp4", **settings: Any) -> None:
        with pytest.raises(UsageError, match=match) as caught:
            ClipWriter(tmp_path / name, info, **settings)
        assert caught.value.what_to_do or caught.value.why

    refused("none of a clip's", "copy.gif")
    refused("none of a clip's", "copy.wmv")
    refused("not one of ours", codec="mjpeg")
    refused("crf 52", crf=52)
    refused("preset 'slowest'", preset="slowest")
    refused("does not hold", "copy.webm", codec="libx264")
    refused("16 x 16", size=(8, 8))
    refused("the clip that is read", "clip.mp4")
    with pytest.raises(OutputError, match="no folder"):
        ClipWriter(tmp_path / "gone" / "copy.mp4", info)
    with ClipWriter(tmp_path / "copy.mp4", info) as writer:
        writer.write(picture(0), 5)
        for pixels, pts in ((picture(1), 5), (picture(1), 4), (picture(1)[1:], 6), (picture(1).astype(np.uint16), 6)):
            with pytest.raises(UsageError, match="cannot write a picture"):
                writer.write(pixels, pts)
    with pytest.raises(OutputError, match="not one picture"), ClipWriter(tmp_path / "none.mp4", info):
        pass
    assert not part_folder(tmp_path / "none.mp4").exists()
