"""What papers print for the published sets (published.yaml): each cell says whether anybody here saw it in a source."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any


@dataclass(frozen=True)
class Printed:
    """One table of a paper. rows: method to metric to value; verified: (method, metric) that were seen, at `where`; the others are
    recalled. comparable: same pictures under the same damage as our suite."""

    paper: str
    convention: str
    comparable: bool
    metrics: tuple[str, ...]
    rows: Mapping[str, Mapping[str, float]]
    verified: frozenset[tuple[str, str]]
    where: str


def published(suite: str) -> tuple[Printed, ...]:
    """The tables of a suite; none for our own faces."""
    return _tables().get(suite, ())


@cache
def _tables() -> dict[str, tuple[Printed, ...]]:
    import yaml

    told: dict[str, list[dict[str, Any]]] = yaml.safe_load(
        (files("facewright") / "evaluate" / "published.yaml").read_text(encoding="utf-8")
    )
    return {suite: tuple(_printed(table) for table in tables) for suite, tables in told.items()}


def _printed(table: dict[str, Any]) -> Printed:
    metrics = tuple(table["metrics"])
    return Printed(
        table["paper"],
        table["convention"],
        table["comparable"],
        metrics,
        {method: dict(zip(metrics, map(float, values), strict=True)) for method, values in table["rows"].items()},
        frozenset((method, metric) for method, seen in table["verified"].items() for metric in seen),
        table["where"],
    )
