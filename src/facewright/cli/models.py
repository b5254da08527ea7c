"""facewright models: which models there are, fetch one, what one is, whether one is whole, where it lies."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facewright.errors import FacewrightError, ModelError, PartialFailure
from facewright.weights import catalog

if TYPE_CHECKING:
    from facewright.weights.download import Progress

app = typer.Typer(name="models", help="List, fetch and check models.", no_args_is_help=True)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Name = Annotated[str, typer.Argument(help="A name of the list.", show_default=False)]


@app.command("list")
def list_models(
    everything: Annotated[bool, typer.Option("--all", help="Also those that this version cannot run yet.")] = False, as_json: AsJson = False
) -> None:
    """The models that facewright knows, and which of them are here."""
    entries = [entry for entry in catalog.entries().values() if everything or entry.runs]
    if as_json:
        typer.echo(json.dumps([facts(entry) for entry in entries], indent=2))
        return
    rows = [(entry.name, entry.serves, _state(entry), megabytes(entry.size), entry.terms, entry.title) for entry in entries]
    for line in columns(rows):
        typer.echo(line)


@app.command()
def get(
    names: Annotated[list[str], typer.Argument(help="Names of the list.", show_default=False)],
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is here.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress, no words.")] = False,
) -> None:
    """Fetch published models; a broken download goes on where it ended."""
    from facewright.weights.obtain import get as fetch

    entries = [catalog.lookup(name) for name in names]
    failures: list[FacewrightError] = []
    for entry in entries:
        if not quiet and not entry.bundled:  # before it comes, so that it can still be stopped
            typer.echo(f"{entry.name}: licence: {entry.terms}. {entry.note}")
        try:
            with _progress(entry.name, quiet) as progress:
                path = fetch(entry, force=force, progress=progress)
        except FacewrightError as error:
            failures.append(error)
            continue
        if not quiet:
            typer.echo(f"{entry.name} is here: {path}")
            if not entry.runs:
                typer.echo("this version cannot run it yet")
    if len(failures) == 1 == len(entries):
        raise failures[0]
    if failures:
        why = "; ".join(str(error) for error in failures)
        raise PartialFailure(f"{len(failures)} of {len(entries)} models could not be fetched", why, failures[0].what_to_do)


@app.command()
def info(
    name: Annotated[str, typer.Argument(help="A name of the list, or a weight file.", show_default=False)], as_json: AsJson = False
) -> None:
    """What a model is: its card, licence and origin; for any weight file what its tensors say.

    What a file cannot tell is said beside its name: FILE:flavour=bilinear
    """
    file = Path(catalog.split(name)[0]).expanduser()
    entry = catalog.identify(file) if file.is_file() else _entry_or_path(name)
    told: dict[str, Any] = facts(entry) if entry else {}
    told |= {"path": str(file), "where": "given"} if file.is_file() else {}
    if entry is None or (entry.runs and (entry.where != "missing" or file.is_file())):
        told |= _network(name)
    if as_json:
        typer.echo(json.dumps(told, indent=2))
        return
    card = told.pop("card", "")
    told |= {"licence": entry.terms} if entry else {}
    for line in columns([(key, _words(value)) for key, value in told.items() if value not in (None, "", [], {})]):
        typer.echo(line)
    if entry and entry.where == "missing" and not file.is_file():
        typer.echo(f"to get it: {entry.how_to_get}")
    if card:
        typer.echo(f"\n{card}")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Names of the list; without any, all that are here.", show_default=False)
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare models with their published sums, and load them."""
    from facewright.weights.obtain import verify as check

    here = [entry for entry in catalog.entries().values() if entry.where != "missing"]
    verdicts = [check(entry) for entry in ([catalog.lookup(name) for name in names] if names else here)]
    if as_json:
        typer.echo(json.dumps([{"name": v.name, "ok": v.ok, "said": v.said, "sha256": v.sha256} for v in verdicts], indent=2))
    else:
        for line in columns([(v.name, "ok" if v.ok else "BAD", v.said) for v in verdicts]):
            typer.echo(line)
    if bad := [catalog.lookup(verdict.name) for verdict in verdicts if not verdict.ok]:
        cure = "install facewright again" if bad[0].bundled else f"facewright models get --force {' '.join(entry.name for entry in bad)}"
        raise ModelError(f"{', '.join(entry.name for entry in bad)} cannot be used", "the file is not what it should be", cure)


@app.command()
def path(name: Name) -> None:
    """Where a model's file lies."""
    typer.echo(catalog.find(name))


# Facts and words -----------------------------------------------------------------------------------------------------------------------


def facts(entry: catalog.Entry) -> dict[str, Any]:
    """An entry as JSON has it."""
    return {
        "name": entry.name,
        "title": entry.title,
        "where": entry.where,
        "path": str(entry.path),
        "bytes": entry.size,
        "architecture": entry.architecture,
        "serves": entry.serves,
        "licence": entry.licence,
        "commercial": entry.commercial,
        "note": entry.note,
        "runs": entry.runs,
        "default": entry.default,
        "url": entry.url or None,
        "sha256": entry.sha256,
        "pinned_by": entry.pinned_by or None,
        "other_names": list(entry.also),
    }


def megabytes(size: int | None) -> str:
    return "?" if size is None else f"{size / 1e6:,.1f} MB" if size < 1e7 else f"{size / 1e6:,.0f} MB"


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows as lines, all but the last column padded: plain, so that a pipe gets the same as a screen."""
    widths = [max((len(row[i]) for row in rows), default=0) for i in range(max((len(row) for row in rows), default=1) - 1)]
    return ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows]


def _state(entry: catalog.Entry) -> str:
    if entry.where != "missing":
        return f"{entry.where}, default" if entry.default else entry.where
    return "MISSING" if entry.bundled else "to be fetched"


def _words(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_words(each)}" for key, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else "yes" if value is True else "no" if value is False else str(value)


def _entry_or_path(name: str) -> catalog.Entry:
    """The entry of that name; for what looks like a path the error is about the file."""
    try:
        return catalog.lookup(name)
    except ModelError:
        catalog.find(name)
        raise


def _network(name: str) -> dict[str, Any]:
    from facewright.weights import load_model

    model = load_model(name)
    numbers = sum(parameter.numel() for parameter in model.net.parameters())
    told = {"network": model.info["title"], "parameters": numbers, "arguments": model.arguments, "assumed": model.info["assumed"]}
    # The catalog's own words are said already; a card is the text that comes with a file.
    card = model.info["card"] if Path(model.info["path"]).with_suffix(".md").is_file() else ""
    return told | {"noise": model.info["noise"], "card": card}


@contextmanager
def _progress(name: str, quiet: bool) -> Iterator[Progress | None]:
    """A bar with an estimate on a terminal; nothing elsewhere."""
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

    console = Console(stderr=True)
    if quiet or not console.is_terminal:
        yield None
        return
    shown = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*shown, console=console, transient=True) as bar:
        task = bar.add_task(name, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
