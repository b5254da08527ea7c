"""PNG's chunks (W3C PNG, third edition): what Pillow loses or cannot do.

Pillow decodes and encodes 8-bit PNG and 16-bit grey. Of 16-bit colour it gives 8 bits, and cv2 gives all 16: cv2 codes those. The PNG
library under it is better kept than a decoder of ours, whose Paeth filter would crawl in Python, and it writes three times as fast as zlib
over numpy. It gets only what ``parsed`` has checked, after the size limit. What it cannot write, 16-bit grey with alpha, is ours.

Text and colour chunks are carried verbatim, so nothing is re-coded or cut; Pillow is handed the picture's chunks alone, and text that is
larger than Pillow's limits does not keep a photo from being read.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

SIGNATURE = b"\x89PNG\r\n\x1a\n"
TEXT = (b"tEXt", b"zTXt", b"iTXt")
COLOUR = (b"gAMA", b"cHRM", b"sRGB", b"cICP", b"mDCV", b"cLLI")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
_MOST_TEXT = 1 << 24
_MOST_PROFILE = 1 << 26
_XMP = b"XML:com.adobe.xmp"


class Damaged(ValueError):
    """Not a PNG, or one whose header is gone or nonsense."""


@dataclass(frozen=True)
class Header:
    width: int
    height: int
    depth: int
    colour_type: int
    interlaced: bool

    @property
    def bits_per_pixel(self) -> int:
        return self.depth * CHANNELS[self.colour_type]

    @property
    def passes(self) -> list[tuple[int, int]]:
        """(rows, bytes a row with its filter byte) of the picture data: one, or the seven of Adam7."""
        grids = (
            ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
            if self.interlaced
            else ((0, 0, 1, 1),)
        )
        found = []
        for x, y, dx, dy in grids:
            columns, rows = max(0, -(-(self.width - x) // dx)), max(0, -(-(self.height - y) // dy))
            if columns and rows:
                found.append((rows, 1 + (columns * self.depth * CHANNELS[self.colour_type] + 7) // 8))
        return found

    @property
    def picture_bytes(self) -> int:
        """How many bytes the picture data inflate to."""
        return sum(rows * length for rows, length in self.passes)


@dataclass(frozen=True)
class Parsed:
    """chunks: (type, data) in file order, IEND left out. whole: the file goes on to its IEND."""

    header: Header
    chunks: list[tuple[bytes, bytes]]
    whole: bool

    def first(self, kind: bytes) -> bytes | None:
        return next((data for name, data in self.chunks if name == kind), None)


def header_of(head: bytes) -> Header:
    """The header from the first 29 bytes of a file. Raises Damaged."""
    if len(head) < 29 or not head.startswith(SIGNATURE) or head[12:16] != b"IHDR":
        raise Damaged("its header is missing")
    width, height, depth, colour_type, _, _, interlaced = struct.unpack(">IIBBBBB", head[16:29])
    if not (0 < width < 1 << 31 and 0 < height < 1 << 31 and colour_type in CHANNELS and depth in (1, 2, 4, 8, 16)):
        raise Damaged("its header makes no sense")
    return Header(width, height, depth, colour_type, bool(interlaced))


def parsed(file: bytes) -> Parsed:
    """The chunks of a file; the last may be cut off. Checksums are left to the decoder: zlib has its own. Raises Damaged."""
    header = header_of(file[:29])
    chunks: list[tuple[bytes, bytes]] = []
    at, whole = len(SIGNATURE), False
    while at + 8 <= len(file):
        length, kind = struct.unpack_from(">I4s", file, at)
        if kind == b"IEND":
            whole = True
            break
        chunks.append((kind, file[at + 8 : at + 8 + length]))
        at += 12 + length
    return Parsed(header, chunks, whole)


def picture_only(png: Parsed, *, with_transparency: bool) -> bytes:
    """The file again with nothing but its (first) picture: no text, no metadata, no animation."""
    wanted = {b"IHDR", b"PLTE", b"IDAT"} | ({b"tRNS"} if with_transparency else set())
    return assembled((name, data) for name, data in png.chunks if name in wanted)


def inflated_length(png: Parsed) -> int:
    """How many bytes of picture data are really there, at most ``header.picture_bytes``; they are not kept."""
    most = png.header.picture_bytes
    return min(most, sum(map(len, _inflated(png, most))))


def mended(png: Parsed) -> tuple[bytes, float]:
    """(a whole PNG with what is there of the picture, the rest black; the share that is there, 0..1)."""
    most = png.header.picture_bytes
    picture = np.zeros(most, np.uint8)
    there = 0
    for piece in _inflated(png, most):
        piece = piece[: most - there]
        picture[there : there + len(piece)] = np.frombuffer(piece, np.uint8)
        there += len(piece)
    # Behind a damaged place zlib may go on with rubbish for a while: it shows by filters that do not exist.
    start = 0
    for rows, length in png.header.passes:
        wrong = np.flatnonzero(picture[start : start + rows * length : length] > 4)
        if len(wrong):
            there = min(there, start + int(wrong[0]) * length)
            picture[there:] = 0
            break
        start += rows * length
    kept = [(name, data) for name, data in png.chunks if name in (b"IHDR", b"PLTE", b"tRNS")]
    return assembled([*kept, (b"IDAT", zlib.compress(picture.data, 1))]), there / most


def assembled(chunks: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A file of these chunks, and IEND."""
    parts = [SIGNATURE]
    for kind, data in (*chunks, (b"IEND", b"")):
        parts += [struct.pack(">I", len(data)), kind, data, struct.pack(">I", zlib.crc32(data, zlib.crc32(kind)))]
    return b"".join(parts)


