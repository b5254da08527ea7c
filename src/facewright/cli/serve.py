"""facewright serve: parse, call `app.serve`, print where it is."""

from __future__ import annotations

from typing import Annotated

import typer

from facewright.cli import options
from facewright.cli.telling import tell
from facewright.errors import FacewrightError, UsageError, missing_extra

WHERE, WHO, MOST, MACHINE = "Where it listens", "Who may use it", "How much at most", options.MACHINE


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0: all of the network.", rich_help_panel=WHERE)] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port; 0: any that is free.", min=0, max=65535, rich_help_panel=WHERE)] = 8765,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the page.", rich_help_panel=WHERE)] = True,
    api_only: Annotated[bool, typer.Option("--api-only", help="Without the page.", rich_help_panel=WHERE)] = False,
    token: Annotated[
        str | None,
        typer.Option(help="What clients have to show.", envvar="FACEWRIGHT_TOKEN", show_envvar=True, rich_help_panel=WHO),
    ] = None,
    allow_host: Annotated[
        list[str] | None, typer.Option(help="Another name to answer to, behind a proxy. May be repeated.", rich_help_panel=WHO)
    ] = None,
    allow_origin: Annotated[
        list[str] | None, typer.Option(help="A site whose pages may call, as https://example.org. May be repeated.", rich_help_panel=WHO)
    ] = None,
    max_megabytes: Annotated[float, typer.Option(help="Of one photo.", rich_help_panel=MOST)] = 100,
    pixel_limit: Annotated[float, typer.Option(help="Of one photo (megapixels).", rich_help_panel=MOST)] = 100,
    max_faces: Annotated[int, typer.Option(help="Of one photo.", rich_help_panel=MOST)] = 100,
    max_seconds: Annotated[float, typer.Option(help="Of work on one photo.", rich_help_panel=MOST)] = 300,
    queue: Annotated[int, typer.Option(help="Photos that may wait.", rich_help_panel=MOST)] = 64,
    max_jobs: Annotated[int, typer.Option(help="Jobs at a time.", rich_help_panel=MOST)] = 100,
    max_gigabytes: Annotated[float, typer.Option(help="Of all files together.", rich_help_panel=MOST)] = 8,
    keep_minutes: Annotated[float, typer.Option(help="Files are gone after this time.", rich_help_panel=MOST)] = 60,
    model: options.Model = "gfpgan-mini",
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    batch: options.Batch = 8,
    workers: Annotated[
        int | None, typer.Option(help="Photos at a time. [default: one a core, 4 at most]", min=1, rich_help_panel=MACHINE)
    ] = None,
    grace: Annotated[float, typer.Option(help="Seconds to finish what is begun when it is stopped.", rich_help_panel=MACHINE)] = 30,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=MACHINE)] = False,
) -> None:
    """Open a page where photos are dropped and taken home restored, and an HTTP service for programs.

    Files stay in a private folder on this machine, and are gone when the page closes or after an hour.
    """
    try:
        from facewright.app import Limits, Options, Place, Service
        from facewright.app import serve as run
    except ModuleNotFoundError as missing:
        raise missing_extra("facewright serve", "app") from missing

    place = Place(host, port, token, allow_host or (), allow_origin or (), api_only, browser, grace)
    limits = Limits(
        bytes=_times(max_megabytes, 2**20, "--max-megabytes"),
        pixels=_times(pixel_limit, 10**6, "--pixel-limit"),
        faces=max_faces,
        seconds=max_seconds,
        queue=queue,
        jobs=max_jobs,
        stored=_times(max_gigabytes, 2**30, "--max-gigabytes"),
        keep=keep_minutes * 60,
    )
    service = Service(limits, Options(model=model), device=device, precision=precision, batch=batch, workers=workers)
    if place.is_open:
        tell(FacewrightError(f"anybody who reaches {host} may use this service", "", "give it a --token, or listen on 127.0.0.1"))

    def say(address: str) -> None:
        if not quiet:
            what = f"{address}docs" if api_only else address
            typer.echo(f"facewright is at {what}   (Ctrl-C stops it)")

    run(service, place, say)


def _times(value: float, unit: int, name: str) -> int:
    if not 0 < value * unit < 2**62:
        raise UsageError(f"{name} cannot be {value:g}", what_to_do="give a number above 0")
    return max(1, int(value * unit))
