"""What a clip is: its streams, its first picture, and the times of its first few hundred."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from facewright.errors import InputError
from facewright.media.clips import colour, library, upright
from facewright.media.clips.info import ClipInfo

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.stream import Stream
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_LOOKED_AT = 300
"""Packets whose times tell whether the rate varies."""

_SAME = Fraction(3, 2000)
"""Seconds by which the distances of a constant rate may differ: Matroska rounds times to a millisecond."""

_WRITTEN_ANEW = {"major_brand", "minor_version", "compatible_brands", "encoder", "duration"}


@dataclass(frozen=True)
class Probed:
    info: ClipInfo
    turn: upright.Turn
    notes: tuple[str, ...]


def picture_stream(container: InputContainer, path: Path) -> VideoStream:
    """The stream that is the film: a default one before others, never a cover. Raises InputError where there is none."""
    films = [stream for stream in container.streams.video if not is_still(stream)]
    if not films:
        still = "only a cover picture" if container.streams.video else "only sound" if container.streams.audio else "none at all"
        raise InputError(f"cannot read {path}", f"it has no video stream, {still}", "give a clip with pictures")
    default = int(library.pyav().stream.Disposition.default)
    film: VideoStream = next((stream for stream in films if int(stream.disposition) & default), films[0])
    if film.codec_context is None:
        raise InputError(f"cannot read {path}", "its video codec is not known", "convert it to H.264 first")
    return film


def is_still(stream: Stream) -> bool:
    kind = library.pyav().stream.Disposition
    return bool(int(stream.disposition) & int(kind.attached_pic | kind.timed_thumbnails))


def kept_metadata(container: InputContainer) -> dict[str, str]:
    """Title, time of creation and the like; not what every writer sets for itself."""
    return {key: text for key, text in container.metadata.items() if key.lower() not in _WRITTEN_ANEW}


def probe(path: Path, pixel_limit: int | None) -> Probed:
    """Raises InputError: whatever ``library.opened`` refuses, no video stream, beyond the limit, no picture that decodes."""
    container, kind = library.opened(path, pixel_limit)
    with container:
        film = picture_stream(container, path)
        _check_size(path, film, pixel_limit)
        first, times = _first(container, film, by_order=kind == "avi")
        if first is None:
            raise InputError(f"cannot read {path}", "not one picture of it can be decoded", library.COPY_AGAIN)
        turn = upright.turn_of(first)
        tags = colour.tags_of(first)
        width, height = (first.height, first.width) if turn.transposed else (first.width, first.height)
        aspect = film.sample_aspect_ratio or Fraction(1)
        bits = max(component.bits for component in first.format.components)
        time_base = film.time_base or Fraction(1, 1000)
        variable = _varies(times, time_base)
        info = ClipInfo(
            path=path,
            size=path.stat().st_size,
            container=kind,
            width=width,
            height=height,
            frames=film.frames or None,
            duration=_duration(container, film),
            rate=film.average_rate or film.guessed_rate or Fraction(25),
            time_base=time_base,
            start=first.pts if first.pts is not None and kind != "avi" else min(times, default=0),
            variable=variable,
            rotation=turn.rotation,
            mirrored=turn.flips,
            colour=tags,
            pixel_aspect=1 / aspect if turn.transposed and aspect else aspect or Fraction(1),
            codec=film.codec_context.name,
            pixel_format=first.format.name,
            bits=bits,
            interlaced=bool(first.interlaced_frame),
            audio=tuple(stream.codec_context.name if stream.codec_context else "unknown" for stream in container.streams.audio),
            others=tuple(
                stream.codec_context.name if stream.codec_context else stream.type
                for stream in container.streams
                if stream.type != "audio" and stream.index != film.index
            ),
            metadata=kept_metadata(container),
        )
        alpha = any(component.is_alpha for component in first.format.components)
    return Probed(info, turn, tuple(_notes(info, alpha)))


def _check_size(path: Path, film: VideoStream, pixel_limit: int | None) -> None:
    width, height = film.codec_context.width, film.codec_context.height
    if not width or not height:
        raise InputError(f"cannot read {path}", "its pictures are damaged, or beyond the limit of pixels", library.COPY_AGAIN)
    if pixel_limit is not None and width * height > pixel_limit:
        raise InputError(
            f"cannot read {path}",
            f"its pictures claim {width:,} x {height:,} pixels, beyond the limit of {pixel_limit / 1e6:,.0f} megapixels",
            "raise --pixel-limit if you trust the file",
        )


def _first(container: InputContainer, film: VideoStream, by_order: bool) -> tuple[VideoFrame | None, list[int]]:
    """The first picture that decodes, and the times of the first packets: of showing, or ``by_order`` of decoding."""
    errors = library.pyav().FFmpegError
    first: VideoFrame | None = None
    times: list[int] = []
    try:
        for packet in container.demux(film):
            time = packet.dts if by_order else packet.pts
            if time is not None and packet.size:
                times.append(time)
            if first is None:
                try:
                    first = next(iter(packet.decode()), None)
                except errors:
                    continue
            if first is not None and len(times) >= _LOOKED_AT:
                break
    except errors:
        pass  # cut off: what was found so far counts
    return first, times


def _varies(times: list[int], time_base: Fraction) -> bool:
    shown = sorted(set(times))
    if len(times) >= _LOOKED_AT:  # the last of a part of the packets may lack those that are shown before it
        shown = shown[: -_LOOKED_AT // 10]
    gaps = [later - earlier for earlier, later in itertools.pairwise(shown)]
    if len(gaps) < 2:
        return False
    spread = max(gaps) - min(gaps)
    return spread > 1 and spread * time_base > _SAME


def _duration(container: InputContainer, film: VideoStream) -> float:
    if film.duration is not None and film.time_base is not None:
        return float(film.duration * film.time_base)
    return (container.duration or 0) / 1e6


def _notes(info: ClipInfo, alpha: bool) -> list[str]:
    notes = []
    if alpha:
        notes.append("its transparency is not kept")
    if info.bits > 8:
        notes.append(f"its {info.bits} bits a channel are read, and written, as 8")
    if info.interlaced:
        notes.append("it is interlaced: what moves has combed edges, and stays so; deinterlace it first for better faces")
    if info.colour["transfer"] in (colour.PQ, colour.HLG):
        notes.append("its brightness is HDR, which no network here was trained on: faces may come out dull")
    return notes
