"""What the service counts, as Prometheus reads it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest

from facewright.app.book import Item

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)


class Measures:
    """Counters of one service. queued, at_work, jobs: asked when somebody reads."""

    def __init__(self, queued: Callable[[], int], at_work: Callable[[], int], jobs: Callable[[], int], networks: Callable[[], int]) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        self.requests = Counter("facewright_requests", "Answers, by route and status.", ["route", "status"], registry=registry)
        self.photos = Counter("facewright_photos", "Photos that came to an end, by how.", ["outcome"], registry=registry)
        self.faces = Counter("facewright_faces", "Faces, by what became of them.", ["action"], registry=registry)
        self.seconds = Histogram(
            "facewright_photo_seconds", "From the first look at a photo to its result.", buckets=SECONDS, registry=registry
        )
        self.sent = Counter("facewright_upload_bytes", "Bytes of photos that came in.", registry=registry)
        for name, words, read in (
            ("facewright_queue_photos", "Photos that wait.", queued),
            ("facewright_working_photos", "Photos that are begun and not done.", at_work),
            ("facewright_jobs", "Jobs that are open.", jobs),
            ("facewright_networks", "Face networks in memory.", networks),
            ("facewright_resident_bytes", "Memory that the process holds.", resident),
        ):
            Gauge(name, words, registry=registry).set_function(read)

    def ended(self, item: Item) -> None:
        self.photos.labels(item.state).inc()
        if item.state == "done" and item.report is not None:
            self.seconds.observe(item.report["seconds"])
            for face in item.report["faces"]:
                self.faces.labels(face["action"]).inc()

    def read(self) -> bytes:
        return generate_latest(self.registry)


def resident() -> int:
    """Bytes of memory in use; 0 where the system does not say."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    import os

    return pages * os.sysconf("SC_PAGE_SIZE")
