"""Photos on their way in: whole or not at all, in time, under names that are none of the system's."""

from __future__ import annotations

import asyncio
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from starlette.requests import Request

from facewright.app.folder import PrivateFolder
from facewright.app.limits import Limits
from facewright.app.uploads import Received, clean_name, receive
from facewright.app.words import Refused
from facewright.errors import FacewrightError, UsageError
from facewright.media.formats import READABLE

# Names ----------------------------------------------------------------------------------------------------------------------------------

SUFFIXES = st.sampled_from([*READABLE, ".JPG", ".Png"])


@given(st.text(max_size=400))
@example("")
@example("...")
@example(". . .")
@example("a/")
@example("\\\\server\\share\\a.jpg")
@example("x" * 149 + ". .jpg")
@example(("x" * 149) + "." + "y" * 20)
@example("\ud800\udfff.jpg")
@example("祖" * 300 + ".jpeg")
@example("e" + "\u0301" * 400)
@example(".jpg")
@example("NUL\0.jpg")
def test_a_name_is_a_files_and_no_path(name: str) -> None:
    clean = clean_name(name)
    assert clean and clean == clean.strip() and not clean.startswith(".") and not clean.endswith((".", " "))
    assert not set(clean) & set('/\\<>:"|?*') and clean.isprintable()
    assert len(clean.encode()) + len("-restored-99.jpeg") <= 255
    assert Path(clean).name == clean
    assert clean_name(clean) == clean


@given(st.text(st.characters(categories=["L", "Nd"]), min_size=1, max_size=300), SUFFIXES)
def test_a_known_suffix_stays(stem: str, suffix: str) -> None:
    clean = clean_name(stem + suffix)
    assert clean.endswith(suffix)
    kept = clean.removesuffix(suffix)
    assert kept and unicodedata.normalize("NFC", stem).startswith(kept)
    if len(unicodedata.normalize("NFC", stem).encode()) < 130:
        assert kept == unicodedata.normalize("NFC", stem)


@given(st.lists(st.text(max_size=10), max_size=4), st.sampled_from("/\\"))
def test_folders_are_left_out(folders: list[str], between: str) -> None:
    assert clean_name(between.join([*folders, "aunt.jpg"])) == "aunt.jpg"


# Bytes ----------------------------------------------------------------------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateFolder]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = PrivateFolder(10**7)
    folder.open()
    yield folder
    folder.close()


FORM = "multipart/form-data; boundary=b"
PHOTO = b'--b\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'


def part(name: str, value: str) -> bytes:
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    raise AssertionError


async def away() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def received(
    folder: PrivateFolder,
    pieces: list[bytes],
    kind: str = "image/jpeg",
    query: str = "",
    after: Callable[[], Any] | None = None,
    length: int | None = None,
    **limits: Any,
) -> Received:
    """after: what comes instead of the end."""
    headers = [(b"content-type", kind.encode())] + ([(b"content-length", str(length).encode())] if length is not None else [])
    rest = list(pieces)

    async def listen() -> dict[str, Any]:
        if rest:
            return {"type": "http.request", "body": rest.pop(0), "more_body": bool(rest) or after is not None}
        return await (after or never)()

    async def whole() -> Received:
        scope = {"type": "http", "method": "POST", "path": "/", "headers": headers, "query_string": query.encode()}
        return await receive(Request(scope, listen), folder, Limits(**({"silence": 0.1} | limits)))

    return asyncio.run(whole())


def files(folder: PrivateFolder) -> list[Path]:
    return list(folder.path.iterdir())


def test_a_body_arrives_in_pieces(folder: PrivateFolder) -> None:
    (photo,) = received(folder, [b"one", b"", b"two"], query="name=../aunt.jpg").photos
    assert (photo.name, photo.bytes, photo.path.read_bytes()) == ("aunt.jpg", 6, b"onetwo")
    assert (photo.path.parent == folder.path and photo.path.stat().st_mode & 0o077 == 0) or photo.path.parent.stat().st_mode & 0o077 == 0


def test_a_form_brings_photos_and_options(folder: PrivateFolder) -> None:
    two = PHOTO + b"one\r\n" + PHOTO.replace(b"a.jpg", b"..\\\\..\\\\b.jpg") + b"two\r\n"
    sent = two + part("options", '{"strength": 0.5}') + part("faces", "none") + part("while_watched", "true") + b"--b--\r\n"
    got = received(folder, [sent[at : at + 7] for at in range(0, len(sent), 7)], FORM)
    assert [(photo.name, photo.path.read_bytes()) for photo in got.photos] == [("a.jpg", b"one"), ("b.jpg", b"two")]
    assert got.options == {"strength": 0.5, "faces": "none"} and got.while_watched
    got.discard()
    assert files(folder) == []


