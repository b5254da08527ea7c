"""Which photos are meant, and where each result goes. Nothing is read or written here but folder listings."""

from __future__ import annotations

import glob
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facewright.errors import FacewrightError, InputError, UsageError
from facewright.media import READABLE, Origin, default_suffix

SUFFIX = "-restored"
STREAM = "-"


@dataclass(frozen=True)
class Task:
    """One photo. source: None is standard input. stem: the target without its suffix, which follows from what the photo is;
    target: the whole path where the person named it. Both None: standard output. problem: why there is nothing to do."""

    name: str
    source: Path | None
    stem: Path | None = None
    target: Path | None = None
    problem: FacewrightError | None = None

    @property
    def to_stream(self) -> bool:
        return self.problem is None and self.stem is None and self.target is None

    def target_for(self, origin: Origin) -> Path:
        if self.target is not None:
            return self.target
        assert self.stem is not None
        return self.stem.with_name(self.stem.name + default_suffix(origin))

    def beside(self, ending: str, origin: Origin) -> Path:
        """A companion of the result: old-restored.jpg has old-restored-compare.jpg."""
        target = self.target_for(origin)
        return target.with_name(target.stem + ending)


def plan(photos: Sequence[str], output: str | None = None, *, recursive: bool = False, in_place: bool = False) -> list[Task]:
    """Tasks for files, folders, globs and "-".

    output None: beside each photo, "old-restored.jpg"; a folder (there, or ending in a slash, or several photos): same names in it, with
    the structure below a named folder kept; else the file to write; "-" is standard output.
    Raises UsageError where the wishes contradict each other or two photos would get one target. A path without photos becomes a Task
    with a `problem`, so that the rest of a batch is done.
    """
    if in_place and output is not None:
        raise UsageError("--in-place and --output contradict each other", what_to_do="give one of them")
    found = [each for text in photos for each in _find(text, recursive)]
    many = len(found) > 1 or any(Path(text).is_dir() for text in photos)
    if many and (output == STREAM or any(source is None for source, _, _ in found)):
        raise UsageError("standard input and output carry one photo", f"{len(found)} photos are given", "name a folder with --output")
    tasks = [_task(source, below, problem, output, many, in_place) for source, below, problem in found]
    _refuse_collisions(tasks, in_place)
    return tasks


def _find(text: str, recursive: bool) -> list[tuple[Path | None, Path, FacewrightError | None]]:
    """(source, name below the given folder, problem)."""
    if text == STREAM:
        return [(None, Path("stdin"), None)]
    path = Path(text)
    if path.is_dir():
        inside = sorted(path.rglob("*") if recursive else path.iterdir())
        photos = [each for each in inside if each.suffix.lower() in READABLE and each.is_file() and not _is_result(each)]
        if photos:
            return [(each, each.relative_to(path), None) for each in photos]
        deeper = "" if recursive else ", or add --recursive to look into its folders"
        return [
            (
                path,
                Path(path.name),
                InputError(f"no photos in {text}", "it holds no file with a picture's suffix", f"name another folder{deeper}"),
            )
        ]
    if not path.exists() and any(sign in text for sign in "*?["):
        matches = sorted(glob.glob(text, recursive=True))
        if not matches:
            return [(path, Path(text), InputError(f"nothing matches {text}", what_to_do="check the pattern"))]
        return [each for match in matches if not _is_result(Path(match)) for each in _find(match, recursive)]
    return [(path, Path(path.name), None)]


def _is_result(path: Path) -> bool:
    """old-restored.jpg beside old.jpg was written by an earlier run."""
    if not path.stem.endswith(SUFFIX):
        return False
    original = path.stem.removesuffix(SUFFIX)
    return any(path.with_name(original + suffix).exists() for suffix in {path.suffix, *READABLE})


def _task(source: Path | None, below: Path, problem: FacewrightError | None, output: str | None, many: bool, in_place: bool) -> Task:
    name = STREAM if source is None else str(source)
    if problem is not None:
        return Task(name, source, problem=problem)
    if in_place:
        if source is None:
            raise UsageError("standard input cannot be restored in place", what_to_do="leave out --in-place")
        return Task(name, source, target=source)
    if output == STREAM or (output is None and source is None):
        return Task(name, source)
    if output is None:
        assert source is not None
        return Task(name, source, stem=source.with_name(source.stem + SUFFIX))
    folder = Path(output)
    if many or folder.is_dir() or output.endswith(("/", "\\")):
        return Task(name, source, stem=folder / below.parent / below.stem)
    return Task(name, source, target=folder) if folder.suffix else Task(name, source, stem=folder)


def _refuse_collisions(tasks: list[Task], in_place: bool) -> None:
    sources = {task.source.resolve() for task in tasks if task.source is not None}
    taken: dict[Path, Task] = {}
    for task in tasks:
        if in_place or (target := _expected(task)) is None:
            continue
        if target in sources:
            raise UsageError(
                f"{target} is one of the photos to restore",
                "an original is never overwritten unasked",
                "choose another --output, or add --in-place",
            )
        if target in taken:
            raise UsageError(
                f"{task.name} and {taken[target].name} would both become {target}",
                "one would overwrite the other",
                "restore them into different folders",
            )
        taken[target] = task


def _expected(task: Task) -> Path | None:
    """Where the result will be, as far as the source's name tells what it is."""
    if task.problem is not None or task.to_stream:
        return None
    source = task.source or Path("stdin")
    return task.target_for(Origin(format=READABLE.get(source.suffix.lower(), "PNG"), path=source)).resolve()
