"""Pixels survive: layouts, depths, orientations, colour."""

from __future__ import annotations

import io
import struct

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from media_samples import exif_block, png_16, png_chunk, saved, scene, srgb, with_png_chunks
from numpy.testing import assert_array_equal
from PIL import Image, ImageCms

from facewright.media import Origin, Photo, encode, read, replaced
from facewright.media.pixels import as_depth

SIDES = st.integers(1, 33)


@st.composite
def photos(draw: st.DrawFn, *, depths: tuple[type, ...] = (np.uint8, np.uint16), alpha: bool = True) -> Photo:
    dtype = draw(st.sampled_from(depths))
    height, width = draw(SIDES), draw(SIDES)
    shape = draw(st.sampled_from([(height, width), (height, width, 3)]))
    pixels = draw(hnp.arrays(dtype, shape))
    see_through = draw(hnp.arrays(dtype, (height, width))) if alpha and draw(st.booleans()) else None
    return Photo(pixels, see_through, Origin())


def same(one: Photo, other: Photo) -> None:
    assert one.pixels.dtype == other.pixels.dtype
    assert_array_equal(one.pixels, other.pixels)
    assert (one.alpha is None) == (other.alpha is None)
    if one.alpha is not None and other.alpha is not None:
        assert_array_equal(one.alpha, other.alpha)


@settings(max_examples=120, deadline=None)
@given(photo=photos())
def test_png_gives_back_every_bit(photo: Photo) -> None:
    same(read(encode(photo, format="png")), photo)


@settings(max_examples=60, deadline=None)
@given(photo=photos(), compression=st.sampled_from(["raw", "tiff_lzw", "tiff_adobe_deflate", "packbits", "zstd", "jpeg"]))
def test_tiff_gives_back_every_bit(photo: Photo, compression: str) -> None:
    photo.origin.compression = compression
    file = encode(photo, format="tiff")
    again = read(file)
    if photo.is_grey and photo.alpha is not None and photo.pixels.dtype == np.uint16:
        assert "16-bit grey with transparency is written as RGB in TIFF" in photo.origin.notes
        assert_array_equal(again.pixels, np.dstack([photo.pixels] * 3))
        assert_array_equal(again.alpha, photo.alpha)
    else:
        same(again, photo)
    wide = photo.pixels.dtype == np.uint16 and (photo.pixels.ndim == 3 or photo.alpha is not None)
    kept = compression != "jpeg" and not (wide and compression == "zstd")
    assert again.origin.compression == (compression if kept else "tiff_adobe_deflate")


@settings(max_examples=40, deadline=None)
@given(photo=photos(depths=(np.uint8,), alpha=False))
def test_bmp_gives_back_every_bit(photo: Photo) -> None:
    same(read(encode(photo, format="bmp")), photo)


@settings(max_examples=40, deadline=None)
@given(photo=photos(depths=(np.uint8,)))
def test_lossless_webp_stays_lossless(photo: Photo) -> None:
    colour = photo.pixels if photo.pixels.ndim == 3 else np.dstack([photo.pixels] * 3)
    source = saved(np.dstack([colour, photo.alpha]) if photo.alpha is not None else colour, "WEBP", lossless=True, exact=True)
    first = read(source)
    assert first.origin.lossless is True
    again = read(encode(first, format="webp"))
    assert_array_equal(again.pixels, colour)
    assert again.origin.lossless is True


def test_lossy_webp_is_told_from_lossless() -> None:
    assert read(saved(scene(), "WEBP", quality=80)).origin.lossless is False
    assert read(saved(scene(), "WEBP", quality=80, exif=exif_block())).origin.lossless is False


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
@pytest.mark.parametrize("height, width", [(1, 1), (3, 700), (700, 3), (260, 300)])
def test_16_bit_png_is_what_other_readers_read(channels: int, height: int, width: int) -> None:
    picture = scene(height, width, channels, np.uint16)
    pixels = picture if channels < 2 else picture[..., 0] if channels == 2 else picture[..., :3]
    alpha = picture[..., -1] if channels in (2, 4) else None
    file = encode(Photo(np.ascontiguousarray(pixels), alpha, Origin()), format="png")
    theirs = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    if channels >= 3:
        theirs = theirs[..., [2, 1, 0, 3][:channels]]
    elif channels == 2:
        theirs = theirs[..., [0, 3]]
    assert_array_equal(theirs, picture)
    with Image.open(io.BytesIO(file)) as image:
        image.load()  # its checks of checksums and filters
        assert image.size == (width, height)


