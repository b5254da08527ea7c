"""Fetching models in the background, with a download that does what the test says."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from facewright.app import fetching as module
from facewright.app.fetching import Fetching
from facewright.errors import ModelError, OutputError, UsageError
from facewright.weights import catalog
from facewright.weights.catalog import Entry

NAME = "codeformer"


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path))
    return tmp_path


class Line:
    """A download: goes on by `step`, and ends by `end`."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.moves, self.over = threading.Semaphore(0), threading.Event()
        self.fault: Exception | None = None
        self.progress: Callable[[int, int | None], None] | None = None
        monkeypatch.setattr(module, "get", self.get)

    def get(self, entry: Entry, *, progress: Any) -> Path:
        self.asked.append(entry.name)
        self.progress = progress
        assert self.over.wait(20)
        if self.fault is not None:
            raise self.fault
        entry.path.parent.mkdir(parents=True, exist_ok=True)
        entry.path.write_bytes(b"weights")
        return entry.path

    def end(self, fault: Exception | None = None) -> None:
        self.fault = fault
        self.over.set()


@pytest.fixture
def line(monkeypatch: pytest.MonkeyPatch) -> Line:
    return Line(monkeypatch)


def told(fetching: Fetching) -> dict[str, Any]:
    return fetching.told(catalog.lookup(NAME))


def until(look: Callable[[], Any]) -> None:
    end = time.monotonic() + 20
    while not look():
        assert time.monotonic() < end
        time.sleep(0.005)


def test_a_model_is_fetched_once_and_is_then_here(line: Line) -> None:
    fetching = Fetching()
    assert (told(fetching)["where"], told(fetching)["usable"], told(fetching)["fetch"]) == ("missing", False, None)
    for _ in range(3):
        assert fetching.fetch(NAME, True).name == NAME
    until(lambda: line.progress)
    total = catalog.lookup(NAME).size
    assert told(fetching)["fetch"] == {"state": "fetching", "done": 0, "total": total, "error": None}
    assert line.progress is not None
    line.progress(1000, 4000)
    assert told(fetching)["fetch"] == {"state": "fetching", "done": 1000, "total": 4000, "error": None}
    line.end()
    until(lambda: told(fetching)["fetch"] is None)
    assert (told(fetching)["where"], told(fetching)["usable"]) == ("downloaded", True)
    fetching.fetch(NAME, False)  # it is here: nothing to accept
    assert line.asked == [NAME]


@pytest.mark.parametrize(
    ("fault", "what", "why"),
    [
        (ModelError(f"cannot fetch {NAME}", "nobody answers", "try again later"), f"cannot fetch {NAME}", "nobody answers"),
        (OutputError("cannot write", "the disk is full"), "cannot write", "the disk is full"),
        (RuntimeError("odd"), f"cannot fetch {NAME}", "odd"),
    ],
)
def test_what_goes_wrong_is_told_and_it_may_be_tried_again(line: Line, fault: Exception, what: str, why: str) -> None:
    fetching = Fetching()
    fetching.fetch(NAME, True)
    line.end(fault)
    until(lambda: told(fetching)["fetch"]["state"] == "failed")
    error = told(fetching)["fetch"]["error"]
    assert (error["what"], error["why"]) == (what, why)
    line.fault = None
    fetching.fetch(NAME, True)
    until(lambda: told(fetching)["fetch"] is None)
    assert line.asked == [NAME] * 2 and told(fetching)["usable"]


def test_a_fault_tells_no_place_of_the_disk(line: Line, cache: Path) -> None:
    fetching = Fetching()
    fetching.fetch(NAME, True)
    line.end(OutputError(f"cannot write {cache / 'codeformer.pth'}", "no space left"))
    until(lambda: told(fetching)["fetch"]["state"] == "failed")
    assert str(cache) not in str(told(fetching))


def test_the_licence_comes_first(line: Line) -> None:
    fetching = Fetching()
    with pytest.raises(UsageError, match="non-commercial"):
        fetching.fetch(NAME, False)
    assert told(fetching)["fetch"] is None and line.asked == []


@pytest.mark.parametrize("name", ["nobody", "/etc/passwd", "https://example.org/x.pth", ""])
def test_only_what_the_catalog_names_is_fetched(line: Line, name: str) -> None:
    with pytest.raises(ModelError):
        Fetching().fetch(name, True)
    assert line.asked == []


def test_what_is_here_is_not_fetched(line: Line) -> None:
    assert Fetching().fetch("gfpgan-mini", True).where == "bundled"
    assert line.asked == []


def test_only_models_that_a_photo_can_use_are_told_of() -> None:
    models = Fetching().models()
    assert {model["serves"] for model in models} <= set(module.KINDS)
    assert "vgg19" not in [model["name"] for model in models] and models[0]["default"]
    for model in models:
        assert model["licence"] and model["title"] and (model["has_fidelity"] is None) == (model["serves"] != "restore")
