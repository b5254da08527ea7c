"""Which photos are meant, and where each result goes. Nothing is read or written here but folder listings."""

from __future__ import annotations

import glob
import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from facewright.errors import FacewrightError, InputError, UsageError
from facewright.media import READABLE, Origin, default_suffix
from facewright.media.clips import SUFFIXES as CLIPS
from facewright.media.clips import is_clip
from facewright.media.clips.kinds import container_named
from facewright.media.formats import format_named

SUFFIX = "-restored"
SUFFIXES = (SUFFIX, "-colorized", "-inpainted")
"""What the verbs that work on faces put behind a photo's name."""
COMPARE = "-compare.jpg"
FACES = "-faces"
STREAM = "-"


@dataclass(frozen=True)
class Task:
    """One photo. source: None is standard input. stem: the target without its suffix, which follows from what the photo is;
    target: the whole path where the person named it. Both None: standard output. problem: why there is nothing to do. in_place: target is
    the source, and may be replaced. suffix: what a result is called by. clip: it is a clip, not a photo."""

    name: str
    source: Path | None
    stem: Path | None = None
    target: Path | None = None
    problem: FacewrightError | None = None
    in_place: bool = False
    suffix: str = SUFFIX
    clip: bool = False

    @property
    def to_stream(self) -> bool:
        return self.problem is None and self.stem is None and self.target is None

    def target_for(self, origin: Origin) -> Path:
        if self.target is not None:
            return self.target
        assert self.stem is not None
        if self.clip:
            own = "" if self.source is None else self.source.suffix
            return self.stem.with_name(self.stem.name + (own if own.lower() in CLIPS else ".mp4"))
        return self.stem.with_name(self.stem.name + default_suffix(origin))

    def may_become(self, path: Path) -> bool:
        """Whether `path` is where the result goes, or would go for some origin."""
        if self.target is not None:
            return path.resolve() == self.target.resolve()
        return self.stem is not None and path.with_suffix("").resolve() == self.stem.resolve()

    def beside(self, ending: str, origin: Origin) -> Path:
        """A companion of the result: old-restored.jpg has old-restored-compare.jpg."""
        target = self.target_for(origin)
        # in place too, so that a later run over the folder knows it for what it is
        return target.with_name(target.stem + (self.suffix if self.in_place else "") + ending)


def plan(
    photos: Sequence[str],
    output: str | None = None,
    *,
    recursive: bool = False,
    in_place: bool = False,
    suffix: str = SUFFIX,
    clips: bool = False,
) -> list[Task]:
    """Tasks for files, folders, globs and "-".

    output None: beside each photo, "old-restored.jpg", or another of SUFFIXES; a folder (there, or ending in a slash, or several photos):
    same names in it, with the structure below a named folder kept; else the file to write; "-" is standard output. Photos of one name and
    several formats (a.bmp, a.png) have their format in the result's name. A photo named twice is done once. What earlier runs made of a
    photo is no photo to work on unless it is named alone; nor are hidden files, nor an output folder inside the folder that is read.
    clips: clips are meant as well.
    Raises UsageError where the wishes contradict each other, a result would overwrite an original, or two would get one target. A path
    without photos becomes a Task with a `problem`, so that the rest of a batch is done.
    """
    if in_place and output is not None:
        raise UsageError("--in-place and --output contradict each other", what_to_do="give one of them")
    found = _once([each for text in photos for each in _find(text, recursive, output, clips)], in_place)
    many = len(found) > 1 or any(os.path.isdir(each.text) for each in found)
    if many and (output == STREAM or any(each.source is None for each in found)):
        raise UsageError("standard input and output carry one photo", f"{len(found)} photos are given", "name a folder with --output")
    if many and output is not None and os.path.isfile(output):
        raise UsageError(f"{output} is a file", f"{len(found)} photos are given", "name a folder with --output")
    tasks = _told_apart([_told_kind(each, output, many, in_place, suffix, clips) for each in found])
    _refuse_overwriting(tasks)
    return tasks


