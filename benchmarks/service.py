"""The service under load, against calling it once at a time and against the command started per photo, in the same run.

    python benchmarks/service.py [--requests 500] [--clients 50] [--alone 40] [--commands 4] [--model gfpgan-mini]

Photos are small: head and shoulders of scikit-image's astronaut, 320 x 310, blurred and compressed, each a little otherwise. The service is
a process of its own, its clients are threads with one connection each. Prints photos per second for one client, for 8, and for
`facewright restore` started for each photo; for --clients the median and the 99th percentile of the time to an answer, the most memory that
the service held, and how much more it held at the end than after a fifth of the requests.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import cv2
import httpx
import numpy as np
from skimage import data

from facewright.media import Origin, Photo, encode

COMMAND = [sys.executable, "-m", "facewright"]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--requests", type=int, default=500)
    words.add_argument("--clients", type=int, default=50)
    words.add_argument("--alone", type=int, default=40, help="requests of a single client, and of 8 each")
    words.add_argument("--commands", type=int, default=4)
    words.add_argument("--model", default="gfpgan-mini")
    asked = words.parse_args()
    photos = [small_photo(each) for each in range(20)]

    with service(asked.model, asked.clients) as (address, process):
        load(address, photos, 2, 16)  # what first calls cost
        alone = load(address, photos, 1, asked.alone)
        eight = load(address, photos, 8, 4 * asked.alone)
        with memory_of(process) as held:
            under_load = load(address, photos, asked.clients, asked.requests)
        early, late = held[len(held) // 5], held[-1]
    per_command = commands(photos[: asked.commands], asked.model)

    print(f"one client           {rate(alone):6.2f} photos/s, median {1e3 * np.median(alone[1]):5.0f} ms")
    print(f"8 clients            {rate(eight):6.2f} photos/s, {rate(eight) / rate(alone):.2f} times one client")
    print(f"a command per photo  {per_command:6.2f} photos/s, 8 clients are {rate(eight) / per_command:.1f} times as fast")
    p50, p99 = np.percentile(under_load[1], [50, 99])
    print(f"{asked.clients} clients, {asked.requests} requests: {rate(under_load):.2f} photos/s, p50 {p50:.2f} s, p99 {p99:.2f} s")
    print(f"memory: {max(held) / 2**20:,.0f} MiB at most; {(late - early) / 2**20:+.0f} MiB from a fifth of the requests to the end")


def small_photo(number: int) -> bytes:
    pixels = np.ascontiguousarray(data.astronaut()[0:320, 70:380])
    pixels = cv2.GaussianBlur(pixels, (0, 0), 1 + 0.1 * number)
    return encode(Photo(pixels, None, Origin()), format="jpeg", quality=60 + number)


@contextmanager
def service(model: str, clients: int) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    words = ["serve", "--no-browser", "--api-only", "--port", "0", "--model", model, "--queue", str(max(64, clients))]
    process = subprocess.Popen([*COMMAND, *words, "--max-jobs", str(2 * clients + 100)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        yield address.removesuffix("/docs").rstrip("/"), process
    finally:
        process.terminate()
        process.wait(60)


def load(address: str, photos: Sequence[bytes], clients: int, requests: int) -> tuple[float, list[float]]:
    """Seconds for all, and for each answer."""
    numbers = count()
    lock = threading.Lock()

    def client() -> list[float]:
        took = []
        with httpx.Client(base_url=address, timeout=300) as line:
            while True:
                with lock:
                    number = next(numbers)
                if number >= requests:
                    return took
                began = time.perf_counter()
                answer = line.post("/v1/restore", content=photos[number % len(photos)], headers={"Content-Type": "image/jpeg"})
                answer.raise_for_status()
                assert answer.headers["X-Facewright-Faces"] == "1"
                took.append(time.perf_counter() - began)

    began = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        answers = [each for future in [pool.submit(client) for _ in range(clients)] for each in future.result()]
    return time.perf_counter() - began, answers


def rate(done: tuple[float, list[float]]) -> float:
    return len(done[1]) / done[0]


@contextmanager
def memory_of(process: subprocess.Popen[str]) -> Iterator[list[int]]:
    """Resident bytes, five times a second while it is open."""
    held: list[int] = []
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.2):
            pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            held.append(pages * os.sysconf("SC_PAGE_SIZE"))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield held
    finally:
        ended.set()
        watcher.join()


def commands(photos: Sequence[bytes], model: str) -> float:
    """Photos per second with a process for each."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        for number, photo in enumerate(photos):
            path = Path(folder) / f"{number}.jpg"
            path.write_bytes(photo)
            subprocess.run([*COMMAND, "restore", str(path), "--model", model, "--quiet"], check=True)
        return len(photos) / (time.perf_counter() - began)


if __name__ == "__main__":
    main()
