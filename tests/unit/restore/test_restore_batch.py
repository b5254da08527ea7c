"""Many photos: order, memory, and what each kind of fault costs. The restorer is a fake; reading and writing are real."""

from __future__ import annotations

import errno
import io
import json
import os
import sys
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from report_samples import face

from facewright.errors import FacewrightError, InputError, OutputError, PartialFailure, UsageError
from facewright.media import Photo, replaced
from facewright.restore import batch
from facewright.restore.batch import Outcome, Writing, restore_all
from facewright.restore.journal import Journal
from facewright.restore.plan import Task, plan
from facewright.restore.result import Restoration


class FakeRestorer:
    """Inverts photos; hooks stand for whatever goes wrong."""

    def __init__(self, size: int = 4) -> None:
        self.settings = SimpleNamespace(batch=size)
        self.on_prepare: Callable[[Photo], None] = lambda photo: None
        self.on_run: Callable[[list[Photo]], None] = lambda photos: None
        self.groups: list[int] = []

    def prepare(self, photo: Photo) -> SimpleNamespace:
        self.on_prepare(photo)
        return SimpleNamespace(original=photo, ran=False)

    def run(self, jobs: Sequence[SimpleNamespace]) -> None:
        self.groups.append(len(jobs))
        self.on_run([job.original for job in jobs])
        for job in jobs:
            job.ran = True

    def finish(self, job: SimpleNamespace) -> Restoration:
        assert job.ran
        return Restoration(replaced(job.original, 255 - job.original.pixels), job.original, [], "fake")


def named(photo: Photo) -> str:
    assert photo.origin.path is not None
    return photo.origin.path.name


@pytest.fixture
def album(tmp_path: Path) -> Path:
    folder = tmp_path / "album"
    folder.mkdir()
    for n in range(9):
        Image.fromarray(np.full((20, 24, 3), 20 * n, np.uint8)).save(folder / f"{n}.png")
    return folder


def ran(
    tasks: Sequence[Task], restorer: FakeRestorer | None = None, writing: Writing | None = None, **options: Any
) -> tuple[FacewrightError | None, list[Outcome]]:
    outcomes: list[Outcome] = []
    fake = restorer or FakeRestorer()
    failure = restore_all(tasks, lambda: fake, writing or Writing(), on_done=outcomes.append, **options)  # type: ignore[arg-type, return-value]
    return failure, outcomes


