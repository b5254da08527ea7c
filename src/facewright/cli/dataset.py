"""facewright dataset: make a set of faces from photos, mark, check, count, divide and pack it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facewright.errors import PartialFailure, UsageError

if TYPE_CHECKING:
    from facewright.curate.album import Aligned
    from facewright.curate.check import Checked

app = typer.Typer(name="dataset", help="Make, check, divide and pack sets of face crops for training.", no_args_is_help=True)

Folder = Annotated[Path, typer.Argument(help="Folder of face crops.", show_default=False)]
Source = Annotated[str, typer.Argument(help="Folder of face crops, or WebDataset .tar shards.", show_default=False)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")]
DetectorName = Annotated[str, typer.Option("--detector", help="Finds the faces: mtcnn, retinaface, yolov5n-face or yolov5l-face.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Val = Annotated[float, typer.Option(help="Part of the pictures held out to validate on.")]
Test = Annotated[float, typer.Option(help="Part of the pictures held out to test on.")]
Seed = Annotated[int, typer.Option(help="Of the order in which people are drawn.")]

_SHOWN = 10


@app.command()
def align(
    photos: Annotated[list[Path], typer.Argument(help="Photos, or folders of them, best one a person.", show_default=False)],
    output: Annotated[
        Path, typer.Option("--output", "-o", help="Folder for crops and manifest.csv; what is there goes on.", show_default=False)
    ],
    size: Annotated[int, typer.Option(help="Pixels of a crop at most; nothing is enlarged.")] = 512,
    min_face: Annotated[int, typer.Option(help="Leave smaller faces out (pixels).")] = 128,
    format: Annotated[str, typer.Option(help="webp or png.")] = "webp",
    val: Val = 0.1,
    test: Test = 0.1,
    seed: Seed = 0,
    detector: DetectorName = "mtcnn",
    device: Device = "auto",
    as_json: AsJson = False,
    quiet: Quiet = False,
) -> None:
    """Cut every face of photos into a folder that can be trained on."""
    from facewright.cli.progress import Progress
    from facewright.curate.album import AlignSettings, align_photos
    from facewright.curate.photos import find_photos
    from facewright.faces.detect import load_detector
    from facewright.faces.identity import Identity
    from facewright.weights.device import pick_device

    settings = AlignSettings(size, min_face, format, val, test, seed)
    found = find_photos(photos, leave_out=output)
    chosen = str(pick_device(device))
    finds, knows = load_detector(detector, chosen), Identity.load(chosen)
    with Progress(len(found), "aligning", silent=quiet or as_json) as bar:
        result = align_photos(found, output, settings, finds, knows, bar.advance)
    if as_json:
        typer.echo(json.dumps(vars(result), indent=2, ensure_ascii=False))
    elif not quiet:
        for line in _told(result, output):
            typer.echo(line)
    if result.unreadable:
        first = result.unreadable[0]
        why = f"{first['photo']}: {first['why']}"
        raise PartialFailure(
            f"{len(result.unreadable)} of {result.photos} photos could not be read", why, f"see {output}/align-report.json"
        )


@app.command()
def landmarks(
    source: Source,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help=".json, .npz, or .pth as published. [default: DIR/landmarks.json]")
    ] = None,
    detector: DetectorName = "mtcnn",
    device: Device = "auto",
    quiet: Quiet = False,
) -> None:
    """Find eyes and mouth in crops, for the component discriminators."""
    from facewright.cli.progress import Progress
    from facewright.curate.landmarks import write_landmarks
    from facewright.data.faces import list_pictures
    from facewright.data.landmarks import FILE
    from facewright.faces.detect import load_detector
    from facewright.weights.device import pick_device

    pictures = list_pictures(source)
    target = output or (Path(source) if Path(source).is_dir() else Path(source).parent) / FILE
    finds = load_detector(detector, str(pick_device(device)))
    with Progress(len(pictures), "finding landmarks", silent=quiet) as bar:
        marked = write_landmarks(pictures, target, finds, bar.advance)
    if not quiet:
        typer.echo(f"{target}: landmarks of {len(marked.points)} faces")
        if marked.unsure:
            typer.echo(f"{len(marked.unsure)} show no face to be sure of; they have the template's points:")
            _list(marked.unsure)
    if marked.skipped:
        told = "; ".join(f"{each.name}: {each.why}" for each in marked.skipped[:_SHOWN])
        raise PartialFailure(f"{len(marked.skipped)} of {len(pictures)} crops could not be read", told, "see: facewright dataset check")


@app.command()
def check(source: Source, as_json: AsJson = False, quiet: Quiet = False) -> None:
    """Decode every crop; find what is broken, repeated or in two splits. Exit code 6 where something is bad."""
    from facewright.cli.progress import Progress
    from facewright.curate.check import check as look_through
    from facewright.data.faces import list_pictures

    pictures = list_pictures(source)
    with Progress(len(pictures), "checking", silent=quiet or as_json) as bar:
        result = look_through(source, bar.advance)
    if as_json:
        told = {"pictures": result.pictures, "bad": len(result.bad), "faults": dict(result.faults), "remarks": dict(result.remarks)}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    elif not quiet:
        _tell_findings(result)
    if result.bad:
        raise PartialFailure(f"{len(result.bad)} of {result.pictures} pictures in {source} are bad", what_to_do="remove or mend them")


@app.command()
def stats(source: Source, as_json: AsJson = False) -> None:
    """Count pictures and people by split, use, source, width and colour."""
    from facewright.cli.models import columns
    from facewright.curate.stats import stats as count

    told: dict[str, Any] = count(source)
    if as_json:
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    typer.echo(f"{told['pictures']} pictures of {told['people']} people, {told['people_with_several']} of them with several")
    typer.echo(f"{told['with_landmarks']} have landmarks")
    groups = {name: group for name, group in told.items() if isinstance(group, dict)}
    rows = [("", "", "pictures", "people")]
    for name, group in groups.items():
        for number, (label, counts) in enumerate(group.items()):
            rows.append((name if number == 0 else "", label, str(counts["pictures"]), str(counts["people"])))
    for line in columns(rows):
        typer.echo(line)


@app.command()
def split(folder: Folder, val: Val = 0.1, test: Test = 0.1, seed: Seed = 0, quiet: Quiet = False) -> None:
    """Divide into train, val and test by person, and write it into the manifest."""
    from facewright.curate.split import split as divide

    counts = divide(folder, val, test, seed)
    if not quiet:
        typer.echo(", ".join(f"{name} {count}" for name, count in counts.items()))


@app.command()
def shards(
    source: Source,
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for faces-000000.tar, ...", show_default=False)],
    size_mb: Annotated[float, typer.Option(help="Megabytes of a shard, about.")] = 256,
    quiet: Quiet = False,
) -> None:
    """Pack a set into WebDataset shards."""
    from facewright.data.faces import list_pictures
    from facewright.data.shards import write_shards

    pictures = list_pictures(source)
    good = [picture for picture in pictures if not picture.row.problem]
    if not good:
        raise UsageError(f"there is nothing to pack in {source}", f"not one of {len(pictures)} pictures can be read")
    written = write_shards(good, output, megabytes=size_mb)
    if not quiet:
        typer.echo(f"{len(good)} pictures in {len(written)} shards: {written[0]} ... {written[-1].name}")
    if len(good) < len(pictures):
        first = next(picture.row for picture in pictures if picture.row.problem)
        why = f"{first.name}: {first.problem}"
        raise PartialFailure(
            f"{len(pictures) - len(good)} of {len(pictures)} pictures could not be packed", why, "see: facewright dataset check"
        )


# Words ---------------------------------------------------------------------------------------------------------------------------------


def _told(result: Aligned, folder: Path) -> list[str]:
    parts = ", ".join(f"{name} {count}" for name, count in result.split.items())
    lines = [f"{folder}: {result.crops} faces of {result.people} people from {result.photos} photos ({parts})"]
    lists = [
        ("photos without a face", result.without_face),
        ("photos with faces that are too small", list(result.too_small)),
        ("photos with faces that are cut off", list(result.cut_off)),
        ("repeated faces left out", [f"{each['photo']} (as {each['same_as']})" for each in result.repeated]),
    ]
    for what, names in lists:
        if names:
            more = f", and {len(names) - _SHOWN} more in align-report.json" if len(names) > _SHOWN else ""
            lines.append(f"{len(names)} {what}: {', '.join(names[:_SHOWN])}{more}")
    return lines


def _tell_findings(result: Checked) -> None:
    from facewright.curate.check import FAULTS, REMARKS

    for found, words in ((result.faults, FAULTS), (result.remarks, REMARKS)):
        for kind, each in found.items():
            typer.echo(f"{len(each)} {words[kind]}:")
            _list([f"{name}: {why}" if why else name for name, why in each])
    typer.echo(f"{result.pictures - len(result.bad)} of {result.pictures} pictures are good")


def _list(names: list[str]) -> None:
    for name in names[:_SHOWN]:
        typer.echo(f"    {name}")
    if len(names) > _SHOWN:
        typer.echo(f"    and {len(names) - _SHOWN} more (--json lists them)")
