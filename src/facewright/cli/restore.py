"""facewright restore: parse, call `restore_all`, print."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from facewright.cli import clips, options
from facewright.cli.options import CHOICE, INPUT
from facewright.cli.running import Results, Words, run
from facewright.errors import UsageError

if TYPE_CHECKING:
    from facewright.restore.restorer import Restorer


def restore(
    photos: Annotated[list[str], typer.Argument(help="Photos, clips, folders, patterns, or - for standard input.", show_default=False)],
    output: Annotated[str | None, options.output("-restored")] = None,
    recursive: options.Recursive = False,
    faces: options.Faces = "all",
    min_face: options.MinFace = 24,
    only_center_face: Annotated[
        bool, typer.Option("--only-center-face", help="The same as --faces center.", rich_help_panel=INPUT)
    ] = False,
    aligned: options.Aligned = False,
    pixel_limit: options.PixelLimit = 200,
    salvage: options.Salvage = False,
    model: options.Model = "gfpgan-mini",
    fidelity: Annotated[
        str, typer.Option("--fidelity", "-w", help="auto, or 0 (the model's face) to 1 (the photo's).", rich_help_panel=CHOICE)
    ] = "auto",
    strength: Annotated[float, typer.Option(help="Opacity of the restored face, 0 to 1.", rich_help_panel=CHOICE)] = 1.0,
    max_identity_drift: Annotated[
        float | None,
        typer.Option(help="Hold back faces that drift further from the original (0.6: another person).", rich_help_panel=CHOICE),
    ] = None,
    upscale: Annotated[float, typer.Option("--upscale", "-s", help="Output size over input size, 1 to 8.", rich_help_panel=CHOICE)] = 1.0,
    background: Annotated[
        str,
        typer.Option(
            help="What fills the photo between the faces: lanczos, none, realesrgan-x2plus, realesrgan-x4plus, or a weight file.",
            rich_help_panel=CHOICE,
        ),
    ] = "lanczos",
    mask: options.Outline = "ellipse",
    detector: options.Detector = "mtcnn",
    as_published: Annotated[
        bool,
        typer.Option(
            "--as-published",
            help="Find, align, paste and round as CodeFormer's program does with CodeFormer, GFPGAN's with others; for comparison.",
            rich_help_panel=CHOICE,
        ),
    ] = False,
    face_upsample: Annotated[
        bool,
        typer.Option(
            "--face-upsample", help="With --as-published: the background's model enlarges the faces, too.", rich_help_panel=CHOICE
        ),
    ] = False,
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
    steady: Annotated[
        bool,
        typer.Option(
            "--steady/--no-steady", help="In clips: calm a face from frame to frame where it stands still.", rich_help_panel=CHOICE
        ),
    ] = True,
) -> None:
    """Restore the faces in photos and clips; everything else in them stays as it is."""
    from facewright.restore.plan import plan
    from facewright.restore.settings import Settings

    results = Results(metadata, quality, save_faces, compare, report, journal, as_json, quiet, pixel_limit, salvage, jobs, steady)
    if only_center_face and faces != "all":
        raise UsageError("--only-center-face and --faces contradict each other", what_to_do="give one of them")
    settings = Settings(
        model=model,
        detector=detector,
        faces="center" if only_center_face else faces,
        min_face=min_face,
        fidelity=_number_or(fidelity, "auto", "--fidelity"),
        strength=strength,
        upscale=upscale,
        background=background,
        mask=mask,
        max_identity_drift=max_identity_drift,
        aligned=aligned,
        as_published=as_published,
        face_upsample=face_upsample,
        seed=seed,
        device=device,
        precision=precision,
        batch=batch,
    )
    tasks = plan(photos, output, recursive=recursive, in_place=in_place, clips=True)
    clips.refuse(tasks, settings, results)

    def restorer() -> Restorer:
        from facewright.restore.restorer import Restorer

        return Restorer(settings)

    run(tasks, settings.model, restorer, settings.asdict(), results, Words())


def _number_or(text: str, word: str, name: str) -> float | str:
    if text == word:
        return word
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name} cannot be {text!r}", f"it is {word} or a number from 0 to 1") from None