@pytest.mark.parametrize("kind", ["application/json", ""])
def test_json_brings_options(folder: PrivateFolder, kind: str) -> None:
    got = received(folder, [b'{"options": {"seed": 1}, "while_', b'watched": true}'], kind)
    assert (got.options, got.while_watched, got.photos) == ({"seed": 1}, True, [])


@pytest.mark.parametrize(
    ("kind", "begin"), [("image/jpeg", b"half a photo"), (FORM, PHOTO + b"half"), ("application/json", b'{"options"'), ("image/jpeg", b"")]
)
@pytest.mark.parametrize(("after", "status"), [(never, 408), (away, 400)])
def test_what_stalls_or_breaks_off_is_given_up(
    folder: PrivateFolder, kind: str, begin: bytes, after: Callable[[], Any], status: int
) -> None:
    with pytest.raises(Refused) as refusal:
        received(folder, [begin], kind, after=after)
    assert refusal.value.status == status
    assert files(folder) == []


def test_who_is_slow_but_goes_on_is_waited_for(folder: PrivateFolder) -> None:
    left = [b"a"] * 4

    async def slowly() -> dict[str, Any]:
        await asyncio.sleep(0.06)
        return {"type": "http.request", "body": left.pop(), "more_body": bool(left)}

    (photo,) = received(folder, [b"b"], after=slowly).photos
    assert photo.bytes == 5


@pytest.mark.parametrize("length", [None, 3000])
@pytest.mark.parametrize(("kind", "begin", "end"), [("image/jpeg", b"", b""), (FORM, PHOTO, b"\r\n--b--\r\n")])
def test_what_is_too_large_is_not_kept(folder: PrivateFolder, kind: str, begin: bytes, end: bytes, length: int | None) -> None:
    with pytest.raises(Refused) as refusal:
        received(folder, [begin, *[bytes(500)] * 6, end], kind, length=length, bytes=1000)
    assert refusal.value.status == 413 and files(folder) == []


def test_a_photo_of_the_very_largest_size_is_taken(folder: PrivateFolder) -> None:
    assert received(folder, [bytes(600), bytes(400)], length=1000, bytes=1000).photos[0].bytes == 1000


def test_there_is_room_for_so_much(folder: PrivateFolder) -> None:
    folder.stored = 1500
    kept = received(folder, [bytes(1000)], length=1000)
    for kind, pieces in (("image/jpeg", [bytes(1000)]), (FORM, [PHOTO, bytes(1000), b"\r\n--b--\r\n"])):
        with pytest.raises(Refused) as refusal:
            received(folder, pieces, kind, length=sum(map(len, pieces)))
        assert refusal.value.status == 507 and refusal.value.retry
        assert files(folder) == [kept.photos[0].path]


@pytest.mark.parametrize(
    ("kind", "sent"),
    [
        (FORM, PHOTO + b"x\r\n" + part("options", "[]") + b"--b--\r\n"),
        (FORM, PHOTO + b"x\r\n" + part("photo", "no file") + b"--b--\r\n"),
        (FORM, PHOTO + b"x\r\n" + PHOTO.replace(b'"photo"', b'"picture"') + b"x\r\n--b--\r\n"),
        (FORM, PHOTO + b"x\r\n" + part("options", "{" * 10**5) + b"--b--\r\n"),
        ("application/json", b"[]"),
        ("application/json", b'{"options": 3}'),
        ("application/json", b"\xff"),
    ],
)
def test_what_makes_no_sense_leaves_nothing(folder: PrivateFolder, kind: str, sent: bytes) -> None:
    with pytest.raises(UsageError):
        received(folder, [sent], kind)
    assert files(folder) == []


@given(st.binary(max_size=200), st.sampled_from(["", "x", "b", "b; charset=utf-16", '"b']))
@example(b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--", "b")
@example(b"--b\r\n\r\nx\r\n--b--", "b")
@example(b'--b\r\nContent-Disposition: form-data; name="\xff\xfe"\r\n\r\nx\r\n--b--', "b")
@example(b'--b\r\nContent-Disposition: form-data; name="options"\r\n\r\n\xff\xfe\r\n--b--', "b")
def test_any_form_is_taken_or_refused_in_words(sent: bytes, boundary: str) -> None:
    class Nowhere(PrivateFolder):
        def make_room(self, size: int) -> None:
            return

    try:
        assert isinstance(received(Nowhere(1), [sent], f"multipart/form-data; boundary={boundary}"), Received)
    except FacewrightError as refusal:
        assert refusal.what


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "video/mp4", "multipart/mixed"])
def test_what_nobody_knows_is_refused(folder: PrivateFolder, kind: str) -> None:
    with pytest.raises(Refused) as refusal:
        received(folder, [b"x"], kind)
    assert refusal.value.status == 415
