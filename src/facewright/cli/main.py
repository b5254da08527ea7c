"""facewright VERB: mounts the verbs and turns errors into one line and an exit code."""

from __future__ import annotations

import logging
import os
import sys
import traceback
import warnings
from typing import Annotated, cast

import typer

from facewright import __version__
from facewright.cli import colorize, dataset, degrade, doctor, evaluate, export, inpaint, models, restore, serve, train
from facewright.cli.telling import tell
from facewright.errors import INTERRUPTED, FacewrightError, UsageError

# Click's ClickException, of the click that typer uses: newer ones carry their own.
CommandError = cast("type[typer.BadParameter]", typer.BadParameter.__mro__[2])

app = typer.Typer(
    name="facewright",
    help="Restore the faces in old and damaged photographs.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command()(restore.restore)
app.command()(colorize.colorize)
app.command()(inpaint.inpaint)
app.command()(train.train)
app.command(cls=evaluate.Listing)(evaluate.evaluate)
app.add_typer(dataset.app, name="dataset")
app.add_typer(models.app, name="models")
app.command()(serve.serve)
app.command()(export.export)
app.command()(degrade.degrade)
app.command()(doctor.doctor)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"facewright {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error, and the log.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Print the version.", is_eager=True, callback=_print_version)] = False,
) -> None:
    if not debug:
        warnings.filterwarnings("ignore", module="PIL")  # what Pillow thinks of a damaged tag helps nobody here
    logging.basicConfig(level=logging.DEBUG if debug else logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def main() -> None:
    """The console script; always ends in SystemExit."""
    debug = "--debug" in sys.argv[1:]
    if debug:
        # accepted anywhere on the line
        sys.argv = [sys.argv[0], "--debug", *(word for word in sys.argv[1:] if word != "--debug")]
    try:
        ended = app(standalone_mode=False)
        code = ended if isinstance(ended, int) else 0
        if code == INTERRUPTED:  # typer turns Ctrl-C into this
            code = _told(KeyboardInterrupt())
    except (FacewrightError, CommandError, KeyboardInterrupt, BrokenPipeError, typer.Exit, typer.Abort) as error:
        if debug and not isinstance(error, typer.Exit):
            traceback.print_exc()
        code = _told(error)
    sys.exit(code)


def _told(error: BaseException) -> int:
    """Say it on stderr; the exit code."""
    if isinstance(error, FacewrightError):
        tell(error)
        return error.exit_code
    if isinstance(error, typer.Exit):
        return error.exit_code
    if isinstance(error, BrokenPipeError):
        # the reader of our output went away; keep the interpreter from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return UsageError.exit_code
    if isinstance(error, CommandError):
        tell(UsageError(error.format_message().rstrip(".").replace("\n", " "), what_to_do="see: facewright --help"))
        return UsageError.exit_code
    print("facewright: interrupted", file=sys.stderr)
    return INTERRUPTED
