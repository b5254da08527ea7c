"""Writing a photo: coded like its source where nothing else is asked for, metadata back in, whole or not at all."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from PIL import Image

from facewright.errors import FacewrightError, OutputError, UsageError
from facewright.media import exif, formats, jpeg, png, tiff
from facewright.media.atomic import write_atomically
from facewright.media.metadata import Carried, Metadata, carried
from facewright.media.photo import Photo, Pixels
from facewright.media.pixels import as_depth, stacked
from facewright.media.wide import encode_16

_MOST_IN_JPEG_SEGMENT = 65_533
_XMP_OVERHEAD = 29
_TIFF_COMPRESSIONS = {"raw": 1, "tiff_lzw": 5, "tiff_adobe_deflate": 8, "tiff_deflate": 8, "packbits": 32773, "zstd": 50000, "lzma": 34925}


def write(
    photo: Photo, target: Path | BinaryIO, *, format: str | None = None, quality: int | None = None, metadata: Metadata = "keep"
) -> None:
    """Encode and write; to a path atomically: the file is there whole, or as it was before.

    target: a path, whose suffix names the format, or a binary stream (the origin's format). format, quality, metadata: as for ``encode``.
    Raises UsageError (unknown format; transparency into a format without), OutputError (cannot be encoded or written).
    """
    if isinstance(target, (str, Path)):
        path = Path(target)
        chosen = formats.format_named(format) if format else formats.format_of(path, photo.origin)
        write_atomically(path, encode(photo, format=chosen, quality=quality, metadata=metadata))
        return
    data = encode(photo, format=format or formats.default_suffix(photo.origin), quality=quality, metadata=metadata)
    try:
        target.write(data)
        target.flush()
    except OSError as fault:
        raise OutputError("cannot write to the stream", fault.strerror or str(fault), "check what reads from it") from fault


def encode(photo: Photo, *, format: str, quality: int | None = None, metadata: Metadata = "keep") -> bytes:
    """A file's bytes. Never changes pixels more than the format demands; what is lost is added to ``photo.origin.notes``.

    format: "jpeg", "png", "webp", "tiff", "avif", "bmp", "heif", or a suffix. quality: 1..100 for lossy formats. Where it is None, a JPEG
    from a JPEG keeps the source's quantisation tables, and WebP stays lossless where it was; else 95. Chroma subsampling and the
    progressive form stay the source's; TIFF keeps its compression where it is lossless (else deflate).
    16 bits stay 16 in PNG and TIFF and are rounded to 8 elsewhere; grey stays grey where the format has it (WebP has not).
    The ICC profile is carried along and pixels stay in its colour space.
    Transparency goes into PNG, WebP, TIFF, AVIF and HEIF; for JPEG and BMP a photo that is transparent anywhere is refused, as flattening
    would invent a background, and one that is opaque everywhere is written without alpha.
    metadata: "keep", "basic" or "strip", see ``metadata.carried``.
    Raises UsageError, OutputError; ValueError where the arrays are not a Photo's.
    """
    chosen = formats.format_named(format)
    _check(photo, chosen, quality)
    pixels, alpha = photo.pixels, photo.alpha
    if alpha is not None and chosen not in formats.HOLDS_ALPHA:
        if (alpha != np.iinfo(alpha.dtype).max).any():
            raise UsageError(
                f"cannot write a transparent photo as {formats.spoken(chosen)}", "the format holds no transparency", "write .png or .webp"
            )
        alpha = None
    if pixels.dtype == np.uint16 and chosen not in formats.HOLDS_16_BITS:
        photo.origin.note(f"16 bits a channel rounded to 8 for {formats.spoken(chosen)}")
        pixels, alpha = as_depth(pixels, np.uint8), None if alpha is None else as_depth(alpha, np.uint8)

    encoder = _ENCODERS[chosen]
    travelling = carried(
        photo,
        metadata,
        # Pillow moves AVIF's orientation into the container, and would lay EXIF out anew for it.
        forget_orientation=chosen in ("AVIF", "TIFF"),
        colour_written=not photo.is_grey or chosen == "WEBP",
    )
    _note_what_is_lost(photo, chosen, travelling)
    try:
        return encoder(_Job(photo, pixels, alpha, quality, travelling))
    except FacewrightError:
        raise
    except MemoryError as fault:
        raise OutputError(
            f"cannot write the photo as {formats.spoken(chosen)}", "there is not enough memory", "close other programs"
        ) from fault
    except Exception as fault:
        said = " ".join(str(fault).split())[:120] or type(fault).__name__
        raise OutputError(f"cannot write the photo as {formats.spoken(chosen)}", said, "choose another format, for example .png") from fault


class _Job(NamedTuple):
    """pixels and alpha: those of ``photo``, in the depth that the format takes."""

    photo: Photo
    pixels: Pixels
    alpha: Pixels | None
    quality: int | None
    metadata: Carried

    @property
    def image(self) -> Image.Image:
        return Image.fromarray(stacked(self.pixels, self.alpha))

    @property
    def exif(self) -> bytes:
        return b"Exif\0\0" + self.metadata.exif if self.metadata.exif else b""


def _jpeg(job: _Job) -> bytes:
    origin, metadata = job.photo.origin, job.metadata
    block, packet = job.exif, metadata.xmp
    if len(block) > _MOST_IN_JPEG_SEGMENT:
        origin.note("EXIF is too long for JPEG: only dates, artist and copyright are kept")
        block = exif.essentials(metadata.exif or b"") or b""
        block = b"Exif\0\0" + block if 0 < len(block) < _MOST_IN_JPEG_SEGMENT - 6 else b""
    if packet and len(packet) > _MOST_IN_JPEG_SEGMENT - _XMP_OVERHEAD:
        origin.note("XMP is too long for JPEG and is not kept")
        packet = None
    extra = jpeg.photoshop_segments(metadata.photoshop) if metadata.photoshop else b""
    extra += jpeg.comment_segments(metadata.comments)
    options = jpeg.save_options(origin.jpeg, job.quality)
    if metadata.dpi:
        options["dpi"] = metadata.dpi
    if packet:
        options["xmp"] = packet
    if job.photo.is_grey:
        options.pop("keep_rgb", None)
    return _saved(job.image, "JPEG", exif=block, icc_profile=metadata.icc, extra=extra, **options)


def _png(job: _Job) -> bytes:
    metadata = job.metadata
    more: list[tuple[bytes, bytes]] = []
    if metadata.icc:
        more.append(png.profile_chunk(metadata.icc))
    # sRGB and iCCP exclude each other.
    more += [chunk for chunk in metadata.chunks if chunk[0] in png.COLOUR and not (metadata.icc and chunk[0] == b"sRGB")]
    if metadata.dpi:
        across, down = (round(dots / 0.0254) for dots in metadata.dpi)
        more.append((b"pHYs", struct.pack(">IIB", across, down, 1)))
    if metadata.exif:
        more.append((b"eXIf", metadata.exif))
    if metadata.xmp:
        more.append(png.xmp_chunk(metadata.xmp))
    more += [png.text_chunk("Comment", comment) for comment in metadata.comments]
    more += metadata.text_chunks
    picture = stacked(job.pixels, job.alpha)
    if picture.dtype == np.uint16 and picture.ndim == 3:
        file = png.encode_grey_alpha_16(picture) if picture.shape[2] == 2 else encode_16(picture, ".png", [])
    else:
        file = _saved(job.image, "PNG", compress_level=4)  # 6, the default, takes two and a half times as long for a few per cent
    return png.with_chunks(file, more)


def _webp(job: _Job) -> bytes:
    metadata = job.metadata
    options: dict[str, Any] = {"quality": 95 if job.quality is None else job.quality}
    if job.quality is None and job.photo.origin.lossless:
        options = {"lossless": True, "exact": True}
    return _saved(job.image, "WEBP", exif=job.exif, icc_profile=metadata.icc, xmp=metadata.xmp or b"", **options)


def _tiff(job: _Job) -> bytes:
    """Pixels by Pillow, or cv2 where they are 16-bit colour (Pillow cannot); tags are grafted on, so that none is re-typed on its way."""
    origin, metadata = job.photo.origin, job.metadata
    name = origin.compression if origin.compression in _TIFF_COMPRESSIONS else "tiff_adobe_deflate"
    name = {"tiff_deflate": "tiff_adobe_deflate"}.get(name, name)
    picture = stacked(job.pixels, job.alpha)
    if picture.dtype == np.uint16 and picture.ndim == 3:
        file = _wide_tiff(job, picture, _TIFF_COMPRESSIONS[name])
    else:
        file = _saved(job.image, "TIFF", compression=name)

    try:
        more = exif.for_tiff_file(metadata.exif) if metadata.exif else tiff.Directory()
    except tiff.Damaged:
        more = tiff.Directory()
        origin.note("EXIF is damaged and is not kept")
    more.values[tiff.ORIENTATION] = tiff.short_value(1)
    if job.alpha is not None:
        more.values[_EXTRA_SAMPLES] = tiff.short_value(2)  # not premultiplied; cv2 leaves it unsaid
    if metadata.dpi:
        more.values[_X_RESOLUTION], more.values[_Y_RESOLUTION] = map(tiff.rational_value, metadata.dpi)
        more.values[_RESOLUTION_UNIT] = tiff.short_value(2)
    if metadata.icc:
        more.values[_ICC] = tiff.bytes_value(metadata.icc, tiff.UNDEFINED)
    if metadata.xmp:
        more.values[_XMP] = tiff.bytes_value(metadata.xmp)
    if metadata.photoshop:
        more.values[_PHOTOSHOP] = tiff.bytes_value(metadata.photoshop)
    return tiff.grafted(file, more)


def _wide_tiff(job: _Job, picture: Pixels, compression: int) -> bytes:
    import cv2

    if picture.shape[2] == 2:
        # No reader of ours takes 16-bit grey with alpha from TIFF.
        job.photo.origin.note("16-bit grey with transparency is written as RGB in TIFF")
        picture = picture[..., [0, 0, 0, 1]]
    if compression not in (1, 5, 8, 32773):
        compression = 8  # cv2's libtiff is built without the rarer ones
    options = [cv2.IMWRITE_TIFF_COMPRESSION, compression]
    if compression in (5, 8):
        options += [cv2.IMWRITE_TIFF_PREDICTOR, 2]
    return encode_16(picture, ".tiff", options)


def _avif(job: _Job) -> bytes:
    metadata, origin = job.metadata, job.photo.origin
    subsampling = "4:0:0" if job.photo.is_grey else "4:4:4"
    if origin.subsampling not in (None, "4:0:0") and not job.photo.is_grey:
        subsampling = str(origin.subsampling)
    quality = 95 if job.quality is None else job.quality
    exif_block = metadata.exif or b""
    return _saved(
        job.image, "AVIF", quality=quality, subsampling=subsampling, exif=exif_block, icc_profile=metadata.icc, xmp=metadata.xmp or b""
    )


def _bmp(job: _Job) -> bytes:
    options: dict[str, Any] = {"dpi": job.metadata.dpi} if job.metadata.dpi else {}
    return _saved(job.image, "BMP", **options)


def _heif(job: _Job) -> bytes:
    try:
        import pillow_heif
    except ImportError as fault:
        raise OutputError(
            "cannot write HEIF", "it needs an optional part that is not installed", 'pip install "facewright[heif]"'
        ) from fault
    pillow_heif.register_heif_opener()
    metadata = job.metadata
    options: dict[str, Any] = {"quality": 95 if job.quality is None else job.quality, "chroma": 444}
    return _saved(job.image, "HEIF", exif=job.exif or None, icc_profile=metadata.icc, xmp=metadata.xmp, **options)


_ENCODERS: dict[str, Callable[[_Job], bytes]] = {
    "JPEG": _jpeg,
    "PNG": _png,
    "WEBP": _webp,
    "TIFF": _tiff,
    "AVIF": _avif,
    "BMP": _bmp,
    "HEIF": _heif,
}
_X_RESOLUTION, _Y_RESOLUTION, _RESOLUTION_UNIT, _EXTRA_SAMPLES = 0x011A, 0x011B, 0x0128, 0x0152
_XMP, _ICC, _PHOTOSHOP = 0x02BC, 0x8773, 0x8649


def _saved(image: Image.Image, format: str, **options: Any) -> bytes:
    out = io.BytesIO()
    image.save(out, format=format, **options)
    return out.getvalue()


def _check(photo: Photo, format: str, quality: int | None) -> None:
    pixels, alpha = photo.pixels, photo.alpha
    if (
        not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3))
        or pixels.size == 0
        or pixels.dtype not in (np.uint8, np.uint16)
    ):
        raise ValueError(f"pixels must be H x W or H x W x 3, uint8 or uint16, not {pixels.shape} {pixels.dtype}")
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        raise ValueError(f"alpha must be {pixels.shape[:2]} {pixels.dtype}, not {alpha.shape} {alpha.dtype}")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"cannot write at quality {quality}", "it goes from 1 to 100", "95 is hardly distinguishable from the original")
    longest = formats.LONGEST_SIDE.get(format)
    if longest is not None and max(photo.height, photo.width) > longest:
        why = f"the format holds at most {longest:,} pixels a side, the photo is {photo.width:,} x {photo.height:,}"
        raise OutputError(f"cannot write the photo as {formats.spoken(format)}", why, "write .png or .tif instead")


def _note_what_is_lost(photo: Photo, format: str, metadata: Carried) -> None:
    """Notes about metadata that the format has no place for; what the person chose to leave out is not lost."""
    kept = {
        "JPEG": {"exif", "xmp", "icc", "dpi", "photoshop", "comments"},
        "PNG": {"exif", "xmp", "icc", "dpi", "comments", "text", "colour"},
        "WEBP": {"exif", "xmp", "icc"},
        "TIFF": {"exif", "xmp", "icc", "dpi", "photoshop"},
        "AVIF": {"exif", "xmp", "icc"},
        "HEIF": {"exif", "xmp", "icc"},
        "BMP": {"dpi"},
    }[format]
    there = {
        "exif": ("EXIF", metadata.exif),
        "xmp": ("XMP", metadata.xmp),
        "icc": ("the colour profile", metadata.icc),
        "dpi": ("the resolution in DPI", metadata.dpi and not (metadata.exif and "exif" in kept)),
        "photoshop": ("captions in Photoshop's blocks (IPTC)", metadata.photoshop),
        "comments": ("the comment", metadata.comments),
        "text": ("PNG text", metadata.text_chunks),
        "colour": (
            "PNG's colour chunks",
            [kind for kind, _ in metadata.chunks if kind in (b"gAMA", b"cHRM", b"cICP") and not metadata.icc],
        ),
    }
    for key, (name, value) in there.items():
        if value and key not in kept:
            photo.origin.note(f"{name} cannot be kept in {formats.spoken(format)}")