@dataclass(frozen=True)
class _Found:
    """text: as the person gave it; below: the photo's path below the folder that was given, or its name."""

    text: str
    source: Path | None
    below: Path
    problem: FacewrightError | None = None


def _find(text: str, recursive: bool, output: str | None, clips: bool) -> list[_Found]:
    if text == STREAM:
        return [_Found(text, None, Path("stdin"))]
    path = Path(text)
    try:
        if os.path.isdir(path):  # unlike Path's, os.path's questions have an answer for every text
            return _in_folder(text, path, recursive, output, clips)
        if not os.path.exists(path) and any(sign in text for sign in "*?["):
            return _matching(text, recursive, output, clips)
    except OSError as problem:
        return [_Found(text, path, Path(path.name), InputError(f"cannot read {text}", problem.strerror or str(problem)))]
    return [_Found(text, path, Path(path.name))]


def _in_folder(text: str, path: Path, recursive: bool, output: str | None, clips: bool) -> list[_Found]:
    inside = [each.relative_to(path) for each in sorted(path.rglob("*") if recursive else path.iterdir())]
    results = None if output in (None, STREAM) else Path(str(output)).resolve()
    if results is not None and path.resolve() not in results.parents:
        results = None  # elsewhere, or this very folder
    photos = [
        below
        for below in inside
        if (below.suffix.lower() in READABLE or (clips and below.suffix.lower() in CLIPS))
        and not any(part.startswith(".") for part in below.parts)
        and os.path.isfile(path / below)
        and not _is_result(path / below)
        and (results is None or results not in (path / below).resolve().parents)
    ]
    if photos:
        return [_Found(text, path / below, below) for below in photos]
    deeper = "" if recursive else ", or add --recursive to look into its folders"
    problem = InputError(f"no photos in {text}", "it holds no file with a picture's suffix", f"name another folder{deeper}")
    return [_Found(text, path, Path(path.name), problem)]


def _matching(text: str, recursive: bool, output: str | None, clips: bool) -> list[_Found]:
    matches = sorted(glob.glob(text, recursive=True))
    found = [each for match in matches if not _is_result(Path(match)) for each in _find(match, recursive, output, clips)]
    if found:
        return found
    why = "only results of earlier runs do" if matches else ""
    return [_Found(text, Path(text), Path(text), InputError(f"nothing matches {text}", why, "check the pattern"))]


def _originals(path: Path) -> list[Path]:
    """What a result may be made from, by its name: old-restored.jpg, old-restored-compare.jpg and old-restored-faces/ from old.*."""
    if path.parent.name.endswith(tuple(suffix + FACES for suffix in SUFFIXES)):
        path = path.parent.with_name(path.parent.name.removesuffix(FACES) + ".jpg")
    if path.name.endswith(tuple(suffix + COMPARE for suffix in SUFFIXES)):
        path = path.with_name(path.name.removesuffix(COMPARE) + ".jpg")
    suffix = next((suffix for suffix in SUFFIXES if path.stem.endswith(suffix)), None)
    if suffix is None:
        return []
    name = path.stem.removesuffix(suffix)
    formats = {path.suffix, *READABLE, *CLIPS, *(each.upper() for each in (*READABLE, *CLIPS))}
    originals = [path.with_name(name + each) for each in formats]
    base, _, format = name.rpartition("-")
    # one of several formats of one name
    return [*originals, *(path.with_name(base + each) for each in formats if base and each[1:].lower() == format)]


def _is_result(path: Path) -> bool:
    """old-restored.jpg beside old.jpg was written by an earlier run."""
    return any(os.path.exists(original) for original in _originals(path))


