"""A batch of photos from the command line: how it is written and told, the same for every verb that works on faces."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewright.cli import clips
from facewright.cli.telling import tell
from facewright.errors import UsageError

if TYPE_CHECKING:
    from facewright.restore.batch import Outcome
    from facewright.restore.plan import Task
    from facewright.restore.restorer import Restorer


@dataclass(frozen=True)
class Results:
    """What is written, told and kept of a batch: the options of that name. Raises UsageError for values that make no sense."""

    metadata: str
    quality: int | None
    save_faces: bool
    compare: bool
    report: Path | None
    journal: Path | None
    as_json: bool
    quiet: bool
    pixel_limit: float
    salvage: bool
    jobs: int
    steady: bool = False

    def __post_init__(self) -> None:
        if self.metadata not in ("keep", "basic", "strip"):
            raise UsageError(f"--metadata cannot be {self.metadata!r}", what_to_do="use one of: keep, basic, strip")
        if self.quality is not None and not 1 <= self.quality <= 100:
            raise UsageError(f"--quality cannot be {self.quality}", "it is a number from 1 to 100")
        if self.jobs < 1:
            raise UsageError(f"--jobs cannot be {self.jobs}", "at least one thread has to read")


@dataclass(frozen=True)
class Words:
    """How a verb speaks. doing: beside the progress bar. title: of the report. deeds: what may become of a face, in the order told.
    nothing: where nothing became of any. unsaid: reasons of a face, by how they begin, that are not worth a line."""

    doing: str = "restoring"
    title: str = "Restored photos"
    deeds: tuple[str, ...] = ("restored", "blended", "left alone")
    nothing: str = "no face was found, the photo is unchanged"
    unsaid: tuple[str, ...] = ("not chosen",)


def run(
    tasks: Sequence[Task], model: str, restorer: Callable[[], Restorer], settings: dict[str, Any], results: Results, words: Words
) -> None:
    """Do all tasks. model: its name, to say what is loaded. settings: with `results`, what makes a result another one for the journal.

    Raises the error that stands for the batch, see `restore_all`.
    """
    streams = any(task.to_stream for task in tasks)
    if streams and (results.as_json or results.compare or results.save_faces):
        raise UsageError(
            "standard output carries the photo", "--json, --compare and --save-faces need another place", "name a file with --output"
        )

    from facewright.cli.progress import Progress
    from facewright.restore.batch import Writing, restore_all
    from facewright.restore.journal import Journal
    from facewright.restore.report import Report

    def loaded() -> Restorer:
        with progress.waiting(f"loading {model}"):
            return restorer()

    def on_done(outcome: Outcome) -> None:
        progress.advance()
        if outcome.error is not None and len(tasks) > 1:
            with progress.paused():
                tell(outcome.error)
        if results.as_json:
            print(json.dumps(outcome.asdict()), flush=True)
        elif outcome.error is None and not results.quiet and not streams:
            with progress.paused():
                print(clips.line_of(outcome) if outcome.task.clip else line_of(outcome, words), flush=True)

    def on_frame(task: Task, done: int, total: int | None) -> None:
        progress.within(Path(task.name).name, done, total)

    limit = int(results.pixel_limit * 1e6) or None
    writing = Writing(results.quality, results.metadata, results.save_faces, results.compare, limit, results.salvage, results.steady)
    book = Journal(results.journal, {**settings, **vars(writing)}) if results.journal is not None else None
    page = Report(results.report, title=words.title) if results.report is not None else None
    progress = Progress(len(tasks), words.doing, silent=results.quiet or results.as_json or streams)
    try:
        with progress:
            failure = restore_all(tasks, loaded, writing, jobs=results.jobs, journal=book, report=page, on_done=on_done, on_frame=on_frame)
    finally:
        if book is not None:
            book.close()
        if page is not None:
            page.write()
    if failure is not None:
        raise failure


def line_of(outcome: Outcome, words: Words) -> str:
    """old.jpg -> old-restored.jpg: 2 faces restored, 1 left alone"""
    faces = (outcome.report or {}).get("faces", [])
    counts = {action: sum(face["action"] == action for face in faces) for action in words.deeds}
    counted = [f"{count} {action}" for action, count in counts.items() if count]
    done = "already done" if outcome.skipped else ", ".join(counted) or words.nothing
    lines = [f"{outcome.task.name} -> {outcome.target}: {done}"]
    for face in faces:
        for reason in face["reasons"]:
            if not reason.startswith(words.unsaid):
                lines.append(f"    face {face['face']}: {reason}")
    lines += [f"    {note}" for note in (outcome.report or {}).get("notes", []) if note not in words.nothing]
    return "\n".join(lines)
