"""Who may come in: names the service answers to, other sites' requests, the token; and what browsers are told to hold back."""

from __future__ import annotations

import asyncio
import hmac
import re
import secrets
from collections import deque
from collections.abc import Collection
from http.cookies import CookieError, SimpleCookie
from ipaddress import ip_address
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from facewright.app.measures import Measures
from facewright.app.words import Refused, told

COOKIE = "facewright"
OPEN = ("/healthz", "/door", "/page/style.css")
"""What can be had without a token."""
SESSIONS = 1000
LOOPBACK_NAMES = ("localhost", "127.0.0.1", "::1")
DOCS = ("/docs", "/static-offline-docs")
_HOST = re.compile(r"(?:\[(?P<address>[0-9a-fA-F:.]+)\]|(?P<name>[^:\[\]]+))(?::\d*)?")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
DOCS_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Doors:
    """ASGI middleware.

    names: of hosts that requests may be addressed to, empty: any. It keeps a page elsewhere from reaching a service on its visitor's own
    machine under a name that it controls. token: what clients have to show (Authorization: Bearer, or the cookie that the door gives for
    it), None: nothing. origins: of pages elsewhere that may call.
    """

    def __init__(self, app: ASGIApp, measures: Measures, names: Collection[str], token: str | None, origins: Collection[str]) -> None:
        self.app, self.measures, self.names, self.token, self.origins = app, measures, names, token, origins
        self._sessions: deque[str] = deque(maxlen=SESSIONS)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        status = 500

        async def guarded(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _hold_back(MutableHeaders(scope=message), scope["path"])
            await send(message)

        try:
            answer = await self._at_the_door(scope, receive)
            await (answer or self.app)(scope, receive, guarded)
        finally:
            route = getattr(scope.get("route"), "path", "") or ("/page" if scope["path"].startswith("/page/") else "other")
            self.measures.requests.labels(route, str(status)).inc()

    async def _at_the_door(self, scope: Scope, receive: Receive) -> Response | None:
        """What is answered instead; None: come in."""
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if self.names and _name_of(host) not in self.names:
            return _refusal(Refused(421, f"this service does not answer to {host[:80]!r}", "", "start it with --allow-host for that name"))
        if scope["method"] not in ("GET", "HEAD", "OPTIONS") and self._is_foreign(headers, host):
            return _refusal(Refused(403, "other sites may not call this service", "", "start it with --allow-origin for that site"))
        if self.token is None or scope["method"] == "OPTIONS":
            return None
        if scope["path"] == "/door" and scope["method"] == "POST":
            return await self._knock(receive)
        if scope["path"] == "/" and (shown := parse_qs(scope["query_string"].decode("latin-1")).get("token")):
            return await self._let_in(shown[0])
        if scope["path"] in OPEN or self._is_known(headers):
            return None
        if scope["path"] == "/":
            return RedirectResponse("/door", 303)
        refusal = _refusal(Refused(401, "this service asks for a token", "", "send it as Authorization: Bearer TOKEN"))
        refusal.headers["WWW-Authenticate"] = "Bearer"
        return refusal

    def _is_foreign(self, headers: Headers, host: str) -> bool:
        origin = headers.get("origin")
        if origin is None:
            return headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
        try:
            return urlsplit(origin).netloc != host and origin not in self.origins
        except ValueError:
            return True

    def _is_known(self, headers: Headers) -> bool:
        scheme, _, shown = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and self._is_token(shown.strip()):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and cookie.value in self._sessions

    def _is_token(self, shown: str) -> bool:
        return hmac.compare_digest(shown.encode(), str(self.token).encode())

    async def _knock(self, receive: Receive) -> Response:
        body = b""
        while len(body) < 4096:
            message = await receive()
            body += message.get("body", b"")
            if not message.get("more_body"):
                break
        return await self._let_in(parse_qs(body.decode("latin-1")).get("token", [""])[0])

    async def _let_in(self, shown: str) -> Response:
        if not self._is_token(shown):
            await asyncio.sleep(0.5)  # guessing takes its time
            return RedirectResponse("/door#wrong", 303)
        session = secrets.token_urlsafe(24)
        self._sessions.append(session)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(COOKIE, session, httponly=True, samesite="strict", path="/")
        return answer


def _hold_back(headers: MutableHeaders, path: str) -> None:
    headers["Content-Security-Policy"] = DOCS_POLICY if path.startswith(DOCS) else POLICY
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if "cache-control" not in headers:
        headers["Cache-Control"] = "no-store"


def _name_of(host: str) -> str:
    """Without the port: localhost of localhost:8765, ::1 of [::1]:8765; "" of what is neither."""
    found = _HOST.fullmatch(host)
    return (found["address"] or found["name"] or "").lower() if found else ""


def _refusal(error: Refused) -> Response:
    return JSONResponse({"error": told(error)}, error.status)


def names_for(host: str, allowed: Collection[str]) -> set[str]:
    """Which names a service bound to that host answers to; none where it is open to the network, and anything may be its name."""
    return {*LOOPBACK_NAMES, host.lower(), *(name.lower() for name in allowed)} if is_loopback(host) else set()
