"""The book of jobs: what its readers are told, and when photos and their files are gone."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crew_samples import PATIENCE, Puppets, crew_of

from facewright.app import book as module
from facewright.app.book import Book, Item, Job
from facewright.app.crew import Crew
from facewright.app.folder import PrivateFolder
from facewright.app.limits import Limits
from facewright.app.options import Options
from facewright.app.words import Refused

Opened = Callable[..., contextlib.AbstractAsyncContextManager[Book]]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[PrivateFolder]:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    folder = PrivateFolder(10**8)
    folder.open()
    yield folder
    folder.close()


class Shelf:
    """A book with its crew, on the loop of the test."""

    def __init__(self, folder: PrivateFolder, photo: bytes, puppets: Puppets | None = None, **limits: Any) -> None:
        self.puppets, self.photo, self.folder = puppets or Puppets(), photo, folder
        self.ends: list[tuple[str, str]] = []
        self.crew: Crew = crew_of(self.puppets, 1, **limits)
        self.book = Book(self.crew, folder, Limits(**limits), on_end=lambda item: self.ends.append((item.name, item.state)))

    async def __aenter__(self) -> Shelf:
        self.crew.start()
        self.clock = asyncio.create_task(self.book.keep_time())
        return self

    async def __aexit__(self, *_: Any) -> None:
        self.clock.cancel()
        await asyncio.to_thread(self.crew.stop)

    def add(self, job: Job, name: str, **options: Any) -> Item:
        path = self.folder.new()
        path.write_bytes(self.photo)
        return self.book.add(job, name, path, len(self.photo), Options(**options))

    async def done(self, job: Job, name: str, **options: Any) -> Item:
        item = self.add(job, name, **options)
        await asyncio.wait_for(item.ended.wait(), PATIENCE)
        assert item.state == "done", item.error
        return item

    @property
    def files(self) -> set[Path]:
        return set(self.folder.path.iterdir())


@pytest.fixture
def shelf(folder: PrivateFolder, tiny: Path) -> Callable[..., Shelf]:
    return lambda puppets=None, **limits: Shelf(folder, tiny.read_bytes(), puppets, **limits)


async def until(look: Callable[[], Any]) -> None:
    end = time.monotonic() + PATIENCE
    while not look():
        assert time.monotonic() < end
        await asyncio.sleep(0.005)


async def follow(book: Book, job: Job) -> tuple[list[tuple[str, dict[str, Any]]], asyncio.Task[None]]:
    """All that is told, as it comes."""
    heard: list[tuple[str, dict[str, Any]]] = []

    async def listen() -> None:
        async for event in book.watch(job):
            heard.append(event)

    task = asyncio.create_task(listen())
    await until(lambda: heard)
    return heard, task


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


def test_a_photo_from_its_coming_to_its_going(shelf: Callable[..., Shelf]) -> None:
    async def test() -> None:
        async with shelf() as it:
            job = it.book.open(Options())
            heard, listening = await follow(it.book, job)
            item = await it.done(job, "aunt2.png")
            assert it.files == {item.upload, item.result.path}
            assert item.result.told == {"name": "aunt2-restored.png", "bytes": len(item.result.path.read_bytes()), "type": "image/png"}
            assert (item.size, item.version) == ((12, 8), 1)
            it.book.remove(job, item)
            assert it.files == set()
            it.book.close(job)
            await asyncio.wait_for(listening, PATIENCE)
            kinds = [kind for kind, _ in heard]
            assert kinds[0] == "job" and kinds[-2:] == ["removed", "gone"]
            states = [told["state"] for kind, told in heard if kind == "photo"]
            assert list(dict.fromkeys(states)) == ["waiting", "working", "done"]
            assert it.ends == [("aunt2.png", "done")]

    run(test())


def test_a_job_is_gone_when_its_time_is_over_whatever_is_done_with_it(shelf: Callable[..., Shelf]) -> None:
    hold = threading.Event()
    puppets = Puppets(does={"at_prepare": lambda name: name.startswith("held") and hold.wait(PATIENCE) and None})

    async def test() -> None:
        async with shelf(puppets, keep=0.6) as it:
            job, young = it.book.open(Options()), None
            await it.done(job, "aunt1.png")
            held, waiting = it.add(job, "held1.png"), it.add(job, "late1.png")
            heard, listening = await follow(it.book, job)
            await asyncio.sleep(0.3)
            young = it.book.open(Options())
            assert 0 < it.book.expires_in(job) < 0.4 and it.book.job(job.id) is job
            await asyncio.wait_for(listening, PATIENCE)
            assert heard[-1] == ("gone", {"why": "files are kept for 0.01 minutes"})
            with pytest.raises(Refused) as refusal:
                it.book.job(job.id)
            assert refusal.value.status == 404
            assert it.book.job(young.id) is young
            assert held.ended.is_set() and waiting.ended.is_set() and it.crew.queued == 0
            hold.set()
            await until(lambda: it.crew.at_work == 0)
            await asyncio.sleep(0.05)
            assert it.files == set(), "what was in hand is not written any more"

    run(test())


def test_a_job_for_watchers_goes_soon_after_the_last(shelf: Callable[..., Shelf]) -> None:
    async def test() -> None:
        async with shelf(unwatched=0.3, keep=2.0) as it:
            watched, plain = it.book.open(Options(), while_watched=True), it.book.open(Options())
            watched.born = plain.born = time.monotonic() + 100  # neither's time is over during this test
            item = await it.done(watched, "aunt1.png")
            (_, first), (heard, second) = await follow(it.book, watched), await follow(it.book, watched)
            await asyncio.sleep(0.8)
            assert it.book.job(watched.id), "it is watched"
            first.cancel()
            await asyncio.sleep(0.5)
            assert it.book.job(watched.id), "one is left"
            second.cancel()
            await until(lambda: watched.id not in it.book.jobs)
            assert not item.upload.exists() and not item.result.path.exists()
            assert it.book.job(plain.id) and "gone" not in [kind for kind, _ in heard]

    run(test())


def test_a_watcher_who_comes_back_in_time_finds_it(shelf: Callable[..., Shelf]) -> None:
    async def test() -> None:
        async with shelf(unwatched=0.8, keep=4.0) as it:
            job = it.book.open(Options(), while_watched=True)
            for _ in range(3):
                _, listening = await follow(it.book, job)
                listening.cancel()
                await asyncio.sleep(0.4)
            assert it.book.job(job.id)

    run(test())


def test_a_watcher_who_reads_no_more_is_let_go(shelf: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_EVENTS", 10)

    async def test() -> None:
        async with shelf() as it:
            job = it.book.open(Options())
            stream: AsyncIterator[Any] = it.book.watch(job)
            assert (await anext(stream))[0] == "job"
            for _ in range(4):
                await it.done(job, "aunt1.png")
            assert not job.watchers
            told = [kind async for kind, _ in stream]
            assert len(told) <= 10 and "gone" not in told
            assert (await anext(it.book.watch(job)))[0] == "job", "and may come again"

    run(test())


def test_again_computes_what_it_must_and_keeps_what_is_there(shelf: Callable[..., Shelf]) -> None:
    hold = threading.Event()
    hold.set()
    puppets = Puppets(does={"at_finish": lambda name: hold.wait(PATIENCE) and None})

    async def test() -> None:
        async with shelf(puppets) as it:
            job = it.book.open(Options())
            item = await it.done(job, "aunt2.png")
            before = item.result.path.read_bytes()
            hold.clear()
            it.book.again(job, item, item.options.changed({"strength": 0.5, "format": "webp"}))
            told = it.book.photo_told(item)
            assert (told["state"], told["version"], told["result"]["name"]) == ("waiting", 1, "aunt2-restored.png")
            assert told["report"] is not None and item.result.path.read_bytes() == before
            with pytest.raises(Refused) as refusal:
                it.book.again(job, item, Options())
            assert refusal.value.status == 409
            hold.set()
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert item.report is not None and item.result is not None
            assert item.report["redone"] == {"read": True, "found": False, "computed": 0}
            assert (item.version, item.result.name, item.result.type) == (2, "aunt2-restored.webp", "image/webp")
            assert item.result.path.read_bytes() != before and it.files == {item.upload, item.result.path}
            # a wish that changes what is read
            it.book.again(job, item, item.options.changed({"salvage": True}))
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert item.report["redone"]["found"]

    run(test())


def test_again_that_is_refused_changes_nothing(shelf: Callable[..., Shelf]) -> None:
    async def test() -> None:
        async with shelf() as it:
            job = it.book.open(Options())
            item = await it.done(job, "aunt1.png")
            before = it.book.photo_told(item)
            it.crew.close()
            with pytest.raises(Refused):
                it.book.again(job, item, Options(strength=0.5))
            assert it.book.photo_told(item) == before

    run(test())


def test_pictures_of_old_photos_are_forgotten_and_made_anew(shelf: Callable[..., Shelf], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "KEPT_BYTES", 100)
    picture = np.zeros((4, 4, 3), np.float32)

    def treat(faces: list[Any]) -> None:
        for each in faces:
            each.crop = picture

    async def test() -> None:
        async with shelf(Puppets(does={"at_treat": treat})) as it:
            job = it.book.open(Options())
            first, second = await it.done(job, "a1.png"), await it.done(job, "b1.png")
            assert first.faces is not None and second.faces is not None
            assert first.faces[0].crop is first.faces[0].restored is None, "the older one's"
            assert second.faces[0].crop is not None
            it.book.again(job, first, first.options)
            await asyncio.wait_for(first.ended.wait(), PATIENCE)
            assert first.state == "done" and first.report is not None
            assert first.report["redone"] == {"read": True, "found": False, "computed": 1}

    run(test())


def test_cancelled_while_it_is_done_again_it_keeps_its_result(shelf: Callable[..., Shelf]) -> None:
    hold = threading.Event()
    hold.set()
    puppets = Puppets(does={"at_finish": lambda name: hold.wait(PATIENCE) and None})

    async def test() -> None:
        async with shelf(puppets) as it:
            job = it.book.open(Options())
            item = await it.done(job, "aunt1.png")
            hold.clear()
            it.book.again(job, item, Options(strength=0.3))
            await until(lambda: item.step == "restoring faces" or item.step == "writing")
            waiting = it.add(job, "late1.png")
            it.book.cancel(waiting)
            await asyncio.wait_for(waiting.ended.wait(), PATIENCE)
            assert waiting.state == "cancelled" and waiting.error is None
            it.book.cancel(item)
            hold.set()
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert item.result is not None and item.result.path.is_file()

    run(test())


def test_a_photo_that_is_removed_while_it_is_worked_on_leaves_nothing(shelf: Callable[..., Shelf]) -> None:
    hold = threading.Event()
    puppets = Puppets(does={"at_finish": lambda name: hold.wait(PATIENCE) and None})

    async def test() -> None:
        async with shelf(puppets) as it:
            job = it.book.open(Options())
            heard, listening = await follow(it.book, job)
            item = it.add(job, "aunt1.png")
            await until(lambda: item.step == "writing")
            it.book.remove(job, item)
            hold.set()
            await until(lambda: it.crew.at_work == 0)
            await asyncio.sleep(0.05)
            assert it.files == set() and it.ends == []
            assert heard[-1] == ("removed", {"number": 0})
            listening.cancel()

    run(test())


def test_a_full_disk_fails_the_photo_and_not_the_service(shelf: Callable[..., Shelf], folder: PrivateFolder) -> None:
    async def test() -> None:
        async with shelf() as it:
            job = it.book.open(Options())
            folder.stored = len(it.photo) + 10
            item = it.add(job, "aunt1.png")
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert item.state == "failed" and "disk space is used up" in str(item.error)
            folder.stored = 10**6
            it.book.again(job, item, item.options)
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert item.state == "done" and item.error is None

    run(test())


def test_a_folder_that_somebody_removed_is_told(shelf: Callable[..., Shelf], folder: PrivateFolder) -> None:
    puppets = Puppets(does={"at_finish": lambda name: (name.startswith("last") and folder.close()) or None})

    async def test() -> None:
        async with shelf(puppets) as it:
            job = it.book.open(Options())
            for name in ("last1.png", "last2.png"):
                with contextlib.suppress(OSError, Refused):
                    item = it.add(job, name)
                await asyncio.wait_for(item.ended.wait(), PATIENCE)
                assert item.state == "failed" and item.error is not None
            await until(lambda: it.crew.at_work == 0)

    run(test())


def test_so_many_jobs_and_photos_and_no_more(shelf: Callable[..., Shelf]) -> None:
    async def test() -> None:
        async with shelf(jobs=2, photos=2) as it:
            jobs = [it.book.open(Options()) for _ in range(2)]
            with pytest.raises(Refused) as refusal:
                it.book.open(Options())
            assert refusal.value.status == 429 and refusal.value.retry
            it.book.close(jobs[0])
            it.book.close(jobs[0])
            again = it.book.open(Options())
            assert again.id not in [job.id for job in jobs]
            items = [await it.done(again, f"{number}.png") for number in range(2)]
            before = it.files
            with pytest.raises(Refused, match=r"2\.png"):
                it.add(again, "2.png")
            assert it.files == before
            it.book.remove(again, items[0])
            assert (await it.done(again, "2.png")).number == 2, "a number is given once"

    run(test())


def test_a_service_that_ends_keeps_results_for_those_who_wait(shelf: Callable[..., Shelf]) -> None:
    hold = threading.Event()
    puppets = Puppets(does={"at_prepare": lambda name: hold.wait(PATIENCE) and None})

    async def test() -> None:
        async with shelf(puppets) as it:
            job = it.book.open(Options())
            item = it.add(job, "aunt1.png")
            await until(lambda: it.crew.at_work)
            it.crew.close()
            assert not it.book.unfetched
            hold.set()
            await asyncio.wait_for(item.ended.wait(), PATIENCE)
            assert it.book.unfetched
            it.book.close(job)
            assert not it.book.unfetched
            with pytest.raises(Refused) as refusal:
                it.book.open(Options())
            assert refusal.value.status == 503

    run(test())
