"""Reading a photo: recognise, check the size, decode, turn upright."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import Image, ImageFile, JpegImagePlugin, TiffImagePlugin

from facewright.errors import FacewrightError, InputError
from facewright.media import exif, formats, jpeg, metadata, png, tiff
from facewright.media.photo import Origin, Photo, Pixels
from facewright.media.pixels import UnknownLayout, to_arrays, upright

_LARGE = 50_000_000
"""Pixels from which on Pillow's own limit might speak up while it decodes."""

_COPY_AGAIN = "copy it again from the source"


def read(source: Path | str | BinaryIO | bytes, *, pixel_limit: int | None = 200_000_000, salvage: bool = False) -> Photo:
    """Decode a photo, turn it upright, and gather what is needed to write it back.

    source: a path, the bytes of a file, or an open binary stream (read from where it stands to its end). What it is follows from its
    content, not from its name: JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF, and HEIF where the extra ``heif`` is installed. Of files with more
    than one picture the first is read, with a note.
    pixel_limit: width times height beyond which a photo is refused before anything of it is decoded; None for no limit.
    salvage: of a file that ends early or is damaged, read the part that is there; the rest is grey or black, with a note.

    Raises InputError: missing, a folder, no permission, empty, not a picture, beyond the limit, damaged, truncated (saying how much is
    there), or of a kind that cannot be read.
    """
    with _opened(source) as file:
        try:
            return _read(file, pixel_limit, salvage)
        except FacewrightError:
            raise
        except MemoryError as fault:
            raise file.error("there is not enough memory to decode it", "close other programs, or make the photo smaller") from fault
        except OSError as fault:
            if fault.errno is not None:  # the disk's or the network's own, not a decoder's
                raise file.error(fault.strerror or str(fault), _COPY_AGAIN) from fault
            raise file.damaged(fault) from fault
        except Exception as fault:  # decoders answer hostile bytes with every kind of exception
            raise file.damaged(fault) from fault


@dataclass
class _File:
    """An open photo. stream: seekable, from its very beginning."""

    stream: BinaryIO
    name: str
    path: Path | None
    format: str

    def data(self) -> bytes:
        self.stream.seek(0)
        return self.stream.read()

    def length(self) -> int:
        return self.stream.seek(0, io.SEEK_END)

    def error(self, why: str, what_to_do: str) -> InputError:
        return InputError(f"cannot read {self.name}", why, what_to_do)

    def damaged(self, fault: Exception) -> InputError:
        said = " ".join(str(fault).split())[:120] or type(fault).__name__
        return self.error(f"it is damaged, or of a kind that is not known ({formats.spoken(self.format)}: {said})", _COPY_AGAIN)

    def truncated(self, share: float) -> InputError:
        part = f", with about {share:.0%} of the picture" if 0 < share < 1 else ""
        todo = f"{_COPY_AGAIN}, or add --salvage to restore the part that is there" if share > 0 else _COPY_AGAIN
        return self.error(f"it ends after {self.length():,} bytes{part} (truncated {formats.spoken(self.format)})", todo)


@dataclass
class _Decoded:
    """pixels and alpha as stored, still to be turned by ``turn``."""

    pixels: Pixels
    alpha: Pixels | None
    turn: int


def _read(file: _File, pixel_limit: int | None, salvage: bool) -> Photo:
    if file.format == "PNG":
        origin, decoded = _read_png(file, pixel_limit, salvage)
    else:
        origin, decoded = _read_with_pillow(file, pixel_limit, salvage)
    pixels = upright(decoded.pixels, decoded.turn)
    alpha = None if decoded.alpha is None else upright(decoded.alpha, decoded.turn)
    return Photo(pixels, alpha, origin)


# --- PNG: chunks are ours, pixels are Pillow's or cv2's ---


