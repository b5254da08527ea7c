"""Reading a photo: recognise, check the size, decode, turn upright."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ImageFile, JpegImagePlugin, TiffImagePlugin

from facewright.errors import FacewrightError
from facewright.media import containers, exif, jpeg, metadata, png, tiff
from facewright.media.opening import COPY_AGAIN, File, check_size, ends_early, load, opened, opened_image
from facewright.media.photo import Origin, Photo, Pixels
from facewright.media.pixels import UnknownLayout, to_arrays, upright
from facewright.media.wide import decode_16


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
    with opened(source) as file:
        try:
            return _read(file, pixel_limit, salvage)
        except FacewrightError:
            raise
        except MemoryError as fault:
            raise file.error("there is not enough memory to decode it", "close other programs, or make the photo smaller") from fault
        except OSError as fault:
            if fault.errno is not None:  # the disk's or the network's own, not a decoder's
                raise file.error(fault.strerror or str(fault), COPY_AGAIN) from fault
            raise file.damaged(fault) from fault
        except Exception as fault:  # decoders answer hostile bytes with every kind of exception
            raise file.damaged(fault) from fault


@dataclass
class _Decoded:
    """pixels and alpha as stored, still to be turned by ``turn``."""

    pixels: Pixels
    alpha: Pixels | None
    turn: int


def _read(file: File, pixel_limit: int | None, salvage: bool) -> Photo:
    if file.format == "PNG":
        origin, decoded = _read_png(file, pixel_limit, salvage)
    else:
        origin, decoded = _read_with_pillow(file, pixel_limit, salvage)
    pixels = upright(decoded.pixels, decoded.turn)
    alpha = None if decoded.alpha is None else upright(decoded.alpha, decoded.turn)
    return Photo(pixels, alpha, origin)


# --- PNG: chunks are ours, pixels are Pillow's or cv2's ---


def _read_png(file: File, pixel_limit: int | None, salvage: bool) -> tuple[Origin, _Decoded]:
    try:
        header = png.header_of(file.stream.read(29))
    except png.Damaged as fault:
        raise (file.truncated(0) if file.length() < 29 else file.damaged(fault)) from fault
    check_size(file, (header.width, header.height), pixel_limit)
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
        pixels, alpha = decode_16(file)
        return (pixels[..., 0].copy(), alpha) if grey else (pixels, alpha)
    with opened_image(io.BytesIO(file), "PNG") as image:
        load(image)
        pixels, alpha, _, _ = to_arrays(image, icc)
    return pixels, alpha


def _png_origin(file: File, picture: png.Parsed) -> Origin:
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


def _read_with_pillow(file: File, pixel_limit: int | None, salvage: bool) -> tuple[Origin, _Decoded]:
    if file.format == "HEIF":
        _need_heif(file)
    if file.format == "WEBP":
        # libwebp sets its canvas up on opening, so this size has to be known before.
        check_size(file, containers.webp_size(file.stream.read(30)), pixel_limit)
    try:
        image = opened_image(file.stream, file.format)
    except (OSError, SyntaxError, EOFError) as fault:
        if isinstance(fault, OSError) and fault.errno is not None:
            raise
        raise (file.truncated(0) if ends_early(file) else file.damaged(fault)) from fault
    with image:
        check_size(file, image.size, pixel_limit)
        origin = _pillow_origin(file, image)
        # libheif has turned the picture by its container, and EXIF's tag must be ignored then (ISO/IEC 23008-12).
        turn = 1 if file.format == "HEIF" else origin.orientation
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
    part = f"about {share:.0%} of the rows could be read" if share < 1 else "a part or some detail of the picture is missing"
    origin.note(f"the file is damaged or ends early: {part}")
    return origin, decoded


def _decoded(file: File, image: ImageFile.ImageFile, origin: Origin, turn: int) -> _Decoded:
    if isinstance(image, TiffImagePlugin.TiffImageFile) and _is_wide_rgb(image):
        wide = _decode_wide_tiff(file, image.size, keep_alpha=image.mode == "RGBA")
        if wide is not None:
            origin.bits = 16
            return _Decoded(*wide, turn)
        origin.note("its 16 bits a channel are read as 8, as they are stored in an unusual way")
    load(image)
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


def _salvaged(file: File, origin: Origin, turn: int) -> tuple[_Decoded | None, float]:
    """What can be decoded of a damaged file, and the share of rows (from the top) that it is; (None, 0) where it is nothing."""
    stream = io.BytesIO(jpeg.completed(file.data()) if file.format == "JPEG" else file.data())
    try:
        with opened_image(stream, file.format) as image:
            with contextlib.suppress(OSError, SyntaxError, EOFError, ValueError):
                load(image)
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


def _pillow_origin(file: File, image: ImageFile.ImageFile) -> Origin:
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
            origin.lossless = containers.webp_is_lossless(file.data())
        if file.format == "AVIF":
            origin.bits, origin.subsampling = containers.avif_coding(file.data())
        if file.format == "HEIF":
            origin.bits = int(info.get("bit_depth") or 8)
        if origin.bits > 8:
            origin.note(f"its {origin.bits} bits a channel are read as 8")
    origin.orientation = _orientation(origin.exif, origin.xmp)
    return origin


def _add_tiff(file: File, image: TiffImagePlugin.TiffImageFile, origin: Origin) -> None:
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


def _need_heif(file: File) -> None:
    try:
        import pillow_heif
    except ImportError as fault:
        why = "HEIF photos need an optional part that is not installed"
        raise file.error(why, 'pip install "facewright[heif]"') from fault
    pillow_heif.register_heif_opener()


def _orientation(block: bytes | None, packet: bytes | None) -> int:
    """EXIF's word counts; XMP's where EXIF says nothing."""
    found = exif.orientation(block) if block else None
    return found or (metadata.xmp_orientation(packet) if packet else 1)


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


# --- 16-bit TIFF ---


def _is_wide_rgb(image: TiffImagePlugin.TiffImageFile) -> bool:
    tags = image.tag_v2
    bits = tags.get(TiffImagePlugin.BITSPERSAMPLE, (1,))
    return image.mode in ("RGB", "RGBA") and set(bits) == {16} and tags.get(TiffImagePlugin.PHOTOMETRIC_INTERPRETATION) == 2


def _decode_wide_tiff(file: File, size: tuple[int, int], *, keep_alpha: bool) -> tuple[Pixels, Pixels | None] | None:
    """16-bit RGB(A) TIFF at full depth, as stored; None where cv2 does not give it so."""
    data = bytearray(file.data())
    at = tiff.first_directory(data)
    for entry in tiff.entries(data, at)[0]:
        if entry.tag == tiff.ORIENTATION:
            tiff.set_number(data, entry, 1)  # releases of cv2 differ in whether they turn TIFF
        if entry.tag == TiffImagePlugin.EXTRASAMPLES and tiff.number(data, entry) == 1:
            return None  # premultiplied
    try:
        pixels, alpha = decode_16(bytes(data))
    except OSError:
        return None
    if pixels.shape[0] * pixels.shape[1] != size[0] * size[1]:
        return None
    return pixels, alpha if keep_alpha else None


def _is_truncation(file: File, fault: Exception) -> bool:
    return "truncated" in str(fault) or isinstance(fault, EOFError) or ends_early(file)
