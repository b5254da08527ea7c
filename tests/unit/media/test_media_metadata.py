"""What travels with the pixels, and what must not."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from media_samples import (
    MAKER_NOTE,
    THUMBNAIL,
    XMP,
    chunks_of,
    exif_block,
    jpeg_segment,
    photoshop_blocks,
    png_chunk,
    saved,
    scene,
    srgb,
    with_png_chunks,
)
from PIL import ExifTags, Image

from facewright.errors import UsageError
from facewright.media import Origin, Photo, encode, read, replaced
from facewright.media import exif as exif_room
from facewright.media import png as png_room
from facewright.media import tiff as tiff_room


def full_jpeg(order: str = ">", **options: object) -> bytes:
    extra = jpeg_segment(0xED, b"Photoshop 3.0\0" + photoshop_blocks()) + jpeg_segment(0xFE, b"from the attic")
    return saved(
        scene(),
        "JPEG",
        exif=b"Exif\0\0" + exif_block(6, order),
        xmp=XMP,
        icc_profile=srgb(),
        dpi=(300, 300),
        extra=extra,
        **{"quality": 80, **options},  # type: ignore[arg-type]
    )


def told(data: bytes) -> dict[str, object]:
    """What another reader (Pillow) finds."""
    with Image.open(io.BytesIO(data)) as image:
        image.load()
        exif = image.getexif()
        inner, gps = dict(exif.get_ifd(0x8769)), dict(exif.get_ifd(0x8825))
        return {
            "make": exif.get(0x010F),
            "orientation": exif.get(0x0112),
            "date": exif.get(0x0132),
            "copyright": exif.get(0x8298),
            "taken": inner.get(0x9003),
            "maker": inner.get(0x927C),
            "size": (inner.get(0xA002), inner.get(0xA003)),
            "gps": gps.get(0x001D),
            "icc": image.info.get("icc_profile"),
            "xmp": image.info.get("xmp"),
            "dpi": image.info.get("dpi"),
            "comment": image.info.get("comment"),
        }


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tif", "avif"])
def test_keep_keeps_everything_true_and_nothing_stale(format: str, order: str) -> None:
    photo = read(full_jpeg(order))
    assert photo.pixels.shape == (36, 24, 3)
    data = encode(photo, format=format)
    found = told(data)
    assert found["make"] == "Attic Cameras"
    assert found["orientation"] in ((1,) if format not in ("tif", "avif") else (1, None))
    assert found["date"] == "1999:12:31 23:59:59"
    assert found["copyright"] == "(c) Grandma"
    assert found["taken"] == "1999:12:31 23:00:00"
    assert found["maker"] == MAKER_NOTE
    assert found["size"] == (24, 36)
    assert found["gps"] == "1999:12:31"
    assert found["icc"] == srgb()
    xmp = found["xmp"]
    assert isinstance(xmp, bytes)
    assert b'tiff:Orientation="1"' in xmp and b'exif:PixelXDimension="24"' in xmp and b'xmp:Label="attic"' in xmp
    assert b"OLDPICTURE" not in data and THUMBNAIL not in data and b"OLDTHUMB" not in data
    assert "Zoë".encode() in data
    if format in ("jpg", "png", "tif"):
        assert found["dpi"] == pytest.approx((300, 300), abs=0.02)
    if format in ("jpg", "tif"):
        assert b"Market day 1931" in data
    else:
        assert any("IPTC" in note for note in photo.origin.notes)
    if format == "jpg":
        assert found["comment"] == b"from the attic"


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tif", "avif"])
def test_basic_keeps_dates_and_rights_and_no_trace_of_place_or_camera(format: str) -> None:
    data = encode(read(full_jpeg()), format=format, metadata="basic")
    found = told(data)
    assert (found["date"], found["taken"], found["copyright"]) == ("1999:12:31 23:59:59", "1999:12:31 23:00:00", "(c) Grandma")
    assert found["icc"] == srgb()
    assert (found["make"], found["gps"], found["maker"]) == (None, None, None)
    for trace in (b"Attic Cameras", b"secret serial", b"attic", b"Market day", THUMBNAIL):
        assert trace not in data
    assert "Zoë".encode() in data


@pytest.mark.parametrize("format", ["jpg", "png", "webp", "tif", "avif"])
def test_strip_keeps_only_what_colours_mean(format: str) -> None:
    data = encode(read(full_jpeg()), format=format, metadata="strip")
    found = told(data)
    assert found["icc"] == srgb()
    assert all(found[key] is None for key in ("make", "date", "copyright", "taken", "maker", "gps", "xmp"))
    for trace in (b"Attic", b"Grandma", b"attic", b"1999", b"Market", "Zoë".encode()):
        assert trace not in data


def test_unknown_choice_is_refused() -> None:
    with pytest.raises(UsageError, match="metadata"):
        encode(Photo(scene(), None, Origin()), format="png", metadata="some")  # type: ignore[arg-type]


def test_maker_notes_do_not_move() -> None:
    """Their offsets count from the start of EXIF: patched in place, they still hold."""
    block = exif_block(6)
    photo = read(saved(scene(), "JPEG", exif=b"Exif\0\0" + block))
    kept = read(encode(photo, format="jpg")).origin.exif
    assert kept is not None
    assert kept.index(MAKER_NOTE) == block.index(MAKER_NOTE)


@pytest.mark.parametrize("order", ["<", ">"])
def test_a_thumbnail_is_wiped_wherever_it_lies(order: str) -> None:
    """Not only unlinked: the face as it was must not stay in the file unseen. What lies behind it stays in its place."""
    block = exif_block(6, order)
    settled = exif_room.settled(block + b"BEHIND", 5, 7)
    assert THUMBNAIL not in settled and settled.endswith(b"BEHIND") and len(settled) == len(block) + 6
    assert len(exif_room.settled(block, 5, 7)) < len(block) - len(THUMBNAIL)
    with Image.open(io.BytesIO(saved(scene(), "JPEG", exif=b"Exif\0\0" + settled))) as image:
        assert dict(image.getexif().get_ifd(ExifTags.IFD.IFD1)) == {}


def test_sizes_in_exif_follow_an_upscaled_photo() -> None:
    photo = read(full_jpeg())
    large = replaced(photo, np.repeat(np.repeat(photo.pixels, 2, 0), 2, 1))
    assert told(encode(large, format="jpg"))["size"] == (48, 72)


def test_png_text_and_colour_chunks_are_kept_verbatim() -> None:
    wanted = [
        (b"gAMA", (45455).to_bytes(4, "big")),
        (b"cICP", bytes([1, 13, 0, 1])),
        (b"tEXt", b"Title\0Grandm\xe8re"),
        (b"tEXt", b"Title\0twice"),
        (b"zTXt", b"Story\0\0" + zlib.compress(b"long ago " * 50)),
        (b"iTXt", b"Author\0\0\0fr\0auteur\0" + "Zoë".encode()),
        (b"tEXt", b"Software\0Scanner"),
    ]
    source = with_png_chunks(saved(scene(), "PNG"), b"".join(png_chunk(*chunk) for chunk in wanted))
    photo = read(source)
    assert photo.origin.text["Story"] == "long ago " * 50
    assert photo.origin.text["Author"] == "Zoë"
    kept = chunks_of(encode(photo, format="png"))
    assert [chunk for chunk in kept if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")] == wanted
    basic = chunks_of(encode(photo, format="png", metadata="basic"))
    assert [chunk for chunk in basic if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")] == [wanted[0], wanted[1], wanted[5]]
    strip = chunks_of(encode(photo, format="png", metadata="strip"))
    assert [chunk for chunk in strip if chunk[0] not in (b"IHDR", b"IDAT", b"IEND")] == wanted[:2]
    encode(photo, format="jpg")
    assert any("PNG text" in note for note in photo.origin.notes)


def test_png_text_and_profile_beyond_pillows_limits() -> None:
    story = b"Workflow\0\0" + zlib.compress(b"x" * 3_000_000)
    profile = srgb() + bytes(2_000_000)
    extra = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(profile)) + png_chunk(b"zTXt", story)
    photo = read(with_png_chunks(saved(scene(), "PNG"), extra))
    assert photo.origin.icc == profile
    assert len(photo.origin.text["Workflow"]) == 3_000_000


def test_imagemagicks_exif_in_text_becomes_exif() -> None:
    block = b"Exif\0\0" + exif_block(6)
    text = b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n%8d\n" % len(block) + block.hex().encode() + b"\n")
    photo = read(with_png_chunks(saved(scene(16, 40), "PNG"), png_chunk(b"zTXt", text)))
    assert photo.pixels.shape[:2] == (40, 16)
    again = encode(photo, format="png")
    assert read(again).pixels.shape[:2] == (40, 16)
    assert told(again)["make"] == "Attic Cameras"


@settings(max_examples=25, deadline=None)
@given(
    quality=st.integers(5, 100),
    sampling=st.integers(0, 2),
    progressive=st.booleans(),
    seed=st.integers(0, 99),
)
def test_jpeg_is_coded_like_its_source(quality: int, sampling: int, progressive: bool, seed: int) -> None:
    source = saved(scene(40, 56, seed=seed), "JPEG", quality=quality, subsampling=sampling, progressive=progressive)
    again = encode(read(source), format="jpg")
    with Image.open(io.BytesIO(source)) as one, Image.open(io.BytesIO(again)) as other:
        tables = [[image.quantization[layer[3]] for layer in image.layer] for image in (one, other)]  # type: ignore[attr-defined]
        assert tables[0] == tables[1]
        assert len(other.quantization) <= len(one.quantization)  # type: ignore[attr-defined]
        assert [layer[:3] for layer in one.layer] == [layer[:3] for layer in other.layer]  # type: ignore[attr-defined]
        assert one.info.get("progressive") == other.info.get("progressive")


def test_jpeg_with_three_tables_grey_and_rgb() -> None:
    tables = [[n + k for k in range(64)] for n in (3, 40, 90)]
    photo = read(saved(scene(40, 40), "JPEG", qtables=tables, subsampling=0))
    assert photo.origin.jpeg is not None and len(photo.origin.jpeg.tables) == 3
    with Image.open(io.BytesIO(encode(photo, format="jpg"))) as image:
        assert [image.quantization[layer[3]] for layer in image.layer] == tables  # type: ignore[attr-defined]

    grey = read(saved(scene(40, 40, 1), "JPEG", quality=33))
    with Image.open(io.BytesIO(encode(grey, format="jpg"))) as image:
        assert image.mode == "L"
        assert [tuple(image.quantization[0])] == list(grey.origin.jpeg.tables)  # type: ignore[attr-defined, union-attr]

    straight = read(saved(scene(40, 40), "JPEG", quality=90, keep_rgb=True))
    assert straight.origin.jpeg is not None and straight.origin.jpeg.rgb
    assert read(encode(straight, format="jpg")).origin.jpeg == straight.origin.jpeg


def test_a_stated_quality_wins_over_the_sources_tables() -> None:
    source = read(saved(scene(64, 64), "JPEG", quality=30))
    best, worst = encode(source, format="jpg", quality=98), encode(source, format="jpg", quality=5)
    assert len(best) > len(encode(source, format="jpg")) > len(worst)
    for wrong in (0, 101):
        with pytest.raises(UsageError, match="quality"):
            encode(source, format="jpg", quality=wrong)


def test_resolution_is_not_invented() -> None:
    photo = read(saved(scene(), "JPEG", exif=b"Exif\0\0" + exif_block(1)))
    assert photo.origin.dpi is None
    assert read(saved(scene(), "PNG", dpi=(240, 240))).origin.dpi == pytest.approx((240, 240), abs=0.02)
    assert read(saved(scene(), "TIFF", dpi=(600, 400))).origin.dpi == (600, 400)
    assert read(encode(read(saved(scene(), "TIFF", dpi=(600, 400))), format="tif")).origin.dpi == (600, 400)


def test_metadata_too_long_for_jpeg_is_left_out_and_said() -> None:
    block = tiff_room.taken(exif_block(1), 8)
    block.inner[0x8769].values[0x927C] = tiff_room.bytes_value(b"m" * 80_000, 7)
    photo = read(with_png_chunks(saved(scene(), "PNG"), png_chunk(b"eXIf", tiff_room.alone(block))))
    photo.origin.xmp = b"<x>" + b" " * 70_000 + b"</x>"
    found = told(encode(photo, format="jpg"))
    assert found["date"] == "1999:12:31 23:59:59" and found["make"] is None and found["xmp"] is None
    assert sum("too long for JPEG" in note for note in photo.origin.notes) == 2
    assert len(encode(photo, format="png")) > 80_000


def test_captions_longer_than_a_segment_survive() -> None:
    blocks = b"8BIM\x04\x04\0\0" + (100_000).to_bytes(4, "big") + b"c" * 100_000
    photo = Photo(scene(), None, Origin(format="JPEG", photoshop=blocks))
    assert read(encode(photo, format="jpg")).origin.photoshop == blocks


def test_tiff_carries_its_own_tags_on() -> None:
    info = {270: "Market day", 305: "ScanPro", 315: "Grandpa", 33432: "(c) 1931"}
    source = saved(scene(), "TIFF", tiffinfo=info, compression="tiff_lzw", icc_profile=srgb(), dpi=(600, 600))
    photo = read(source)
    for format in ("tif", "jpg"):
        with Image.open(io.BytesIO(encode(photo, format=format))) as image:
            exif = image.getexif()
            assert {tag: exif.get(tag) for tag in info} == info
            assert image.info["icc_profile"] == srgb()
            assert image.info["dpi"] == (600, 600)


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_exif_never_breaks_a_photo(data: st.DataObject) -> None:
    """Any bytes of it may be wrong: it is kept, or dropped with a note; what is written is upright."""
    block = bytearray(exif_block(6, data.draw(st.sampled_from("<>"))))
    for _ in range(data.draw(st.integers(1, 6))):
        block[data.draw(st.integers(0, len(block) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(block)))
    photo = Photo(scene(6, 4), None, Origin(exif=bytes(block[: cut or len(block)])))
    for choice in ("keep", "basic"):
        written = read(encode(photo, format="png", metadata=choice))  # type: ignore[arg-type]
        assert written.pixels.shape == (6, 4, 3)
        assert written.origin.orientation == 1


def test_directories_that_bite_their_tail_end() -> None:
    block = bytearray(exif_block(6, "<"))
    at = block.index(b"\x69\x87\x04\x00") + 8
    block[at : at + 4] = (8).to_bytes(4, "little")
    assert exif_room.essentials(bytes(block)) is not None
    assert exif_room.orientation(exif_room.settled(bytes(block), 4, 6)) == 1


def test_a_gray_profile_does_not_go_onto_colour() -> None:
    profile = bytearray(srgb())
    profile[16:20] = b"GRAY"
    grey = Photo(scene(channels=1), None, Origin(icc=bytes(profile)))
    assert read(encode(grey, format="png")).origin.icc == bytes(profile)
    assert read(encode(replaced(grey, scene()), format="png")).origin.icc is None


def test_values_outside_the_data_are_left_out_and_overlapping_ones_refused() -> None:
    def block(entries: list[tuple[int, int, int, int]]) -> bytes:
        table = b"".join(struct.pack("<HHLL", *entry) for entry in entries)
        return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + table + bytes(4) + b"x" * 400

    outside = block([(0x010E, 2, 10, 5000), (0x010F, 2, 10, 50)])
    assert set(tiff_room.taken(outside, 8).values) == {0x010F}
    # Each alone is within the data; together they would make a kilobyte a megabyte.
    with pytest.raises(tiff_room.Damaged, match="overlap"):
        tiff_room.taken(block([(0x0100 + n, 7, 400, 50) for n in range(20)]), 8)


def test_a_small_chunk_that_would_inflate_without_end_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(png_room, "_MOST_PROFILE", 10_000)
    monkeypatch.setattr(png_room, "_MOST_TEXT", 10_000)
    extra = png_chunk(b"iCCP", b"p\0\0" + zlib.compress(bytes(20_000))) + png_chunk(b"zTXt", b"Story\0\0" + zlib.compress(b"a" * 20_000))
    photo = read(with_png_chunks(saved(scene(), "PNG"), extra))
    assert photo.origin.icc is None and photo.origin.text == {}
    assert photo.origin.notes == ["the colour profile is damaged and is not kept"]