def _read_png(file: _File, pixel_limit: int | None, salvage: bool) -> tuple[Origin, _Decoded]:
    try:
        header = png.header_of(file.stream.read(29))
    except png.Damaged as fault:
        raise (file.truncated(0) if file.length() < 29 else file.damaged(fault)) from fault
    _check_size(file, (header.width, header.height), pixel_limit)
    picture = png.parsed(file.data())
    origin = _png_origin(file, picture)

    # Transparency by a key colour is looked up below, at full depth; only a palette's is Pillow's.
    bare = png.picture_only(picture, with_transparency=header.colour_type == 3)
    wide = header.depth == 16 and header.colour_type != 0
    try:
        if wide and png.inflated_length(picture) < header.picture_bytes:
            raise OSError("picture data end early")  # cv2 would only print a warning
        pixels, alpha = _decode_png(bare, wide=wide, grey=header.colour_type == 4, icc=origin.icc)
    except (OSError, SyntaxError, ValueError, EOFError) as fault:
        whole, share = png.mended(picture)
        if not salvage or share == 0:
            raise (file.truncated(share) if not picture.whole else file.damaged(fault)) from fault
        pixels, alpha = _decode_png(whole, wide=wide, grey=header.colour_type == 4, icc=origin.icc)
        origin.note(f"the file is damaged or ends early: about {share:.0%} of the picture could be read, the rest is black")
    if alpha is None and header.colour_type in (0, 2):
        alpha = _alpha_by_key(pixels, picture.first(b"tRNS"), header.depth)
    return origin, _Decoded(pixels, alpha, origin.orientation)


def _decode_png(file: bytes, *, wide: bool, grey: bool, icc: bytes | None) -> tuple[Pixels, Pixels | None]:
    if wide:
        pixels, alpha = _decode_16(file)
        return (pixels[..., 0].copy(), alpha) if grey else (pixels, alpha)
    with _opened_image(io.BytesIO(file), "PNG") as image:
        _load(image)
        pixels, alpha, _, _ = to_arrays(image, icc)
    return pixels, alpha


def _png_origin(file: _File, picture: png.Parsed) -> Origin:
    kept = []
    block = exif.without_prefix(picture.first(b"eXIf"))
    packet = None
    for chunk in picture.chunks:
        keyword = png.keyword_of(chunk)
        if (xmp := png.xmp_of(chunk)) is not None:
            packet = xmp
        elif keyword in ("Raw profile type exif", "Raw profile type APP1"):
            # ImageMagick's way before eXIf: kept as EXIF proper, since its orientation and thumbnail would go stale as text.
            block = block or _raw_profile(png.text_of(chunk))
        elif chunk[0] in png.TEXT or chunk[0] in png.COLOUR:
            kept.append(chunk)
    density = picture.first(b"pHYs")
    dpi = None
    if density is not None and len(density) == 9 and density[8] == 1:
        dpi = (int.from_bytes(density[:4], "big") * 0.0254, int.from_bytes(density[4:8], "big") * 0.0254)
    header = picture.header
    origin = Origin(
        format="PNG",
        mode={0: "L", 2: "RGB", 3: "P", 4: "LA", 6: "RGBA"}[header.colour_type],
        bits=header.depth,
        path=file.path,
        orientation=_orientation(block, packet),
        exif=block,
        xmp=packet,
        icc=png.profile_of(picture),
        dpi=dpi,
        chunks=tuple(kept),
    )
    if picture.first(b"iCCP") is not None and origin.icc is None:
        origin.note("the colour profile is damaged and is not kept")
    if picture.first(b"acTL") is not None:
        origin.note("an animation: only its first picture is read")
    return origin


def _raw_profile(text: tuple[str, str] | None) -> bytes | None:
    try:
        block = bytes.fromhex("".join(text[1].split("\n")[3:])) if text else b""
    except ValueError:
        return None
    block = exif.without_prefix(block) or b""
    return block if block[:4] in (b"II*\0", b"MM\0*") else None


def _alpha_by_key(pixels: Pixels, key: bytes | None, depth: int) -> Pixels | None:
    """Alpha of a picture in which one colour stands for transparent. key: tRNS, 16 bits a channel in the file's depth."""
    channels = 1 if pixels.ndim == 2 else 3
    if key is None or len(key) < 2 * channels:
        return None
    # Depths below 8 were stretched to 0..255 on decoding.
    stretch = 1 if depth >= 8 else 255 // ((1 << depth) - 1)
    colour = np.frombuffer(key[: 2 * channels], ">u2").astype(np.int64) * stretch
    alike = pixels == colour[0] if channels == 1 else (pixels == colour).all(axis=2)
    return np.where(alike, 0, np.iinfo(pixels.dtype).max).astype(pixels.dtype)


