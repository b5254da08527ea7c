"""Segments and the source's other tracks into one clip, packet by packet: nothing is decoded, nothing encoded again."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, BinaryIO

from facewright.errors import OutputError
from facewright.media.clips import kinds, library, probing
from facewright.media.clips.info import ClipInfo
from facewright.media.clips.segments import Segment

if TYPE_CHECKING:
    from av.container import InputContainer, OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_STALE = {"rotate", "encoder", "duration", "major_brand", "minor_version", "compatible_brands", "vendor_id"}
_STALE_COUNTS = ("BPS", "NUMBER_OF_", "_STATISTICS", "DURATION")
_TAIL = 32
"""Film packets held back until the source's last frame was met, whose duration one of them is given."""


def join(file: BinaryIO, container: str, info: ClipInfo, segments: list[Segment]) -> list[str]:
    """Write the clip into an open file: the film from the segments; sound, subtitles and all else the container takes from the source.

    container: of ``kinds.MUXERS``. info: the source's. The film's times are the noted ones; the other packets are the source's, bytes and
    times. Both move together where a picture's time is below 0, which no container keeps, or the source is a stream that begins anywhere.
    Returns notes of what the container does not take. Raises OutputError (sound that it does not take, a damaged segment), the file's
    OSError, InputError (the source is gone).
    """
    av = library.pyav()
    source, _ = library.opened(info.path)
    with source, av.open(str(segments[0].path), "r", format="mov") as pattern:
        own = probing.picture_stream(source, info.path)
        shift = _shift(source, info, segments)
        with av.open(file, "w", format=kinds.MUXERS[container], container_options=_options(container, info, source, shift)) as out:
            streams, notes = _streams(out, container, info, source, own, pattern)
            out.metadata.update(probing.kept_metadata(source))
            if source.chapters():
                out.set_chapters(source.chapters())
            film = streams.pop(own.index)
            # Else Matroska would tell the codec's scale of times as the rate.
            film.codec_context.framerate = info.rate  # type: ignore[attr-defined]
            _mux(out, _Film(segments, info, film, shift, container), _Others(source, streams, shift, own), notes)
    return notes


def _shift(source: InputContainer, info: ClipInfo, segments: list[Segment]) -> Fraction:
    """Seconds that are added to every time."""
    first = segments[0].times[0] * info.time_base
    if info.container == "ts" and source.start_time is not None:
        return -Fraction(source.start_time, 1_000_000)
    return -first if first < 0 else Fraction(0)


def _options(container: str, info: ClipInfo, source: InputContainer, shift: Fraction) -> dict[str, str]:
    if container == "avi":
        return {"avoid_negative_ts": "disabled"}  # sound that begins before 0 would else cost an empty frame
    if container not in ("mp4", "mov"):
        return {}
    options = {}
    if info.time_base.numerator == 1:
        options["video_track_timescale"] = str(info.time_base.denominator)
    starts = {stream.start_time for stream in source.streams if stream.start_time is not None} | {info.start}
    scale = math.lcm(*(stream.time_base.denominator for stream in source.streams if stream.time_base))
    if (starts != {0} or shift) and scale < 1 << 31:
        # A track that begins late is told in units of the whole film's scale, else of milliseconds.
        options["movie_timescale"] = str(scale)
    if any(key.startswith("com.") for key in source.metadata):
        options["movflags"] = "use_metadata_tags"  # Apple's own keys live in a list of their own
    return options


def _streams(
    out: OutputContainer, container: str, info: ClipInfo, source: InputContainer, own: Stream, pattern: InputContainer
) -> tuple[dict[int, Stream], list[str]]:
    """The output's streams by the source's index, in the source's order."""
    streams: dict[int, Stream] = {}
    notes = []
    for stream in source.streams:
        if stream.index != own.index and not _takes(container, stream):
            codec = stream.codec_context.name if stream.codec_context else "unknown"
            if stream.type == "audio":
                raise OutputError(
                    f"cannot write the sound into {container.upper()}", f"it does not hold {codec}", "write .mkv, which holds nearly all"
                )
            # The chapters of a MOV or MP4 show as a data track as well; they are written anew.
            if not (stream.type == "data" and source.chapters()):
                notes.append(f"its {stream.type} track ({codec}) is left out: {container.upper()} does not hold it")
            continue
        if container == "mkv" and probing.is_still(stream):
            _attach_cover(out, info, stream)  # as a track it would be a second film
            continue
        template = pattern.streams.video[0] if stream.index == own.index else stream
        written = out.add_stream_from_template(template, opaque=True)
        written.metadata.update(_stream_metadata(stream, stream.index == own.index))
        written.disposition = stream.disposition
        streams[stream.index] = written
    return streams, notes


