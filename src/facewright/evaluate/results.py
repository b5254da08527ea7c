"""What the numbers say: means with intervals, which method is better for sure, groups, and distances between sets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from facewright.evaluate import statistics
from facewright.evaluate.catalogue import Metric
from facewright.evaluate.distances import Reader
from facewright.evaluate.journal import Journal
from facewright.evaluate.judges import Panel
from facewright.evaluate.scoring import TRUTH
from facewright.evaluate.source import Case, Failure, Source
from facewright.evaluate.statistics import Interval, Values

ALIKE = 0.05
"""A corrected p from which on two methods are not told apart."""
EXACT = 100.0
"""Decibels that equal pictures count for where methods are compared."""
LEAST_GROUP = 5
FEATURES = 2048
"""Of Inception: of fewer pictures the Fréchet distance mostly tells how few they were."""
NOT_STATED = "not stated"

Scores = dict[str, Values]
"""By the metric's name, one value a case."""


@dataclass
class Table:
    """One condition: method by metric. p: corrected for the pairs of methods, by metric and pair; alike: the best method, and those that
    are not worse for sure, by metric."""

    condition: str
    numbers: dict[str, dict[str, Interval]]
    p: dict[str, dict[tuple[str, str], float]] = field(default_factory=dict)
    best: dict[str, str] = field(default_factory=dict)
    alike: dict[str, set[str]] = field(default_factory=dict)


@dataclass
class GroupRow:
    """One group of a column under a condition: method by metric, means alone."""

    column: str
    group: str
    count: int
    people: int
    condition: str
    numbers: dict[str, dict[str, float]]


@dataclass
class Results:
    """cases: measured by all methods under all conditions; scores: condition, method, metric to the cases' values."""

    cases: list[Case]
    metrics: tuple[Metric, ...]
    tables: list[Table]
    groups: list[GroupRow]
    scores: dict[str, dict[str, Scores]]
    failures: list[Failure]
    notes: list[str]
    people: int


def summarise(
    source: Source, panel: Panel, journal: Journal, failures: Sequence[Failure], *, groups: Iterable[str] = (), seed: int
) -> Results:
    """Metrics of the panel that sets are too small for are left out with a note."""
    failed = {failure.name for failure in failures}
    cases = [case for case in source.cases if case.name not in failed]
    place = {case.name: index for index, case in enumerate(cases)}
    notes: list[str] = []
    kept = []
    for metric in panel.metrics:
        if metric.whole and len(cases) < metric.least:
            notes.append(f"{metric.name} is left out: it needs {metric.least} pictures, {len(cases)} are there")
        else:
            kept.append(metric)
            if metric.name == "fid" and len(cases) <= FEATURES:
                notes.append(f"{metric.name} of {len(cases)} pictures, fewer than its {FEATURES:,} features: compare it with as many only")
    scores = {
        condition: {method: _scores(journal, panel, kept, condition, method, place, source) for method in source.methods}
        for condition in source.conditions
    }
    people = [case.person for case in cases]
    tables = [_table(journal, source, panel, kept, condition, scores[condition], cases, seed) for condition in source.conditions]
    rows = [row for column in groups for row in _grouped(column, cases, kept, scores)]
    return Results(cases, tuple(kept), tables, rows, scores, sorted(failures, key=lambda failure: failure.name), notes, len(set(people)))


def _scores(
    journal: Journal,
    panel: Panel,
    metrics: Sequence[Metric],
    condition: str,
    method: str,
    place: Mapping[str, int],
    source: Source,
) -> Scores:
    values = {metric.name: np.full(len(place), np.nan) for metric in metrics if not metric.whole}
    for name, _, numbers in journal.numbers(condition, method):
        if name in place:
            for key in values:
                values[key][place[name]] = numbers.get(key, np.nan)
    # what is said of a set may still have a number for each picture
    for metric in metrics:
        each = panel.of_sets(metric).each if metric.whole else None
        if each is not None:
            values[metric.name] = np.full(len(place), np.nan)
            for name, value in each(*_readers(journal, source, metric, condition, method, place)).items():
                values[metric.name][place[name]] = value
    return values


def _readers(
    journal: Journal, source: Source, metric: Metric, condition: str, method: str, place: Mapping[str, int]
) -> tuple[Reader, Reader]:
    """Of the restored and of the true vectors of these pictures."""

    def reader(condition: str, method: str) -> Reader:
        return lambda: ((name, vector) for name, vector in journal.vectors(metric.vectors, condition, method) if name in place)

    return reader(condition, method), reader(condition if condition in source.own_truth else "", TRUTH)