# --- everything else: Pillow ---


def _read_with_pillow(file: _File, pixel_limit: int | None, salvage: bool) -> tuple[Origin, _Decoded]:
    if file.format == "HEIF":
        _need_heif(file)
    if file.format == "WEBP":
        # libwebp sets its canvas up on opening, so this size has to be known before.
        _check_size(file, _webp_size(file.stream.read(30)), pixel_limit)
    try:
        image = _opened_image(file.stream, file.format)
    except (OSError, SyntaxError, EOFError) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            raise
        raise (file.truncated(0) if _ends_early(file) else file.damaged(fault)) from fault
    with image:
        _check_size(file, image.size, pixel_limit)
        origin = _pillow_origin(file, image)
        turn = _turn(file, image, origin)
        try:
            return origin, _decoded(file, image, origin, turn)
        except UnknownLayout as fault:
            raise file.error(f"it holds {fault}", "save it as 8 or 16 bits a channel first") from fault
        except (OSError, SyntaxError, EOFError, ValueError) as fault:
            if isinstance(fault, OSError) and fault.errno is not None:
                raise
            decoded, share = _salvaged(file, origin, turn)
            if not salvage or decoded is None:
                raise (file.truncated(share) if _is_truncation(file, fault) else file.damaged(fault)) from fault
    part = f"about {share:.0%} of the rows could be read" if share < 1 else "it lacks its last detail"
    origin.note(f"the file is damaged or ends early: {part}")
    return origin, decoded


def _decoded(file: _File, image: ImageFile.ImageFile, origin: Origin, turn: int) -> _Decoded:
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_wide_rgb(image):
        wide = _decode_wide_tiff(file, image.size, keep_alpha=image.mode == "RGBA")
        if wide is not None:
            origin.bits = 16
            return _Decoded(*wide, turn)
        origin.note("its 16 bits a channel are read as 8, as they are stored in an unusual way")
    _load(image)
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        turn = 1  # Pillow turns TIFF upright itself
    return _as_decoded(image, origin, turn)


