"""A file appears whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from pathlib import Path

from facewright.errors import OutputError


def write_atomically(target: Path, data: bytes) -> None:
    """Write ``data`` so that ``target`` holds either its old content or all of the new, whatever happens in between.

    A temporary file beside the target is written, synced to the disk and renamed over it. An existing file keeps its permissions; a
    symbolic link stays one, and the file it points to is replaced. Whatever goes wrong before the rename, Ctrl-C included, the
    temporary file is removed; only a killed process leaves one behind (``.facewright-*.part``).
    Raises OutputError (disk full, folder missing or not writable, ...).
    """
    place = Path(os.path.realpath(target))
    part = place.parent / f".facewright-{secrets.token_hex(8)}.part"
    try:
        if place.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        try:
            _write_and_sync(part, data, mode=_mode_of(place))
            os.replace(part, place)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(part)
            raise
    except OSError as fault:
        raise _explained(fault, target, place, len(data)) from fault
    _sync_folder(place.parent)


def _write_and_sync(part: Path, data: bytes, mode: int | None) -> None:
    # Opened by hand: 0o666 lets the umask decide as for any file, where tempfile would make it private.
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        if mode is not None and hasattr(os, "fchmod"):
            os.fchmod(handle, mode)
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _mode_of(place: Path) -> int | None:
    try:
        return stat.S_IMODE(os.stat(place).st_mode)
    except FileNotFoundError:
        return None


def _sync_folder(folder: Path) -> None:
    """Make the rename itself last. Some file systems and Windows cannot; the file is whole all the same, so that is no failure."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _explained(fault: OSError, target: Path, place: Path, size: int) -> OutputError:
    what = f"cannot write {target}"
    if fault.errno in (errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)):
        try:
            free = f"{shutil.disk_usage(place.parent).free:,} bytes free"
        except OSError:
            free = "free space unknown"
        return OutputError(what, f"the disk is full ({size:,} bytes needed, {free})", "free some space, or write to another folder with -o")
    if fault.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return OutputError(what, f"the folder {place.parent} may not be written to", "choose another folder with -o")
    if fault.errno in (errno.ENOENT, errno.ENOTDIR):
        return OutputError(what, f"there is no folder {place.parent}", "make it first, or choose another with -o")
    if fault.errno == errno.EISDIR:
        return OutputError(what, "there is a folder of that name", "choose another name with -o")
    return OutputError(what, fault.strerror or str(fault), "choose another folder with -o")
