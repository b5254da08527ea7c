"""The loop: pictures in batches, each under every condition by every method, looked at by every judge, written down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch

from facewright.errors import FacewrightError, InputError
from facewright.evaluate.journal import Journal
from facewright.evaluate.judges import Panel
from facewright.evaluate.judges.panel import batched
from facewright.evaluate.source import Case, Failure, Image, Opened, Source, batches

TRUTH = "(truth)"
"""The method under which what the judges saw of the true pictures is kept."""
BATCH = 16

Advance = Callable[[int], None]


def score(source: Source, panel: Panel, journal: Journal, device: torch.device, *, batch: int = BATCH, advance: Advance) -> list[Failure]:
    """Measure what the journal does not have yet. advance: told how many of `amount` are done. Returns what could not be measured."""
    failures = list(source.failures)
    for cases in batches(source.cases, batch):
        failures += _Round(source, panel, journal, device, advance).measure(cases)
    return failures


def amount(source: Source) -> int:
    return len(source.cases) * len(source.conditions) * len(source.methods)


class _Round:
    """One batch."""

    def __init__(self, source: Source, panel: Panel, journal: Journal, device: torch.device, advance: Advance) -> None:
        self.source, self.panel, self.journal, self.device, self.advance = source, panel, journal, device, advance
        self._seen: tuple[list[Image], list[Any]] | None = None

    def measure(self, cases: Sequence[Case]) -> list[Failure]:
        waiting = {
            condition: {method: left for method in self.source.methods if (left := self._missing(cases, condition, method))}
            for condition in self.source.conditions
        }
        wanted = {name for left in waiting.values() for names in left.values() for name in names}
        wanted |= {name for condition in self.source.conditions for name in self._missing(cases, self._place_of_truth(condition), TRUTH)}
        self.advance(
            len(cases) * len(self.source.conditions) * len(self.source.methods)
            - sum(len(names) for left in waiting.values() for names in left.values())
        )
        if not wanted:
            return []
        opened = self.source.open([case for case in cases if case.name in wanted])
        failures = list(opened.failures)
        if opened.cases:
            try:
                self._look(opened, waiting)
            except FacewrightError as problem:
                if len(opened.cases) == 1:
                    return [*failures, Failure(opened.cases[0].name, str(problem))]
                # one of them is the culprit: one by one
                for case in opened.cases:
                    failures += _Round(self.source, self.panel, self.journal, self.device, lambda count: None).measure([case])
        return failures

    def _look(self, opened: Opened, waiting: dict[str, dict[str, list[str]]]) -> None:
        for condition in self.source.conditions:
            left = waiting[condition]
            truth = self._truth(opened, condition)
            if truth is not None:
                self._note(opened.cases, self._place_of_truth(condition), TRUTH, truth, None)
            for method, names in left.items():
                pictures = opened.shown(condition, method)
                seen = self.panel.look(batched(pictures, self.device))
                self._note(opened.cases, condition, method, seen, truth)
                self.advance(len(names))

    def _truth(self, opened: Opened, condition: str) -> list[Any] | None:
        """What the judges see of the truth; looked at once where conditions share it."""
        pictures = opened.truth(condition)
        if pictures is None:
            return None
        if self._seen is None or any(one is not other for one, other in zip(self._seen[0], pictures, strict=True)):
            self._seen = (pictures, self.panel.look(batched(pictures, self.device)))
        return self._seen[1]

    def _note(self, cases: Sequence[Case], condition: str, method: str, seen: list[Any], truth: list[Any] | None) -> None:
        numbers = {} if method == TRUTH else self.panel.compare(seen, truth)
        lacking = [metric.name for metric in self.panel.single if metric.name not in numbers]
        if lacking and method != TRUTH:
            raise InputError(f"cannot compute {', '.join(lacking)}", "no judge gave it")
        self.journal.add(condition, method, self._stamps(cases, method), numbers, self.panel.vectors(seen))

    def _missing(self, cases: Sequence[Case], condition: str, method: str) -> list[str]:
        if method == TRUTH and not (self.source.has_truth and self.panel.kinds):
            return []
        numbers = () if method == TRUTH else [metric.name for metric in self.panel.single]
        return self.journal.missing(self._stamps(cases, method), condition, method, numbers, self.panel.kinds)

    def _stamps(self, cases: Sequence[Case], method: str) -> dict[str, str]:
        own = self.source.methods.get(method, "")
        return {case.name: f"{case.stamp}|{own}" for case in cases}

    def _place_of_truth(self, condition: str) -> str:
        return condition if condition in self.source.own_truth else ""