def _as_decoded(image: ImageFile.ImageFile, origin: Origin, turn: int) -> _Decoded:
    pixels, alpha, notes, profile_fits = to_arrays(image, origin.icc)
    for note in notes:
        origin.note(note)
    if not profile_fits:
        origin.icc = None
    if isinstance(image, TiffImagePlugin.TiffImageFile) and pixels.dtype == np.uint16:
        if image.tag_v2.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 0:
            pixels = np.subtract(65535, pixels, dtype=np.uint16)  # white is zero; Pillow minds that at 8 bits only
        if origin.bits == 12:
            pixels = (pixels.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
            origin.note("12 bits stretched to 16")
    return _Decoded(pixels, alpha, turn)


def _salvaged(file: _File, origin: Origin, turn: int) -> tuple[_Decoded | None, float]:
    """What can be decoded of a damaged file, and the share of rows (from the top) that it is; (None, 0) where it is nothing."""
    stream = io.BytesIO(jpeg.completed(file.data()) if file.format == "JPEG" else file.data())
    try:
        with _opened_image(stream, file.format) as image:
            with contextlib.suppress(OSError, SyntaxError, EOFError, ValueError):
                _load(image)
                if isinstance(image, TiffImagePlugin.TiffImageFile):
                    turn = 1
            # What the decoder had written before it gave up is still there; without tiles left, Pillow hands it out.
            image.tile = []
            decoded = _as_decoded(image, origin, turn)
    except Exception:  # hopeless: the first error is the one to report
        return None, 0.0
    blank = 128 if file.format == "JPEG" else 0
    written = np.flatnonzero((decoded.pixels != blank).reshape(len(decoded.pixels), -1).any(axis=1))
    share = (int(written[-1]) + 1) / len(decoded.pixels) if len(written) else 0.0
    return (decoded, share) if share else (None, 0.0)


def _pillow_origin(file: _File, image: ImageFile.ImageFile) -> Origin:
    info = image.info
    block = exif.without_prefix(info.get("exif"))
    packet = info.get("xmp")
    packet = packet.encode() if isinstance(packet, str) else packet
    comment = info.get("comment")
    origin = Origin(
        format=file.format,
        mode=image.mode,
        path=file.path,
        exif=block,
        xmp=packet.rstrip(b"\0") if packet else None,
        icc=info.get("icc_profile") or None,
        dpi=_dpi(info, block),
        comments=(comment,) if isinstance(comment, bytes) else (),
    )
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        origin.jpeg = jpeg.coding_of(image)
        origin.comments = jpeg.comments_of(image.applist)
        origin.photoshop = jpeg.photoshop_of(image.applist)
        origin.notes += jpeg.not_kept(image.applist)
        if getattr(image, "n_frames", 1) > 1:
            origin.note("the file holds more than one picture: only the first is read")
        elif "mp" in info:
            origin.note("the file holds a second picture beside the photo (a gain map or a preview): it is not kept")
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        _add_tiff(file, image, origin)
    else:
        if getattr(image, "is_animated", False):
            origin.note("the file holds more than one picture: only the first is read")
        if file.format == "WEBP":
            origin.lossless = _webp_is_lossless(file.data())
        if file.format == "AVIF":
            origin.bits, origin.subsampling = _avif_coding(file.data())
        if file.format == "HEIF":
            origin.bits = int(info.get("bit_depth") or 8)
        if origin.bits > 8:
            origin.note(f"its {origin.bits} bits a channel are read as 8")
    origin.orientation = _orientation(origin.exif, origin.xmp)
    return origin


def _add_tiff(file: _File, image: TiffImagePlugin.TiffImageFile, origin: Origin) -> None:
    tags = image.tag_v2
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    origin.bits = int(bits[0] if isinstance(bits, tuple) else bits)
    origin.compression = str(image.info.get("compression", "raw"))
    blocks = tags.get(TiffImagePlugin.PHOTOSHOP_CHUNK)
    origin.photoshop = blocks if isinstance(blocks, bytes) else None
    try:
        origin.exif = exif.of_tiff_file(file.data())
    except tiff.Damaged:
        origin.note("its descriptive tags could not be read and are not kept")
    if image.is_animated:
        origin.note("the file holds more than one page: only the first is read")
    if origin.bits == 16 and image.mode == "CMYK":
        origin.note("its 16 bits a channel are read as 8")


def _turn(file: _File, image: ImageFile.ImageFile, origin: Origin) -> int:
    """By which orientation the decoded pixels still have to be turned."""
    # libheif applies the container's rotation, and EXIF's tag must be ignored then (ISO/IEC 23008-12); the plugin resets it.
    return 1 if file.format == "HEIF" else origin.orientation


def _orientation(block: bytes | None, packet: bytes | None) -> int:
    """EXIF's word counts; XMP's where EXIF says nothing."""
    found = exif.orientation(block) if block else 1
    return found if found != 1 or not packet else metadata.xmp_orientation(packet)


def _dpi(info: dict[str | tuple[int, int], object], block: bytes | None) -> tuple[float, float] | None:
    # Without JFIF units and EXIF resolution Pillow answers 72 for JPEG, which the file never said.
    if "jfif" in info or "exif" in info:
        stated = info.get("jfif_unit") in (1, 2) or (block is not None and exif.states_resolution(block))
        if not stated:
            return None
    dpi = info.get("dpi")
    if not isinstance(dpi, tuple) or len(dpi) != 2:
        return None
    across, down = float(dpi[0]), float(dpi[1])
    return (across, down) if 0 < across < 1e6 and 0 < down < 1e6 else None


# --- 16 bits a channel ---


def _is_wide_rgb(image: TiffImagePlugin.TiffImageFile) -> bool:
    tags = image.tag_v2
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    return image.mode in ("RGB", "RGBA") and set(bits) == {16} and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 2


def _decode_wide_tiff(file: _File, size: tuple[int, int], *, keep_alpha: bool) -> tuple[Pixels, Pixels | None] | None:
    """16-bit RGB(A) TIFF at full depth, as stored; None where cv2 does not give it so."""
    data = bytearray(file.data())
    at = tiff.first_directory(data)
    for entry in tiff.entries(data, at)[0]:
        if entry.tag == tiff.ORIENTATION:
            tiff.set_number(data, entry, 1)  # releases of cv2 differ in whether they turn TIFF
        if entry.tag == TiffImagePlugin.EXTRASAMPLES and tiff.number(data, entry) == 1:
            return None  # premultiplied
    try:
        pixels, alpha = _decode_16(bytes(data))
    except OSError:
        return None
    if pixels.shape[0] * pixels.shape[1] != size[0] * size[1]:
        return None
    return pixels, alpha if keep_alpha else None


def _decode_16(file: bytes) -> tuple[Pixels, Pixels | None]:
    """RGB and alpha of a 16-bit file that Pillow would give 8 bits of. The size has been checked by then. Raises OSError."""
    import cv2

    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it would tell of damage on stderr, which we do ourselves
    try:
        picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as fault:
        raise OSError(str(fault)) from fault
    finally:
        if before != cv2.utils.logging.LOG_LEVEL_SILENT:  # else another thread of ours is inside, and will restore it
            cv2.utils.logging.setLogLevel(before)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise OSError("it cannot be decoded at 16 bits")
    alpha = picture[..., 3].copy() if picture.shape[2] == 4 else None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB if alpha is None else cv2.COLOR_BGRA2RGB), alpha


