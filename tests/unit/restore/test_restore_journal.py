"""Nothing done twice, nothing missed: what the journal knows after every kind of interruption."""

from __future__ import annotations

import errno
import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from facewright.errors import InputError, OutputError
from facewright.restore.journal import Journal

CHOICES = {"model": "m", "strength": 1.0}
RESULT = b"the restored picture"


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    path = tmp_path / "a.jpg"
    path.write_bytes(b"the old picture")
    return path


def book(tmp_path: Path, **choices: Any) -> Journal:
    return Journal(tmp_path / "journal.jsonl", CHOICES | choices)


def known(journal: Journal, source: Path, target: Path) -> dict[str, Any] | None:
    found = journal.report_of(source, lambda path: path == target)
    journal.close()
    return found


def finished(tmp_path: Path, source: Path, target: Path, **choices: Any) -> None:
    journal = book(tmp_path, **choices)
    journal.writing(source, target, RESULT, {"faces": 1})
    target.write_bytes(RESULT)
    journal.done(source, target, {"faces": 1})
    journal.close()


def test_what_is_done_is_known(tmp_path: Path, photo: Path) -> None:
    target = tmp_path / "out.jpg"
    assert known(book(tmp_path), photo, target) is None
    finished(tmp_path, photo, target)
    entry = known(book(tmp_path), photo, target)
    assert entry is not None and entry["report"] == {"faces": 1} and entry["target"] == str(target)
    # the order of the settings does not count, nor how the photo is named
    os.chdir(tmp_path)
    assert known(Journal(Path("journal.jsonl"), dict(reversed(CHOICES.items()))), Path("a.jpg"), target) == entry


