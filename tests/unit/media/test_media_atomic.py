"""A file is there whole or as it was: faults injected at every step of writing."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from media_samples import scene

from facewright.errors import OutputError
from facewright.media import Origin, Photo, read, write, write_atomically

OLD, NEW = b"the old content", b"the new content " * 1000


def failing_after(real: Any, calls: int, fault: BaseException) -> Any:
    """A function that works ``calls`` times and then raises ``fault`` for ever."""
    left = [calls]

    def call(*args: Any, **kwargs: Any) -> Any:
        if left[0] <= 0:
            raise fault
        left[0] -= 1
        return real(*args, **kwargs)

    return call


FAULTS = [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()]


@pytest.mark.parametrize("fault", FAULTS, ids=["full", "io", "ctrl-c"])
@pytest.mark.parametrize("step", ["open", "write", "fsync", "replace", "close"])
@pytest.mark.parametrize("existed", [False, True])
def test_a_fault_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException, step: str, existed: bool
) -> None:
    target = tmp_path / "photo.png"
    if existed:
        target.write_bytes(OLD)
    real = getattr(os, step)
    with monkeypatch.context() as patch:
        if step == "close":
            # The handle must really be closed, else the test itself would leak it.
            def closing(handle: int) -> None:
                real(handle)
                raise fault

            patch.setattr(os, step, closing)
        else:
            patch.setattr(os, step, failing_after(real, 0, fault))
        with pytest.raises(OutputError if isinstance(fault, OSError) else KeyboardInterrupt) as caught:
            write_atomically(target, NEW)
    assert [path.name for path in tmp_path.iterdir()] == (["photo.png"] if existed else [])
    if existed:
        assert target.read_bytes() == OLD
    if isinstance(fault, OSError) and fault.errno == errno.ENOSPC:
        assert "the disk is full" in str(caught.value) and "bytes free" in str(caught.value)


def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "photo.png"
    target.write_bytes(OLD)
    real = os.write
    full = failing_after(lambda handle, data: real(handle, bytes(data)[:100]), 3, OSError(errno.ENOSPC, "No space left on device"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        with pytest.raises(OutputError, match="full"):
            write(Photo(scene(200, 200), None, Origin()), target)
    assert target.read_bytes() == OLD and len(list(tmp_path.iterdir())) == 1


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, bytes(data)[:7]))
    write_atomically(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_data_are_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    order: list[str] = []
    for step in ("write", "fsync", "replace"):
        real = getattr(os, step)
        monkeypatch.setattr(os, step, lambda *args, real=real, step=step: (order.append(step), real(*args))[1])
    write_atomically(tmp_path / "a", NEW)
    assert order == ["write", "fsync", "replace", "fsync"]


def test_a_folder_that_cannot_be_synced_is_no_failure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", failing_after(os.fsync, 1, OSError(errno.EINVAL, "Invalid argument")))
    write_atomically(tmp_path / "a", NEW)
    assert (tmp_path / "a").read_bytes() == NEW


def test_an_encoder_that_fails_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    def broken(*_: Any, **__: Any) -> None:
        raise OSError("encoder error -2 when writing image file")

    monkeypatch.setattr(Image.Image, "save", broken)
    with pytest.raises(OutputError, match="encoder error"):
        write(Photo(scene(), None, Origin()), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "code, words",
    [(errno.EACCES, "may not be written to"), (errno.EROFS, "may not be written to"), (errno.ENAMETOOLONG, "too long")],
)
def test_reasons_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, words: str) -> None:
    monkeypatch.setattr(os, "open", failing_after(os.open, 0, OSError(code, os.strerror(code))))
    with pytest.raises(OutputError, match=words) as caught:
        write_atomically(tmp_path / "a.png", NEW)
    assert caught.value.exit_code == 5 and caught.value.what_to_do


def test_no_folder_or_a_folder_in_the_way(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="there is no folder"):
        write_atomically(tmp_path / "gone" / "a.png", NEW)
    (tmp_path / "file").write_bytes(OLD)
    with pytest.raises(OutputError, match="there is no folder"):
        write_atomically(tmp_path / "file" / "a.png", NEW)
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(OutputError, match="a folder of that name"):
        write_atomically(tmp_path / "folder.png", NEW)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.png"]


@pytest.mark.skipif(os.name != "posix", reason="permissions and links as on POSIX")
def test_permissions_and_links_stay(tmp_path: Path) -> None:
    target = tmp_path / "photo.png"
    target.write_bytes(OLD)
    target.chmod(0o640)
    link = tmp_path / "link.png"
    link.symlink_to(target)
    write_atomically(link, NEW)
    assert link.is_symlink() and target.read_bytes() == NEW
    assert stat.S_IMODE(target.stat().st_mode) == 0o640
    before = os.umask(0o027)
    try:
        write_atomically(tmp_path / "new.png", NEW)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new.png").stat().st_mode) == 0o640


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX")
def test_a_killed_process_never_leaves_half_a_file(tmp_path: Path) -> None:
    """A second process overwrites one file for ever, with one letter at a time, and is killed."""
    target = tmp_path / "letters"
    code = (
        "import sys; from pathlib import Path; from facewright.media import write_atomically\n"
        "target = Path(sys.argv[1])\n"
        "while True:\n"
        "    for letter in b'abcdefgh': write_atomically(target, bytes([letter]) * 300_000)\n"
    )
    path = os.pathsep.join(entry for entry in sys.path if entry)
    process = subprocess.Popen([sys.executable, "-c", code, str(target)], env={**os.environ, "PYTHONPATH": path})
    try:
        until = time.monotonic() + 20
        while not target.exists() and time.monotonic() < until:
            time.sleep(0.01)
        for _ in range(50):
            data = target.read_bytes()
            assert len(data) == 300_000 and len(set(data)) == 1
        time.sleep(0.05)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    data = target.read_bytes()
    assert len(data) == 300_000 and len(set(data)) == 1


def test_written_photo_is_the_photo(tmp_path: Path) -> None:
    photo = Photo(scene(), None, Origin())
    for name in ("a.png", "a.tif", "a.bmp"):
        write(photo, tmp_path / name)
        assert (read(tmp_path / name).pixels == photo.pixels).all()
    write(photo, tmp_path / "by_format", format="tiff")
    assert read(tmp_path / "by_format").origin.format == "TIFF"
    assert len(list(tmp_path.iterdir())) == 4
