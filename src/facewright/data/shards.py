"""WebDataset shards: tar archives in which the files of one face lie side by side under one key, "anna-1.webp" and "anna-1.json".

The members' places are noted once; from then on every picture is at hand, in any order, so a batch stays a function of seed and step and
training goes on at the very same sample, which reading an archive from front to back cannot promise.
"""

from __future__ import annotations

import io
import json
import os
import re
import secrets
import tarfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from glob import glob
from pathlib import Path
from typing import Any

from facewright.data.aligned import FaceRow, row_of
from facewright.data.folder import SUFFIXES, plain_row, with_splits
from facewright.data.picture import Picture, Region
from facewright.errors import InputError, OutputError, UsageError

_RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")


def shards_of(source: str | Path) -> list[Path]:
    """The .tar files that are meant, sorted: one, a folder's own, or a pattern's ("*", "?", "{000..009}"); [] where it is no such thing.

    Raises InputError where one of a range is missing.
    """
    path, text = Path(source), str(source)
    if path.is_dir():
        return sorted(path.glob("*.tar"))
    if path.is_file():
        return [path] if text.endswith(".tar") else []
    if found := _RANGE.search(text):
        first, last = found[1], int(found[2])
        named = [Path(text[: found.start()] + f"{n:0{len(first)}d}" + text[found.end() :]) for n in range(int(first), last + 1)]
        if missing := [str(each) for each in named if not each.is_file()]:
            raise InputError(f"cannot read {missing[0]}", f"{len(missing)} of {len(named)} shards are not there", "check the range")
        return named
    return sorted(Path(each) for each in glob(text) if each.endswith(".tar"))


def shard_pictures(shards: Sequence[Path]) -> list[Picture]:
    """The pictures of shards, in the order of archives and of members. Columns come from the .json beside a picture, where there is one.

    Raises InputError where a file is no tar archive. One that ends early gives what is whole.
    """
    pictures = []
    for shard in shards:
        for key, files in _samples(shard):
            pictures += [_picture(shard, key, suffix, files) for suffix in files if f".{suffix}" in SUFFIXES]
    rows = with_splits([replace(picture.row, position=position) for position, picture in enumerate(pictures)])
    return [replace(picture, row=row) for picture, row in zip(pictures, rows, strict=True)]


def write_shards(pictures: Sequence[Picture], folder: Path, *, megabytes: float = 256, name: str = "faces") -> list[Path]:
    """Copy pictures, byte for byte, with their columns into name-000000.tar, name-000001.tar, ... of about `megabytes` each.

    All of them appear, each whole, or none. The same pictures make the same bytes. Raises UsageError where the folder has shards of that
    name, InputError for a picture that cannot be read, OutputError.
    """
    if megabytes <= 0:
        raise UsageError(f"a shard cannot have {megabytes} MB")
    if old := sorted(folder.glob(f"{name}-*.tar")):
        raise UsageError(f"cannot write shards to {folder}", f"{len(old)} are there already", "name another folder, or remove them first")
    written: list[Path] = []
    keys: set[str] = set()
    part = folder / f".{name}-{secrets.token_hex(8)}.part"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        waiting = list(reversed(pictures))
        while waiting:
            with tarfile.open(part, "w", format=tarfile.PAX_FORMAT) as archive:
                while waiting and (archive.offset == 0 or archive.offset < megabytes * 1e6):
                    _add(archive, waiting.pop(), keys)
            place = folder / f"{name}-{len(written):06d}.tar"
            os.replace(part, place)
            written.append(place)
    except BaseException as problem:
        for place in (part, *written):
            with suppress(OSError):
                place.unlink()
        if isinstance(problem, OSError):
            why = problem.strerror or str(problem)
            raise OutputError(f"cannot write shards to {folder}", why, "choose another folder with -o") from problem
        raise
    return written


def _samples(shard: Path) -> Iterator[tuple[str, dict[str, Region]]]:
    """(key, regions by suffix) of the members that follow each other under one key: all before the first dot of the file's name."""
    key, files = "", dict[str, Region]()
    for name, region in _members(shard):
        folder, _, base = name.rpartition("/")
        stem, _, suffix = base.partition(".")
        this = f"{folder}/{stem}" if folder else stem
        if this != key:
            if files:
                yield key, files
            key, files = this, {}
        files[suffix.lower()] = region
    if files:
        yield key, files


def _members(shard: Path) -> Iterator[tuple[str, Region]]:
    """The plain files of an archive and where their bytes lie. Only the heads are read."""
    length = shard.stat().st_size
    try:
        with tarfile.open(shard, "r:") as archive:
            while (member := _next(archive)) is not None:
                if member.isreg() and not member.issparse() and member.offset_data + member.size <= length:
                    yield member.name.removeprefix("./"), Region(shard, member.offset_data, member.size)
    except tarfile.TarError as problem:
        raise InputError(f"cannot read {shard}", "it is no tar archive, or a packed one", "give plain .tar shards") from problem


def _next(archive: tarfile.TarFile) -> tarfile.TarInfo | None:
    """The next member; None at the end, also where the archive breaks off."""
    try:
        return archive.next()
    except tarfile.ReadError:
        return None


def _picture(shard: Path, key: str, suffix: str, files: Mapping[str, Region]) -> Picture:
    name = f"{key}.{suffix}"
    columns = _columns(files["json"]) if "json" in files else {}
    try:
        row = row_of({**columns, "file": name}, shard)
    except (KeyError, TypeError, ValueError):
        row = plain_row(shard / name, name, 0)
        person, split, use = (columns.get(column) for column in ("person", "split", "use"))
        row = replace(row, person=person or row.person, split=split or "", use=use or row.use, columns={**columns, "file": name})
    picture = Picture(row, files[suffix])
    if row.stored_width > 0:
        return picture
    try:
        return replace(picture, row=replace(row, stored_width=picture.side()))
    except InputError as problem:
        return replace(picture, row=replace(row, problem=problem.why))


def _columns(region: Region) -> dict[str, str]:
    """The JSON beside a picture as text by name; {} where it is none."""
    try:
        content: Any = json.loads(region.read())
    except (OSError, ValueError):
        return {}
    return {str(name): str(value) for name, value in content.items()} if isinstance(content, dict) else {}


def _add(archive: tarfile.TarFile, picture: Picture, keys: set[str]) -> None:
    row = picture.row
    stem, _, suffix = row.name.rpartition(".")
    key = stem.replace(".", "_")  # a key ends at the first dot
    while key in keys:
        key += "_"
    keys.add(key)
    try:
        data = picture.read()
    except OSError as problem:
        raise InputError(f"cannot read {row.file}", problem.strerror or str(problem)) from problem
    told = json.dumps(columns_of(row), ensure_ascii=False).encode()
    for ending, content in ((suffix.lower(), data), ("json", told)):
        member = tarfile.TarInfo(f"{key}.{ending}")
        member.size, member.mode = len(content), 0o644
        archive.addfile(member, io.BytesIO(content))


def columns_of(row: FaceRow) -> dict[str, str]:
    """What a manifest would say of a picture."""
    return {"person": row.person, "use": row.use, "split": row.split, "stored_width": str(row.stored_width), **row.columns}