def whole(folder: Path) -> list[str]:
    """The results, each of which must be complete; nothing half written may lie about."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    for path in files:
        Image.open(path).load()
    assert not [path for path in folder.rglob("*.part")]
    return [path.name for path in files]


@pytest.mark.parametrize("jobs", [1, 3])
@pytest.mark.parametrize("size", [1, 4])
def test_every_photo_has_one_outcome(album: Path, tmp_path: Path, jobs: int, size: int) -> None:
    restorer = FakeRestorer(size)
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), restorer, jobs=jobs)
    assert failure is None
    # nothing failed, so that completion is the order of the list
    assert [Path(outcome.task.name).name for outcome in outcomes] == [f"{n}.png" for n in range(9)]
    for n, outcome in enumerate(outcomes):
        assert outcome.target == tmp_path / "out" / f"{n}.png" and outcome.error is None and outcome.report is not None
        assert (np.asarray(Image.open(outcome.target)) == 255 - 20 * n).all()
    assert sum(restorer.groups) == 9 and max(restorer.groups) <= size


def test_a_bad_photo_costs_itself(album: Path, tmp_path: Path) -> None:
    (album / "3.png").write_bytes((album / "3.png").read_bytes()[:60])
    (album / "4.png").write_text("not a picture")
    tasks = [*plan([str(album)], str(tmp_path / "out")), *plan(["nothing-*.jpg"])]
    failure, outcomes = ran(tasks)
    assert isinstance(failure, PartialFailure) and "3 of 10" in failure.what
    bad = {Path(outcome.task.name).name: outcome.error for outcome in outcomes if outcome.error}
    assert set(bad) == {"3.png", "4.png", "nothing-*.jpg"} and all(isinstance(error, InputError) for error in bad.values())
    assert whole(tmp_path / "out") == [f"{n}.png" for n in range(9) if n not in (3, 4)]
    told = next(outcome.asdict() for outcome in outcomes if outcome.task.name.endswith("3.png"))
    assert told["error"]["code"] == 3 and "report" not in told


def test_a_batch_of_one_fault_has_that_fault(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.png").write_text("no")
    failure, _ = ran(plan([str(tmp_path)], str(tmp_path / "out")))
    assert isinstance(failure, InputError)
    failure, _ = ran(plan([str(tmp_path / "a.png")], str(tmp_path / "out.png")))
    assert isinstance(failure, InputError) and "a.png" in failure.what


@pytest.mark.parametrize("problem", [ValueError("index 7 is out of bounds\nmore"), MemoryError(), UsageError("--faces 9 names face 9")])
@pytest.mark.parametrize("where", ["on_prepare", "on_run"])
def test_whatever_goes_wrong_with_one_photo_spares_its_neighbours(album: Path, tmp_path: Path, problem: Exception, where: str) -> None:
    restorer = FakeRestorer(4)

    def stumble(photos: Any) -> None:
        if any(named(photo) == "5.png" for photo in (photos if isinstance(photos, list) else [photos])):
            raise problem

    setattr(restorer, where, stumble)
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), restorer)
    assert isinstance(failure, PartialFailure)
    (bad,) = [outcome for outcome in outcomes if outcome.error]
    assert bad.task.name.endswith("5.png") and bad.error is not None and len(outcomes) == 9
    assert whole(tmp_path / "out") == [f"{n}.png" for n in range(9) if n != 5]
    words = f"{bad.error} | {bad.error.what_to_do}"
    assert {ValueError: "index 7 is out of bounds", MemoryError: "not enough memory", UsageError: "--faces 9"}[type(problem)] in words
    assert "\n" not in words and "Error" not in words


def test_a_photo_that_cannot_be_written_costs_itself(album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    replace = os.replace

    def full(source: Any, target: Any) -> None:
        if str(target).endswith("2.png"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        replace(source, target)

    monkeypatch.setattr(os, "replace", full)
    journal = Journal(tmp_path / "journal", {})
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), journal=journal)
    journal.close()
    assert isinstance(failure, PartialFailure)
    assert [type(outcome.error) for outcome in outcomes if outcome.error] == [OutputError]
    assert whole(tmp_path / "out") == [f"{n}.png" for n in range(9) if n != 2]
    monkeypatch.undo()
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), journal=Journal(tmp_path / "journal", {}))
    assert failure is None and [Path(o.task.name).name for o in outcomes if not o.skipped] == ["2.png"]


def test_a_source_that_vanishes_costs_itself(album: Path, tmp_path: Path) -> None:
    restorer = FakeRestorer(1)
    restorer.on_run = lambda photos: (album / "4.png").unlink() if named(photos[0]) == "4.png" else None
    journal = Journal(tmp_path / "journal", {})
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), restorer, journal=journal)
    assert isinstance(failure, PartialFailure) and [o.task.name[-5:] for o in outcomes if o.error] == ["4.png"]


# Memory ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("jobs", "size", "large"), [(1, 1, False), (2, 4, False), (2, 8, True), (3, 8, True)])
def test_so_many_photos_in_memory_and_no_more(
    album: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, jobs: int, size: int, large: bool
) -> None:
    alive = most = 0
    lock = threading.Lock()
    read = batch.read

    def gone() -> None:
        nonlocal alive
        with lock:
            alive -= 1

    def counted(*arguments: Any, **options: Any) -> Photo:
        nonlocal alive, most
        photo = read(*arguments, **options)
        weakref.finalize(photo, gone)
        with lock:
            alive += 1
            most = max(most, alive)
        return photo

    written = batch.write_atomically

    def slowly(path: Path, data: bytes) -> None:
        time.sleep(0.01)
        written(path, data)

    monkeypatch.setattr(batch, "read", counted)
    monkeypatch.setattr(batch, "write_atomically", slowly)
    if large:
        monkeypatch.setattr(batch, "GROUP_PIXELS", 1)  # as if each were a photo of 16 megapixels
    for n in range(9, 24):
        Image.fromarray(np.full((20, 24, 3), n, np.uint8)).save(album / f"{n:02}.png")
    restorer = FakeRestorer(size)
    restorer.on_run = lambda photos: time.sleep(0.003)
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), restorer, jobs=jobs)
    assert failure is None and len(outcomes) == 24
    assert most <= jobs + (1 if large else size) + jobs + 1
    assert alive == 0
    assert not large or set(restorer.groups) == {1}


def test_failures_hold_no_photos(album: Path, tmp_path: Path) -> None:
    restorer, seen = FakeRestorer(2), []

    def refuse(photo: Photo) -> None:
        seen.append(weakref.ref(photo))
        try:
            _ = photo.pixels[99]
        except IndexError as problem:
            raise UsageError("--faces 9 names face 9") from problem

    restorer.on_prepare = refuse
    failure, outcomes = ran(plan([str(album)], str(tmp_path / "out")), restorer)
    assert isinstance(failure, UsageError) and len(outcomes) == 9
    assert not [ref for ref in seen if ref() is not None]


# Interruptions --------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("where", ["on_prepare", "on_run", "on_done"])
def test_ctrl_c_leaves_whole_files_and_a_true_journal(album: Path, tmp_path: Path, where: str, in_place: bool) -> None:
    before = {path.name: path.read_bytes() for path in album.iterdir()}
    out = album if in_place else tmp_path / "out"
    tasks = lambda: plan([str(album)], None if in_place else str(out), in_place=in_place)  # noqa: E731
    restorer, journal, threads = FakeRestorer(2), Journal(tmp_path / "journal", {}), threading.active_count()
    count = 0

    def interrupt(_: Any) -> None:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt

    if where != "on_done":
        setattr(restorer, where, interrupt)
    on_done = interrupt if where == "on_done" else lambda outcome: None
    with pytest.raises(KeyboardInterrupt):
        restore_all(tasks(), lambda: restorer, Writing(), journal=journal, on_done=on_done)  # type: ignore[arg-type, return-value]
    assert threading.active_count() == threads, "a thread still writes"
    journal.close()

    whole(album)
    lines = [json.loads(line) for line in (tmp_path / "journal").read_text().splitlines()]
    done = {Path(line["target"]).name for line in lines if line["state"] == "done"}
    changed = {path.name for path in out.iterdir() if path.read_bytes() != before[path.name]} if in_place else set(whole(out))
    assert changed == done and 0 < len(done) < 9

    failure, outcomes = ran(tasks(), journal=Journal(tmp_path / "journal", {}))
    assert failure is None
    assert {Path(outcome.task.name).name for outcome in outcomes if outcome.skipped} == done
    for n in range(9):
        assert (np.asarray(Image.open(out / f"{n}.png")) == 255 - 20 * n).all(), "restored twice, or not at all"


def test_a_finished_journal_loads_no_network(album: Path, tmp_path: Path) -> None:
    tasks = plan([str(album)], str(tmp_path / "out"))
    ran(tasks, journal=Journal(tmp_path / "journal", {}))

    def never() -> Any:
        raise AssertionError("loaded")

    outcomes: list[Outcome] = []
    assert restore_all(tasks, never, Writing(), journal=Journal(tmp_path / "journal", {}), on_done=outcomes.append) is None
    assert [outcome.skipped for outcome in outcomes] == [True] * 9
    # another place is another wish
    _, outcomes = ran(plan([str(album)], str(tmp_path / "elsewhere")), journal=Journal(tmp_path / "journal", {}))
    assert not any(outcome.skipped for outcome in outcomes) and len(whole(tmp_path / "elsewhere")) == 9


# Places ---------------------------------------------------------------------------------------------------------------------------------


def test_what_a_file_really_is_overwrites_no_original_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """sub/b.jpg is a PNG and so becomes sub/b.png, which is one of the photos: that shows only when it is read."""
    monkeypatch.chdir(tmp_path)
    for name in ("y/sub/b.jpg", "sub/b.png"):
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(name, "PNG")
    original = Path("sub/b.png").read_bytes()
    failure, outcomes = ran(plan(["y", "sub/b.png"], ".", recursive=True))
    (bad,) = [outcome for outcome in outcomes if outcome.error]
    assert isinstance(failure, PartialFailure) and bad.task.name == "y/sub/b.jpg" and "never overwritten" in str(bad.error)
    assert Path("sub/b.png").read_bytes() == original and Path("b.png").is_file()


def test_two_results_that_turn_out_to_be_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("x").mkdir()
    for name in ("x/p.jpg", "x/q.png"):
        Image.fromarray(np.full((9, 9, 3), 7, np.uint8)).save(name, "PNG")
    tasks = [Task("x/p.jpg", Path("x/p.jpg"), stem=Path("out/r")), Task("x/q.png", Path("x/q.png"), target=Path("out/r.png"))]
    failure, outcomes = ran(tasks, jobs=1)
    assert isinstance(failure, PartialFailure)
    (bad,) = [outcome for outcome in outcomes if outcome.error]
    assert bad.error is not None and "it is the result of x/" in bad.error.why and whole(Path("out")) == ["r.png"]


def test_companions_lie_beside_the_result(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64, 3), 90, np.uint8)).save(tmp_path / "a.png")

    class WithFaces(FakeRestorer):
        def finish(self, job: SimpleNamespace) -> Restoration:
            found = super().finish(job)
            crop = np.full((16, 16, 3), 0.5, np.float32)
            found.faces = [face(0, crop=crop, restored=crop * 0.5), face(1, action="left alone", crop=crop)]
            return found

    writing = Writing(compare=True, save_faces=True)
    assert ran(plan([str(tmp_path / "a.png")]), WithFaces(), writing)[0] is None
    assert sorted(whole(tmp_path)) == [
        "00-after.png",
        "00-before.png",
        "01-before.png",
        "a-restored-compare.jpg",
        "a-restored.png",
        "a.png",
    ]
    assert (np.asarray(Image.open(tmp_path / "a-restored-faces" / "00-after.png")) == 64).all()
    assert [task.name for task in plan([str(tmp_path)], recursive=True)] == [str(tmp_path / "a.png")]


def test_an_output_folder_that_cannot_be_made(album: Path, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a file")
    tasks = [Task(str(album / "0.png"), album / "0.png", stem=tmp_path / "out" / "deep" / "0")]
    failure, _ = ran(tasks)
    assert isinstance(failure, OutputError) and "cannot make the folder" in failure.what


# Streams --------------------------------------------------------------------------------------------------------------------------------


class Pipe(io.RawIOBase):
    """Standard output; takes a few bytes at a time, and fails with `fault` after the first."""

    def __init__(self, fault: int = 0) -> None:
        self.fault, self.data = fault, b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        if self.fault and self.data:
            raise OSError(self.fault, os.strerror(self.fault))
        self.data += bytes(data[:50])
        return min(50, len(data))


def streamed(album: Path, monkeypatch: pytest.MonkeyPatch, pipe: Pipe) -> FacewrightError | None:
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO((album / "2.png").read_bytes())))
    monkeypatch.setattr(sys, "stdout", SimpleNamespace(buffer=io.BufferedWriter(pipe)))
    return ran(plan(["-"]))[0]


def test_a_photo_goes_through_a_pipe(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe = Pipe()
    assert streamed(album, monkeypatch, pipe) is None
    assert (np.asarray(Image.open(io.BytesIO(pipe.data))) == 255 - 40).all()


def test_a_pipe_that_ends(album: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    failure = streamed(album, monkeypatch, Pipe(errno.ENOSPC))
    assert isinstance(failure, OutputError) and "standard output" in failure.what and "No space left" in failure.why
    # a reader that went away is no fault of the photo: the command ends quietly
    with pytest.raises(BrokenPipeError):
        streamed(album, monkeypatch, Pipe(errno.EPIPE))