def with_chunks(file: bytes, more: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The file with more chunks right behind its header."""
    end_of_header = 33
    return file[:end_of_header] + assembled(more)[len(SIGNATURE) : -12] + file[end_of_header:]


def encode_grey_alpha_16(picture: npt.NDArray[np.uint16]) -> bytes:
    """A 16-bit PNG of grey with alpha. picture: H x W x 2."""
    height, width = picture.shape[:2]
    press, body = zlib.compressobj(4), []
    block = max(1, (1 << 22) // (4 * width))
    for top in range(0, height, block):
        rows = np.ascontiguousarray(picture[top : top + block].astype(">u2")).view(np.uint8).reshape(-1, 4 * width)
        out = np.empty((len(rows), 1 + 4 * width), np.uint8)
        out[:, 0] = 1  # every row by the filter Sub: each byte less the one a pixel to the left (section 9)
        out[:, 1:5], out[:, 5:] = rows[:, :4], rows[:, 4:] - rows[:, :-4]
        body.append(press.compress(out.data))
    body.append(press.flush())
    header = struct.pack(">IIBBBBB", width, height, 16, 4, 0, 0, 0)
    return assembled([(b"IHDR", header), (b"IDAT", b"".join(body))])


def profile_of(png: Parsed) -> bytes | None:
    """The ICC profile of an iCCP chunk, None where there is none or it is damaged."""
    data = png.first(b"iCCP")
    if data is None:
        return None
    _, _, packed = data.partition(b"\0")
    return _unpacked(packed[1:], _MOST_PROFILE) if packed[:1] == b"\0" else None


def profile_chunk(icc: bytes) -> tuple[bytes, bytes]:
    return b"iCCP", b"ICC profile\0\0" + zlib.compress(icc)


def xmp_of(chunk: tuple[bytes, bytes]) -> bytes | None:
    """The XMP packet, where the chunk is the iTXt that holds one."""
    kind, data = chunk
    if kind != b"iTXt" or not data.startswith(_XMP + b"\0"):
        return None
    rest = data[len(_XMP) + 1 :]
    fields = rest[2:].split(b"\0", 2)
    if len(rest) < 2 or len(fields) < 3:
        return None
    return _unpacked(fields[2], _MOST_TEXT) if rest[0] else fields[2]


def xmp_chunk(xmp: bytes) -> tuple[bytes, bytes]:
    return b"iTXt", _XMP + b"\0\0\0\0\0" + xmp


def text_chunk(keyword: str, text: bytes) -> tuple[bytes, bytes]:
    """A comment of unknown encoding as text: tEXt where it is Latin-1 by its look, iTXt where it is UTF-8."""
    try:
        text.decode("ascii")
    except UnicodeDecodeError:
        try:
            text.decode("utf-8")
            return b"iTXt", keyword.encode("latin-1") + b"\0\0\0\0\0" + text.replace(b"\0", b"")
        except UnicodeDecodeError:
            pass
    return b"tEXt", keyword.encode("latin-1") + b"\0" + text.replace(b"\0", b"")


def keyword_of(chunk: tuple[bytes, bytes]) -> str:
    """The keyword of a text chunk, "" for other chunks."""
    return chunk[1].partition(b"\0")[0].decode("latin-1") if chunk[0] in TEXT else ""


def text_of(chunk: tuple[bytes, bytes]) -> tuple[str, str] | None:
    """(keyword, text) of a text chunk; None for other chunks and damaged ones."""
    kind, data = chunk
    keyword, separator, rest = data.partition(b"\0")
    if kind not in TEXT or not separator:
        return None
    name = keyword.decode("latin-1")
    if kind == b"tEXt":
        return name, rest.decode("latin-1")
    if kind == b"zTXt":
        text = _unpacked(rest[1:], _MOST_TEXT)
        return None if text is None else (name, text.decode("latin-1"))
    fields = rest[2:].split(b"\0", 2)
    if len(rest) < 2 or len(fields) < 3:
        return None
    text = _unpacked(fields[2], _MOST_TEXT) if rest[0] else fields[2]
    return None if text is None else (name, text.decode("utf-8", "replace"))


def _inflated(png: Parsed, most: int) -> Iterable[bytes]:
    """The picture data in pieces, as far as they can be inflated, hardly more than ``most`` bytes."""
    open_up, there = zlib.decompressobj(), 0
    for name, data in png.chunks:
        if name != b"IDAT":
            continue
        # Small bites: what was inflated from a bite that turns out damaged is lost.
        for start in range(0, len(data), 4096):
            bite = data[start : start + 4096]
            while bite and there < most:
                try:
                    piece = open_up.decompress(bite, 1 << 20)
                except zlib.error:
                    return
                there += len(piece)
                yield piece
                bite = open_up.unconsumed_tail
            if there >= most or open_up.eof:
                return


def _unpacked(packed: bytes, most: int) -> bytes | None:
    """Inflate, or None where it is damaged or would be larger than ``most``."""
    open_up = zlib.decompressobj()
    try:
        text = open_up.decompress(packed, most)
    except zlib.error:
        return None
    return None if open_up.unconsumed_tail else text