def _attach_cover(out: OutputContainer, info: ClipInfo, stream: Stream) -> None:
    """A cover picture as an attachment, which is how Matroska holds it. Its only packet is the picture's file."""
    again, _ = library.opened(info.path)
    with again:
        picture = next((packet for packet in again.demux(again.streams[stream.index]) if packet.size), None)
        if picture is not None:
            kind = "png" if stream.codec_context is not None and stream.codec_context.name == "png" else "jpeg"
            named = stream.metadata.get("filename") or f"cover.{kind.replace('jpeg', 'jpg')}"
            out.add_attachment(named, stream.metadata.get("mimetype") or f"image/{kind}", bytes(picture))


def _takes(container: str, stream: Stream) -> bool:
    """Whether a container holds a track: a header is written for it alone."""
    av = library.pyav()
    try:
        trial = av.open(io.BytesIO(), "w", format=kinds.MUXERS[container])
        trial.add_stream_from_template(stream, opaque=True)
        trial.start_encoding()
    except (av.FFmpegError, ValueError):
        return False
    return True


def sound_fits(info: ClipInfo, container: str) -> str:
    """The codec of a sound track of the source that the container does not hold, or ""."""
    source, _ = library.opened(info.path)
    with source:
        for stream in source.streams.audio:
            if not _takes(container, stream):
                return stream.codec_context.name if stream.codec_context else "unknown"
    return ""


def _stream_metadata(stream: Stream, film: bool) -> dict[str, str]:
    kept = {key: text for key, text in stream.metadata.items() if key.lower() not in _STALE}
    return {key: text for key, text in kept.items() if not film or not key.startswith(_STALE_COUNTS)}


def _mux(out: OutputContainer, film: _Film, others: _Others, notes: list[str]) -> None:
    """All packets, by time, so that the container never has to hold many back."""
    av = library.pyav()
    pictures = iter(film)
    next_picture = next(pictures, None)
    lost = 0
    for packet in others:
        while next_picture is not None and film.left > _TAIL and _seconds(next_picture) <= _seconds(packet):
            out.mux(next_picture)
            next_picture = next(pictures, None)
        try:
            out.mux(packet)
        except av.FFmpegError:
            lost += 1  # a damaged source: times that fall, or none at all
    film.last_duration = others.last_duration(film.source_end) if film.own_times else None
    while next_picture is not None:
        out.mux(next_picture)
        next_picture = next(pictures, None)
    if lost:
        notes.append(f"{lost:,} damaged pieces of its sound or subtitles could not be copied")
    if others.broke_off:
        notes.append("its sound ends early, as its pictures do")


def _seconds(packet: Packet[Stream]) -> float:
    time = packet.dts if packet.dts is not None else packet.pts
    return 0.0 if time is None else float(time * packet.time_base)


