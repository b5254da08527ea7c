"""What a set of faces consists of."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from facewright.data.aligned import FaceRow
from facewright.data.faces import list_pictures

WIDTHS = (0, 128, 256, 384, 512, 1024)


def stats(source: str | Path) -> dict[str, Any]:
    """Pictures and people in all, then {"pictures", "people"} by split, use, source, width and colour. Raises InputError."""
    rows = [picture.row for picture in list_pictures(source) if not picture.row.problem]
    people = Counter(row.person for row in rows)
    return {
        "pictures": len(rows),
        "people": len(people),
        "people_with_several": sum(count > 1 for count in people.values()),
        "with_landmarks": sum(row.landmarks is not None for row in rows),
        "split": _counted(rows, [row.split or "none" for row in rows]),
        "use": _counted(rows, [row.use or "none" for row in rows]),
        "source": _counted(rows, [row.source for row in rows]),
        "width": _counted(rows, [_width(row.stored_width) for row in rows]),
        "colour": _counted(rows, ["gray or toned" if row.grey else "colour" for row in rows]),
    }


def _counted(rows: list[FaceRow], labels: list[str]) -> dict[str, dict[str, int]]:
    """Largest group first."""
    pictures = Counter(labels)
    people = {label: len({row.person for row, each in zip(rows, labels, strict=True) if each == label}) for label in pictures}
    return {label: {"pictures": count, "people": people[label]} for label, count in pictures.most_common()}


def _width(width: int) -> str:
    at = max(index for index, least in enumerate(WIDTHS) if width >= least)
    return f"{WIDTHS[at]} and more" if at == len(WIDTHS) - 1 else f"{WIDTHS[at]} to {WIDTHS[at + 1] - 1}"
