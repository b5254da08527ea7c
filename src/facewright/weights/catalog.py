"""The models that facewright knows by name (catalog.yaml), and where their files are on this machine. No torch, no network."""

from __future__ import annotations

import difflib
import os
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from facewright.errors import ModelError
from facewright.weights.cache import VARIABLE, cached

HERE = Path(__file__).parent
SUFFIXES = {".pth", ".pt", ".safetensors", ".ckpt", ".bin", ".onnx", ".pkl"}

Where = Literal["bundled", "downloaded", "missing"]
Serves = Literal["restore", "colorize", "inpaint", "detect", "parse", "background", "identity", "training", "judging"]
# Goes on from the licence.
TERMS = {"yes": "", "ask": "ask before commercial use", "no": "non-commercial use only"}
# "net.pth:flavour=bilinear": what a file cannot tell, said beside its name.
SAID = re.compile(r"(?P<name>.+?):(?P<said>\w+=[^:=,]+(?:,\w+=[^:=,]+)*)")


@dataclass(frozen=True)
class Entry:
    """One model of the catalog; the fields are catalog.yaml's."""

    name: str
    file: str
    title: str
    architecture: str
    serves: Serves
    licence: str
    commercial: Literal["yes", "ask", "no"]
    note: str
    runs: bool
    bundled: bool = False
    default: bool = False
    also: tuple[str, ...] = ()
    url: str = ""
    mirrors: tuple[str, ...] = ()
    bytes: int | None = None
    about_bytes: int | None = None
    sha256: str | None = None
    pinned_by: str = ""
    arguments: dict[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        """Where its file lies, or would."""
        return HERE / "bundled" / self.file if self.bundled else cached(self.file)

    @property
    def where(self) -> Where:
        if not self.path.is_file():
            return "missing"
        return "bundled" if self.bundled else "downloaded"

    @property
    def size(self) -> int | None:
        """Bytes: of the file if it is here, else as published."""
        return self.path.stat().st_size if self.where != "missing" else self.bytes or self.about_bytes

    def has_size(self, size: int) -> bool:
        """Whether a file of this many bytes may be the published one; where only the size of its tensors is known, within a twentieth."""
        return size == self.bytes if self.bytes else self.about_bytes is not None and abs(size / self.about_bytes - 1) < 0.05

    @property
    def card(self) -> str:
        """What there is to know of it before using it: the card beside a bundled file, else the catalog's words."""
        card = self.path.with_suffix(".md")
        if self.bundled and card.is_file():
            return card.read_text(encoding="utf-8")
        return f"{self.title}. Licence: {self.terms}. {self.note}"

    @property
    def terms(self) -> str:
        """The licence, with a warning where commercial use is forbidden or doubtful."""
        return ", ".join(filter(None, (self.licence, TERMS[self.commercial])))

    @property
    def how_to_get(self) -> str:
        """What to do where the file is missing."""
        return "install facewright again" if self.bundled else f"facewright models get {self.name}"


@cache
def entries() -> dict[str, Entry]:
    """All models by name, the default first."""
    import yaml

    text = (HERE / "catalog.yaml").read_text(encoding="utf-8")
    catalog: dict[str, dict[str, Any]] = yaml.safe_load(text)
    found = {}
    for name, facts in catalog.items():
        facts |= {key: tuple(facts.get(key, ())) for key in ("also", "mirrors")}
        found[name] = Entry(name=name, **facts)
    return dict(sorted(found.items(), key=lambda item: not item[1].default))


def lookup(name: str) -> Entry:
    """The entry of that name, whatever its case, or one of its other names. Raises ModelError with the nearest names."""
    names = _names()
    if entry := names.get(name.strip().lower()):
        return entry
    near = list(dict.fromkeys(names[match].name for match in difflib.get_close_matches(name.lower(), names, n=6, cutoff=0.5)))[:3]
    raise ModelError(
        f"there is no model named {name!r}",
        f"the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else "nothing in the catalog is like it",
        "see: facewright models list; or give the path of a weight file",
    )


@cache
def _names() -> dict[str, Entry]:
    """Every way to call a model, in small letters: its name, its file with and without suffix, and what else people say."""
    return {alias.lower(): entry for entry in entries().values() for alias in (entry.name, entry.file, Path(entry.file).stem, *entry.also)}


def available(name: str) -> bool:
    """Whether a catalog name's file is here, bundled or in the cache. Raises ModelError for an unknown name."""
    return lookup(name).where != "missing"


def default() -> Entry:
    """The model that is used when none is named."""
    return next(entry for entry in entries().values() if entry.default)


def bundled(name: str) -> Path:
    """The file of a model that ships inside facewright. Raises ModelError where it is not there."""
    path = HERE / "bundled" / f"{name}.safetensors"
    if not path.is_file():
        raise ModelError(f"the bundled model {name} is not there", f"{path} is missing", "install facewright again")
    return path


def split(name: str | Path) -> tuple[str | Path, dict[str, Any]]:
    """A name or path and what is said beside it of what the file cannot tell: "net.pth:flavour=bilinear", several by commas.

    Values are read as YAML has them: words, numbers, true, false. A file whose very name looks so is taken as it is.
    """
    found = SAID.fullmatch(str(name))
    if not found or Path(name).expanduser().is_file():
        return name, {}
    import yaml

    said = dict(part.split("=", 1) for part in found["said"].split(","))
    return found["name"], {key: yaml.safe_load(value) for key, value in said.items()}


def identify(path: Path) -> Entry | None:
    """The entry whose published file this is: by its place, else by name and size, else by size and sha256."""
    for entry in entries().values():
        if entry.path == path:
            return entry
    if not path.is_file():
        return None
    size = path.stat().st_size
    named = next((entry for entry in entries().values() if not entry.bundled and path.name in (entry.file, *entry.also)), None)
    if named and named.has_size(size):
        return named
    alike = [entry for entry in entries().values() if entry.bytes == size and entry.sha256]
    if not alike:
        return None
    from facewright.weights.download import file_sha256

    digest = file_sha256(path)
    return next((entry for entry in alike if entry.sha256 == digest), None)


def find(name: str | Path) -> Path:
    """The file of a model: a path as it is, else a catalog name's bundled or downloaded file. What is `split` off is not looked at.

    Nothing is downloaded. Raises ModelError: with the nearest names for an unknown one, and how to get it for one that is not here.
    """
    name = split(name)[0]
    path = Path(name).expanduser()
    if path.is_file():
        return path
    looks_like_a_path = isinstance(name, Path) or "/" in name or os.sep in name or path.suffix.lower() in SUFFIXES or path.is_dir()
    if looks_like_a_path and str(name).lower() not in _names():
        why = "it is a folder" if path.is_dir() else "there is no such file"
        raise ModelError(f"cannot read the model {name}", why, "check the path, or take one of: facewright models list")
    entry = lookup(str(name))
    if entry.where == "missing":
        why = f"{entry.path} is missing" if entry.bundled else f"it is not in {entry.path.parent} ({VARIABLE} names another folder)"
        raise ModelError(f"the model {entry.name} is not on this machine", why, entry.how_to_get)
    return entry.path
