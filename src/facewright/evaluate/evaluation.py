"""One evaluation from its choices to its files: what `facewright evaluate` and benchmarks/quality.py call."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facewright.errors import InputError, ModelError, UsageError
from facewright.evaluate import catalogue, files, page, rivals, sweeping
from facewright.evaluate.cases import strips
from facewright.evaluate.catalogue import METRICS, Metric
from facewright.evaluate.journal import Journal
from facewright.evaluate.judges import Panel, open_panel
from facewright.evaluate.methods import Sweep, open_models, open_rivals, parse_sweep
from facewright.evaluate.pairs import Folders, names_of
from facewright.evaluate.published import published
from facewright.evaluate.results import Results, summarise
from facewright.evaluate.scoring import BATCH, amount, score
from facewright.evaluate.source import Source
from facewright.evaluate.suites import Suite, open_suite, suite
from facewright.media import write_atomically
from facewright.metrics.conventions import convention as named_convention
from facewright.restore import Settings
from facewright.weights.device import pick_device


@dataclass(frozen=True)
class Choices:
    """What is evaluated and how. restored, truth: folders; or suite, models (names or files), damage, rivals, data, sweep.

    metrics: names, or none for what can be had; convention: whose rules; groups: columns of the manifest; limit: about so many pictures;
    size: pixels, else the suite's; seed: of damage, intervals and tests; beside: a suite whose published numbers are shown.
    """

    restored: tuple[Path, ...] = ()
    truth: Path | None = None
    suite: str = ""
    models: tuple[str, ...] = ()
    damage: tuple[str, ...] = ()
    rivals: tuple[str, ...] = rivals.DEFAULT
    data: Path | None = None
    sweep: str = ""
    metrics: tuple[str, ...] = ()
    convention: str = catalogue.DEFAULT
    groups: tuple[str, ...] = ()
    limit: int | None = None
    size: int | None = None
    seed: int = 7
    beside: str = ""
    device: str = "auto"
    precision: str = "auto"
    batch: int = BATCH
    as_published: bool = False

    def __post_init__(self) -> None:
        if bool(self.restored) == bool(self.suite):
            raise UsageError(
                "say what is to be evaluated: folders or a suite",
                what_to_do="give --restored DIR --truth DIR, or --suite NAME --model NAME",
            )
        if self.restored:
            given = {"--model": self.models, "--damage": self.damage, "--sweep": self.sweep, "--data": self.data, "--size": self.size}
            if named := [name for name, value in given.items() if value]:
                raise UsageError(
                    f"{named[0]} does not fit --restored", "the pictures are restored already", "leave it out, or take --suite"
                )
        else:
            suite(self.suite)
            if self.truth is not None:
                raise UsageError("--truth does not fit --suite", "a suite has its own", "leave it out")
        if self.batch < 1:
            raise UsageError(f"--batch cannot be {self.batch}", "at least one picture has to be looked at")
        if self.beside:
            suite(self.beside)
        named_convention(self.convention)
        catalogue.find(self.metrics, self.convention)


@dataclass
class Evaluated:
    """results and what was said; folder: where the files are, None where none were asked for. swept: how the numbers go along the sweep, as
    markdown."""

    choices: Choices
    results: Results
    panel: Panel
    source: Source
    folder: Path | None
    markdown: str
    settings: dict[str, str] = field(default_factory=dict)
    swept: str = ""


class Evaluation:
    """Opened: models and judges loaded, pictures listed; nothing is measured yet. amount: how much there is to do, as `run` counts it.

    Raises what a person can do something about: a suite that is not there, folders that do not pair, a judge without its file.
    """

    def __init__(self, choices: Choices) -> None:
        self.choices = choices
        self.sweep = parse_sweep(choices.sweep) if choices.sweep else None
        self.source = _open(choices, self.sweep)
        _check_groups(self.source, choices.groups)
        self.panel = _panel(choices, self.source)
        self.amount = amount(self.source)

    def run(self, output: Path | None = None, advance: Callable[[int], None] = lambda count: None) -> Evaluated:
        """Measure, and write results.jsonl, table.csv, table.md, table.tex, summary.json and index.html into `output`.

        advance: told how much more is done. The same choices in the same folder go on where an earlier run was killed. Pictures that could
        not be measured are in `results.failures`; raises InputError where that is all of them.
        """
        choices, source, panel = self.choices, self.source, self.panel
        with ExitStack() as stack:
            folder = output or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="facewright-evaluate-")))
            journal = stack.enter_context(Journal(folder, source.facts | {"convention": choices.convention}))
            failures = score(source, panel, journal, pick_device(choices.device), batch=choices.batch, advance=advance)
            groups = choices.groups or (suite(choices.suite).groups if choices.suite else ())
            results = summarise(source, panel, journal, failures, groups=groups, seed=choices.seed)
        if not results.cases:
            first = results.failures[0]
            raise InputError(f"not one of {len(results.failures)} pictures could be measured", f"{first.name}: {first.why}")
        told = sweeping.swept(results, source.models, self.sweep) if self.sweep is not None else None
        along = sweeping.markdown(sweeping.courses(results, told), told.symbol) if told is not None else ""
        done = Evaluated(choices, results, panel, source, output, files.markdown(results), _settings(choices, source, panel), along)
        if output is not None:
            _write(done, output, told)
        return done


def _open(choices: Choices, sweep: Sweep | None) -> Source:
    if choices.restored:
        return Folders(names_of(choices.restored), choices.truth)
    if not choices.models and sweep is not None:
        raise UsageError("--sweep needs --model", "only a model has something to sweep")
    if rivals.SLOW in choices.rivals and (choices.limit is None or choices.limit > rivals.SLOW_LIMIT):
        raise UsageError(
            f"{rivals.SLOW} is too slow for a whole suite", "it takes a minute or two a face", f"add --limit {rivals.SLOW_LIMIT} or less"
        )
    settings = Settings(
        aligned=True, device=choices.device, precision=choices.precision, batch=min(choices.batch, 1024), as_published=choices.as_published
    )
    methods = [*open_rivals(choices.rivals), *open_models(choices.models, settings, sweep)]
    return open_suite(
        choices.suite, methods, data=choices.data, conditions=choices.damage, size=choices.size, seed=choices.seed, limit=choices.limit
    )


def _panel(choices: Choices, source: Source) -> Panel:
    """The metrics that were asked for, or all that the pictures and this machine allow."""
    sizes = {case.size for case in source.cases}
    square = all(width == height for width, height in sizes)
    side = min(next(iter(sizes))) if len(sizes) == 1 else None
    if choices.metrics:
        asked = catalogue.find(choices.metrics, choices.convention)
        _check(asked, source, square)
        return open_panel(asked, choices.convention, pick_device(choices.device), side=side)
    names = [*catalogue.OFFLINE, *catalogue.WHERE_THERE] if square else [*catalogue.PICTURES, *catalogue.WHERE_THERE]
    if choices.convention != catalogue.DEFAULT or (choices.suite and not suite(choices.suite).offline):
        # as its tables have it: their channel, not that of ours
        own = [metric.name for metric in catalogue.find(("psnr", "ssim"), choices.convention)]
        names = own + [name for name in names if not name.startswith(("psnr", "ssim"))]
    fitting = [metric for metric in catalogue.find(names, choices.convention) if source.has_truth or not metric.truth]
    fitting = [metric for metric in fitting if square or not metric.aligned]
    if not fitting:
        raise UsageError("nothing can be measured without a truth", what_to_do="give --truth DIR")
    device = pick_device(choices.device)
    panel = open_panel(fitting, choices.convention, device, optional=catalogue.WHERE_THERE, side=side)
    if not panel.metrics:
        name, why = next(iter(panel.left_out.items()))
        raise ModelError(f"cannot compute {name}", why, "give --truth DIR, which needs no file")
    return panel


def _check(asked: Sequence[Metric], source: Source, square: bool) -> None:
    """Raises where a metric that was asked for cannot be had, by name."""
    for metric in asked:
        if metric.truth and not source.has_truth:
            free = [each.name for each in METRICS.values() if not each.truth]
            raise UsageError(
                f"{metric.name} needs true pictures", "there are none to compare with", f"give --truth DIR, or take: {', '.join(free)}"
            )
        if metric.aligned and not square:
            odd = next(case for case in source.cases if case.size[0] != case.size[1])
            raise InputError(
                f"{metric.name} needs aligned face crops",
                f"{odd.name} is {odd.size[0]} x {odd.size[1]}",
                f"leave it out, or take: {', '.join(catalogue.PICTURES)}",
            )
        if metric.whole and len(source.cases) < metric.least:
            raise InputError(
                f"too few pictures for {metric.name}",
                f"it needs {metric.least}, {len(source.cases)} are there",
                "add pictures, or leave it out",
            )


def _check_groups(source: Source, groups: Sequence[str]) -> None:
    known = dict.fromkeys(column for case in source.cases for column in case.columns)
    for column in groups:
        if column not in known:
            told = f"use one of: {', '.join(known)}" if known else "put a manifest.csv into the truth folder"
            raise UsageError(f"there is no column {column!r} to group by", what_to_do=told)


def _settings(choices: Choices, source: Source, panel: Panel) -> dict[str, str]:
    facts = {name: str(value) for name, value in source.facts.items() if value != ""}
    return facts | {
        "convention": f"{choices.convention}: {named_convention(choices.convention).source}",
        "models": ", ".join(source.models) if isinstance(source, Suite) else "",
        "metrics": ", ".join(metric.label for metric in panel.metrics),
    }


def _write(done: Evaluated, folder: Path, swept: sweeping.Swept | None) -> None:
    results, source = done.results, done.source
    files.write_lines(results, folder / "results.jsonl")
    files.write_csv(results, folder / "table.csv")
    write_atomically(folder / "table.md", f"{done.markdown}\n{done.swept}".encode() if done.swept else done.markdown.encode())
    write_atomically(folder / "table.tex", files.latex(results).encode())
    told: dict[str, Any] = {"settings": done.settings, "left_out": done.panel.left_out, **files.summary(results)}
    write_atomically(folder / "summary.json", (json.dumps(told, indent=1, ensure_ascii=False) + "\n").encode())
    words = suite(done.choices.suite).words if done.choices.suite else source.name
    telling = page.Told(
        title=done.choices.suite or "Evaluation",
        words=words[0].upper() + words[1:] + ".",
        settings={name: value for name, value in done.settings.items() if value},
        left_out=done.panel.left_out,
        published=published(done.choices.beside or done.choices.suite),
        asked_beside=done.choices.beside not in ("", done.choices.suite),
        swept=swept,
    )
    write_atomically(folder / "index.html", page.page(source, results, strips(source, results), telling).encode(errors="replace"))
