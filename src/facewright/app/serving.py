"""The service on a socket: where it listens, how it begins and how it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import socket
import webbrowser
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass
from urllib.parse import urlencode

import uvicorn

from facewright.app.doors import is_loopback, names_for
from facewright.app.pages import application
from facewright.app.service import Service
from facewright.errors import UsageError

CONNECTIONS = 1000


@dataclass(frozen=True)
class Place:
    """Where and for whom. port 0: any that is free. token: None for none. allow_hosts: other names that a service on this machine alone
    answers to, behind a proxy. allow_origins: sites whose pages may call. grace: seconds that a service which is to stop gives to what
    it has begun."""

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    allow_hosts: Collection[str] = ()
    allow_origins: Collection[str] = ()
    api_only: bool = False
    browser: bool = True
    grace: float = 30.0

    def __post_init__(self) -> None:
        if self.token is not None and not self.token.strip():
            raise UsageError("the token is empty", "anybody could show it", "give one that is long enough, or none")

    @property
    def is_open(self) -> bool:
        """Whether anybody on the network may use it."""
        return self.token is None and not is_loopback(self.host)


def serve(service: Service, place: Place, say: Callable[[str], None] = lambda address: None) -> None:
    """Until SIGTERM or Ctrl-C: then what is begun is finished, and nothing new is taken; a second one ends at once.

    say: called with the address, when it can be used. Raises UsageError where the place is taken, ModelError.
    """
    logging.getLogger("python_multipart").setLevel(logging.ERROR)  # it warns of every malformed request: any stranger could fill the log
    with _listening(place) as listener:
        asyncio.run(_serve(service, place, listener, say))


async def _serve(service: Service, place: Place, listener: socket.socket, say: Callable[[str], None]) -> None:
    names = names_for(place.host, place.allow_hosts)
    app = application(service, names=names, token=place.token, origins=place.allow_origins, api_only=place.api_only)
    config = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        server_header=False,
        lifespan="off",  # it is around the server: what goes wrong at the start is an error like any other
        limit_concurrency=CONNECTIONS,
        timeout_graceful_shutdown=5,
    )
    server, stop = _Server(config), _Stop()
    async with service.running():
        running = asyncio.create_task(server.serve([listener]))
        with stop.listening():
            while not server.started and not running.done():
                await asyncio.sleep(0.01)
            address = _address(place, listener)
            say(address)
            if place.browser and not place.api_only:
                page = address + (f"?{urlencode({'token': place.token})}" if place.token else "")
                asyncio.get_running_loop().run_in_executor(None, webbrowser.open, page)
            await asyncio.wait({running, asks := asyncio.create_task(stop.asked.wait())}, return_when=asyncio.FIRST_COMPLETED)
            asks.cancel()
            ends = asyncio.create_task(stop.urged.wait())
            await asyncio.wait({ends, asyncio.create_task(service.drained(place.grace))}, return_when=asyncio.FIRST_COMPLETED)
            ends.cancel()
            service.close_jobs()
            server.should_exit = True
            server.force_exit = stop.urged.is_set()
            await running


class _Server(uvicorn.Server):
    """Without signals of its own: ours let the work be finished first."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Stop:
    """asked: by a first signal; urged: by a second."""

    def __init__(self) -> None:
        self.asked, self.urged = asyncio.Event(), asyncio.Event()

    @contextlib.contextmanager
    def listening(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()

        def ring() -> None:
            (self.urged if self.asked.is_set() else self.asked).set()

        before = {each: signal.signal(each, lambda *_: loop.call_soon_threadsafe(ring)) for each in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for each, handler in before.items():
                signal.signal(each, handler)


@contextlib.contextmanager
def _listening(place: Place) -> Iterator[socket.socket]:
    """A socket at the place. Raises UsageError."""
    try:
        family, _, _, _, address = socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]
        listener = socket.socket(family, socket.SOCK_STREAM)
    except OSError as problem:
        raise _taken(place, problem) from problem
    with listener:
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(128)
        except (OSError, OverflowError) as problem:
            raise _taken(place, problem) from problem
        yield listener


def _taken(place: Place, problem: Exception) -> UsageError:
    why = getattr(problem, "strerror", None) or str(problem)
    return UsageError(f"cannot listen on {place.host}:{place.port}", why, "choose another --port (0: any that is free) or --host")


def _address(place: Place, listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://{f'[{host}]' if ':' in host else host}:{port}/"
