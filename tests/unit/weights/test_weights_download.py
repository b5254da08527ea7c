"""Downloads from a real server on this machine that misbehaves on purpose."""

from __future__ import annotations

import hashlib
import http.server
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from facewright.errors import ModelError, OutputError
from facewright.weights.download import download, file_sha256

CONTENT = random.Random(7).randbytes(600_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()


@dataclass
class Manners:
    """How the server behaves, and what it saw."""

    content: bytes = CONTENT
    etag: str | None = '"one"'
    cut_after: list[int] = field(default_factory=list)  # bytes of the body after which the next answers break off
    ranges: bool = True
    shifted: bool = False  # goes on from another byte than asked
    statuses: list[int] = field(default_factory=list)  # answered first
    slow: float = 0.0  # seconds after each 20 kB
    requests: list[dict[str, str]] = field(default_factory=list)
    sent: int = 0


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    manners: Manners

    def do_GET(self) -> None:
        manners = self.manners
        manners.requests.append(dict(self.headers.items()))
        if self.path.startswith("/elsewhere"):
            return self.answer(302, {"Location": "/file"}, b"")
        if manners.statuses:
            return self.answer(manners.statuses.pop(0), {}, b"not now")
        content, start, status = manners.content, 0, 200
        asked = self.headers.get("Range", "")
        fresh = self.headers.get("If-Range") in (None, manners.etag)
        headers = {"ETag": manners.etag} if manners.etag else {}
        if asked and manners.ranges and fresh:
            start, status = int(asked.removeprefix("bytes=").rstrip("-")), 206
            if start >= len(content):
                return self.answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            start += 1 if manners.shifted else 0
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        self.answer(status, headers, content[start:], manners.cut_after.pop(0) if manners.cut_after else None)

    def answer(self, status: int, headers: dict[str, str], body: bytes, cut: int | None = None) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        body = body[:cut]
        for start in range(0, len(body), 20_000):
            try:
                self.wfile.write(body[start : start + 20_000])
            except OSError:  # the client was killed
                return
            self.manners.sent += len(body[start : start + 20_000])
            time.sleep(self.manners.slow)
        if cut is not None:
            self.wfile.flush()
            self.close_connection = True
            self.connection.shutdown(2)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients are interrupted and killed here."""


@pytest.fixture
def manners(monkeypatch: pytest.MonkeyPatch) -> Manners:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    return Manners()


@pytest.fixture
def url(manners: Manners) -> Iterator[str]:
    server = Server(("127.0.0.1", 0), type("Ours", (Handler,), {"manners": manners}))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/file"
    server.shutdown()
    server.server_close()


@pytest.fixture
def target(tmp_path: Path) -> Path:
    return tmp_path / "models" / "face.pth"


def leftovers(target: Path) -> set[str]:
    """What lies in the folder beside the file itself and its lock."""
    return {path.name for path in target.parent.iterdir()} - {target.name, f".{target.name}.lock"}


def fetch(url: str, target: Path, **options: Any) -> Path:
    return download(url, target, **{"pause": 0.01, **options})


def interrupt(url: str, target: Path, **options: Any) -> int:
    """Ctrl-C in the middle. Returns how many bytes are kept."""

    def press(done: int, total: int | None) -> None:
        if done >= 300_000:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(url, target, progress=press, **options)
    assert not target.exists()
    return target.with_name("face.pth.part").stat().st_size


def test_fetches_whole_and_checked(url: str, target: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    assert fetch(url, target, sha256=SHA256, size=len(CONTENT), progress=lambda *now: seen.append(now)) == target
    assert target.read_bytes() == CONTENT
    assert leftovers(target) == set()
    assert seen[0] == (0, len(CONTENT)) and seen[-1] == (len(CONTENT), len(CONTENT)) and seen == sorted(seen)


def test_a_file_that_is_here_is_not_fetched_again(url: str, target: Path, manners: Manners) -> None:
    fetch(url, target, sha256=SHA256)
    fetch(url, target, sha256=SHA256)
    assert len(manners.requests) == 1
    target.write_bytes(b"damaged")
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


def test_follows_redirections(url: str, target: Path) -> None:
    assert fetch(url.replace("/file", "/elsewhere"), target, sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_goes_on_where_the_line_broke(url: str, target: Path, manners: Manners, sha256: str | None) -> None:
    manners.cut_after = [100_000, 1, 250_000]
    assert fetch(url, target, sha256=sha256).read_bytes() == CONTENT
    ranges = [request.get("Range") for request in manners.requests]
    assert ranges[0] is None and len(ranges) == 4
    starts = [int(str(each).removeprefix("bytes=").rstrip("-")) for each in ranges[1:]]
    assert starts == sorted(starts) and starts[-1] > 200_000
    assert {request.get("If-Range") for request in manners.requests[1:]} == {'"one"'}
    assert manners.sent < 1.1 * len(CONTENT)


def test_ctrl_c_keeps_what_came(url: str, target: Path, manners: Manners) -> None:
    kept = interrupt(url, target, sha256=SHA256)
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT
    assert manners.requests[-1]["Range"] == f"bytes={kept}-" and kept >= 300_000


def test_without_a_version_or_a_sum_it_begins_again(url: str, target: Path, manners: Manners) -> None:
    manners.etag, manners.cut_after = None, [300_000]
    assert fetch(url, target).read_bytes() == CONTENT
    assert [request.get("Range") for request in manners.requests] == [None, None]


def test_a_weak_tag_is_no_version(url: str, target: Path, manners: Manners) -> None:
    manners.etag, manners.cut_after = 'W/"one"', [300_000]
    assert fetch(url, target).read_bytes() == CONTENT
    assert "Range" not in manners.requests[1]


def test_a_server_that_knows_no_ranges(url: str, target: Path, manners: Manners) -> None:
    manners.ranges, manners.cut_after = False, [100_000, 200_000]
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


def test_a_server_that_knows_no_ranges_and_always_breaks_off_ends(url: str, target: Path, manners: Manners) -> None:
    manners.ranges, manners.cut_after = False, [300_000, 200_000] * 50
    with pytest.raises(ModelError, match="broke off"):
        fetch(url, target, sha256=SHA256, attempts=3)
    assert len(manners.requests) <= 8
    assert not target.exists()


def test_a_new_version_between_two_halves_is_not_glued_on(url: str, target: Path, manners: Manners) -> None:
    interrupt(url, target)
    manners.content, manners.etag = bytes(len(CONTENT)), '"two"'
    assert fetch(url, target).read_bytes() == manners.content


def test_an_answer_that_goes_on_from_another_byte(url: str, target: Path, manners: Manners) -> None:
    manners.shifted, manners.cut_after = True, [300_000]
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


def test_a_part_damaged_on_the_disk_is_dropped_once(url: str, target: Path, manners: Manners) -> None:
    kept = interrupt(url, target, sha256=SHA256)
    target.with_name("face.pth.part").write_bytes(bytes(kept))
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT
    assert [request.get("Range") for request in manners.requests][-2:] == [f"bytes={kept}-", None]


@pytest.mark.parametrize("length", [len(CONTENT), len(CONTENT) + 5])
def test_a_part_as_long_as_the_file_or_longer(url: str, target: Path, length: int) -> None:
    target.parent.mkdir()
    target.with_name("face.pth.part").write_bytes((CONTENT + bytes(5))[:length])
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT
    assert leftovers(target) == set()


def test_wrong_bytes_are_refused_and_removed(url: str, target: Path, manners: Manners) -> None:
    manners.content = CONTENT[:-1] + b"?"
    with pytest.raises(ModelError, match="not the published file") as caught:
        fetch(url, target, sha256=SHA256)
    assert not target.exists() and leftovers(target) == set()
    assert url in caught.value.what_to_do and str(target) in caught.value.what_to_do
    assert len(manners.requests) == 1


def test_wrong_size_is_refused_before_a_byte_is_fetched(url: str, target: Path, manners: Manners) -> None:
    with pytest.raises(ModelError, match=r"offers 600,000 bytes, the published file has 599,999"):
        fetch(url, target, size=len(CONTENT) - 1)
    assert not target.exists() and leftovers(target) == set()


def test_not_found_is_said_at_once(url: str, target: Path, manners: Manners) -> None:
    manners.statuses = [404] * 9
    with pytest.raises(ModelError, match=r"cannot download face\.pth: 127\.0\.0\.1 answers 404"):
        fetch(url, target, sha256=SHA256)
    assert len(manners.requests) == 1 and not target.exists()


def test_a_busy_server_is_asked_again(url: str, target: Path, manners: Manners) -> None:
    manners.statuses = [503, 429, 500]
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT


def test_a_mirror_helps_out(url: str, target: Path, manners: Manners) -> None:
    manners.statuses = [404]
    assert fetch(url, target, mirrors=[url + "?mirror"], sha256=SHA256).read_bytes() == CONTENT


@pytest.mark.parametrize("address", ["http://127.0.0.1:9/file", "http://no-such-host.invalid/file"])
def test_no_connection_says_what_to_do(target: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch, address: str) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    with pytest.raises(ModelError, match="cannot download face.pth: no connection to") as caught:  # noqa: RUF043
        fetch(address, target, attempts=2)
    assert "by hand" in caught.value.what_to_do and "\n" not in str(caught.value) and "Errno" not in str(caught.value)


def test_a_full_disk_is_said_before_it_is_full(url: str, target: Path, manners: Manners, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage._replace(free=500_000))
    with pytest.raises(OutputError, match="it needs 1 MB more"):
        fetch(url, target, sha256=SHA256)
    assert not target.exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_disk_that_fills_up_on_the_way(url: str, target: Path) -> None:
    target.parent.mkdir()
    target.with_name("face.pth.part").symlink_to("/dev/full")
    original = Path.unlink
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Path, "unlink", lambda self, missing_ok=False: None if self.name.endswith(".part") else original(self, missing_ok))
        with pytest.raises(OutputError, match="the disk is full"):
            fetch(url, target)
    assert not target.exists()


def test_a_folder_that_cannot_be_made(url: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"cannot write face\.pth") as caught:
        fetch(url, tmp_path / "file" / "face.pth")
    assert "FACEWRIGHT_CACHE" in caught.value.what_to_do


# More than one process -----------------------------------------------------------------------------------------------------------------

COMMAND = """
import sys
from pathlib import Path
from facewright.weights.download import download
download(sys.argv[1], Path(sys.argv[2]), sha256=sys.argv[3], pause=0.01)
"""


def start(url: str, target: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COMMAND, url, str(target), SHA256], stderr=subprocess.PIPE)


def test_two_processes_at_once_download_once(url: str, target: Path, manners: Manners) -> None:
    manners.slow = 0.02
    processes = [start(url, target), start(url, target)]
    errors = [process.communicate(timeout=30)[1].decode() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], errors
    assert target.read_bytes() == CONTENT
    assert len(manners.requests) == 1


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
def test_a_killed_download_is_gone_on_with(url: str, target: Path, manners: Manners) -> None:
    manners.slow = 0.05
    process = start(url, target)
    part = target.with_name("face.pth.part")
    until = time.monotonic() + 20
    while not (part.exists() and part.stat().st_size >= 100_000):
        assert time.monotonic() < until and process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert not target.exists()
    have = part.stat().st_size
    manners.slow = 0
    assert fetch(url, target, sha256=SHA256).read_bytes() == CONTENT
    assert file_sha256(target) == SHA256
    assert manners.requests[-1]["Range"] == f"bytes={have}-"
    assert leftovers(target) == set()
