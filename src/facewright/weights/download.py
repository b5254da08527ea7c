"""Fetch a large file over a poor line: go on where it broke off, never twice at once, never half a file under the final name.

pooch fetches and checks sums, but begins a broken file again from its first byte; with 350 MB over a poor line that never ends. So the
transfer is ours; HTTP is httpx's and the lock between processes filelock's.
"""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from facewright.errors import ModelError, OutputError
from facewright.weights.cache import VARIABLE

if TYPE_CHECKING:
    import httpx

Progress = Callable[[int, "int | None"], None]

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
LONGEST_PAUSE = 20.0

log = logging.getLogger(__name__)


def download(
    url: str,
    target: Path,
    *,
    mirrors: Sequence[str] = (),
    sha256: str | None = None,
    size: int | None = None,
    check: Callable[[Path], None] | None = None,
    again: bool = False,
    progress: Progress | None = None,
    attempts: int = 5,
    pause: float = 0.5,
) -> Path:
    """Fetch `url` (or the first of `mirrors` that answers) to `target`, which appears whole and checked, or not at all.

    sha256 (or its beginning), size: what the file must be; None is not checked. check: called with the whole file before it gets its
    name; what it raises goes through, and the file is removed. again: fetch even if `target` is here; it is replaced at the end.
    progress: called with (bytes so far, bytes in all or None). attempts: how often in a row a line may break without new ground gained;
    pause: seconds before the second one, doubling after.
    What was fetched stays in `target`.part, and the next call goes on from there, in this process or another. Where another process
    is fetching the same file, waits for it. Raises ModelError (no connection, no such file, wrong content), OutputError (disk).
    """
    with _writable(target), _lock(target):
        fits = target.is_file() and size in (None, target.stat().st_size) and (sha256 is None or file_sha256(target).startswith(sha256))
        if fits and not again:
            return target
        failure: ModelError | None = None
        for each in (url, *mirrors):
            transfer = _Transfer(each, target, sha256, size, check, progress)
            try:
                transfer.run(attempts, pause)
                return target
            except ModelError as error:
                failure = failure or error
        assert failure is not None
        raise failure