def test_16_bit_png_is_read_at_full_depth() -> None:
    for channels in (1, 2, 3, 4):
        picture = scene(channels=channels, dtype=np.uint16)
        photo = read(png_16(picture))
        assert photo.origin.bits == 16
        stack = photo.pixels if photo.alpha is None else np.dstack([photo.pixels, photo.alpha])
        assert_array_equal(stack, picture)


@pytest.mark.parametrize("depth", [8, 16])
@pytest.mark.parametrize("channels", [1, 3])
def test_key_colour_becomes_alpha_at_full_depth(depth: int, channels: int) -> None:
    dtype = np.uint8 if depth == 8 else np.uint16
    picture = scene(channels=channels, dtype=dtype)
    key = np.atleast_1d(picture[5, 9])
    chunk = png_chunk(b"tRNS", key.astype(">u2").tobytes())
    photo = read(png_16(picture, chunk) if depth == 16 else with_png_chunks(saved(picture, "PNG"), chunk))
    assert photo.alpha is not None and photo.alpha.dtype == dtype
    expected = (picture == key).all(axis=-1) if channels == 3 else picture == key
    assert_array_equal(photo.alpha == 0, expected)
    assert set(np.unique(photo.alpha)) == {0, np.iinfo(dtype).max}


def test_key_colour_of_two_bit_grey() -> None:
    levels = np.array([[0, 85, 170, 255]], np.uint8)
    file = saved(Image.fromarray(levels), "PNG", bits=2)
    photo = read(with_png_chunks(file, png_chunk(b"tRNS", b"\0\x02")))
    assert photo.alpha is not None
    assert_array_equal(photo.pixels, levels)
    assert_array_equal(photo.alpha, [[255, 255, 0, 255]])


@pytest.mark.parametrize("channels", [3, 4])
def test_16_bit_tiff_of_another_writer(channels: int) -> None:
    picture = scene(channels=channels, dtype=np.uint16)
    bgr = np.ascontiguousarray(picture[..., [2, 1, 0, 3][:channels]])
    done, file = cv2.imencode(".tiff", bgr)
    assert done
    photo = read(file.tobytes())
    assert_array_equal(photo.pixels, picture[..., :3])
    assert photo.origin.bits == 16


def test_16_bit_tiff_where_white_is_zero() -> None:
    picture = scene(channels=1, dtype=np.uint16)
    file = saved(picture, "TIFF", tiffinfo={262: 0})
    assert_array_equal(read(file).pixels, 65535 - picture)


STORED = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP", "TIFF", "TIFF16", "PNG16"])
def test_every_orientation_comes_upright_and_is_written_as_1(format: str, orientation: int) -> None:
    truth = scene(16, 40, dtype=np.uint16 if format.endswith("16") else np.uint8)
    turn = STORED[orientation]
    block = exif_block(orientation, width=16, height=40)
    if format.endswith("16"):
        # Pillow turns no 16-bit colour: channel by channel.
        planes = [Image.fromarray(truth[..., c]) for c in range(3)]
        stored = np.dstack([np.asarray(plane if turn is None else plane.transpose(turn)) for plane in planes])
        if format == "PNG16":
            source = png_16(stored, png_chunk(b"eXIf", block))
        else:
            source = encode(Photo(stored, None, Origin()), format="tiff")
            at = source.rindex(b"\x12\x01\x03\x00\x01\x00\x00\x00") + 8
            source = source[:at] + bytes([orientation]) + source[at + 1 :]
    else:
        image = Image.fromarray(truth)
        image = image if turn is None else image.transpose(turn)
        options = {"JPEG": {"quality": 100, "subsampling": 0}, "WEBP": {"lossless": True}}.get(format, {})
        source = saved(image, format, exif=b"Exif\0\0" + block, **options)
    photo = read(source)
    assert photo.origin.orientation == orientation
    assert photo.pixels.shape == truth.shape
    assert np.abs(photo.pixels.astype(int) - truth).max() <= (8 if format == "JPEG" else 0)

    written = encode(photo, format=format.removesuffix("16"))
    assert read(written).origin.orientation == 1
    with Image.open(io.BytesIO(written)) as image:
        assert image.getexif().get(0x0112, 1) == 1
        assert image.size == (truth.shape[1], truth.shape[0])
    assert_array_equal(read(written).pixels.shape, truth.shape)


def test_avif_orientation_in_the_container() -> None:
    truth = scene(32, 48)
    image = Image.fromarray(truth).transpose(Image.Transpose.ROTATE_90)
    photo = read(saved(image, "AVIF", quality=95, subsampling="4:4:4", exif=b"Exif\0\0" + exif_block(6)))
    assert photo.pixels.shape == truth.shape
    assert np.abs(photo.pixels.astype(int) - truth).mean() < 3
    again = read(encode(photo, format="avif"))
    assert again.pixels.shape == truth.shape and again.origin.orientation == 1


