"""One clip of a batch: restored, noted in the journal and the report."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from facewright.restore.clips import restore_clip
from facewright.restore.journal import Journal
from facewright.restore.plan import Task
from facewright.restore.report import Report
from facewright.restore.restorer import Restorer

if TYPE_CHECKING:
    from facewright.restore.batch import Writing


def restore_task(
    task: Task,
    target: Path,
    restorer: Restorer,
    writing: Writing,
    journal: Journal | None,
    report: Report | None,
    on_frame: Callable[[int, int | None], None],
) -> dict[str, Any]:
    """Returns the clip's report. Raises what `restore_clip` raises, and the InputError of a clip that broke off; its beginning is written.

    A clip that is replaced is written beside itself first, under a name that a run that goes on knows again.
    """
    assert task.source is not None
    made = target.with_name(f".{target.stem}.facewright{target.suffix}") if task.in_place else target
    outcome = restore_clip(
        task.source,
        made,
        restorer,
        quality=writing.quality,
        steady=writing.steady,
        pixel_limit=writing.pixel_limit,
        on_progress=on_frame,
    )
    if task.in_place and outcome.broken is not None:
        made.unlink(missing_ok=True)  # the original holds more than what could be read
        raise outcome.broken
    told = outcome.report
    if task.in_place:
        if journal is not None:
            with made.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
                journal.writing(task.source, target, cast(bytes, view), told)
        os.replace(made, os.path.realpath(target))
    if report is not None and outcome.sample is not None:
        outcome.sample.notes += [*_in_words(told), *outcome.notes]
        report.add(task.name, outcome.sample)
    if outcome.broken is not None:
        raise outcome.broken
    if journal is not None:
        journal.done(task.source, target, told)
    return told


def _in_words(told: dict[str, Any]) -> list[str]:
    words = [f"{told['frames']:,} frames"]
    if told["flicker[motion]"] is not None:
        words.append("flicker {:.2f} before, {:.2f} after, of 255".format(*told["flicker[motion]"]))
    return words