@pytest.mark.parametrize("change", ["settings", "content", "time", "result gone", "elsewhere", "photo gone"])
def test_what_has_changed_is_done_again(tmp_path: Path, photo: Path, change: str) -> None:
    target = tmp_path / "out.jpg"
    finished(tmp_path, photo, target)
    if change == "content":
        status = photo.stat()
        photo.write_bytes(b"another, longer picture")
        os.utime(photo, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif change == "time":
        os.utime(photo, ns=(0, 0))
    elif change == "result gone":
        target.unlink()
    elif change == "photo gone":
        photo.unlink()
    journal = book(tmp_path, strength=0.5) if change == "settings" else book(tmp_path)
    assert known(journal, photo, tmp_path / "other.jpg" if change == "elsewhere" else target) is None


@pytest.mark.parametrize("in_place", [False, True])
@pytest.mark.parametrize("when", ["before the result", "after the result"])
def test_killed_between_the_two_lines(tmp_path: Path, photo: Path, in_place: bool, when: str) -> None:
    target = photo if in_place else tmp_path / "out.jpg"
    journal = book(tmp_path)
    journal.writing(photo, target, RESULT, {"faces": 1})
    if when == "after the result":
        target.write_bytes(RESULT)
    # no close: a killed process closes nothing
    found = known(book(tmp_path), photo, target)
    assert (found is not None) == (when == "after the result")
    assert (known(book(tmp_path), photo, target) is not None) == (when == "after the result")
    states = [json.loads(line)["state"] for line in (tmp_path / "journal.jsonl").read_text().splitlines()]
    assert states == (["writing", "done"] if found else ["writing"])


def test_a_photo_changed_after_the_kill_is_done_again(tmp_path: Path, photo: Path) -> None:
    target = tmp_path / "out.jpg"
    book(tmp_path).writing(photo, target, RESULT, {})
    target.write_bytes(RESULT)
    photo.write_bytes(b"a better scan of the old picture")
    assert known(book(tmp_path), photo, target) is None


def test_a_result_that_is_another_s_is_not_taken_for_ours(tmp_path: Path, photo: Path) -> None:
    target = tmp_path / "out.jpg"
    book(tmp_path).writing(photo, target, RESULT, {})
    target.write_bytes(b"something that was there before")
    assert known(book(tmp_path), photo, target) is None


@pytest.mark.parametrize("state", ["done", "writing"])
def test_in_place_is_never_twice_whatever_the_settings(tmp_path: Path, photo: Path, state: str) -> None:
    if state == "done":
        finished(tmp_path, photo, photo)
    else:
        book(tmp_path).writing(photo, photo, RESULT, {})
        photo.write_bytes(RESULT)
    assert known(book(tmp_path, strength=0.3), photo, photo) is not None
    # until another photo is put there
    photo.write_bytes(b"a new scan")
    assert known(book(tmp_path), photo, photo) is None


# Torn, foreign and unwritable files -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cut", [1, 5, 20, 60])
def test_a_torn_line_costs_that_line_only(tmp_path: Path, photo: Path, cut: int) -> None:
    other = tmp_path / "b.jpg"
    other.write_bytes(b"b")
    finished(tmp_path, photo, tmp_path / "out.jpg")
    whole = (tmp_path / "journal.jsonl").read_bytes()
    finished(tmp_path, other, tmp_path / "out-b.jpg")
    line = (tmp_path / "journal.jsonl").read_bytes()[len(whole) :]
    (tmp_path / "journal.jsonl").write_bytes(whole + line[:cut])
    assert known(book(tmp_path), photo, tmp_path / "out.jpg") is not None
    assert known(book(tmp_path), other, tmp_path / "out-b.jpg") is None
    # what is added after it stands on a line of its own
    finished(tmp_path, other, tmp_path / "out-b.jpg")
    assert known(book(tmp_path), other, tmp_path / "out-b.jpg") is not None
    assert known(book(tmp_path), photo, tmp_path / "out.jpg") is not None


@pytest.mark.parametrize("length", [1, 8, 11, 40])
def test_killed_in_the_very_first_line(tmp_path: Path, photo: Path, length: int) -> None:
    finished(tmp_path, photo, tmp_path / "out.jpg")
    path = tmp_path / "journal.jsonl"
    path.write_bytes(path.read_bytes()[:length])
    assert known(book(tmp_path), photo, tmp_path / "out.jpg") is None
    finished(tmp_path, photo, tmp_path / "out.jpg")
    assert known(book(tmp_path), photo, tmp_path / "out.jpg") is not None


@pytest.mark.parametrize(
    "content", [b"dear diary\n", b"\xff\xd8\xff\xe0 a photo", b'{"name": "x"}\n', b"[1, 2]\n", b'{\n  "name": 1\n}\n', b'{"source": 3}\n']
)
def test_a_file_that_is_something_else_stays_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_bytes(content)
    if content == b'{"source": 3}\n':
        book(tmp_path).close()  # like a journal of another version: nothing in it counts
    else:
        with pytest.raises(InputError, match="is not a journal"):
            book(tmp_path)
    assert path.read_bytes() == content


def test_a_journal_that_cannot_be(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot read the journal"):
        Journal(tmp_path, CHOICES)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the journal"):
        Journal(tmp_path / "file" / "journal.jsonl", CHOICES)


def test_a_full_disk_is_told_and_what_was_noted_stays(tmp_path: Path, photo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    finished(tmp_path, photo, tmp_path / "out.jpg")
    journal = book(tmp_path)

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="No space left"):
        patch.setattr(os, "fsync", full)
        journal.writing(photo, tmp_path / "second.jpg", RESULT, {})
    assert journal.report_of(photo, lambda path: path.name == "out.jpg") is not None
    journal.close()


def test_a_photo_that_vanishes_is_told(tmp_path: Path, photo: Path) -> None:
    journal = book(tmp_path)
    photo.unlink()
    with pytest.raises(OutputError, match=r"cannot note .*a\.jpg"):
        journal.done(photo, tmp_path / "out.jpg", {})


def test_threads_share_a_journal(tmp_path: Path) -> None:
    journal, photos = book(tmp_path), [tmp_path / f"{n}.jpg" for n in range(24)]
    for path in photos:
        path.write_bytes(b"x")

    def work(mine: list[Path]) -> None:
        for path in mine:
            journal.writing(path, path.with_suffix(".png"), RESULT, {"text": "é" * 3000})
            path.with_suffix(".png").write_bytes(RESULT)
            journal.done(path, path.with_suffix(".png"), {})

    threads = [threading.Thread(target=work, args=(photos[n::6],)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    journal.close()
    lines = (tmp_path / "journal.jsonl").read_text().splitlines()
    assert len([json.loads(line) for line in lines]) == 48
    assert all(known(book(tmp_path), path, path.with_suffix(".png")) for path in photos)