def _once(found: list[_Found], in_place: bool) -> list[_Found]:
    """Each photo once, and no result beside its original: a shell's *.jpg names both."""

    def identity(path: Path) -> str:
        return os.path.realpath(path) if in_place else os.path.abspath(path)

    sources = {identity(each.source) for each in found if each.source is not None}
    seen: set[str | None] = set()
    kept = []
    for each in found:
        key = None if each.source is None else identity(each.source)
        made = each.source is not None and any(identity(original) in sources for original in _originals(each.source))
        if key not in seen and not made:
            kept.append(each)
        seen.add(key)
    return kept


def _told_kind(found: _Found, output: str | None, many: bool, in_place: bool, suffix: str, clips: bool) -> Task:
    clip = clips and found.problem is None and found.source is not None and is_clip(found.source)
    task = replace(_task(found, output, many, in_place, suffix, clip), suffix=suffix, clip=clip)
    if clip and task.to_stream:
        raise UsageError(f"{task.name} is a clip", "standard output carries a photo", "name a file or folder with --output")
    return task


def _task(found: _Found, output: str | None, many: bool, in_place: bool, suffix: str, clip: bool) -> Task:
    source, below = found.source, found.below
    name = STREAM if source is None else str(source)
    if found.problem is not None:
        return Task(name, source, problem=found.problem)
    if in_place:
        if source is None:
            raise UsageError("standard input cannot be restored in place", what_to_do="leave out --in-place")
        return Task(name, source, target=source, in_place=True)
    if output == STREAM or (output is None and source is None):
        return Task(name, source)
    if output is None:
        assert source is not None
        return Task(name, source, stem=source.with_name(source.stem + suffix))
    folder = Path(output)
    if many or os.path.isdir(output) or output.endswith(("/", "\\")):
        return Task(name, source, stem=folder / below.parent / below.stem)
    if folder.suffix:
        # before the work, not after it
        if clip:
            container_named(folder)
        else:
            format_named(folder.suffix)
        return Task(name, source, target=folder)
    return Task(name, source, stem=folder)


def _told_apart(tasks: list[Task]) -> list[Task]:
    """Results, and what is written beside them, under names of their own."""
    same: defaultdict[str, list[Task]] = defaultdict(list)
    for task in tasks:
        if task.stem is not None:
            same[_key(task.stem)].append(task)
    named = [_with_format(task) if task.stem is not None and len(same[_key(task.stem)]) > 1 else task for task in tasks]
    owners: dict[str, Task] = {}
    for task in named:
        if task.stem is None:
            continue
        other = owners.setdefault(_key(task.stem), task)
        if other is not task:
            raise UsageError(
                f"{other.name} and {task.name} would both become {task.stem}",
                "one result would overwrite the other",
                "restore one folder at a time, or name the folder that holds both and add --recursive",
            )
    return named


def _with_format(task: Task) -> Task:
    """a.bmp becomes a-bmp.png, or a-bmp-restored.png."""
    assert task.stem is not None
    if task.source is None or not task.source.suffix:
        return task
    name = task.stem.name.removesuffix(task.suffix)
    return replace(task, stem=task.stem.with_name(f"{name}-{task.source.suffix[1:].lower()}{task.stem.name[len(name) :]}"))


def _key(path: Path) -> str:
    return os.path.normcase(os.path.realpath(path))


def _refuse_overwriting(tasks: list[Task]) -> None:
    sources = {_key(task.source) for task in tasks if task.source is not None}
    for task in tasks:
        if task.problem is not None or task.to_stream or task.in_place or task.source is None:
            continue
        # what the file really is shows only when it is read; the batch looks again then
        likely = Origin(format=READABLE.get(task.source.suffix.lower(), "PNG"), path=task.source)
        if _key(target := task.target_for(likely)) in sources:
            raise overwrites(target)


def overwrites(target: Path) -> UsageError:
    return UsageError(
        f"{target} is one of the photos to restore",
        "an original is never overwritten unasked",
        "choose another --output, or add --in-place",
    )