class _Film:
    """The segments' packets with the clip's own times.

    Times of decoding are made here: the n-th packet is decoded when frame n - delay is shown. They rise for any times of showing, and
    do not depend on where the segments begin.
    """

    def __init__(self, segments: list[Segment], info: ClipInfo, stream: Stream, shift: Fraction, container: str) -> None:
        self._annex_b = container == "avi"  # which wants H.264 with start codes, where MP4 holds lengths
        self._by_decoding = container in ("mp4", "mov")
        self._segments, self._stream = segments, stream
        times = list(itertools.chain.from_iterable(segment.times for segment in segments))
        # AVI counts in frames; in any finer unit it would be full of empty ones.
        self._time_base = 1 / info.rate if container == "avi" else info.time_base
        self._times = times if container != "avi" else [round(pts * info.time_base * info.rate) for pts in times]
        self._shift = round(shift / self._time_base)
        self._step = max(1, round(1 / (info.rate * self._time_base)))
        stream.time_base = self._time_base
        self._delay = delay = max(segment.delay for segment in segments)
        # How far apart the first frames are decoded, before any is shown. Not further than the last ones are shown, else there would
        # be no room for the last packet below.
        tail = self._times[-1] - self._times[-1 - delay] if delay else 0
        self._lead = max(1, min(self._step, tail // max(1, delay)))
        self.left = len(self._times)
        self.source_end, self.own_times = times[-1], container != "avi"
        self.last_duration: int | None = None

    def __iter__(self) -> Iterator[Packet[Stream]]:
        extradata: bytes | None = None
        for segment in self._segments:
            try:
                with library.pyav().open(str(segment.path), "r", format="mov") as container:
                    shown = sorted(packet.pts for packet in container.demux(container.streams.video[0]) if packet.size)
                with library.pyav().open(str(segment.path), "r", format="mov") as container:
                    stream = container.streams.video[0]
                    extradata = extradata or stream.codec_context.extradata
                    if len(shown) != len(segment.times) or stream.codec_context.extradata != extradata:
                        raise ValueError(segment.path)
                    ranks = {pts: rank for rank, pts in enumerate(shown, segment.first)}
                    packets = (packet for packet in container.demux(stream) if packet.size)
                    for place, packet in enumerate(packets, segment.first):
                        rank = ranks[packet.pts]
                        yield self._timed(self._as_wanted(stream, packet), place, rank)
            except (library.pyav().FFmpegError, ValueError, KeyError, IndexError) as fault:
                why, todo = "it is not as it was written", f"remove {segment.path.parent} and begin anew"
                raise OutputError(f"cannot join {segment.path}", why, todo) from fault

    def _timed(self, packet: Packet[Stream], place: int, rank: int) -> Packet[Stream]:
        times, before = self._times, place - self._delay
        packet.stream = self._stream
        packet.time_base = self._time_base
        packet.pts = times[rank] + self._shift
        packet.dts = (times[before] if before >= 0 else times[0] + before * self._lead) + self._shift
        last_duration = self.last_duration or self._step
        packet.duration = times[rank + 1] - times[rank] if rank + 1 < len(times) else last_duration
        self.left -= 1
        if self._by_decoding and self.left == 0:
            # MP4 notes distances of decoding; their sum is what it tells as the duration, so the last one makes up for all.
            packet.duration = times[-1] + last_duration - self._delay * self._lead - (packet.dts - self._shift)
        return packet

    def _as_wanted(self, stream: Stream, packet: Packet[Stream]) -> Packet[Stream]:
        if not self._annex_b:
            return packet
        to_start_codes = library.pyav().bitstream.BitStreamFilterContext("h264_mp4toannexb", in_stream=stream)
        converted: Packet[Stream] = to_start_codes.filter(packet)[0]
        return converted


class _Others:
    """The source's packets but the film's, and how long the film's last frame is shown."""

    def __init__(self, source: InputContainer, streams: dict[int, Stream], shift: Fraction, film: Stream) -> None:
        self._source, self._streams, self._shift, self._film = source, streams, shift, film.index
        self._end = None if film.start_time is None or film.duration is None else film.start_time + film.duration
        self._durations: dict[int, int] = {}
        self.broke_off = False

    def __iter__(self) -> Iterator[Packet[Stream]]:
        packets = self._source.demux()
        while True:
            try:
                packet = next(packets)
            except StopIteration:
                return
            except library.pyav().FFmpegError:
                self.broke_off = True
                return
            if packet.stream_index == self._film:
                self._look(packet)
            elif packet.size and packet.stream_index in self._streams:
                moved = round(self._shift / packet.time_base)
                packet.pts = None if packet.pts is None else packet.pts + moved
                packet.dts = None if packet.dts is None else packet.dts + moved
                packet.stream = self._streams[packet.stream_index]
                yield packet

    def _look(self, packet: Packet[Stream]) -> None:
        if packet.pts is not None and packet.duration:
            self._durations[packet.pts] = packet.duration
            if len(self._durations) > 2 * _TAIL:
                del self._durations[min(self._durations)]

    def last_duration(self, time: int) -> int | None:
        """How long the frame that is shown from ``time`` on stays, None where the source does not tell.

        With B-frames an MP4 notes distances of decoding, not of showing; there only the length of the whole tells.
        """
        if self._end is not None and time < self._end and self._durations and time == max(self._durations):
            return self._end - time
        return self._durations.get(time)
