"""facewright degrade: damage clean photos as a published training does, or as time does."""

from __future__ import annotations

import json
import os
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from facewright.errors import FacewrightError, InputError, PartialFailure, UsageError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from facewright.degrade import Degradation
    from facewright.media import Photo


def degrade(
    photos: Annotated[list[str] | None, typer.Argument(help="Photos or folders.", show_default=False)] = None,
    output: Annotated[
        str | None, typer.Option("--output", "-o", help="Folder; for one photo also the file to write.", show_default=False)
    ] = None,
    preset: Annotated[str, typer.Option("--preset", "-p", help="A name of --list.")] = "gfpgan-v1",
    seed: Annotated[int, typer.Option(help="The same seed and name, the same damage.")] = 0,
    size: Annotated[
        int | None,
        typer.Option(help="Scale the damage to a face crop of so many pixels; 512: as published. [default: each photo's shorter side]"),
    ] = None,
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into the folders of folders.")] = False,
    metadata: Annotated[str, typer.Option(help="keep, basic (no place, no serial numbers) or strip.")] = "keep",
    list_presets: Annotated[bool, typer.Option("--list", help="Name the presets.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line a photo, with all that was drawn.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors.")] = False,
) -> None:
    """Damage clean photos, reproducibly. Results are PNG, so that nothing is lost but by the damage itself."""
    from facewright.degrade.presets import preset as named

    if list_presets:
        _list(as_json)
        return
    if not photos:
        raise UsageError("no photos are given", what_to_do="name photos or folders, or see the presets with --list")
    if output is None:
        raise UsageError("no output is given", "an original is never overwritten", "name a folder with --output")
    if metadata not in ("keep", "basic", "strip"):
        raise UsageError(f"--metadata cannot be {metadata!r}", what_to_do="use one of: keep, basic, strip")
    if seed < 0:
        raise UsageError(f"--seed cannot be {seed}", "it is 0 or more")
    if size is not None and not 16 <= size <= 8192:
        raise UsageError(f"--size cannot be {size}", "it is a number of pixels from 16 to 8192")
    degradation = named(preset)
    tasks = plan(photos, output, recursive)

    from facewright.cli.progress import Progress
    from facewright.cli.telling import tell

    failures: list[FacewrightError] = []
    with Progress(len(tasks), "degrading", silent=quiet or as_json) as progress:
        for task in tasks:
            try:
                told = damage(task, degradation, seed, size, metadata)
            except FacewrightError as error:
                failures.append(error)
                told = {"error": {"what": error.what, "why": error.why, "what_to_do": error.what_to_do, "code": error.exit_code}}
                if len(tasks) > 1:
                    with progress.paused():
                        tell(error)
            progress.advance()
            if as_json:
                print(json.dumps({"photo": task.source, "output": str(task.target), "preset": preset, "seed": seed} | told), flush=True)
            elif "error" not in told and not quiet:
                with progress.paused():
                    print(f"{task.source} -> {task.target}", flush=True)
    if failures and len(failures) == len(tasks):
        raise failures[0]
    if failures:
        raise PartialFailure(f"{len(failures)} of {len(tasks)} photos could not be degraded", "", failures[0].what_to_do)


# Which photos, and where to -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Task:
    """source as given; key: what its random numbers follow from, beside the seed; problem: why there is nothing to do."""

    source: str
    target: Path
    key: str
    problem: FacewrightError | None = None