def test_orientation_that_only_xmp_knows() -> None:
    truth = scene(16, 40)
    stored = Image.fromarray(truth).transpose(Image.Transpose.ROTATE_90)
    for style in (b'<a tiff:Orientation="6"/>', b"<tiff:Orientation>6</tiff:Orientation>", b"<a tiff:Orientation='6'/>"):
        photo = read(saved(stored, "WEBP", lossless=True, xmp=style))
        assert_array_equal(photo.pixels, truth)
        again = read(encode(photo, format="webp"))
        assert_array_equal(again.pixels, truth)
        assert again.origin.xmp == style.replace(b"6", b"1")


def test_exif_wins_over_a_stale_word_in_xmp() -> None:
    """Editors turn the pixels, set EXIF to 1 and forget XMP."""
    truth = scene(16, 40)
    photo = read(saved(truth, "WEBP", lossless=True, exif=exif_block(1), xmp=b'<a tiff:Orientation="6"/>'))
    assert_array_equal(photo.pixels, truth)
    assert read(encode(photo, format="webp")).origin.xmp == b'<a tiff:Orientation="1"/>'
    silent = read(
        saved(
            Image.fromarray(truth).transpose(Image.Transpose.ROTATE_90),
            "WEBP",
            lossless=True,
            exif=exif_block(None),
            xmp=b'<a tiff:Orientation="6"/>',
        )
    )
    assert_array_equal(silent.pixels, truth)


@pytest.mark.parametrize("mode", ["P", "PA", "1", "LA", "L", "RGBA", "CMYK", "LAB", "YCbCr"])
def test_every_layout_becomes_grey_or_rgb(mode: str) -> None:
    source = Image.fromarray(scene(40, 60)).convert("RGB")
    if mode == "LAB":
        from PIL import ImageCms

        image = ImageCms.profileToProfile(source, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB")
        assert image is not None
    else:
        image = source.convert("P").convert("PA") if mode == "PA" else source.convert(mode)
    file = saved(image, "TIFF" if mode in ("PA", "CMYK", "LAB", "YCbCr") else "PNG")
    photo = read(file)
    reference = np.asarray(image.convert("L" if mode in ("1", "LA", "L") else "RGB") if mode != "LAB" else source)
    assert photo.pixels.shape == reference.shape
    assert np.abs(photo.pixels.astype(int) - reference).max() <= (4 if mode in ("LAB", "YCbCr") else 0)
    assert (photo.alpha is not None) == (mode in ("PA", "LA", "RGBA"))


def test_grey_palette_is_grey_unless_its_profile_is_for_colour() -> None:
    image = Image.fromarray(scene(channels=1)).convert("P")
    image.putpalette([level for level in range(256) for _ in range(3)])
    assert read(saved(image, "GIF")).is_grey
    assert read(saved(image, "PNG")).is_grey
    assert not read(saved(image, "PNG", icc_profile=srgb())).is_grey


def test_gif_with_transparency_and_more_pictures_gives_the_first() -> None:
    frames = [Image.fromarray(scene(seed=n)).quantize(16) for n in range(3)]
    file = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], transparency=3)
    photo = read(file)
    with Image.open(io.BytesIO(file)) as image:
        truth = np.asarray(image.convert("RGBA"))
    assert photo.alpha is not None and (photo.alpha == 0).any()
    assert_array_equal(photo.alpha, truth[..., 3])
    seen = truth[..., 3] > 0
    assert_array_equal(photo.pixels[seen], truth[..., :3][seen])
    assert any("only the first" in note for note in photo.origin.notes)


def test_cmyk_jpeg_follows_its_profile_or_says_that_it_guesses() -> None:
    image = Image.fromarray(scene(40, 60)).convert("CMYK")
    plain = read(saved(image, "JPEG", quality=95))
    assert "approximate" in plain.origin.notes[0] and plain.origin.icc is None
    truth = np.asarray(image.convert("RGB")).astype(int)
    assert np.abs(plain.pixels - truth).mean() < 3, "Adobe's inversion undone once, not twice"
    assert not any(note.startswith("CMYK") for note in read(encode(plain, format="jpg")).origin.notes)

    not_for_ink = read(saved(image, "JPEG", quality=95, icc_profile=srgb()))
    assert "approximate" in not_for_ink.origin.notes[0] and not_for_ink.origin.icc is None


