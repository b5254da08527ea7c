"""facewright restore: parse, call `restore_all`, print."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facewright.errors import UsageError

if TYPE_CHECKING:
    from facewright.restore.batch import Outcome
    from facewright.restore.restorer import Restorer

INPUT, CHOICE, OUTPUT, MACHINE = "Which photos", "What is done", "What is written", "How it runs"


def restore(
    photos: Annotated[list[str], typer.Argument(help="Photos, folders, patterns, or - for standard input.", show_default=False)],
    output: Annotated[
        str | None,
        typer.Option(
            "--output",
            "-o",
            help="File, folder, or - for standard output. [default: beside each photo, NAME-restored]",
            rich_help_panel=OUTPUT,
        ),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.", rich_help_panel=INPUT)] = False,
    faces: Annotated[str, typer.Option(help="all, largest, center, or numbers as in 0,2.", rich_help_panel=INPUT)] = "all",
    min_face: Annotated[int, typer.Option(help="Leave smaller faces alone (pixels).", rich_help_panel=INPUT)] = 24,
    only_center_face: Annotated[
        bool, typer.Option("--only-center-face", help="The same as --faces center.", rich_help_panel=INPUT)
    ] = False,
    aligned: Annotated[bool, typer.Option("--aligned", help="The photos are aligned face crops.", rich_help_panel=INPUT)] = False,
    pixel_limit: Annotated[float, typer.Option(help="Refuse larger photos (megapixels; 0: any).", rich_help_panel=INPUT)] = 200,
    salvage: Annotated[bool, typer.Option("--salvage", help="Restore the readable part of a damaged file.", rich_help_panel=INPUT)] = False,
    model: Annotated[
        str, typer.Option("--model", "-m", help="A name of `facewright models list`, or a weight file.", rich_help_panel=CHOICE)
    ] = "gfpgan-mini",
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
    mask: Annotated[
        str, typer.Option(help="Shape of the pasted face: ellipse, hull, or parse (needs parsenet).", rich_help_panel=CHOICE)
    ] = "ellipse",
    detector: Annotated[
        str, typer.Option(help="Finds the faces: mtcnn, or retinaface (needs its file).", rich_help_panel=CHOICE)
    ] = "mtcnn",
    as_published: Annotated[
        bool,
        typer.Option("--as-published", help="Align, paste and round as the published GFPGAN does, for comparison.", rich_help_panel=CHOICE),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the model's noise.", rich_help_panel=CHOICE)] = 0,
    in_place: Annotated[bool, typer.Option("--in-place", help="Replace the originals.", rich_help_panel=OUTPUT)] = False,
    metadata: Annotated[str, typer.Option(help="keep, basic (no place, no serial numbers) or strip.", rich_help_panel=OUTPUT)] = "keep",
    quality: Annotated[int | None, typer.Option(help="1 to 100 for lossy formats. [default: the source's]", rich_help_panel=OUTPUT)] = None,
    save_faces: Annotated[
        bool, typer.Option("--save-faces", help="Also write the crops before and after.", rich_help_panel=OUTPUT)
    ] = False,
    compare: Annotated[bool, typer.Option("--compare", help="Also write before and after side by side.", rich_help_panel=OUTPUT)] = False,
    report: Annotated[Path | None, typer.Option(help="Write a page with sliders and each face's numbers.", rich_help_panel=OUTPUT)] = None,
    journal: Annotated[Path | None, typer.Option(help="Note what is done; go on from there after a kill.", rich_help_panel=OUTPUT)] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a photo.", rich_help_panel=OUTPUT)] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.", rich_help_panel=OUTPUT)] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.", rich_help_panel=MACHINE)] = "auto",
    precision: Annotated[str, typer.Option(help="auto, fp32, bf16 or fp16.", rich_help_panel=MACHINE)] = "auto",
    batch: Annotated[int, typer.Option(help="Faces a network pass.", rich_help_panel=MACHINE)] = 8,
    jobs: Annotated[int, typer.Option(help="Threads that read, and that write.", rich_help_panel=MACHINE)] = 2,
) -> None:
    """Restore the faces in photos; everything else in them stays as it is."""
    from facewright.restore.plan import plan
    from facewright.restore.settings import Settings

    if metadata not in ("keep", "basic", "strip"):
        raise UsageError(f"--metadata cannot be {metadata!r}", what_to_do="use one of: keep, basic, strip")
    if quality is not None and not 1 <= quality <= 100:
        raise UsageError(f"--quality cannot be {quality}", "it is a number from 1 to 100")
    if jobs < 1:
        raise UsageError(f"--jobs cannot be {jobs}", "at least one thread has to read")
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
        seed=seed,
        device=device,
        precision=precision,
        batch=batch,
    )
    tasks = plan(photos, output, recursive=recursive, in_place=in_place)
    streams = any(task.to_stream for task in tasks)
    if streams and (as_json or compare or save_faces):
        raise UsageError(
            "standard output carries the photo", "--json, --compare and --save-faces need another place", "name a file with --output"
        )

    from facewright.cli.progress import Progress
    from facewright.restore.batch import Writing, restore_all
    from facewright.restore.journal import Journal
    from facewright.restore.report import Report

    def restorer() -> Restorer:
        from facewright.restore.restorer import Restorer

        with progress.waiting(f"loading {settings.model}"):
            return Restorer(settings)

    from facewright.cli.telling import tell

    def on_done(outcome: Outcome) -> None:
        progress.advance()
        if outcome.error is not None and len(tasks) > 1:
            with progress.paused():
                tell(outcome.error)
        if as_json:
            print(json.dumps(outcome.asdict()), flush=True)
        elif outcome.error is None and not quiet and not streams:
            with progress.paused():
                print(_line(outcome), flush=True)

    writing = Writing(quality, metadata, save_faces, compare, int(pixel_limit * 1e6) or None, salvage)
    book = Journal(journal, {**settings.asdict(), **vars(writing)}) if journal is not None else None
    page = Report(report, title="Restored photos") if report is not None else None
    progress = Progress(len(tasks), "restoring", silent=quiet or as_json or streams)
    try:
        with progress:
            failure = restore_all(tasks, restorer, writing, jobs=jobs, journal=book, report=page, on_done=on_done)
    finally:
        if book is not None:
            book.close()
        if page is not None:
            page.write()
    if failure is not None:
        raise failure


def _line(outcome: Outcome) -> str:
    """old.jpg -> old-restored.jpg: 2 faces restored, 1 left alone"""
    faces = (outcome.report or {}).get("faces", [])
    counted = [
        f"{sum(face['action'] == action for face in faces)} {action}"
        for action in ("restored", "blended", "left alone")
        if any(face["action"] == action for face in faces)
    ]
    done = "already done" if outcome.skipped else ", ".join(counted) or "no face was found, the photo is unchanged"
    lines = [f"{outcome.task.name} -> {outcome.target}: {done}"]
    for face in faces:
        for reason in face["reasons"]:
            if not reason.startswith("not chosen"):
                lines.append(f"    face {face['face']}: {reason}")
    lines += [f"    {note}" for note in (outcome.report or {}).get("notes", []) if note != "no face was found"]
    return "\n".join(lines)


def _number_or(text: str, word: str, name: str) -> float | str:
    if text == word:
        return word
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{name} cannot be {text!r}", f"it is {word} or a number from 0 to 1") from None
