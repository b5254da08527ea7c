"""facewright evaluate: parse, call `evaluate`, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from facewright.errors import PartialFailure

INPUT, CHOICE, OUTPUT, MACHINE = "What is evaluated", "How it is measured", "What is written", "How it runs"


class Listing(TyperCommand):
    """A command whose repeatable options also take several values at once: --model A B C is --model A --model B --model C."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        several = {name for each in self.params if getattr(each, "multiple", False) for name in each.opts}
        words: list[str] = []
        option = ""
        for word in args:
            if word.startswith("-") and len(word) > 1:
                option = word if word in several else ""
            elif option and words[-1] != option:
                words.append(option)
            words.append(word)
        return list(super().parse_args(ctx, words))


def evaluate(
    restored: Annotated[
        list[Path] | None,
        typer.Option(help="Folder of restored pictures; several are compared.", rich_help_panel=INPUT, show_default=False),
    ] = None,
    truth: Annotated[
        Path | None, typer.Option(help="Folder of the true pictures, paired by name.", rich_help_panel=INPUT, show_default=False)
    ] = None,
    suite: Annotated[
        str,
        typer.Option(
            help="val-faces, test-faces, fair-faces, celeba-test, lfw-test, celebchild-test, webphoto-test or wider-test.",
            rich_help_panel=INPUT,
        ),
    ] = "",
    model: Annotated[
        list[str] | None, typer.Option("--model", "-m", help="Models by name or file.", rich_help_panel=INPUT, show_default=False)
    ] = None,
    damage: Annotated[
        list[str] | None,
        typer.Option(
            help="none, light, medium, heavy, x4, x8, old-photo, or a preset of `degrade`. [default: all but none]",
            rich_help_panel=INPUT,
            show_default=False,
        ),
    ] = None,
    rival: Annotated[
        list[str] | None,
        typer.Option(
            help="bicubic, lanczos+unsharp, denoise+sharpen, deep-image-prior (slow), or none. [default: the first three]",
            rich_help_panel=INPUT,
            show_default=False,
        ),
    ] = None,
    sweep: Annotated[
        str, typer.Option(help="w=0:1:0.1 (and auto beside it) or strength=0,0.5,1: the trade-off curve.", rich_help_panel=INPUT)
    ] = "",
    data: Annotated[Path | None, typer.Option(help="Where the suite's pictures are.", rich_help_panel=INPUT, show_default=False)] = None,
    limit: Annotated[int | None, typer.Option(help="About so many pictures, evenly spread.", rich_help_panel=INPUT)] = None,
    size: Annotated[int | None, typer.Option(help="Pixels of a face. [default: the suite's]", rich_help_panel=INPUT)] = None,
    as_published: Annotated[
        bool, typer.Option("--as-published", help="Models hold nothing back, as the published programs.", rich_help_panel=INPUT)
    ] = False,
    metrics: Annotated[
        str, typer.Option(help="Names by commas, as in psnr,ssim,identity. [default: all that can be had]", rich_help_panel=CHOICE)
    ] = "",
    convention: Annotated[
        str, typer.Option(help="Whose rules: basicsr, gfpgan, vqfr, codeformer, restoreformer, ...", rich_help_panel=CHOICE)
    ] = "basicsr",
    group: Annotated[
        list[str] | None, typer.Option(help="Columns of the manifest, or source.", rich_help_panel=CHOICE, show_default=False)
    ] = None,
    beside: Annotated[str, typer.Option(help="Show the published numbers of this suite.", rich_help_panel=CHOICE)] = "",
    seed: Annotated[int, typer.Option(help="Of damage, intervals and tests.", rich_help_panel=CHOICE)] = 7,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Folder for index.html, the tables and results.jsonl; a killed evaluation goes on there.",
            rich_help_panel=OUTPUT,
            show_default=False,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the summary as JSON.", rich_help_panel=OUTPUT)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=MACHINE)] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=MACHINE)] = "auto",
    batch: Annotated[int, typer.Option(help="Pictures a look.", rich_help_panel=MACHINE)] = 16,
) -> None:
    """Measure restored pictures against true ones, or models on a suite of damaged faces."""
    from facewright.cli.progress import Progress
    from facewright.evaluate import Choices, Evaluation, files
    from facewright.evaluate.rivals import DEFAULT

    choices = Choices(
        restored=tuple(restored or ()),
        truth=truth,
        suite=suite,
        models=tuple(model or ()),
        damage=tuple(damage or ()),
        rivals=tuple(rival or DEFAULT),
        data=data,
        sweep=sweep,
        metrics=tuple(word for word in metrics.split(",") if word.strip()),
        convention=convention,
        groups=tuple(group or ()),
        limit=limit,
        size=size,
        seed=seed,
        beside=beside,
        device=device,
        precision=precision,
        batch=batch,
        as_published=as_published,
    )
    prepared = Evaluation(choices)
    with Progress(prepared.amount, "evaluating", silent=quiet or as_json) as bar:
        done = prepared.run(output, bar.advance)
    if as_json:
        told = {"settings": done.settings, "left_out": done.panel.left_out, **files.summary(done.results)}
        typer.echo(json.dumps(told, ensure_ascii=False))
    elif not quiet:
        typer.echo(done.markdown)
        if done.swept:
            typer.echo(done.swept)
        for note in [*done.results.notes, *(f"{name} is left out: {why}" for name, why in done.panel.left_out.items())]:
            typer.echo(note)
        if output is not None:
            typer.echo(f"{output / 'index.html'}")
    if done.results.failures:
        first = done.results.failures[0]
        total = len(done.results.failures) + len(done.results.cases)
        raise PartialFailure(
            f"{len(done.results.failures)} of {total} pictures could not be measured",
            f"{first.name}: {first.why}",
            f"see {output / 'results.jsonl'}" if output is not None else "the numbers above are without them",
        )
