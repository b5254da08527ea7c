"""The options that restore, colorize and inpaint share: one declaration each, so that they are called and explained alike."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

INPUT, CHOICE, OUTPUT, MACHINE = "Which photos", "What is done", "What is written", "How it runs"

Photos = Annotated[list[str], typer.Argument(help="Photos, folders, patterns, or - for standard input.", show_default=False)]

Recursive = Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.", rich_help_panel=INPUT)]
Faces = Annotated[str, typer.Option(help="all, largest, center, none, or numbers as in 0,2.", rich_help_panel=INPUT)]
MinFace = Annotated[int, typer.Option(help="Leave smaller faces alone (pixels).", rich_help_panel=INPUT)]
Aligned = Annotated[bool, typer.Option("--aligned", help="The photos are aligned face crops.", rich_help_panel=INPUT)]
PixelLimit = Annotated[float, typer.Option(help="Refuse larger photos (megapixels; 0: any).", rich_help_panel=INPUT)]
Salvage = Annotated[bool, typer.Option("--salvage", help="Work on the readable part of a damaged file.", rich_help_panel=INPUT)]

Model = Annotated[str, typer.Option("--model", "-m", help="A name of `facewright models list`, or a weight file.", rich_help_panel=CHOICE)]
Outline = Annotated[str, typer.Option(help="Shape of the pasted face: ellipse, hull, or parse (needs parsenet).", rich_help_panel=CHOICE)]
Detector = Annotated[
    str, typer.Option(help="Finds the faces: mtcnn; or retinaface, yolov5n-face, yolov5l-face (need their files).", rich_help_panel=CHOICE)
]
Seed = Annotated[int, typer.Option(help="Of the model's noise.", rich_help_panel=CHOICE)]

InPlace = Annotated[bool, typer.Option("--in-place", help="Replace the originals.", rich_help_panel=OUTPUT)]
Metadata = Annotated[str, typer.Option(help="keep, basic (no place, no serial numbers) or strip.", rich_help_panel=OUTPUT)]
Quality = Annotated[int | None, typer.Option(help="1 to 100 for lossy formats. [default: the source's]", rich_help_panel=OUTPUT)]
SaveFaces = Annotated[bool, typer.Option("--save-faces", help="Also write the crops before and after.", rich_help_panel=OUTPUT)]
Compare = Annotated[bool, typer.Option("--compare", help="Also write before and after side by side.", rich_help_panel=OUTPUT)]
ReportPage = Annotated[Path | None, typer.Option(help="Write a page with sliders and each face's numbers.", rich_help_panel=OUTPUT)]
JournalFile = Annotated[Path | None, typer.Option(help="Note what is done; go on from there after a kill.", rich_help_panel=OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON line a photo.", rich_help_panel=OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)]

Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=MACHINE)]
Precision = Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=MACHINE)]
Batch = Annotated[int, typer.Option(help="Faces a network pass.", rich_help_panel=MACHINE)]
Jobs = Annotated[int, typer.Option(help="Threads that read, and that write.", rich_help_panel=MACHINE)]


def output(suffix: str) -> typer.models.OptionInfo:
    """--output of a verb whose results are called NAME and this suffix."""
    told = f"File, folder, or - for standard output. [default: beside each photo, NAME{suffix}]"
    option: typer.models.OptionInfo = typer.Option("--output", "-o", help=told, rich_help_panel=OUTPUT)
    return option
