"""Photos on their way in: counted while they come, given up when they stall, never whole in memory, under names that are no paths."""

from __future__ import annotations

import asyncio
import re
import shutil
import unicodedata
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import ClientDisconnect, Request

from facewright.app.folder import PrivateFolder
from facewright.app.limits import Limits
from facewright.app.options import from_json
from facewright.app.words import Refused
from facewright.errors import UsageError
from facewright.media.formats import READABLE

PART, WATCHED = "photo", "while_watched"
TOGETHER = 4
"""Photos of the largest size that one request may hold; of smaller ones more."""
LONGEST_NAME = 150
"""Bytes of UTF-8: systems allow 255, and a result's name is longer."""
UNSAFE = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')


@dataclass(frozen=True)
class Upload:
    """A photo that is here. name: as its owner calls it, fit for a file name."""

    name: str
    path: Path
    bytes: int


@dataclass
class Received:
    """What a request held."""

    photos: list[Upload] = field(default_factory=list)
    options: dict[str, Any] = field(default_factory=dict)
    while_watched: bool = False

    def discard(self) -> None:
        for photo in self.photos:
            photo.path.unlink(missing_ok=True)


async def receive(request: Request, folder: PrivateFolder, limits: Limits) -> Received:
    """Photos and options of a request: multipart with parts named `photo` and `options` (JSON) or by the options' names, a photo as the
    whole body (its name in the query), or JSON (options, or {"options": {...}}; no photo). Options are as they came, unchecked.

    Raises Refused (413 too large, 408 stalled, 507 no room, 415 nothing known), UsageError for options that are none.
    """
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind == "multipart/form-data":
        return await _from_form(request, folder, limits)
    if kind.startswith("image/") or kind == "application/octet-stream":
        return await _from_body(request, folder, limits)
    if kind in ("application/json", ""):
        body = b"".join([chunk async for chunk in _chunks(request, 2**20, limits.silence)])
        given = from_json(body)
        watched, inner = given.pop(WATCHED, False) is True, given.pop("options", {})
        if not isinstance(inner, dict):
            raise UsageError("the options are no JSON object", what_to_do='give an object such as {"strength": 0.7}')
        return Received(options=given | inner, while_watched=watched)
    raise Refused(415, f"cannot take {kind}", "", "send multipart/form-data with a part named photo, or the photo as the body")


async def _from_form(request: Request, folder: PrivateFolder, limits: Limits) -> Received:
    received = Received()
    largest = limits.bytes * TOGETHER + 2**20
    folder.make_room(_declared(request, largest))
    parser = MultiPartParser(request.headers, _chunks(request, largest, limits.silence), max_files=limits.photos, max_fields=50)
    try:
        form = await parser.parse()
    except MultiPartException as fault:
        raise Refused(400, "cannot read what was sent", fault.message, "send multipart/form-data with a part named photo") from fault
    try:
        for name, value in form.multi_items():
            if isinstance(value, UploadFile):
                if name != PART:
                    raise UsageError(f"there is no part {name!r}", what_to_do=f"send photos as parts named {PART}")
                received.photos.append(await run_in_threadpool(_stored, value, folder, limits))
            elif name == "options":
                received.options |= from_json(value)
            elif name == PART:
                raise UsageError("a photo came without a file name", what_to_do="send it as a file")
            elif name == WATCHED:
                received.while_watched = value in ("true", "1")
            else:
                received.options[name] = value
    except BaseException:
        received.discard()
        raise
    finally:
        await form.close()
    return received


def _stored(upload: UploadFile, folder: PrivateFolder, limits: Limits) -> Upload:
    name, size = clean_name(upload.filename or ""), upload.size or 0
    if size > limits.bytes:
        raise _too_large(name, limits.bytes)
    folder.make_room(size)
    path = folder.new()
    try:
        with path.open("wb") as file:
            shutil.copyfileobj(upload.file, file, 1 << 20)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise _no_room(problem) from problem
    return Upload(name, path, size)


async def _from_body(request: Request, folder: PrivateFolder, limits: Limits) -> Received:
    name = clean_name(request.query_params.get("name", ""))
    folder.make_room(_declared(request, limits.bytes, name))
    path, size = folder.new(), 0
    try:
        with path.open("wb") as file:
            async for chunk in _chunks(request, limits.bytes, limits.silence, name):
                size += len(chunk)
                file.write(chunk)
    except OSError as problem:
        path.unlink(missing_ok=True)
        raise _no_room(problem) from problem
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    return Received([Upload(name, path, size)])


def _declared(request: Request, most: int, name: str = "what was sent") -> int:
    """How many bytes are to come, as far as the client says it. Raises Refused where they are too many."""
    size = int(request.headers.get("content-length") or 0)
    if size > most:
        raise _too_large(name, most)
    return size


async def _chunks(request: Request, most: int, silence: float, name: str = "what was sent") -> AsyncGenerator[bytes, None]:
    """The body, as far as it is not too large, and goes on."""
    _declared(request, most, name)
    size, stream = 0, request.stream()
    while True:
        try:
            chunk = await asyncio.wait_for(anext(stream), silence)
        except StopAsyncIteration:
            return
        except (asyncio.TimeoutError, TimeoutError) as fault:
            raise Refused(408, "gave up waiting for the rest", f"nothing came for {silence:g} seconds", "send it again") from fault
        except ClientDisconnect as fault:
            raise Refused(400, "cannot read what was sent", "the connection was closed before its end", "send it again") from fault
        size += len(chunk)
        if size > most:
            raise _too_large(name, most)
        yield chunk


def clean_name(name: str) -> str:
    """What of a client's name may name a file, anywhere: no folders, no signs that a system objects to; "photo" where nothing is left."""
    name = unicodedata.normalize("NFC", name.replace("\\", "/").rsplit("/", 1)[-1])
    name = UNSAFE.sub("_", "".join(sign for sign in name if sign.isprintable())).strip(". ")
    stem, dot, suffix = name.rpartition(".")
    if "." + suffix.lower() not in READABLE or not stem:
        return _cut(name, LONGEST_NAME) or "photo"
    return (_cut(stem, LONGEST_NAME - len(suffix) - 1) or "photo") + dot + suffix


def _cut(text: str, most: int) -> str:
    return text.encode()[:most].decode(errors="ignore").rstrip(". ")


def _too_large(name: str, most: int) -> Refused:
    return Refused(
        413, f"cannot take {name}", f"it is larger than {most / 2**20:,.6g} MiB", "make it smaller; whoever runs the service sets the limit"
    )


def _no_room(problem: OSError) -> Refused:
    return Refused(507, "cannot keep what was sent", problem.strerror or str(problem), "try again later")