def _table(
    journal: Journal,
    source: Source,
    panel: Panel,
    metrics: Sequence[Metric],
    condition: str,
    scores: dict[str, Scores],
    cases: Sequence[Case],
    seed: int,
) -> Table:
    table, people = Table(condition, {}), [case.person for case in cases]
    there = {case.name: index for index, case in enumerate(cases)}
    for method, each in scores.items():
        row = {}
        for metric in metrics:
            if metric.name in each:
                row[metric.name] = interval_of(metric, each[metric.name], people, seed)
            else:
                value = panel.of_sets(metric).value
                assert value is not None
                row[metric.name] = Interval(*value(*_readers(journal, source, metric, condition, method, there)), len(people))
        table.numbers[method] = row
    for metric in metrics:
        _compare(table, metric, scores, people, seed)
    return table


def interval_of(metric: Metric, values: Values, people: Sequence[str], seed: int) -> Interval:
    """Over those that are `counted`."""
    there = counted(values)
    named = [person for person, is_there in zip(people, there, strict=True) if is_there]
    return statistics.interval(values[there], named, seed, geometric=metric.geometric)


def _compare(table: Table, metric: Metric, scores: dict[str, Scores], people: list[str], seed: int) -> None:
    methods = list(scores)
    ranked = sorted(methods, key=lambda method: -metric.worse_first(table.numbers[method][metric.name].mean))
    if len(ranked) < 2 or np.isnan(table.numbers[ranked[0]][metric.name].mean):
        return
    best = ranked[0]
    table.best[metric.name], table.alike[metric.name] = best, {best}
    if metric.name not in scores[best]:
        return
    pairs = [(one, other) for index, one in enumerate(methods) for other in methods[index + 1 :]]
    values = {method: _comparable(metric, scores[method][metric.name]) for method in methods}
    raw = [statistics.sign_flip(values[one], values[other], people, seed) for one, other in pairs]
    table.p[metric.name] = dict(zip(pairs, statistics.holm(raw), strict=True))
    for (one, other), p in table.p[metric.name].items():
        if best in (one, other) and not p < ALIKE:
            table.alike[metric.name] |= {one, other}


def _comparable(metric: Metric, values: Values) -> Values:
    """So that smaller or larger is better all the way: a ratio becomes its distance from 1, in logarithms. Infinite ones become EXACT."""
    return np.abs(np.log(values)) if metric.better == "near 1" else np.minimum(values, EXACT)


# Groups --------------------------------------------------------------------------------------------------------------------------------

AGES = ((25, "under 25"), (40, "25 to 39"), (60, "40 to 59"), (200, "60 and over"))


def group_of(case: Case, column: str) -> str:
    """The case's group in a column of the manifest; ages in bands."""
    value = case.columns.get(column, "").strip()
    if column == "age" and value:
        try:
            return next(words for until, words in AGES if float(value) < until)
        except (StopIteration, ValueError):
            return NOT_STATED
    return value or NOT_STATED


def _grouped(column: str, cases: Sequence[Case], metrics: Sequence[Metric], scores: dict[str, dict[str, Scores]]) -> list[GroupRow]:
    """By the column's values, the small groups together as one; ages from young to old."""
    names = [group_of(case, column) for case in cases]
    counts = {name: names.count(name) for name in set(names)}
    small = {name for name, count in counts.items() if count < LEAST_GROUP and name != NOT_STATED}
    if len(small) > 1:
        names = ["other" if name in small else name for name in names]
    bands = [words for _, words in AGES]

    def order(name: str) -> tuple[bool, int, str]:
        return name in (NOT_STATED, "other"), bands.index(name) if name in bands else 0, name

    rows = []
    for group in sorted(set(names), key=order):
        chosen = np.array([name == group for name in names])
        people = len({case.person for case, inside in zip(cases, chosen, strict=True) if inside})
        for condition, methods in scores.items():
            numbers = {
                method: {metric.name: _mean(metric, each[metric.name][chosen]) for metric in metrics if metric.name in each}
                for method, each in methods.items()
            }
            rows.append(GroupRow(column, group, int(chosen.sum()), people, condition, numbers))
    return rows


def counted(values: Values) -> NDArray[np.bool_]:
    """What was measured; where some pictures are exact and have no decibels, the others: they alone tell how far off a method is."""
    finite = np.isfinite(values)
    return finite if finite.any() else ~np.isnan(values)


def _mean(metric: Metric, values: Values) -> float:
    there = values[counted(values)]
    if not len(there):
        return float("nan")
    return float(np.exp(np.log(there).mean())) if metric.geometric else float(there.mean())
