"""From pictures to one closed video file: which codec, how set, how the pixels are stored."""

from __future__ import annotations

import contextlib
from dataclasses import asdict, dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, BinaryIO

from facewright.errors import UsageError
from facewright.media.clips import colour
from facewright.media.clips.colour import Converter
from facewright.media.clips.info import ClipInfo, Pixels
from facewright.media.clips.library import pyav

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

CODECS = ("libx264", "libx265", "libvpx-vp9")
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_VP9_SPEED = {"ultrafast": 8, "superfast": 7, "veryfast": 6, "faster": 5, "fast": 4, "medium": 3, "slow": 2, "slower": 1, "veryslow": 0}
_CRF = {"libx264": 51, "libx265": 51, "libvpx-vp9": 63}


@dataclass(frozen=True)
class Encoding:
    """How the pictures of a clip are written. The same for all its segments, else they could not be joined without a loss.

    crf: the codec's own scale of constant quality, smaller is better: 0 to 51, for VP9 to 63; None for the codec's default.
    preset: x264's name of how much time is spent for a smaller file; for VP9 the speed that is nearest in kind.
    pixel_format: "yuv420p", "yuv422p" or "yuv444p". matrix, range, primaries, transfer: of H.273, as ``ClipInfo.colour``.
    """

    codec: str
    crf: int | None
    preset: str
    width: int
    height: int
    pixel_format: str
    rate: Fraction
    time_base: Fraction
    pixel_aspect: Fraction
    matrix: int
    range: int
    tags: tuple[tuple[str, int], ...]
    b_frames: bool

    def as_json(self) -> dict[str, Any]:
        return {name: str(value) if isinstance(value, Fraction) else value for name, value in asdict(self).items()}


def encoding_for(info: ClipInfo, container: str, size: tuple[int, int], codec: str | None, crf: int | None, preset: str) -> Encoding:
    """How a clip like ``info`` is written in pictures of ``size`` (width, height).

    codec None: libx264, for WebM libvpx-vp9. The chroma is stored as finely as the source's, except that 4:2:0 and 4:2:2 become 4:4:4 where
    H.264 and H.265 cannot hold them (odd sizes), and RGB becomes 4:4:4. Raises UsageError: a codec or value that is not known, a container
    that cannot hold it.
    """
    codec = codec or ("libvpx-vp9" if container == "webm" else "libx264")
    if codec not in CODECS:
        raise UsageError(f"cannot write clips with {codec!r}", "the codec is not one of ours", f"use one of {', '.join(CODECS)}")
    if codec not in pyav().codecs_available:
        raise UsageError(
            f"cannot write clips with {codec}", "this PyAV was built without it", "install PyAV's own wheel, or choose another"
        )
    if (container == "webm" and codec != "libvpx-vp9") or (container == "avi" and codec != "libx264"):
        fits = "libvpx-vp9" if container == "webm" else "libx264"
        raise UsageError(f"cannot write {codec} into {container.upper()}", "it does not hold that", f"use {fits}, or write .mp4 or .mkv")
    if preset not in PRESETS:
        raise UsageError(f"there is no preset {preset!r}", "", f"use one of {', '.join(PRESETS)}")
    if crf is not None and not 0 <= crf <= _CRF[codec]:
        raise UsageError(f"cannot write with crf {crf}", f"{codec} takes 0 to {_CRF[codec]}")
    if container == "avi" and info.variable:
        raise UsageError("cannot write this clip as AVI", "its frame rate varies, which AVI cannot hold", "write .mp4 or .mkv")
    width, height = size
    if width < 16 or height < 16:
        raise UsageError(f"cannot write pictures of {width} x {height} pixels", "16 x 16 is the least that the codecs take well")
    return Encoding(
        codec=codec,
        crf=crf,
        preset=preset,
        width=width,
        height=height,
        pixel_format=_pixel_format(info, size, codec),
        rate=info.rate,
        time_base=info.time_base,
        pixel_aspect=info.pixel_aspect,
        matrix=colour.matrix_of(info.colour, info.height),
        range=colour.range_of(info.colour),
        tags=_tags(info),
        b_frames=container != "avi",  # AVI keeps no times of showing, only an order
    )


