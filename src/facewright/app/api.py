"""HTTP: the calls of /v1, told in OpenAPI at /docs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import zipfile
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Body, Query, Request, Response
from fastapi.responses import FileResponse, JSONResponse, StreamingResponse
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool

from facewright import __version__
from facewright.app import schemas
from facewright.app.book import Book, Event, Item, Job, Result
from facewright.app.options import Options
from facewright.app.service import Service
from facewright.app.uploads import Received, receive
from facewright.app.words import Cancelled, Refused
from facewright.errors import UsageError
from facewright.media import READABLE, read
from facewright.restore.previews import as_jpeg, reduced

STILL_HERE = 15.0
"""Seconds after which a silent event stream says that it is there: proxies close what says nothing."""
OTHER = ("name", "answer")
"""Parameters of a query that are no options."""

Number = int
Side = Annotated[int, Query(ge=16, le=4096, description="Longest side in pixels, at most.")]


def routes(service: Service) -> APIRouter:
    """The calls that use the service."""
    router = APIRouter(prefix="/v1", responses={400: {"model": schemas.Refusal}})
    book, limits = service.book, service.limits

    async def taken(request: Request) -> Received:
        """What came in; refused before it is read where there is no room for it anyway."""
        service.refuse_if_full()
        received = await receive(request, service.folder, limits)
        service.measures.sent.inc(sum(photo.bytes for photo in received.photos))
        return received

    def added(job: Job, received: Received, options: Options) -> list[Item]:
        """All photos, or none."""
        items: list[Item] = []
        try:
            for photo in received.photos:
                items.append(book.add(job, photo.name, photo.path, photo.bytes, options))
        except Exception:
            for item in items:
                book.remove(job, item)
            received.discard()
            raise
        return items

    @router.post(
        "/restore",
        summary="Restore one photo, and wait for it",
        responses={
            200: {"model": schemas.Restored, "content": {"image/*": {}}},
            409: {"model": schemas.Refusal, "description": "The model is not here."},
            413: {"model": schemas.Refusal, "description": "It is too large."},
            422: {"model": schemas.Refusal, "description": "It cannot be read."},
            429: {"model": schemas.Refusal, "description": "Too many photos wait; Retry-After says when to come again."},
            503: {"model": schemas.Refusal, "description": "The service is being stopped, or the photo took too long."},
        },
        openapi_extra={
            "requestBody": schemas.upload_body(required=True, several=False, raw=True),
            "parameters": [
                {"name": "name", "in": "query", "schema": {"type": "string"}, "description": "Of a photo that is the body."},
                {
                    "name": "answer",
                    "in": "query",
                    "schema": {"enum": ["image", "json"]},
                    "description": "Also by the header Accept: application/json.",
                },
                *schemas.options_query(),
            ],
        },
    )
    async def restore(request: Request) -> Response:
        """The photo as the body, or as a part named `photo`; options in the query, or as JSON in a part named `options`.

        Answers the restored photo, or JSON with what became of each face and a link to it. Who goes away gives up his place.
        """
        as_json = _wants_json(request)
        options = service.options.changed(_options_of(request))
        received = await taken(request)
        try:
            if len(received.photos) != 1:
                raise UsageError(f"{len(received.photos)} photos came", "this call restores one", "send several to /v1/jobs")
            options = options.changed(received.options)
            job = book.open(options)
        except Exception:
            received.discard()
            raise
        try:
            (item,) = added(job, received, options)
            await _ended(request, item)
            if item.error is not None:
                raise item.error
            if item.result is None or item.report is None:
                raise _given_up(item, service.crew.closed)
            if as_json:
                faces = item.report["faces"]
                answer = {"photo": book.photo_told(item), "faces": faces, "link": _result_link(job, item), "job": job.id}
                return JSONResponse(answer | {"expires_in": round(book.expires_in(job))})
            data = await run_in_threadpool(item.result.path.read_bytes)
        except BaseException:
            book.close(job)
            raise
        book.close(job)
        headers = {"Content-Disposition": _attachment(item.result.name), "X-Facewright-Faces": str(len(item.report["faces"]))}
        return Response(data, media_type=item.result.type, headers=headers)

    @router.post(
        "/jobs",
        status_code=201,
        summary="Open a job, with photos or without",
        responses={201: {"model": schemas.Job}, 413: {"model": schemas.Refusal}, 429: {"model": schemas.Refusal}},
        openapi_extra={"requestBody": schemas.upload_body(required=False, several=True, raw=False)},
    )
    async def open_job(request: Request) -> Response:
        """Photos as parts named `photo`, all with the same `options`; more may follow. The answer's id is the key to the job: keep it.

        As JSON without photos: {"options": {...}, "while_watched": true}; with the latter the job is gone soon after the last of those is
        who follow its events.
        """
        options = service.options.changed(_options_of(request))
        received = await taken(request)
        try:
            options = options.changed(received.options)
            job = book.open(options, while_watched=received.while_watched)
        except Exception:
            received.discard()
            raise
        try:
            added(job, received, options)
        except Exception:
            book.close(job)
            raise
        return JSONResponse(book.job_told(job), 201)

    @router.get("/jobs/{job}", summary="What became of a job", responses={200: {"model": schemas.Job}, 404: {"model": schemas.Refusal}})
    async def show_job(job: str) -> Response:
        return JSONResponse(book.job_told(book.job(job)))

    @router.delete("/jobs/{job}", status_code=204, summary="Remove a job and its files")
    async def remove_job(job: str) -> Response:
        book.close(book.job(job))
        return Response(status_code=204)

    @router.get(
        "/jobs/{job}/events",
        summary="Follow a job",
        responses={200: {"content": {"text/event-stream": {}}, "description": "Events job, photo, removed, gone; JSON in each."}},
    )
    async def events(job: str) -> Response:
        """Server-sent events: first `job`, then `photo` at each change of one, `removed`, and `gone` at the end."""
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_streamed(book, book.job(job)), media_type="text/event-stream", headers=headers)

    @router.post(
        "/jobs/{job}/photos",
        status_code=202,
        summary="Add photos to a job",
        responses={202: {"model": schemas.Photos}, 413: {"model": schemas.Refusal}, 429: {"model": schemas.Refusal}},
        openapi_extra={"requestBody": schemas.upload_body(required=True, several=True, raw=True)},
    )
    async def add_photos(request: Request, job: str) -> Response:
        """With options of their own, where they come with some."""
        found = book.job(job)
        options = found.options.changed(_options_of(request))
        received = await taken(request)
        try:
            found = book.job(job)  # it may be gone by now
            options = options.changed(received.options)
            if not received.photos:
                raise UsageError("no photo came", what_to_do="send photos as parts named photo")
        except Exception:
            received.discard()
            raise
        return JSONResponse({"photos": [book.photo_told(item) for item in added(found, received, options)]}, 202)

    @router.get("/jobs/{job}/photos/{number}", summary="What became of a photo", responses={200: {"model": schemas.Photo}})
    async def show_photo(job: str, number: Number) -> Response:
        return JSONResponse(book.photo_told(book.item(book.job(job), number)))

    @router.delete("/jobs/{job}/photos/{number}", status_code=204, summary="Remove a photo and its files")
    async def remove_photo(job: str, number: Number) -> Response:
        found = book.job(job)
        book.remove(found, book.item(found, number))
        return Response(status_code=204)

    @router.post("/jobs/{job}/photos/{number}/cancel", summary="Give a photo up", responses={200: {"model": schemas.Photo}})
    async def cancel(job: str, number: Number) -> Response:
        item = book.item(book.job(job), number)
        book.cancel(item)
        await asyncio.sleep(0)  # one that waited has ended by now
        return JSONResponse(book.photo_told(item))

    @router.post(
        "/jobs/{job}/photos/{number}/again",
        status_code=202,
        summary="Restore a photo again, with other options",
        responses={202: {"model": schemas.Photo}, 409: {"model": schemas.Refusal, "description": "It is being restored."}},
        openapi_extra={"requestBody": {"content": {"application/json": {"schema": schemas.options_schema()}}}},
    )
    async def again(request: Request, job: str, number: Number) -> Response:
        """Options that are not named stay. Faces are not looked for again, and the network's pictures of them are kept where they would
        come out the same. What is there stays until the new result is."""
        found = book.job(job)
        item = book.item(found, number)
        received = await receive(request, service.folder, limits)
        received.discard()
        book.again(found, item, item.options.changed(received.options))
        return JSONResponse(book.photo_told(item), 202)

    @router.get("/jobs/{job}/photos/{number}/result", summary="The restored photo", responses={200: {"content": {"image/*": {}}}})
    async def result(job: str, number: Number) -> Response:
        item = book.item(book.job(job), number)
        found = _result(item)
        item.unfetched = False
        return FileResponse(found.path, media_type=found.type, headers={"Content-Disposition": _attachment(found.name)})

    async def preview(path: Path, side: int, pixel_limit: int | None) -> Response:
        async with service.pictures:
            data = await run_in_threadpool(_pictured, path, side, pixel_limit)
        return Response(data, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})

    @router.get("/jobs/{job}/photos/{number}/before.jpg", summary="A small picture of the photo as it came", response_class=Response)
    async def before(job: str, number: Number, side: Side = 1600) -> Response:
        item = book.item(book.job(job), number)
        if item.size is None:
            raise Refused(409, f"{item.name} was not read yet", "", "wait until it has a width")
        return await preview(item.upload, side, limits.pixels)

    @router.get("/jobs/{job}/photos/{number}/after.jpg", summary="A small picture of the restored photo", response_class=Response)
    async def after(job: str, number: Number, side: Side = 1600) -> Response:
        return await preview(_result(book.item(book.job(job), number)).path, side, None)

    @router.get("/jobs/{job}/zip", summary="All restored photos", responses={200: {"content": {"application/zip": {}}}})
    async def together(job: str) -> Response:
        found = book.job(job)
        results = [item.result for item in found.items.values() if item.result is not None]
        if not results:
            raise Refused(409, "there is nothing to download yet", "no photo of the job is restored", "wait for one")
        path = service.folder.new()
        service.folder.make_room(sum(result.bytes for result in results))
        await run_in_threadpool(_zipped, path, results)
        for item in found.items.values():
            item.unfetched = False
        headers = {"Content-Disposition": _attachment("facewright.zip")}
        return FileResponse(path, media_type="application/zip", headers=headers, background=BackgroundTask(path.unlink, missing_ok=True))

    @router.get("/models", summary="Models: what is here, what can be fetched", responses={200: {"model": schemas.Models}})
    async def models() -> Response:
        return JSONResponse({"models": service.fetching.models()})

    @router.post("/models/{name}/fetch", status_code=202, summary="Fetch a model", responses={202: {"model": schemas.Model}})
    async def fetch(name: str, accept_licence: Annotated[bool, Body(embed=True)] = False) -> Response:
        """In the background; GET /v1/models tells how far it is. Only what the catalog names is fetched, from where it says."""
        return JSONResponse(service.fetching.told(service.fetching.fetch(name, accept_licence)), 202)

    @router.get("/about", summary="Version, limits, usual options", responses={200: {"model": schemas.About}})
    async def about() -> Response:
        told = {name: getattr(limits, name) for name in ("bytes", "pixels", "faces", "photos", "seconds")}
        answer = {"version": __version__, "keep_minutes": limits.keep / 60, "limits": told, "options": asdict(service.options)}
        return JSONResponse(answer | {"formats": list(READABLE)})

    return router


def _options_of(request: Request) -> dict[str, Any]:
    return {name: value for name, value in request.query_params.items() if name not in OTHER}


def _wants_json(request: Request) -> bool:
    answer = request.query_params.get("answer")
    if answer not in (None, "image", "json"):
        raise UsageError(f"answer cannot be {answer!r}", what_to_do="use one of: image, json")
    return answer == "json" or (answer is None and request.headers.get("accept", "").startswith("application/json"))


async def _ended(request: Request, item: Item) -> None:
    """Until the photo has come to its end. Raises Cancelled where the client goes away before."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    waits = {asyncio.create_task(item.ended.wait()), leaving := asyncio.create_task(gone())}
    try:
        done, _ = await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for wait in waits:
            wait.cancel()
    if leaving in done and not item.ended.is_set():
        raise Cancelled(item.name)


