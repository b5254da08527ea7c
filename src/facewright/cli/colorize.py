"""facewright colorize: parse, run the batch with a Colorizer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facewright.cli import options
from facewright.cli.options import CHOICE
from facewright.cli.running import Results, Words, run

if TYPE_CHECKING:
    from facewright.restore.restorer import Restorer

SUFFIX = "-colorized"
WORDS = Words("colouring", "Coloured photos", ("coloured", "left alone"))


def colorize(
    photos: options.Photos,
    output: Annotated[str | None, options.output(SUFFIX)] = None,
    recursive: options.Recursive = False,
    faces: options.Faces = "all",
    min_face: options.MinFace = 24,
    aligned: options.Aligned = False,
    pixel_limit: options.PixelLimit = 200,
    salvage: options.Salvage = False,
    model: options.Model = "codeformer-colorization",
    strength: Annotated[float, typer.Option(help="Opacity of the colours, 0 to 1.", rich_help_panel=CHOICE)] = 1.0,
    whole_face: Annotated[
        bool, typer.Option("--whole-face", help="Take the model's whole picture of a face, not its colours only.", rich_help_panel=CHOICE)
    ] = False,
    mask: options.Outline = "ellipse",
    detector: options.Detector = "mtcnn",
    seed: options.Seed = 0,
    in_place: options.InPlace = False,
    metadata: options.Metadata = "keep",
    quality: options.Quality = None,
    save_faces: options.SaveFaces = False,
    compare: options.Compare = False,
    report: options.ReportPage = None,
    journal: options.JournalFile = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    device: options.Device = "auto",
    precision: options.Precision = "auto",
    batch: options.Batch = 8,
    jobs: options.Jobs = 2,
) -> None:
    """Colour the faces in photos; their brightness, and everything between them, stays as it is."""
    from facewright.restore.plan import plan
    from facewright.restore.settings import Settings

    results = Results(metadata, quality, save_faces, compare, report, journal, as_json, quiet, pixel_limit, salvage, jobs)
    settings = Settings(
        model=model,
        detector=detector,
        faces=faces,
        min_face=min_face,
        strength=strength,
        mask=mask,
        aligned=aligned,
        seed=seed,
        device=device,
        precision=precision,
        batch=batch,
    )
    tasks = plan(photos, output, recursive=recursive, in_place=in_place, suffix=SUFFIX)

    def colorizer() -> Restorer:
        from facewright.restore.colorizer import Colorizer

        return Colorizer(settings, keep_light=not whole_face)

    run(tasks, model, colorizer, settings.asdict() | {"verb": "colorize", "whole_face": whole_face}, results, WORDS)
