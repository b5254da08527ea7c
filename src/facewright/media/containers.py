"""What Pillow does not say about WebP and AVIF, from their containers."""

from __future__ import annotations


def webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        packed = int.from_bytes(head[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def webp_is_lossless(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8L", b"VP8 "):
            return data[at : at + 4] == b"VP8L"
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False


def avif_coding(data: bytes) -> tuple[int, str | None]:
    """(bits a channel, chroma subsampling) by the first av1C box (AV1 in ISOBMFF, 2.3.3)."""
    at = data.find(b"av1C", 0, 1 << 16)
    if at < 0 or at + 7 > len(data):
        return 8, None
    flags = data[at + 6]
    bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    if flags & 0x10:
        return bits, "4:0:0"
    return bits, {0b00: "4:4:4", 0b10: "4:2:2", 0b11: "4:2:0"}.get(flags >> 2 & 3)
