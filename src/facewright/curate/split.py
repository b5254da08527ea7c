"""Train, validation and test, divided by person: nobody is in two of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

from facewright.curate.manifest import read_table, write_table
from facewright.errors import InputError, UsageError

SPLITS = ("train", "val", "test")


def split(folder: Path, val: float = 0.1, test: float = 0.1, seed: int = 0) -> dict[str, int]:
    """Divide the people of folder/manifest.csv anew and write it; returns pictures by split. Raises UsageError, InputError, OutputError."""
    names, rows = read_table(folder)
    if missing := [name for name in ("file", "person") if name not in names]:
        raise InputError(f"cannot divide {folder}", f"its manifest has no column {missing[0]!r}")
    chosen = split_people(Counter(row["person"] for row in rows), val, test, seed)
    for row in rows:
        row["split"] = chosen[row["person"]]
    write_table(folder, names if "split" in names else [*names, "split"], rows)
    return {name: sum(row["split"] == name for row in rows) for name in SPLITS}


def split_people(
    people: Mapping[str, int], val: float, test: float, seed: int = 0, known: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Each person's split, so that val and test get about these parts of all pictures.

    people: pictures by person. known: splits that stay. The order in which people are drawn follows from seed and name alone, so a person
    more changes little. Where somebody can be spared, val gets at least one person, then test; train is never empty.
    Raises UsageError for parts that leave nothing to train on.
    """
    if min(val, test) < 0 or val + test >= 1:
        raise UsageError(f"cannot divide into {val:g} and {test:g}", "both are parts of 1, and their sum is less than 1")
    chosen = {person: name for person, name in (known or {}).items() if person in people}
    total = sum(people.values())
    wanted = {"val": val * total, "test": test * total}
    drawn = sorted((person for person in people if person not in chosen), key=lambda person: _draw(person, seed))
    counts = Counter[str]()
    for person, name in chosen.items():
        counts[name] += people[person]
    for person in drawn:
        # the split that is further from its part; a person joins where that brings the count nearer
        name = max(wanted, key=lambda name: wanted[name] - counts[name])
        chosen[person] = name if counts[name] + people[person] / 2 <= wanted[name] else "train"
        counts[chosen[person]] += people[person]
    for name in ("train", *(name for name in wanted if wanted[name] > 0)):
        if name not in chosen.values():
            _fill(name, chosen, drawn, people)
    return chosen


def _fill(name: str, chosen: dict[str, str], drawn: list[str], people: Mapping[str, int]) -> None:
    """Give an empty split the person least missed elsewhere, who is not the only one there; train gets one in any case."""
    holders = Counter(chosen.values())
    spare = [person for person in drawn if holders[chosen[person]] > 1] or (drawn if name == "train" else [])
    if spare:
        chosen[min(spare, key=lambda person: (chosen[person] != "train", people[person]))] = name


def _draw(person: str, seed: int) -> bytes:
    return sha256(f"{seed}:{person}".encode("utf-8", "surrogateescape")).digest()