# --- opening ---


@contextlib.contextmanager
def _opened(source: Path | str | BinaryIO | bytes) -> Iterator[_File]:
    """The source as a seekable stream whose format is known. Raises InputError."""
    if isinstance(source, (bytes, bytearray, memoryview)):
        yield _recognised(io.BytesIO(source), "the photo", None)
    elif isinstance(source, (str, Path)):
        path = Path(source)
        what = f"cannot read {path}"
        try:
            # A folder is asked for first: what opening one says differs between systems.
            if path.is_dir():
                raise InputError(what, "it is a folder", "name a photo in it, or restore the folder as a whole")
            stream = path.open("rb")
        except FileNotFoundError as fault:
            raise InputError(what, "there is no such file", "check the name") from fault
        except PermissionError as fault:
            raise InputError(what, "you may not read it", "change its permissions, or copy it to a place of yours") from fault
        except (OSError, ValueError) as fault:
            raise InputError(what, getattr(fault, "strerror", None) or str(fault), "check the name") from fault
        with stream:
            yield _recognised(stream if stream.seekable() else _in_memory(stream, str(path)), str(path), path)
    else:
        name = "standard input" if getattr(source, "name", None) in ("<stdin>", 0) else "the photo"
        yield _recognised(_in_memory(source, name), name, None)


def _in_memory(stream: BinaryIO, name: str) -> BinaryIO:
    """The rest of a stream; what does not begin like a photo is not read on, as it may never end."""
    head = stream.read(formats.HEAD)
    _format(head, name)
    return io.BytesIO(head + stream.read())


def _recognised(stream: BinaryIO, name: str, path: Path | None) -> _File:
    try:
        head = stream.read(formats.HEAD)
        stream.seek(0)
    except OSError as fault:
        raise InputError(f"cannot read {name}", fault.strerror or str(fault), _COPY_AGAIN) from fault
    return _File(stream, name, path, _format(head, name))


def _format(head: bytes, name: str) -> str:
    format = formats.recognise(head)
    if format is None:
        why = f"it is {formats.describe(head)}" if head else "it is empty"
        todo = "give a JPEG, PNG, WebP, TIFF, AVIF, BMP, GIF or HEIF file" if head else _COPY_AGAIN
        raise InputError(f"cannot read {name}", why, todo)
    return format


def _check_size(file: _File, size: tuple[int, int] | None, pixel_limit: int | None) -> None:
    if size is None or pixel_limit is None or size[0] * size[1] <= pixel_limit:
        return
    held = f"{size[0]:,} x {size[1]:,} pixels ({size[0] * size[1] / 1e6:,.0f} megapixels)"
    raise file.error(
        f"it claims {held}, beyond the limit of {pixel_limit / 1e6:,.0f} megapixels", "raise --pixel-limit if you trust the file"
    )


