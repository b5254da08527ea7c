"""A tiny photo, and crews that are sent home after the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crew_samples import Puppets, Sent, crew_of, order
from PIL import Image

from facewright.app.crew import Crew


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A photo of 12 x 8 pixels, under a name that says nothing."""
    path = tmp_path_factory.mktemp("photos") / "0123456789abcdef"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)).save(path, "PNG")
    return path


@pytest.fixture
def crew() -> Iterator[Callable[..., Crew]]:
    """crew(puppets, workers, queue=..., ...): at work."""
    made: list[Crew] = []

    def make(puppets: Puppets, workers: int = 2, **limits: Any) -> Crew:
        made.append(crew_of(puppets, workers, **limits))
        made[-1].start()
        return made[-1]

    yield make
    for each in made:
        each.stop()


@pytest.fixture
def send(tiny: Path) -> Callable[..., Sent]:
    """send(crew, "x3.png", strength=...)."""

    def submit(crew: Crew, name: str, **given: Any) -> Sent:
        sent = order(given.pop("source", tiny), name, **given)
        crew.submit(sent.order)
        return sent

    return submit