def ink_profile(full: tuple[int, int, int]) -> bytes:
    """A CMYK profile (ICC.1, lut8Type) for an odd press: paper is white, and any full ink prints as the Lab colour ``full``."""
    corners = b"".join(bytes((255, 128, 128)) if n == 0 else bytes(full) for n in range(16))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    lut = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix + bytes(range(256)) * 4 + corners + bytes(range(256)) * 3
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    text = b"text" + bytes(4) + b"odd\0"
    body, table, at = b"", struct.pack(">I", 3), 128 + 4 + 3 * 12
    for name, data in ((b"A2B0", lut), (b"wtpt", white), (b"cprt", text)):
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02100000, b"prtr", b"CMYK", b"Lab ")
    head += struct.pack(">6H", 2020, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + table + body


@pytest.mark.parametrize("format", ["JPEG", "TIFF"])
def test_cmyk_with_a_profile_is_what_the_profile_says(format: str) -> None:
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    cyan.paste((0, 0, 0, 0), (0, 0, 8, 16))
    red_lab = (138, 128 + 80, 128 + 67)
    photo = read(saved(cyan, format, icc_profile=ink_profile(red_lab)))
    assert photo.origin.notes == ["CMYK converted to sRGB by its colour profile"]
    assert photo.origin.icc is None
    assert np.abs(photo.pixels[8, 2].astype(int) - 255).max() <= 3
    assert np.abs(photo.pixels[8, 13].astype(int) - [255, 0, 0]).max() <= 12


@pytest.mark.parametrize("format", ["PNG", "WEBP", "TIFF", "MPO", "AVIF"])
def test_of_several_pictures_the_first_is_read_with_a_note(format: str) -> None:
    frames = [Image.fromarray(scene(48, 64, seed=n) // (n + 1)) for n in range(3)]
    options = {"WEBP": {"lossless": True}, "MPO": {"quality": 95}, "AVIF": {"quality": 95}}.get(format, {})
    photo = read(saved(frames[0], format, save_all=True, append_images=frames[1:], **options))
    assert np.abs(photo.pixels.astype(int) - np.asarray(frames[0])).mean() < 4
    assert any("only" in note and "first" in note for note in photo.origin.notes)
    assert photo.origin.format == format.replace("MPO", "JPEG")


def test_32_bit_samples_are_refused() -> None:
    from facewright.errors import InputError

    file = saved(Image.fromarray(scene(channels=1).astype(np.float32)), "TIFF")
    with pytest.raises(InputError, match="floating point"):
        read(file)
    with pytest.raises(InputError, match="32-bit integer"):
        read(saved(Image.fromarray(scene(channels=1).astype(np.int32)), "TIFF"))


@given(st.integers(0, 65535))
def test_16_bits_round_to_the_nearest_of_8(value: int) -> None:
    [[eight]] = as_depth(np.array([[value]], np.uint16), np.uint8)
    assert int(eight) == round(value / 257)


@given(st.integers(0, 255))
def test_8_bits_come_back_from_16(value: int) -> None:
    array = np.array([[value]], np.uint8)
    assert_array_equal(as_depth(as_depth(array, np.uint16), np.uint8), array)


def test_16_bits_into_jpeg_are_rounded_and_said() -> None:
    photo = Photo(scene(64, 64, dtype=np.uint16), None, Origin(bits=16))
    again = read(encode(photo, format="jpg", quality=100))
    assert np.abs(again.pixels - photo.pixels / 257).max() < 6
    assert photo.origin.notes == ["16 bits a channel rounded to 8 for JPEG"]


def test_grey_stays_grey_in_the_file() -> None:
    photo = Photo(scene(32, 32, 1), None, Origin())
    for format in ("jpg", "png", "tif", "bmp", "avif"):
        assert read(encode(photo, format=format)).is_grey, format
    with Image.open(io.BytesIO(encode(photo, format="jpg"))) as image:
        assert image.mode == "L"


def test_replaced_carries_alpha_to_another_size() -> None:
    photo = Photo(scene(), scene(channels=1), Origin())
    large = np.repeat(np.repeat(photo.pixels, 2, 0), 2, 1)
    grown = replaced(photo, large)
    assert grown.alpha is not None and grown.alpha.shape == large.shape[:2] and grown.alpha.dtype == np.uint8
    assert np.abs(grown.alpha[::2, ::2].astype(int) - scene(channels=1)).mean() < 3
    assert grown.origin is photo.origin
    assert replaced(photo, photo.pixels).alpha is photo.alpha


def test_a_profile_of_no_photo_is_dropped() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    photo = Photo(scene(), None, Origin(icc=lab))
    assert read(encode(photo, format="png")).origin.icc is None
    assert any("colour profile" in note for note in photo.origin.notes)
