"""Models of the catalog: which are here, and fetching one that is not, in the background."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any, Literal

from facewright.app.words import spoken, told
from facewright.errors import FacewrightError, ModelError, UsageError
from facewright.weights import catalog
from facewright.weights.catalog import Entry
from facewright.weights.obtain import get

KINDS = ("restore", "background", "detect", "parse")
"""What models serve that a photo's options may name, or bring into play."""
WITH_FIDELITY = ("codeformer", "vqfr.v2")
"""Architectures whose networks take w themselves."""


@dataclass
class Fetch:
    state: Literal["fetching", "failed"]
    done: int = 0
    total: int | None = None
    error: FacewrightError | None = None


class Fetching:
    """What is being fetched, one thread each. Nothing but what the catalog names is ever fetched."""

    def __init__(self) -> None:
        self._fetches: dict[str, Fetch] = {}
        self._lock = threading.Lock()

    def models(self) -> list[dict[str, Any]]:
        return [self.told(entry) for entry in catalog.entries().values() if entry.runs and entry.serves in KINDS]

    def told(self, entry: Entry) -> dict[str, Any]:
        fetch = self._fetches.get(entry.name)
        return {
            "name": entry.name,
            "title": spoken(entry.title),
            "serves": entry.serves,
            "where": entry.where,
            "bytes": entry.size,
            "licence": entry.terms,
            "note": spoken(entry.note),
            "default": entry.default,
            "usable": entry.where != "missing",
            "has_fidelity": entry.architecture in WITH_FIDELITY if entry.serves == "restore" else None,
            "fetch": None
            if fetch is None
            else {"state": fetch.state, "done": fetch.done, "total": fetch.total, "error": fetch.error and told(fetch.error)},
        }

    def fetch(self, name: str, accept_licence: bool) -> Entry:
        """Begin, unless it is here or on its way. Raises ModelError for an unknown one, UsageError without the licence's acceptance."""
        entry = catalog.lookup(name)
        if entry.where != "missing":
            return entry
        if entry.bundled or not entry.url:
            raise ModelError(f"cannot fetch {entry.name}", "there is no place to fetch it from", entry.how_to_get)
        if not accept_licence:
            raise UsageError(f"{entry.name} is not fetched yet", f"its licence is {entry.terms}", 'say {"accept_licence": true}')
        with self._lock:
            known = self._fetches.get(entry.name)
            if known is None or known.state == "failed":
                self._fetches[entry.name] = fetch = Fetch("fetching", total=entry.size)
                threading.Thread(target=self._run, args=(entry, fetch), name=f"fetch-{entry.name}", daemon=True).start()
        return entry

    def _run(self, entry: Entry, fetch: Fetch) -> None:
        def progress(done: int, total: int | None) -> None:
            fetch.done, fetch.total = done, total

        try:
            get(entry, progress=progress)
        except FacewrightError as error:
            fetch.state, fetch.error = "failed", error
        except Exception as problem:
            fetch.state, fetch.error = "failed", ModelError(f"cannot fetch {entry.name}", str(problem)[:160], "try again later")
        else:
            self._fetches.pop(entry.name, None)
