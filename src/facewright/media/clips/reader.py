"""Reading a clip, picture by picture, in the order of showing."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from facewright.errors import InputError
from facewright.media.clips import library, probing
from facewright.media.clips.colour import Converter
from facewright.media.clips.info import ClipInfo, Frame

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

PIXEL_LIMIT = 200_000_000


class ClipReader:
    """A clip, open for reading.

    Opening looks at the first picture only. Every iteration reads the file from its beginning, holds a few pictures at a time, and
    yields them in the order of showing, upright, as 8-bit RGB by the clip's own colour tags.

    A clip that is cut off or damaged gives what can be read; what was wrong then stands in ``complaints``, complete when an iteration
    has come to its end. A picture of another size than the first ends the iteration with InputError, after all before it.

    path: an MP4, MOV, MKV, WebM, AVI or MPEG-TS file, by content. pixel_limit: width times height beyond which it is refused.
    Raises InputError (not there, not a clip, no video stream, beyond the limit, nothing that decodes) and UsageError where PyAV is missing.
    """

    def __init__(self, path: Path | str, *, pixel_limit: int | None = PIXEL_LIMIT) -> None:
        probed = probing.probe(Path(path), pixel_limit)
        self.info: ClipInfo = probed.info
        self._pixel_limit = pixel_limit
        self.complaints: list[str] = list(probed.notes)
        self._turn = probed.turn
        self._opening_notes = probed.notes
        self._running: list[Generator[Frame, None, None]] = []
        self._closed = False

    def __enter__(self) -> ClipReader:
        return self

    def __exit__(self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """End every iteration and let go of the file; one that runs in another thread ends before its next frame."""
        self._closed = True
        while self._running:
            with contextlib.suppress(ValueError):  # it is running at this moment
                self._running.pop().close()

    def __iter__(self) -> Iterator[Frame]:
        return self.frames()

    def seek(self, index: int) -> Iterator[Frame]:
        """The frames from ``index`` on; another name of ``frames``."""
        return self.frames(index)

    def frames(self, start: int = 0) -> Iterator[Frame]:
        """The frames from the ``start``-th on (counted from 0). Those before are decoded, not converted.

        Raises InputError where the size of the pictures changes. Nothing comes from a closed reader.
        """
        iterator = self._frames(start)
        self._running.append(iterator)
        return iterator

    def _frames(self, start: int) -> Generator[Frame, None, None]:
        self.complaints[:] = self._opening_notes
        container, _ = library.opened(self.info.path)
        with container:
            film = probing.picture_stream(container, self.info.path)
            film.thread_type = "AUTO"
            film.codec_context.options = library.within(self._pixel_limit)
            converter = Converter.like(self.info)
            health, clock = _Health(self.info), _Clock(self.info)
            for index, frame in enumerate(_decoded(container, film, health, clock)):
                if self._closed:
                    return
                pts = clock.time_of(frame)
                self._check_size(frame, index, pts)
                if index >= start:
                    yield Frame(index, pts, self._turn(converter.to_rgb(frame)))
            self.complaints += health.complaints(clock)

    def _check_size(self, frame: VideoFrame, index: int, pts: int) -> None:
        info = self.info
        width, height = (frame.height, frame.width) if self._turn.transposed else (frame.width, frame.height)
        if (width, height) != (info.width, info.height):
            at = float((pts - info.start) * info.time_base)
            raise InputError(
                f"cannot read {info.path} to its end",
                f"its picture changes from {info.width} x {info.height} to {width} x {height} pixels after {index:,} frames ({at:.1f} s)",
                "cut the clip there, or convert it to one size",
            )


def _decoded(container: InputContainer, film: VideoStream, health: _Health, clock: _Clock) -> Iterator[VideoFrame]:
    """All that decodes. What does not is counted in ``health``."""
    errors = library.pyav().FFmpegError
    packets = container.demux(film)
    while True:
        try:
            packet = next(packets, None)
        except errors as fault:
            health.broke_off = library.said(fault)
            packet = None
        if packet is not None and packet.size:
            clock.saw(packet)
            health.damaged += packet.is_corrupt
        try:
            # After the last packet nothing tells the decoder to give what it holds back.
            frames = packet.decode() if packet is not None else film.codec_context.decode(None)
        except EOFError:
            frames = []  # it has given all already
        except errors:
            health.damaged += 1
            frames = []
        for frame in frames:
            health.frames += 1
            health.corrupt += bool(frame.is_corrupt)
            yield frame
        if packet is None:
            return


class _Clock:
    """The time of each frame: the file's own, mended only where it is missing or does not rise.

    AVI knows no times of showing, only an order of decoding (FFmpeg's guesses are wrong with B-frames): there the n-th frame that is shown
    gets the n-th packet's time.
    """

    def __init__(self, info: ClipInfo) -> None:
        self._step = max(1, round(1 / (info.rate * info.time_base)))
        self._start = info.start
        self.last: int | None = None
        self.missing = 0
        self.falling = 0
        self._by_packet: deque[int] | None = deque() if info.container == "avi" else None

    def saw(self, packet: Packet[VideoStream]) -> None:
        if self._by_packet is not None and packet.dts is not None:
            self._by_packet.append(packet.dts)

    def time_of(self, frame: VideoFrame) -> int:
        pts = frame.pts if frame.pts is not None else frame.dts
        if self._by_packet is not None:
            pts = self._by_packet.popleft() if self._by_packet else None
        if pts is None:
            self.missing += 1
            pts = self._start if self.last is None else self.last + self._step
        elif self.last is not None and pts <= self.last:
            self.falling += 1
            pts = self.last + 1
        self.last = pts
        return pts

    @property
    def end(self) -> int | None:
        return None if self.last is None else self.last + self._step


class _Health:
    """What goes wrong while reading."""

    def __init__(self, info: ClipInfo) -> None:
        self._info = info
        self.frames = 0
        self.damaged = 0
        self.corrupt = 0
        self.broke_off = ""

    def complaints(self, clock: _Clock) -> list[str]:
        info, said = self._info, []
        if self.damaged:
            said.append(f"{_counted(self.damaged, 'piece')} of its picture data could not be read right")
        if self.corrupt:
            said.append(f"{_counted(self.corrupt, 'frame')} may show damage")
        if clock.missing:
            said.append(f"{_counted(clock.missing, 'frame')} had no time and got one by the average rate")
        if clock.falling:
            said.append(f"{_counted(clock.falling, 'frame')} had a time that does not rise and got the next free one")
        ended = float(((clock.end or info.start) - info.start) * info.time_base)
        short = info.frames is not None and self.frames < info.frames
        if short:
            said.append(f"it ends early: {self.frames:,} of {info.frames:,} frames could be read")
        elif self.broke_off or (info.frames is None and ended < info.duration - max(1.0, 3 / float(info.rate))):
            said.append(f"it ends early: frames could be read up to {ended:.1f} of {info.duration:.1f} s")
        return said


def _counted(number: int, thing: str) -> str:
    return f"{number:,} {thing}" + ("" if number == 1 else "s")
