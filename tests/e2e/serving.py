"""`facewright serve` as a process of its own, on a free port, and a client of it."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from driving import ENVIRONMENT, command
from numpy.typing import NDArray
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

PATIENCE = 90.0


@dataclass
class Served:
    """A service that runs. temporary: its TMPDIR; errors: what it says on stderr."""

    process: subprocess.Popen[str]
    address: str
    temporary: Path
    errors_file: Path
    client: httpx.Client

    @property
    def port(self) -> int:
        return int(self.address.rstrip("/").rsplit(":", 1)[1])

    @property
    def errors(self) -> str:
        return self.errors_file.read_text(encoding="utf-8")

    @property
    def folder(self) -> Path:
        """The private one."""
        (found,) = self.temporary.glob("facewright-serve-*")
        return found

    @property
    def files(self) -> list[Path]:
        return sorted(self.folder.iterdir())

    @property
    def health(self) -> dict[str, Any]:
        return self.client.get("/healthz").json()

    def measure(self, name: str, **labels: str) -> float:
        """The sum over the labels that are not named."""
        families = text_string_to_metric_families(self.client.get("/metrics").text)
        samples = [sample for family in families for sample in family.samples if sample.name == name]
        return sum(sample.value for sample in samples if labels.items() <= sample.labels.items())

    def restore(self, photo: bytes, kind: str = "image/jpeg", **query: Any) -> httpx.Response:
        """The photo as the body."""
        return self.client.post("/v1/restore", content=photo, headers={"Content-Type": kind}, params=query)

    def job(self, *photos: tuple[str, bytes], **options: Any) -> dict[str, Any]:
        """A new one with these photos."""
        parts = [("photo", (name, data)) for name, data in photos]
        answer = self.client.post("/v1/jobs", files=[*parts, ("options", (None, json.dumps(options)))])
        assert answer.status_code == 201, answer.text
        return answer.json()

    def show(self, job: str) -> dict[str, Any]:
        answer = self.client.get(f"/v1/jobs/{job}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    def ended(self, job: str) -> list[dict[str, Any]]:
        """Its photos, when none waits or is worked on any more."""
        return until(lambda: self.show(job)["photos"], lambda photos: all(ends(photo) for photo in photos))

    def done(self, *photos: tuple[str, bytes], **options: Any) -> tuple[str, list[dict[str, Any]]]:
        """A new job's id and its restored photos."""
        job = self.job(*photos, **options)["id"]
        photos_told = self.ended(job)
        assert [photo["state"] for photo in photos_told] == ["done"] * len(photos), photos_told
        return job, photos_told

    def stop(self, sign: int = signal.SIGTERM) -> int:
        """Its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(sign)
        return self.process.wait(PATIENCE)


@contextlib.contextmanager
def service(temporary: Path, *options: str | Path, headers: dict[str, str] | None = None) -> Iterator[Served]:
    """The command with these options, from its first word to its end. temporary: an empty folder."""
    errors = temporary / "errors.txt"
    environment = ENVIRONMENT | {"TMPDIR": str(temporary), "FACEWRIGHT_CACHE": str(temporary / "cache"), "PYTHONUNBUFFERED": "1"}
    environment.pop("FACEWRIGHT_TOKEN", None)
    words = command("serve", "--no-browser", "--port", "0", "--device", "cpu", *options)
    with errors.open("w") as said, subprocess.Popen(words, stdout=subprocess.PIPE, stderr=said, env=environment, text=True) as process:
        _on_two_cores(process.pid)
        try:
            assert process.stdout is not None
            assert select.select([process.stdout], [], [], PATIENCE)[0], "it did not say where it is"
            line = process.stdout.readline()
            assert line.startswith("facewright is at http://"), errors.read_text()
            address = line.split()[3].removesuffix("docs")
            with httpx.Client(base_url=address, timeout=PATIENCE, headers=headers) as client:
                yield Served(process, address, temporary, errors, client)
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
                try:
                    process.wait(20)
                except subprocess.TimeoutExpired:
                    process.kill()


def _on_two_cores(process: int) -> None:
    """So that each of its workers computes with one thread, as the command does: then both write the same bytes."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(process, sorted(os.sched_getaffinity(0))[:2])


def ends(photo: dict[str, Any]) -> bool:
    return photo["state"] in ("done", "failed", "cancelled")


def until(look: Any, fits: Any = bool, seconds: float = PATIENCE) -> Any:
    """What `look` gives as soon as it fits."""
    end = time.monotonic() + seconds
    while not fits(seen := look()):
        assert time.monotonic() < end, f"still {seen!r}"
        time.sleep(0.03)
    return seen


class Events:
    """What a job tells: read in a thread, until `gone` or `close`."""

    def __init__(self, served: Served, job: str) -> None:
        self.seen: list[tuple[str, dict[str, Any]]] = []
        self._connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=PATIENCE)
        self._connection.request("GET", f"/v1/jobs/{job}/events")
        self._answer = self._connection.getresponse()
        self.kind = self._answer.headers["Content-Type"]
        self.ended = threading.Event()
        threading.Thread(target=self._read, daemon=True).start()
        until(lambda: self.seen)

    def _read(self) -> None:
        kind = ""
        with contextlib.suppress(OSError, http.client.HTTPException):
            for line in self._answer:
                word, _, rest = line.decode().rstrip("\n").partition(": ")
                if word == "event":
                    kind = rest
                elif word == "data":
                    self.seen.append((kind, json.loads(rest)))
        self.ended.set()

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.seen]

    def of(self, number: int) -> list[dict[str, Any]]:
        """Of one photo, in order."""
        return [told for kind, told in self.seen if kind == "photo" and told["number"] == number]

    def first(self, kind: str) -> dict[str, Any]:
        """Waits for it."""
        until(lambda: kind in self.kinds)
        return next(told for each, told in self.seen if each == kind)

    def close(self) -> None:
        """As a page that is closed."""
        self._connection.sock.shutdown(socket.SHUT_RDWR)
        self._connection.close()


def encoded(pixels: NDArray[Any], format: str = "JPEG", **how: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format, **how)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    picture = Image.open(io.BytesIO(data))
    picture.load()
    return picture


def slow_photo(portrait: NDArray[np.uint8], megapixels: float = 9) -> bytes:
    """A photo that keeps a worker busy for some seconds: its faces are looked for in many pixels."""
    side = int((megapixels * 1e6) ** 0.5)
    rows, columns = -(-side // portrait.shape[0]), -(-side // portrait.shape[1])
    return encoded(np.ascontiguousarray(np.tile(portrait, (rows, columns, 1))[:side, :side]), quality=80)
