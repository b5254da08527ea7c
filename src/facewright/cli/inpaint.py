"""facewright inpaint: parse, run the batch with an Inpainter."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facewright.cli import options
from facewright.cli.options import INPUT
from facewright.cli.running import Results, Words, run

if TYPE_CHECKING:
    from facewright.restore.restorer import Restorer

SUFFIX = "-inpainted"
WORDS = Words(
    "filling",
    "Photos with their holes filled",
    ("filled", "left alone"),
    "nothing was filled, the photo is unchanged",
    ("not chosen", "no hole in it"),
)


def inpaint(
    photos: options.Photos,
    mask: Annotated[
        Path | None,
        typer.Option(
            help="White where the photo has a hole: a picture of its size, or a folder with one of each photo's name. "
            "[default: what is pure white in the photo]",
            rich_help_panel=INPUT,
        ),
    ] = None,
    output: Annotated[str | None, options.output(SUFFIX)] = None,
    recursive: options.Recursive = False,
    faces: options.Faces = "all",
    min_face: options.MinFace = 24,
    aligned: options.Aligned = False,
    pixel_limit: options.PixelLimit = 200,
    salvage: options.Salvage = False,
    model: options.Model = "codeformer-inpainting",
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
    """Fill scratches and holes in the faces of photos; what is no hole stays as it is, to the bit."""
    from facewright.restore import masks
    from facewright.restore.plan import plan
    from facewright.restore.settings import Settings

    results = Results(metadata, quality, save_faces, compare, report, journal, as_json, quiet, pixel_limit, salvage, jobs)
    settings = Settings(
        model=model,
        detector=detector,
        faces=faces,
        min_face=min_face,
        aligned=aligned,
        seed=seed,
        device=device,
        precision=precision,
        batch=batch,
    )
    named = None if mask is None else masks.Masks(mask, pixel_limit=int(pixel_limit * 1e6) or None)
    tasks = plan(photos, output, recursive=recursive, in_place=in_place, suffix=SUFFIX)
    if named is not None:
        # a folder of photos may hold the masks as well
        tasks = [task for task in tasks if task.source is None or not named.holds(task.source)] or tasks

    def inpainter() -> Restorer:
        from facewright.restore.inpainter import Inpainter

        return Inpainter(settings, find=masks.white if named is None else named)

    facts = {"verb": "inpaint", "masks": named.facts if named is not None and journal is not None else []}
    run(tasks, model, inpainter, settings.asdict() | facts, results, WORDS)
