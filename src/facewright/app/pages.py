"""The application: the calls, the page, the documents, and errors in one shape."""

from __future__ import annotations

import math
from collections.abc import Collection
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, JSONResponse, RedirectResponse
from fastapi.staticfiles import StaticFiles
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware

from facewright import __version__
from facewright.app.api import routes
from facewright.app.doors import Doors
from facewright.app.service import Service
from facewright.app.words import Refused, status_of, told
from facewright.errors import FacewrightError, UsageError

PAGE = Path(__file__).parent / "page"


def application(
    service: Service,
    *,
    names: Collection[str] = (),
    token: str | None = None,
    origins: Collection[str] = (),
    api_only: bool = False,
) -> FastAPI:
    """A service that is `running`, as an ASGI application. names, token, origins: as in `Doors`. api_only: without the page."""
    app = FastAPIOffline(
        redoc_url=None,
        title="facewright",
        version=__version__,
        description="Restores the faces in photographs; everything else in them stays as it is. Files are kept for an hour at most.",
    )
    app.include_router(routes(service))

    @app.get("/healthz", summary="Whether photos are taken", tags=["operation"])
    async def healthz() -> Response:
        """200, or 503 while the service is being stopped."""
        stopping = service.crew.closed
        state = {"status": "stopping" if stopping else "ok", "queue": service.crew.queued, "working": service.crew.at_work}
        return JSONResponse(state, 503 if stopping else 200)

    @app.get("/metrics", summary="Counters, as Prometheus reads them", tags=["operation"])
    async def metrics() -> Response:
        return Response(service.measures.read(), media_type=CONTENT_TYPE_LATEST)

    if api_only:
        app.add_api_route("/", lambda: RedirectResponse("/docs"), include_in_schema=False)
    else:
        app.add_api_route("/", lambda: FileResponse(PAGE / "index.html"), include_in_schema=False)
        app.mount("/page", StaticFiles(directory=PAGE))
    if token is not None:
        app.add_api_route("/door", lambda: FileResponse(PAGE / "door.html"), include_in_schema=False)

    @app.exception_handler(FacewrightError)
    async def explained(request: Request, error: FacewrightError) -> Response:
        headers = {"Retry-After": str(max(1, math.ceil(error.retry)))} if isinstance(error, Refused) and error.retry else {}
        return JSONResponse({"error": told(error)}, status_of(error), headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, fault: RequestValidationError) -> Response:
        first = fault.errors()[0]
        where = ".".join(str(part) for part in first["loc"][1:]) or "the request"
        return JSONResponse({"error": told(UsageError(f"{where} makes no sense", first["msg"], "see: /docs"))}, 400)

    @app.exception_handler(HTTPException)
    async def unknown(request: Request, fault: HTTPException) -> Response:
        what = f"{request.method} {request.url.path[:80]} cannot be answered"
        error = Refused(fault.status_code, what, fault.detail.lower(), "see: /docs")
        return JSONResponse({"error": told(error)}, fault.status_code, fault.headers)

    @app.exception_handler(Exception)
    async def unforeseen(request: Request, fault: Exception) -> Response:
        said = " ".join(str(fault).split())[:160] or type(fault).__name__
        error = FacewrightError(f"{request.method} {request.url.path[:80]} failed", said, "this is a fault of facewright; please report it")
        return JSONResponse({"error": told(error)}, 500)

    app.add_middleware(Doors, measures=service.measures, names=names, token=token, origins=origins)
    if origins:
        app.add_middleware(CORSMiddleware, allow_origins=list(origins), allow_methods=["*"], allow_headers=["*"])
    return app
