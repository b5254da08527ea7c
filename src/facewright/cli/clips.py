"""Clips on the command line: which options mean nothing for them, and what is told of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from facewright.errors import UsageError

if TYPE_CHECKING:
    from facewright.cli.running import Results
    from facewright.restore.batch import Outcome
    from facewright.restore.plan import Task
    from facewright.restore.settings import Settings


def refuse(tasks: Sequence[Task], settings: Settings, results: Results) -> None:
    """Raises UsageError where a clip is among the tasks and something was asked for that it cannot have."""
    if not any(task.clip for task in tasks):
        return
    from facewright.restore.clips import refuse as refuse_settings

    refuse_settings(settings)
    asked = {
        "--compare": results.compare,
        "--save-faces": results.save_faces,
        "--metadata basic": results.metadata == "basic",
        "--metadata strip": results.metadata == "strip",
    }
    if named := [name for name, given in asked.items() if given]:
        raise UsageError(f"{named[0]} is not for clips", "it is for photos", "leave it out, or restore the photos by themselves")


def line_of(outcome: Outcome) -> str:
    """old.mp4 -> old-restored.mp4: 240 frames, 2 faces restored; flicker 2.10 -> 1.31"""
    told = outcome.report or {}
    begin = f"{outcome.task.name} -> {outcome.target}: "
    if outcome.skipped:
        return begin + "already done"
    people = told["faces"]
    if not people:
        return "\n".join([f"{begin}no face was found, the clip is unchanged", *_notes(told["notes"])])
    counts = {action: sum(each["action"] == action for each in people) for action in ("restored", "blended", "left alone")}
    done = ", ".join(f"{count} {action}" for action, count in counts.items() if count)
    flicker = told["flicker[motion]"]
    calm = "" if flicker is None else f"; flicker {flicker[0]:.2f} -> {flicker[1]:.2f}"
    unchanged = "; the clip is unchanged" if told["unchanged"] else ""
    lines = [f"{begin}{told['frames']:,} frames, faces followed: {done}{calm}{unchanged}"]
    lines += [f"    face {each['face']}: {reason}" for each in people for reason in each["reasons"] if not reason.startswith("not chosen")]
    return "\n".join([*lines, *_notes(told["notes"])])


def _notes(notes: Sequence[str]) -> list[str]:
    return [f"    {note}" for note in notes if note != "no face was found"]