def _need_heif(file: _File) -> None:
    try:
        import pillow_heif
    except ImportError as fault:
        why = "HEIF photos need an optional part that is not installed"
        raise file.error(why, 'pip install "facewright[heif]"') from fault
    pillow_heif.register_heif_opener()


_guard = threading.Lock()
_unlimited = 0
_limit_before: int | None = None


@contextlib.contextmanager
def _pillow_unlimited() -> Iterator[None]:
    """Pillow's own limit of pixels, one number for the whole process, is off while any of our threads is inside.

    It would warn, or refuse, below ours. Counted, so that the last one out restores what the first one found.
    """
    global _unlimited, _limit_before
    with _guard:
        if _unlimited == 0:
            _limit_before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        _unlimited += 1
    try:
        yield
    finally:
        with _guard:
            _unlimited -= 1
            if _unlimited == 0:
                Image.MAX_IMAGE_PIXELS = _limit_before


def _opened_image(stream: BinaryIO, format: str) -> ImageFile.ImageFile:
    """Only the one decoder that the first bytes call for gets to see the file. Its header is parsed, no pixel decoded."""
    stream.seek(0)
    with _pillow_unlimited():
        return Image.open(stream, formats=(format,))


def _load(image: ImageFile.ImageFile) -> None:
    with _pillow_unlimited() if image.width * image.height > _LARGE else contextlib.nullcontext():
        image.load()


# --- what Pillow does not say ---


def _webp_size(head: bytes) -> tuple[int, int] | None:
    kind = head[12:16]
    if kind == b"VP8X" and len(head) >= 30:
        return 1 + int.from_bytes(head[24:27], "little"), 1 + int.from_bytes(head[27:30], "little")
    if kind == b"VP8L" and len(head) >= 25:
        packed = int.from_bytes(head[21:25], "little")
        return 1 + (packed & 0x3FFF), 1 + (packed >> 14 & 0x3FFF)
    if kind == b"VP8 " and len(head) >= 30:
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    return None


def _webp_is_lossless(data: bytes) -> bool:
    at = 12
    while at + 8 <= len(data):
        if data[at : at + 4] in (b"VP8L", b"VP8 "):
            return data[at : at + 4] == b"VP8L"
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        at += 8 + size + size % 2
    return False


def _avif_coding(data: bytes) -> tuple[int, str | None]:
    """(bits a channel, chroma subsampling) by the first av1C box (AV1 in ISOBMFF, 2.3.3)."""
    at = data.find(b"av1C", 0, 1 << 16)
    if at < 0 or at + 7 > len(data):
        return 8, None
    flags = data[at + 6]
    bits = (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    if flags & 0x10:
        return bits, "4:0:0"
    return bits, {0b00: "4:4:4", 0b10: "4:2:2", 0b11: "4:2:0"}.get(flags >> 2 & 3)


def _ends_early(file: _File) -> bool:
    """Whether a file that could not even be opened is cut off, by what its format says about its length."""
    data = file.data()
    if file.format == "JPEG":
        return not jpeg.reaches_picture(data)
    if file.format == "WEBP":
        return len(data) < 8 + int.from_bytes(data[4:8], "little")
    if file.format == "BMP":
        return len(data) < int.from_bytes(data[2:6], "little") or len(data) < 54
    if file.format in ("AVIF", "HEIF"):
        at = 0
        while at + 8 <= len(data):
            size = int.from_bytes(data[at : at + 4], "big")
            if size < 8:
                return False
            at += size
        return at > len(data)
    if file.format == "TIFF" and data[:4] in (b"II*\0", b"MM\0*"):
        return len(data) < 8 or tiff.first_directory(data) + 2 > len(data)
    return file.format == "GIF" and not data.endswith(b";")


def _is_truncation(file: _File, fault: Exception) -> bool:
    return "truncated" in str(fault) or isinstance(fault, EOFError) or _ends_early(file)