def plan(photos: list[str], output: str, recursive: bool) -> list[Task]:
    """Photos of folders in the order of their names, with the structure below a folder kept; suffixes become .png. Photos of one name and
    several formats have their format in the result's name. Raises UsageError where a photo would be overwritten, or a result twice."""
    from facewright.media.formats import format_named

    found: dict[str, tuple[Path, FacewrightError | None]] = {}  # by path: a photo named twice is damaged once
    for text in photos:
        for path, below, problem in _find(text, recursive):
            found.setdefault(os.path.abspath(path), (below, problem))
    if Path(output).suffix and not os.path.isdir(output) and not output.endswith(("/", "\\")):
        if len(found) > 1 or any(os.path.isdir(text) for text in photos):
            raise UsageError(f"{output} looks like a file", "a folder or several photos are given", "name a folder with --output")
        format_named(Path(output).suffix)  # before the work, not after it
        targets = [Path(output)]
    else:
        stems = Counter(os.path.normcase(below.with_suffix("")) for below, _ in found.values())
        targets = []
        for below, _ in found.values():
            told_apart = f"-{below.suffix[1:].lower()}" if stems[os.path.normcase(below.with_suffix(""))] > 1 else ""
            targets.append(Path(output) / below.with_name(f"{below.stem}{told_apart}.png"))
    tasks = [
        Task(_shown(path), target, below.stem, problem) for (path, (below, problem)), target in zip(found.items(), targets, strict=True)
    ]
    sources = {os.path.realpath(path) for path in found}
    seen: dict[str, Task] = {}
    for task in tasks:
        if os.path.realpath(task.target) in sources:
            raise UsageError(f"{task.target} is one of the photos", "an original is never overwritten", "choose another --output")
        other = seen.setdefault(os.path.normcase(os.path.realpath(task.target)), task)
        if other is not task:
            raise UsageError(f"{other.source} and {task.source} would both become {task.target}", what_to_do="degrade one folder at a time")
    return tasks


def _find(text: str, recursive: bool) -> list[tuple[Path, Path, FacewrightError | None]]:
    """(path, path below what was named, problem) of each photo."""
    from facewright.media import READABLE

    path = Path(text)
    if not os.path.isdir(path):
        return [(path, Path(path.name), None)]
    try:
        inside = sorted(path.rglob("*") if recursive else path.iterdir())
    except OSError as problem:
        return [(path, Path(path.name), InputError(f"cannot read {text}", problem.strerror or str(problem)))]
    photos = [
        each
        for each in inside
        if each.suffix.lower() in READABLE
        and os.path.isfile(each)
        and not any(part.startswith(".") for part in each.relative_to(path).parts)
    ]
    if photos:
        return [(each, each.relative_to(path), None) for each in photos]
    deeper = "" if recursive else ", or add --recursive to look into its folders"
    what_to_do = f"name another folder{deeper}"
    return [(path, Path(path.name), InputError(f"no photos in {text}", "it holds no file with a picture's suffix", what_to_do))]


def _shown(path: str) -> str:
    """As short as it can be said."""
    try:
        near = os.path.relpath(path)
    except ValueError:  # another drive
        return path
    return path if near.startswith("..") else near


# The deed -----------------------------------------------------------------------------------------------------------------------------


def damage(task: Task, degradation: Degradation, seed: int, size: int | None, metadata: str) -> dict[str, Any]:
    """Read, damage, write; returns what was drawn."""
    import numpy as np

    from facewright.degrade.steps import eight_bits
    from facewright.media import read, replaced, write

    if task.problem is not None:
        raise task.problem
    photo = read(Path(task.source))
    meant = size if size is not None else max(16, min(photo.height, photo.width))
    scaled = degradation.scaled(meant)
    draws = scaled.draw(np.random.default_rng([seed, *task.key.encode()]))
    pixels = eight_bits(scaled.apply(_unit(photo), draws))
    if photo.is_grey:  # and stays so
        pixels = eight_bits((pixels.astype(np.float32) @ np.array([[0.299], [0.587], [0.114]], np.float32)) / np.float32(255))[..., 0]
    try:
        os.makedirs(task.target.parent, exist_ok=True)
    except OSError as problem:
        from facewright.errors import OutputError

        raise OutputError(
            f"cannot make the folder {task.target.parent}", problem.strerror or str(problem), "choose another --output"
        ) from problem
    write(replaced(photo, pixels), task.target, metadata=metadata)  # type: ignore[arg-type]
    return {"size": meant, "draws": asdict(draws)}


def _unit(photo: Photo) -> NDArray[np.float32]:
    """H x W x 3 float32 in [0, 1]."""
    import numpy as np

    pixels = photo.pixels if photo.pixels.ndim == 3 else np.repeat(photo.pixels[..., None], 3, axis=2)
    return np.asarray(pixels.astype(np.float32) / np.float32(np.iinfo(photo.pixels.dtype).max))


def _list(as_json: bool) -> None:
    from facewright.degrade.presets import ABOUT

    if as_json:
        print(json.dumps([{"name": name, "about": about} for name, about in ABOUT.items()], indent=2))
        return
    width = max(map(len, ABOUT))
    for name, about in ABOUT.items():
        print(f"{name:{width}}  {about}")
