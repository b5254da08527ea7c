"""The private folder: for this user alone, as long as the service lives, and no larger than it may be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from facewright.app import folder as module
from facewright.app.folder import PREFIX, PrivateFolder
from facewright.app.words import Refused
from facewright.errors import OutputError


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    return tmp_path


@pytest.fixture
def folder() -> PrivateFolder:
    folder = PrivateFolder(1000)
    folder.open()
    return folder


def test_nobody_else_looks_in(folder: PrivateFolder, temporary: Path) -> None:
    assert folder.path.parent == temporary and folder.path.stat().st_mode & 0o777 == 0o700
    folder.put(b"private")
    folder.close()
    assert list(temporary.iterdir()) == []
    folder.close()


def test_names_say_nothing_and_are_never_the_same(folder: PrivateFolder) -> None:
    names = {folder.new().name for _ in range(200)}
    assert len(names) == 200 and all(len(name) == 32 and set(name) <= set("0123456789abcdef") for name in names)


def test_what_dead_services_left_is_removed_and_nothing_else(temporary: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as alive:
        with subprocess.Popen([sys.executable, "-c", ""]) as dead:
            dead.wait()
        left = temporary / f"{PREFIX}{dead.pid}-abc"
        stays = [temporary / name for name in (f"{PREFIX}{alive.pid}-abc", f"{PREFIX}notes", "facewright", f"{PREFIX}")]
        for each in (left, *stays):
            each.mkdir()
            (each / "photo").write_bytes(b"x")
        target = temporary / "elsewhere"
        target.mkdir()
        (target / "photo").write_bytes(b"x")
        (temporary / f"{PREFIX}{dead.pid}-link").symlink_to(target)
        folder = PrivateFolder(1)
        folder.open()
        assert not left.exists()
        assert all((each / "photo").is_file() for each in (*stays, target))
        folder.close()
        alive.communicate(b"\n")


def test_there_is_room_for_so_much_and_no_more(folder: PrivateFolder) -> None:
    path = folder.put(bytes(600))
    folder.make_room(400)
    with pytest.raises(Refused) as refusal:
        folder.make_room(401)
    assert refusal.value.status == 507 and refusal.value.retry
    with pytest.raises(Refused):
        folder.put(bytes(401))
    assert list(folder.path.iterdir()) == [path]
    path.unlink()
    folder.make_room(1000)


def test_some_of_the_disk_stays_free(folder: PrivateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.shutil, "disk_usage", lambda path: SimpleNamespace(free=module.RESERVE + 99))
    folder.make_room(99)
    with pytest.raises(Refused):
        folder.make_room(100)


def test_a_result_is_there_whole_or_not_at_all(folder: PrivateFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.put(b"before")
    real = Path.write_bytes

    def breaks(self: Path, data: bytes) -> int:
        real(self, data[:2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", breaks)
    with pytest.raises(Refused, match="No space left"):
        folder.put(b"after")
    assert path.read_bytes() == b"before" and list(folder.path.iterdir()) == [path]


def test_a_folder_that_is_gone_is_refused_in_words(folder: PrivateFolder) -> None:
    folder.close()
    with pytest.raises(Refused) as refusal:
        folder.put(b"x")
    assert refusal.value.status == 507


@pytest.mark.skipif(os.name != "posix", reason="folders have no such rights there")
def test_where_no_folder_can_be_made_it_says_so(temporary: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(temporary / "none"))
    with pytest.raises(OutputError) as refusal:
        PrivateFolder(1).open()
    assert "none" in refusal.value.what and "TMPDIR" in refusal.value.what_to_do