def _pixel_format(info: ClipInfo, size: tuple[int, int], codec: str) -> str:
    stored = info.pixel_format
    if "444" in stored or "rgb" in stored or "gbr" in stored or "bgr" in stored:
        return "yuv444p"
    fine = "yuv422p" if "422" in stored or "yuyv" in stored or "uyvy" in stored else "yuv420p"
    if codec == "libvpx-vp9":
        return fine
    even = size[0] % 2 == 0 and (size[1] % 2 == 0 or fine == "yuv422p")
    return fine if even else "yuv444p"


def _tags(info: ClipInfo) -> tuple[tuple[str, int], ...]:
    tags = dict(info.colour)
    matrix = colour.matrix_of(info.colour, info.height)
    if tags["matrix"] not in (matrix, colour.UNSPECIFIED):
        tags["matrix"] = matrix  # RGB, or one that the scaler does not know: the tag must be true
    if tags["matrix"] == colour.UNSPECIFIED and (info.height >= 720) != (matrix == 1):
        tags["matrix"] = matrix
    return tuple(sorted(tags.items()))


class Encoder:
    """Pictures to a closed MP4 of one video stream, in an open file. Times in it count from the first picture.

    Not for two threads at once. A failing write raises the file's own OSError.
    """

    def __init__(self, file: BinaryIO, encoding: Encoding) -> None:
        self._encoding = encoding
        self._converter = Converter(encoding.matrix, encoding.range)
        self._first: int | None = None
        self._step = max(1, round(1 / (encoding.rate * encoding.time_base)))
        self._container: OutputContainer = pyav().open(file, "w", format="mp4")
        self._stream = self._opened_stream()
        self.times: list[int] = []
        self._places: list[int] = []

    def _opened_stream(self) -> VideoStream:
        encoding = self._encoding
        stream: VideoStream = self._container.add_stream(encoding.codec, rate=encoding.rate, options=_options(encoding))  # type: ignore[assignment]
        context = stream.codec_context
        context.width, context.height = encoding.width, encoding.height
        context.pix_fmt = encoding.pixel_format
        context.time_base = encoding.time_base
        context.sample_aspect_ratio = encoding.pixel_aspect
        tags = dict(encoding.tags)
        context.color_primaries, context.color_trc = tags["primaries"], tags["transfer"]
        context.colorspace, context.color_range = tags["matrix"], tags["range"] or encoding.range
        if encoding.codec == "libx265":
            stream.codec_context.codec_tag = "hvc1"  # the spelling of H.265 in MP4 that Apple's players take
        return stream

    def write(self, pixels: Pixels, pts: int) -> None:
        """pixels: H x W x 3 uint8 RGB; pts: in ``Encoding.time_base``."""
        self._first = pts if self._first is None else self._first
        frame = self._converter.from_rgb(pixels, self._encoding.pixel_format)
        frame.pts, frame.time_base = pts - self._first, self._encoding.time_base
        frame.duration = self._step
        self._mux(self._stream.encode(frame))
        self.times.append(pts)

    def close(self) -> int:
        """Write what the codec still holds back and the file's index. Returns ``Segment.delay``."""
        self._mux(self._stream.encode(None))
        self._container.close()
        shown = {pts: rank for rank, pts in enumerate(sorted(self._places))}
        return max(place - shown[pts] for place, pts in enumerate(self._places))

    def _mux(self, packets: list[Packet[VideoStream]]) -> None:
        # Noted before muxing, which changes a packet's times to the container's scale.
        self._places += [packet.pts for packet in packets if packet.pts is not None]
        self._container.mux(packets)

    def abandon(self) -> None:
        """Let go of a file that is of no use."""
        with contextlib.suppress(Exception):
            self._container.close()


def _options(encoding: Encoding) -> dict[str, str]:
    quality = {} if encoding.crf is None else {"crf": str(encoding.crf)}
    if encoding.codec == "libvpx-vp9":
        return {**quality, "b": "0", "deadline": "good", "cpu-used": str(min(5, _VP9_SPEED[encoding.preset])), "row-mt": "1"}
    options = {**quality, "preset": encoding.preset}
    if not encoding.b_frames:
        options["bf"] = "0"
    if encoding.codec == "libx265":
        options["x265-params"] = "log-level=error"
    return options
