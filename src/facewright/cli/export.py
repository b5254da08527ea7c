"""facewright export: parse, call `export_model`, print."""

from __future__ import annotations

import json
from dataclasses import asdict
from enum import Enum
from pathlib import Path
from typing import Annotated, Literal

import typer

from facewright.errors import UsageError


class Format(str, Enum):
    safetensors = "safetensors"
    pth = "pth"
    onnx = "onnx"


def export(
    model: Annotated[str, typer.Argument(help="A name of `facewright models list`, or a weight file.", show_default=False)],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.", show_default=False)],
    clean: Annotated[bool, typer.Option("--clean", help="Turn a bilinear GFPGAN into the clean one that computes the same.")] = False,
    bilinear: Annotated[bool, typer.Option("--bilinear", help="Turn a clean GFPGAN into the bilinear one, which training takes.")] = False,
    half: Annotated[bool, typer.Option("--fp16/--fp32", help="Half or full precision of the weights.")] = False,
    format: Annotated[Format | None, typer.Option(help="The format, where the file's name does not tell it.", show_default=False)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No words.")] = False,
) -> None:
    """Write a model in another format, precision or form, and compare what was written with the model.

    What a file cannot tell is said beside its name: FILE:flavour=bilinear
    """
    from facewright.export import export_model

    if clean and bilinear:
        raise UsageError("a model is either clean or bilinear", what_to_do="give one of --clean and --bilinear")
    form: Literal["clean", "bilinear"] | None = "clean" if clean else "bilinear" if bilinear else None
    done = export_model(model, output, form=form, precision="fp16" if half else "fp32", format=format.value if format else None)
    if as_json:
        typer.echo(json.dumps(asdict(done) | {"path": str(done.path)}, indent=2))
    elif not quiet:
        facts = [done.format, done.precision, *([done.conversion] if done.conversion else []), f"{done.bytes:,} bytes"]
        typer.echo(f"{done.path}: {', '.join(facts)}")
        if form and not done.conversion:
            typer.echo(f"it was {form} already")
        if done.difference is None:
            typer.echo("not compared with the model: neither onnxruntime nor this OpenCV can run it here")
        else:
            typer.echo(f"loaded again; its {done.compared} differ from the model's by at most {done.difference:.2g}")
