"""Small clips, made from nothing by PyAV, for the tests of reading and writing clips."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest

av = pytest.importorskip("av")

SOUND = {"mp4": "aac", "m4v": "aac", "mov": "aac", "mkv": "aac", "webm": "libopus", "avi": "mp3", "ts": "aac"}
FILM = {"webm": "libvpx-vp9"}
RATE = 48_000


def picture(number: int, width: int = 96, height: int = 64) -> np.ndarray:
    """A smooth, lopsided picture that says its number: bits of it as bright and dark squares along the top. H x W x 3."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [40 + 150 * x / width, 60 + 120 * y / height, 90 + 60 * np.sin(x / 17 + y / 11)]
    pixels = np.stack(planes, -1)
    side = min(width, height) // 8
    for bit in range(8):
        pixels[:side, bit * side : (bit + 1) * side] = 225 if number >> bit & 1 else 25
    return pixels.astype(np.uint8)


def number_of(pixels: np.ndarray) -> int:
    side = min(pixels.shape[:2]) // 8
    inner = pixels[side // 4 : side - side // 4].mean(axis=(0, 2))
    return sum(int(inner[bit * side + side // 4 : (bit + 1) * side - side // 4].mean() > 125) << bit for bit in range(8))


def make(path: Path, frames: int = 24, **settings: Any) -> Path:
    """``made``, once for the same settings."""
    key = path.suffix + repr((frames, sorted(settings.items()))) if "pictures" not in settings else None
    if key in _MADE:
        path.write_bytes(_MADE[key])
    else:
        made(path, frames, **settings)
        if key is not None:
            _MADE[key] = path.read_bytes()
    return path


_MADE: dict[str, bytes] = {}


def made(
    path: Path,
    frames: int = 24,
    *,
    size: tuple[int, int] = (96, 64),
    rate: int = 12,
    codec: str | None = None,
    pixel_format: str = "yuv420p",
    sound: int = 1,
    times: Sequence[int] | None = None,
    time_base: Fraction | None = None,
    colour: dict[str, int] | None = None,
    turn: dict[str, Any] | None = None,
    metadata: dict[str, str] | None = None,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
    subtitles: bool = False,
    format: str | None = None,
    pictures: Sequence[np.ndarray] | None = None,
    aspect: Fraction | None = None,
    last_shown: int | None = None,
) -> Path:
    """A clip of numbered pictures (or of ``pictures``) and ``sound`` tracks of sines.

    times: pts of the frames in ``time_base``. last_shown: how long the last one is shown, 1 / rate by default.
    """
    kind = format or path.suffix[1:]
    width, height = size
    time_base = time_base or Fraction(1, rate)
    times = times or range(frames)
    muxer = {"mkv": "matroska", "ts": "mpegts", "m4v": "mp4"}.get(kind, kind)
    with av.open(str(path), "w", format=muxer, container_options=container_options or {}) as out:
        out.metadata.update(metadata or {})
        codec = codec or FILM.get(kind, "libx264")
        options = options or ({"crf": "8", "preset": "veryfast"} if codec == "libx264" else {"crf": "8", "b": "0", "cpu-used": "8"})
        film = out.add_stream(codec, rate=rate, width=width, height=height, pix_fmt=pixel_format, options=options)
        film.codec_context.thread_count = 1
        film.codec_context.time_base = time_base
        film.time_base = time_base
        if aspect is not None:
            film.codec_context.sample_aspect_ratio = aspect
        matrix, limited = 5, True
        if colour is not None:
            context = film.codec_context
            context.color_primaries, context.color_trc = colour["primaries"], colour["transfer"]
            context.colorspace, context.color_range = colour["matrix"], colour["range"]
            matrix, limited = {1: 1, 6: 5, 5: 5, 9: 9, 2: 5}[colour["matrix"]], colour["range"] != 2
        if turn is not None:
            film.set_display_rotation(**turn)
        quick = {"aac_coder": "fast"} if SOUND[kind] == "aac" else {}
        tracks = [out.add_stream(SOUND[kind], rate=RATE, layout="stereo", options=quick) for _ in range(sound)]
        words = out.add_mux_stream("mov_text" if kind in ("mp4", "mov") else "subrip") if subtitles else None
        for place, track in enumerate(tracks):
            track.metadata["language"] = ("eng", "deu", "fra")[place]
        shown: dict[int, int] = {}

        def mux(encoded: list[Any]) -> None:
            for packet in encoded:
                packet.duration = shown[packet.pts]
                out.mux(packet)

        for index, pts in enumerate(times):
            pixels = pictures[index] if pictures is not None else picture(index, width, height)
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24").reformat(
                format=pixel_format, src_colorspace=matrix, dst_colorspace=matrix, src_color_range=2, dst_color_range=1 if limited else 2
            )
            frame.pts, frame.time_base = pts, time_base
            following = times[index + 1] if index + 1 < len(times) else pts + (last_shown or round(1 / (rate * time_base)))
            shown[pts] = following - pts
            mux(film.encode(frame))
        mux(film.encode())
        seconds = float((times[-1] - times[0]) * time_base) + 1 / rate
        for place, track in enumerate(tracks):
            _sing(out, track, seconds, start=float(times[0] * time_base), pitch=220.0 * (place + 1))
        if words is not None:
            for at in range(3):
                packet = av.Packet((b"\0\5" if kind in ("mp4", "mov") else b"") + b"words")
                packet.stream, packet.time_base = words, Fraction(1, 1000)
                packet.pts = packet.dts = 300 * at
                packet.duration = 200
                out.mux(packet)
    return path


def _sing(out: Any, track: Any, seconds: float, start: float, pitch: float) -> None:
    for at in range(0, round(seconds * RATE), 960):
        wave = (np.sin((np.arange(at, at + 960)) * pitch * 2 * np.pi / RATE) * 0.5 * 32767).astype(np.int16)
        frame = av.AudioFrame.from_ndarray(np.repeat(wave, 2)[None], format="s16", layout="stereo")
        frame.sample_rate, frame.pts, frame.time_base = RATE, at + round(start * RATE), Fraction(1, RATE)
        out.mux(track.encode(frame))
    out.mux(track.encode())


def packets(path: Path, kind: str) -> list[list[tuple[Any, ...]]]:
    """Per track of a kind ("audio", "subtitle"): time base, pts, dts, duration and bytes of every packet."""
    with av.open(str(path)) as container:
        tracks: dict[int, list[tuple[Any, ...]]] = {stream.index: [] for stream in container.streams if stream.type == kind}
        for packet in container.demux():
            if packet.size and packet.stream_index in tracks:
                tracks[packet.stream_index].append((packet.time_base, packet.pts, packet.dts, packet.duration, bytes(packet)))
        return list(tracks.values())


def samples(path: Path) -> np.ndarray:
    """All decoded sound of the first track, channels x samples."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=-1)


def film_times(path: Path) -> list[Fraction]:
    """When each decoded picture is shown, in seconds, as FFmpeg tells it."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]