async def _streamed(book: Book, job: Job) -> AsyncIterator[str]:
    events = book.watch(job)
    coming: asyncio.Task[Event] = asyncio.ensure_future(anext(events))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=STILL_HERE)
            if not done:
                yield ": still here\n\n"
                continue
            kind, told = coming.result()
            yield f"event: {kind}\ndata: {json.dumps(told)}\n\n"
            coming = asyncio.ensure_future(anext(events))
    except StopAsyncIteration:
        return
    finally:
        coming.cancel()
        await asyncio.gather(coming, return_exceptions=True)
        await events.aclose()  # type: ignore[attr-defined]


def _result(item: Item) -> Result:
    if item.result is None:
        raise Refused(409, f"{item.name} is not restored", f"it is {item.state}", "wait for it, or restore it again")
    return item.result


def _pictured(path: Path, side: int, pixel_limit: int | None) -> bytes:
    try:
        data = path.read_bytes()
    except FileNotFoundError as fault:  # removed since it was asked for
        raise Refused(404, "the photo is gone", "it was removed") from fault
    return as_jpeg(reduced(read(data, pixel_limit=pixel_limit, salvage=True), side))


def _zipped(path: Path, results: list[Result]) -> None:
    """Photos are compressed already: they are only laid side by side. Each has a name of its own."""
    names: set[str] = set()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_STORED) as archive:
        for result in results:
            name = wanted = Path(result.name)
            count = 1
            while str(name).lower() in names:
                count += 1
                name = wanted.with_stem(f"{wanted.stem}-{count}")
            names.add(str(name).lower())
            with contextlib.suppress(FileNotFoundError):  # removed, or made anew, since it was asked for
                archive.write(result.path, str(name))


def _given_up(item: Item, stopping: bool) -> Refused:
    """The client is there, but its photo was given up: the job was removed, its time was over, or the service is being stopped."""
    if stopping:
        return Refused(503, f"{item.name} was not restored", "the service is being stopped", "try again when it is back", retry=30)
    return Refused(410, f"{item.name} was not restored", "its job was removed", "send it again")


def _result_link(job: Job, item: Item) -> str:
    return f"/v1/jobs/{job.id}/photos/{item.number}/result"


def _attachment(name: str) -> str:
    """RFC 6266: any name, and a plain one for those who cannot."""
    plain = name.encode("ascii", "replace").decode().replace("?", "_").replace('"', "_")
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
