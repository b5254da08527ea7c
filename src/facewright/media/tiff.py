"""TIFF's directories (TIFF 6.0, section 2): what EXIF is made of, and what TIFF files are.

Bytes in, bytes out; every offset is checked before it is followed, as these come from strangers' files.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np

ORIENTATION = 0x0112
EXIF_POINTER, GPS_POINTER, INTEROP_POINTER = 0x8769, 0x8825, 0xA005
_POINTERS = {EXIF_POINTER, GPS_POINTER, INTEROP_POINTER}

BYTE, ASCII, SHORT, LONG, RATIONAL, UNDEFINED, UTF8 = 1, 2, 3, 4, 5, 7, 129  # UTF8 since EXIF 3.0
_SIZE = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 129: 1}
_WORD = {3: 2, 4: 4, 5: 4, 8: 2, 9: 4, 10: 4, 11: 4, 12: 8, 13: 4}


class Damaged(ValueError):
    """A directory that points outside the data, or no TIFF structure at all."""


@dataclass(frozen=True)
class Entry:
    """One entry where it lies. at: the entry's own place (12 bytes). value_at, size: where its value lies."""

    tag: int
    kind: int
    count: int
    at: int
    value_at: int
    size: int


@dataclass(frozen=True)
class Value:
    """A value out of its place: ``data`` in little-endian order."""

    kind: int
    count: int
    data: bytes


@dataclass
class Directory:
    """A directory out of its place: its own values, and the directories that it points to by pointer tag."""

    values: dict[int, Value] = field(default_factory=dict)
    inner: dict[int, Directory] = field(default_factory=dict)


def byte_order(blob: bytes | bytearray) -> str:
    """ "<" or ">". Raises Damaged where there is no classic TIFF header."""
    if blob[:4] == b"II*\0":
        return "<"
    if blob[:4] == b"MM\0*":
        return ">"
    raise Damaged("no TIFF header")


def first_directory(blob: bytes | bytearray) -> int:
    order = byte_order(blob)
    if len(blob) < 8:
        raise Damaged("no first directory")
    return int(struct.unpack_from(order + "L", blob, 4)[0])


def entries(blob: bytes | bytearray, at: int) -> tuple[list[Entry], int]:
    """The entries of the directory at ``at`` whose values lie within the data, and the place of the pointer to the next directory."""
    order = byte_order(blob)
    if not 8 <= at <= len(blob) - 2:
        raise Damaged("a directory lies outside the data")
    (count,) = struct.unpack_from(order + "H", blob, at)
    end = at + 2 + 12 * count
    if end + 4 > len(blob):
        raise Damaged("a directory is cut off")
    found = []
    for place in range(at + 2, end, 12):
        tag, kind, number = struct.unpack_from(order + "HHL", blob, place)
        size = _SIZE.get(kind, 0) * number
        value_at = place + 8 if size <= 4 else int(struct.unpack_from(order + "L", blob, place + 8)[0])
        if kind in _SIZE and value_at + size <= len(blob):
            found.append(Entry(tag, kind, number, place, value_at, size))
    return found, end


def number(blob: bytes | bytearray, entry: Entry) -> int | None:
    """The value of an entry that holds a single BYTE, SHORT or LONG, else None."""
    code = {BYTE: "B", SHORT: "H", LONG: "L", 13: "L"}.get(entry.kind)
    if code is None or entry.count != 1:
        return None
    return int(struct.unpack_from(byte_order(blob) + code, blob, entry.value_at)[0])


def set_number(blob: bytearray, entry: Entry, value: int) -> None:
    """Write a single BYTE, SHORT or LONG in its place; left alone where the entry is of another kind or too narrow."""
    code, most = {BYTE: ("B", 0xFF), SHORT: ("H", 0xFFFF), LONG: ("L", 0xFFFFFFFF)}.get(entry.kind, ("", -1))
    if entry.count == 1 and value <= most:
        struct.pack_into(byte_order(blob) + code, blob, entry.value_at, value)


def taken(blob: bytes | bytearray, at: int, *, only: Iterable[int] | None = None, depth: int = 3) -> Directory:
    """The directory at ``at``, with EXIF, GPS and interoperability directories inside it, out of its place.

    only: the tags to take of the outermost directory. Other pointers' targets are not taken.
    """
    wanted = None if only is None else set(only)
    directory = Directory()
    seen: set[int] = set()
    total = 0
    for entry in entries(blob, at)[0]:
        if entry.tag in seen or (wanted is not None and entry.tag not in wanted):
            continue
        seen.add(entry.tag)
        # Values that together are longer than the data overlap: a small file that wants to become a large one.
        total += entry.size
        if total > len(blob):
            raise Damaged("values overlap")
        if entry.tag in _POINTERS:
            inner_at = number(blob, entry)
            if inner_at is not None and depth:
                try:
                    directory.inner[entry.tag] = taken(blob, inner_at, depth=depth - 1)
                except Damaged:
                    continue
        else:
            data = bytes(blob[entry.value_at : entry.value_at + entry.size])
            if byte_order(blob) == ">" and entry.kind in _WORD:
                data = np.frombuffer(data, f">u{_WORD[entry.kind]}").astype(f"<u{_WORD[entry.kind]}").tobytes()
            directory.values[entry.tag] = Value(entry.kind, entry.count, data)
    return directory


def laid_out(directory: Directory, at: int) -> bytes:
    """The directory as little-endian bytes that are to lie at the (even) place ``at``; it is followed by no other."""
    tags = sorted(directory.values.keys() | directory.inner.keys())
    behind = at + 2 + 12 * len(tags) + 4
    table, rest = struct.pack("<H", len(tags)), b""
    for tag in tags:
        if tag in directory.inner:
            value = Value(LONG, 1, struct.pack("<L", behind + len(rest)))
            rest += laid_out(directory.inner[tag], behind + len(rest))
        else:
            value = directory.values[tag]
        if len(value.data) <= 4:
            table += struct.pack("<HHL", tag, value.kind, value.count) + value.data.ljust(4, b"\0")
        else:
            table += struct.pack("<HHLL", tag, value.kind, value.count, behind + len(rest))
            rest += value.data + b"\0" * (len(value.data) % 2)
    return table + b"\0\0\0\0" + rest


def alone(directory: Directory) -> bytes:
    """The directory as a TIFF structure of its own: what EXIF stores."""
    return b"II*\0" + struct.pack("<L", 8) + laid_out(directory, 8)


def grafted(file: bytes, more: Directory) -> bytes:
    """A TIFF file with a single page whose directory has ``more`` added or put in the place of its own.

    A new directory is laid at the end, and the header pointed to it; picture data stay where they are.
    """
    if byte_order(file) != "<":
        raise Damaged("only little-endian files are extended")
    directory = taken(file, first_directory(file))
    directory.values.update(more.values)
    directory.inner.update(more.inner)
    file += b"\0" * (len(file) % 2)
    return file[:4] + struct.pack("<L", len(file)) + file[8:] + laid_out(directory, len(file))


def ascii_value(text: bytes) -> Value:
    data = text.rstrip(b"\0") + b"\0"
    return Value(ASCII, len(data), data)


def bytes_value(data: bytes, kind: int = BYTE) -> Value:
    return Value(kind, len(data), data)


def short_value(*numbers: int) -> Value:
    return Value(SHORT, len(numbers), struct.pack(f"<{len(numbers)}H", *numbers))


def rational_value(value: float) -> Value:
    return Value(RATIONAL, 1, struct.pack("<LL", round(value * 10_000), 10_000))
