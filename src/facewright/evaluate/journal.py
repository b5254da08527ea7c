"""What has been measured so far, on the disk: a killed evaluation goes on, and memory does not grow with the number of pictures.

One SQLite file. A batch is written in one transaction, so that after a kill it is there or not. Each row knows from which files it came (a
stamp): where a picture or a model has changed since, its row does not count.
"""

from __future__ import annotations

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facewright.errors import OutputError, UsageError

FILE = "journal.sqlite"
VERSION = 1
_TABLES = """
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS scores (
  picture TEXT, condition TEXT, method TEXT, stamp TEXT, numbers TEXT, PRIMARY KEY (condition, method, picture)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS vectors (
  picture TEXT, condition TEXT, method TEXT, kind TEXT, stamp TEXT, data BLOB, PRIMARY KEY (kind, condition, method, picture)
) WITHOUT ROWID;
"""
_KINDS = {"lbp": np.uint16}
"""How the vectors of a kind are stored; float32 where not named."""

Numbers = dict[str, float]


class Journal:
    """facts: what makes a result another one (the suite, the size, the seed). Raises UsageError where the file has other facts, OutputError
    where it cannot be written or another process is at it."""

    def __init__(self, folder: Path, facts: dict[str, Any]) -> None:
        self.path = folder / FILE
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            raise OutputError(f"cannot write to {folder}", problem.strerror or str(problem), "name another folder with -o") from problem
        with self._explained():
            self.base = sqlite3.connect(self.path, timeout=2, isolation_level=None)
            self.base.execute("PRAGMA locking_mode=EXCLUSIVE")
            self.base.execute("BEGIN EXCLUSIVE")
            self.base.execute("COMMIT")
            self.base.executescript(_TABLES)
        try:
            self._agree(facts | {"version": VERSION})
        except BaseException:
            self.base.close()
            raise

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.base.close()

    def missing(self, pictures: dict[str, str], condition: str, method: str, numbers: Iterable[str], kinds: Iterable[str]) -> list[str]:
        """Of these pictures (name to stamp) those that are not yet measured by all of `numbers` and `kinds`."""
        wanted, needed = set(numbers), set(kinds)
        done: dict[str, set[str]] = {}
        places = ",".join("?" * len(pictures))
        query = f"SELECT picture, stamp, numbers FROM scores WHERE condition = ? AND method = ? AND picture IN ({places})"
        for name, stamp, told in self._rows(query, (condition, method, *pictures)):
            if stamp == pictures[name] and wanted <= json.loads(told).keys():
                done[name] = set()
        query = f"SELECT picture, stamp, kind FROM vectors WHERE condition = ? AND method = ? AND picture IN ({places})"
        for name, stamp, kind in self._rows(query, (condition, method, *pictures)):
            if name in done and stamp == pictures[name]:
                done[name].add(kind)
        return [name for name in pictures if name not in done or not needed <= done[name]]

    def add(
        self,
        condition: str,
        method: str,
        pictures: dict[str, str],
        numbers: dict[str, NDArray[np.float64]],
        vectors: dict[str, NDArray[Any]],
    ) -> None:
        """One batch: numbers and vectors in the order of the pictures. Numbers of the same stamp that are there already stay."""
        with self._explained():
            self.base.execute("BEGIN")
            for place, (name, stamp) in enumerate(pictures.items()):
                told = {key: float(values[place]) for key, values in numbers.items()}
                old = self.base.execute(
                    "SELECT stamp, numbers FROM scores WHERE condition = ? AND method = ? AND picture = ?", (condition, method, name)
                ).fetchone()
                if old is not None and old[0] == stamp:
                    told = json.loads(old[1]) | told
                self.base.execute("REPLACE INTO scores VALUES (?, ?, ?, ?, ?)", (name, condition, method, stamp, json.dumps(told)))
                for kind, each in vectors.items():
                    data = zlib.compress(np.ascontiguousarray(each[place], _KINDS.get(kind, np.float32)).tobytes(), 1)
                    self.base.execute("REPLACE INTO vectors VALUES (?, ?, ?, ?, ?, ?)", (name, condition, method, kind, stamp, data))
            self.base.execute("COMMIT")

    def numbers(self, condition: str, method: str) -> Iterator[tuple[str, str, Numbers]]:
        """(picture, stamp, numbers), in the order of the names."""
        query = "SELECT picture, stamp, numbers FROM scores WHERE condition = ? AND method = ? ORDER BY picture"
        for name, stamp, told in self._rows(query, (condition, method)):
            yield name, stamp, json.loads(told)

    def vectors(self, kind: str, condition: str, method: str) -> Iterator[tuple[str, NDArray[Any]]]:
        """(picture, vector), in the order of the names."""
        query = "SELECT picture, data FROM vectors WHERE kind = ? AND condition = ? AND method = ? ORDER BY picture"
        for name, data in self._rows(query, (kind, condition, method)):
            yield name, np.frombuffer(zlib.decompress(data), _KINDS.get(kind, np.float32))

    def _rows(self, query: str, values: tuple[Any, ...]) -> Iterator[tuple[Any, ...]]:
        with self._explained(), closing(self.base.execute(query, values)) as rows:
            yield from rows

    def _agree(self, facts: dict[str, Any]) -> None:
        known = {name: json.loads(value) for name, value in self._rows("SELECT name, value FROM facts", ())}
        different = [name for name in facts if name in known and known[name] != facts[name]]
        if different:
            name = different[0]
            raise UsageError(
                f"{self.path.parent} holds another evaluation",
                f"its {name} is {known[name]}, this one's is {facts[name]}",
                "name another folder with -o, or delete its journal.sqlite",
            )
        with self._explained():
            self.base.executemany("INSERT OR IGNORE INTO facts VALUES (?, ?)", [(name, json.dumps(value)) for name, value in facts.items()])

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as problem:
            why = "another evaluation is writing there" if "locked" in str(problem) else str(problem)
            raise OutputError(f"cannot write {self.path}", why, "wait for it, or name another folder with -o") from problem
        except sqlite3.DatabaseError as problem:
            raise OutputError(
                f"cannot use {self.path}", f"it is no journal of an evaluation ({problem})", "name another folder with -o, or delete it"
            ) from problem