def file_sha256(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        _feed(file, digest.update)
    return digest.hexdigest()


class _Again(Exception):
    """This attempt is over, another may succeed; the text says why it ended."""


@dataclass
class _Transfer:
    url: str
    target: Path
    sha256: str | None
    size: int | None
    check: Callable[[Path], None] | None
    progress: Progress | None

    @property
    def part(self) -> Path:
        return self.target.with_name(self.target.name + ".part")

    @property
    def note(self) -> Path:
        """Beside the part: from where it came, and the server's mark of that version of the file."""
        return self.target.with_name(self.target.name + ".part.json")

    def run(self, attempts: int, pause: float) -> None:
        import httpx

        left, best, begun_afresh = attempts, self._have(), self._have() == 0
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        with httpx.Client(follow_redirects=True, timeout=timeout, headers={"User-Agent": "facewright"}) as client:
            while True:
                try:
                    digest = self._fetch(client)
                    break
                except httpx.InvalidURL as error:
                    raise self._failed(f"{self.url} is no address ({error})") from error
                except (httpx.HTTPError, _Again) as error:
                    have = self._have()
                    begun_afresh |= have == 0
                    # Only new ground counts: a server that always begins anew must not keep us for ever.
                    left, best = (attempts, have) if have > best else (left - 1, best)
                    if left < 1 or _hopeless(error):
                        raise self._failed(self._reason(error)) from error
                    wait = min(pause * 2 ** (attempts - left), LONGEST_PAUSE)
                    log.info("%s: %s; again in %.1f s", self.target.name, self._reason(error), wait)
                    time.sleep(wait)
        if self.sha256 and not digest.startswith(self.sha256):
            self._drop()
            if not begun_afresh:
                # The part may have been another version's, or damaged on this disk: once from the first byte.
                return self.run(attempts, pause)
            raise self._failed(f"what came is not the published file (sha256 {digest[:12]}..., not {self.sha256[:12]}...)")
        if self.check:
            try:
                self.check(self.part)
            except Exception:
                self._drop()
                raise
        os.replace(self.part, self.target)
        self.note.unlink(missing_ok=True)

    def _fetch(self, client: httpx.Client) -> str:
        """One request, from where the part ends. Returns the sha256 of the whole part."""
        have, version = self._have(), self._version()
        headers = {"Accept-Encoding": "identity"}
        if have:
            headers |= {"Range": f"bytes={have}-"} | ({"If-Range": version} if version else {})
        with client.stream("GET", self.url, headers=headers) as answer:
            if answer.status_code == 416 and _total(answer) == have:
                self._check_size(have)
                return file_sha256(self.part)
            start = self._start(answer, have)
            length = answer.headers.get("Content-Length")
            total = start + int(length) if length else None
            self._check_offer(answer, start, total)
            if start == 0:
                self._remember(answer)
            return self._receive(answer, start, total)

    def _start(self, answer: httpx.Response, have: int) -> int:
        """The byte at which the answer's body begins: where the part ends, or 0 where the server sends the file anew."""
        status = answer.status_code
        if status == 200:
            return 0
        if status == 206:
            begins = re.match(r"bytes (\d+)-", answer.headers.get("Content-Range", ""))
            if begins and int(begins[1]) == have:
                return have
            self._drop()
            raise _Again("the server went on from another place than asked")
        if status == 416:
            self._drop()
            raise _Again("the server has a shorter file than the part that is here")
        if status == 429 or status >= 500:
            raise _Again(f"{_host(self.url)} answers {status} {answer.reason_phrase}")
        raise self._failed(f"{_host(self.url)} answers {status} {answer.reason_phrase}")

    def _check_offer(self, answer: httpx.Response, start: int, total: int | None) -> None:
        if answer.headers.get("Content-Encoding", "identity") != "identity":
            raise self._failed(f"{_host(self.url)} sends the file packed")
        if self.size is not None and total is not None and total != self.size:
            self._drop()
            raise self._failed(f"{_host(self.url)} offers {total:,} bytes, the published file has {self.size:,}")
        needed = (total or self.size or 0) - start
        free = shutil.disk_usage(self.part.parent).free + (self._have() if start == 0 else 0)
        if needed > free:
            raise OutputError(
                f"cannot download {self.target.name}",
                f"it needs {needed / 1e6:,.0f} MB more and {self.part.parent} has {free / 1e6:,.0f} MB free",
                f"make room, or let {VARIABLE} name a folder on another disk",
            )

    def _receive(self, answer: httpx.Response, start: int, total: int | None) -> str:
        digest = hashlib.sha256()
        with self.part.open("r+b" if start else "wb") as file:
            if start:
                _feed(file, digest.update)
            done = start
            self._show(done, total)
            # As it comes, not in blocks: what waits for a block to fill is lost where the line breaks.
            for chunk in answer.iter_raw():
                file.write(chunk)
                digest.update(chunk)
                done += len(chunk)
                self._show(done, total)
            file.flush()
            os.fsync(file.fileno())
        if total is not None and done != total:
            raise _Again(f"the connection ended after {done:,} of {total:,} bytes")
        self._check_size(done)
        return digest.hexdigest()

    def _check_size(self, done: int) -> None:
        if self.size is not None and done != self.size:
            self._drop()
            raise self._failed(f"{done:,} bytes came, the published file has {self.size:,}")

    # What is here already --------------------------------------------------------------------------------------------------------------

    def _have(self) -> int:
        """Bytes of the part that may be gone on with: those of the same version, or of any where the sum at the end will tell."""
        if not self.part.is_file():
            return 0
        return self.part.stat().st_size if self.sha256 or self._version() else 0

    def _version(self) -> str | None:
        try:
            note = json.loads(self.note.read_text(encoding="utf-8"))
            return str(note["version"]) if note["url"] == self.url and note["version"] else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def _remember(self, answer: httpx.Response) -> None:
        tag = answer.headers.get("ETag")
        # A weak tag promises the same meaning, not the same bytes: it must not be used to go on (RFC 9110, 13.1.5).
        version = tag if tag and not tag.startswith("W/") else answer.headers.get("Last-Modified")
        self.part.unlink(missing_ok=True)
        self.note.write_text(json.dumps({"url": self.url, "version": version}), encoding="utf-8")

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    # What is said ----------------------------------------------------------------------------------------------------------------------

    def _show(self, done: int, total: int | None) -> None:
        if self.progress:
            self.progress(done, total if total is not None else self.size)

    def _reason(self, error: Exception) -> str:
        import httpx

        host, said = _host(self.url), re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
        if isinstance(error, httpx.ConnectTimeout):
            return f"{host} does not answer"
        if isinstance(error, httpx.TimeoutException):
            return f"{host} fell silent for {READ_SECONDS:.0f} s"
        if isinstance(error, httpx.ProxyError):
            return f"the proxy refuses ({said})"
        if isinstance(error, httpx.ConnectError):
            return f"no connection to {host} ({said})"
        if isinstance(error, httpx.RemoteProtocolError | httpx.ReadError):
            return f"the connection to {host} broke off"
        return said

    def _failed(self, why: str) -> ModelError:
        hint = f"check the network and try again, or download {self.url} by hand to {self.target}"
        return ModelError(f"cannot download {self.target.name}", why, hint)


def _total(answer: httpx.Response) -> int | None:
    size = re.match(r"bytes \*/(\d+)$", answer.headers.get("Content-Range", ""))
    return int(size[1]) if size else None


def _hopeless(error: Exception) -> bool:
    """Whether waiting will not help: a certificate that does not fit, a circle of redirections, an address of another kind."""
    import httpx

    return "CERTIFICATE" in str(error).upper() or isinstance(error, httpx.TooManyRedirects | httpx.UnsupportedProtocol)


def _host(url: str) -> str:
    return urlsplit(url).hostname or url


def _feed(file: BinaryIO, take: Callable[[bytes], Any]) -> None:
    while chunk := file.read(1 << 20):
        take(chunk)


@contextmanager
def _writable(target: Path) -> Iterator[None]:
    """Make the folder; say in one sentence where a disk is full or a folder closed."""
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        why = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        raise OutputError(
            f"cannot write {target.name} into {target.parent}",
            why,
            f"make room or allow writing there, or let {VARIABLE} name another folder",
        ) from error


@contextmanager
def _lock(target: Path) -> Iterator[None]:
    """One process at a time. The lock is the system's: it goes with its process, so that a killed one leaves nothing to clear."""
    from filelock import FileLock, Timeout

    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        log.warning("another facewright is downloading %s: waiting for it", target.name)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
