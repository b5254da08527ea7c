"""Everything that a service is made of, put together once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import cv2
from starlette.concurrency import run_in_threadpool

from facewright.app.book import Book
from facewright.app.crew import Crew
from facewright.app.fetching import Fetching
from facewright.app.folder import PrivateFolder
from facewright.app.limits import Limits
from facewright.app.measures import Measures
from facewright.app.options import Options
from facewright.app.restorers import Restorers
from facewright.app.words import Refused


class Service:
    """limits: what clients may have. options: what is taken where a client says nothing. device, precision, batch: as in `Settings`.
    workers: as in `Crew`."""

    def __init__(
        self,
        limits: Limits | None = None,
        options: Options | None = None,
        *,
        device: str = "auto",
        precision: str = "auto",
        batch: int = 8,
        workers: int | None = None,
    ) -> None:
        self.limits, self.options = limits or Limits(), options or Options()
        self.restorers = Restorers(device, precision, batch)
        self.crew = Crew(self.restorers, self.limits, workers)
        self.folder = PrivateFolder(self.limits.stored)
        self.fetching = Fetching()
        self.book = Book(self.crew, self.folder, self.limits, on_end=lambda item: self.measures.ended(item))
        self.measures = Measures(
            queued=lambda: self.crew.queued,
            at_work=lambda: self.crew.at_work,
            jobs=lambda: len(self.book.jobs),
            networks=lambda: self.restorers.loaded,
        )
        self.pictures = asyncio.Semaphore(self.crew.workers)
        """Previews that are made at a time: each holds a decoded photo."""

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Loads the usual model first: the first photo need not wait, and what is missing is told at once. Raises ModelError."""
        cv2.setNumThreads(self.crew.cores_each)
        self.folder.open()
        try:
            await run_in_threadpool(self.restorers.of, self.options)
            self.crew.start()
            clock = asyncio.create_task(self.book.keep_time())
            try:
                yield
            finally:
                clock.cancel()
                self.close_jobs()
                await run_in_threadpool(self.crew.stop)
        finally:
            self.folder.close()

    def refuse_if_full(self) -> None:
        """Raises Refused where a photo would not be taken: said before it is sent in full."""
        if self.crew.closed:
            raise Refused(503, "cannot take photos", "the service is being stopped", "try again when it is back", retry=30)
        if self.crew.queued >= self.limits.queue:
            retry = self.crew.pace.of_photos(self.crew.workers) or 5
            raise Refused(429, "cannot take photos now", f"{self.crew.queued} are waiting already", "try again a little later", retry=retry)

    def close_jobs(self) -> None:
        """Their files are gone, and who follows them is told."""
        for job in list(self.book.jobs.values()):
            self.book.close(job, "the service is being stopped")

    async def drained(self, grace: float) -> None:
        """Take nothing new, and wait until what is begun is done and its results were asked for, or for `grace` seconds."""
        self.crew.close()
        end = asyncio.get_running_loop().time() + grace
        idle = 0
        while asyncio.get_running_loop().time() < end and idle < 2:  # twice: what a worker told last arrives in between
            idle = 0 if self.crew.at_work or self.book.unfetched else idle + 1
            await asyncio.sleep(0.05)
