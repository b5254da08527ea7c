"""From a file to named tensors, whatever the file: safetensors, torch's zip and older formats. Never a plain unpickle.

A ``.pth`` passes two guards that know nothing of each other: `pickles.inspect` walks its pickles with inert stand-ins and names what
is forbidden, then ``torch.load(weights_only=True)`` does the reading.
"""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewright.errors import ModelError
from facewright.weights import pickles

if TYPE_CHECKING:
    from torch import Tensor

# In a training checkpoint the averaged weights are the ones to use.
WRAPPERS = ("params_ema", "params", "state_dict", "params_d")
# Left in the names by DataParallel and torch.compile.
PREFIXES = ("module.", "_orig_mod.")
COPY_AGAIN = "copy or download it again from its source"
ONLY_WEIGHTS = "give a .pth or .safetensors file with a model's weights"


def read_state(path: str | Path, *, key: str | None = None) -> dict[str, Tensor]:
    """The tensors of a weight file by their published names, on the CPU.

    key: which part of a training checkpoint to take; without it the first of params_ema, params, state_dict, params_d that is there,
    else the file itself. A leading "module." of the names is dropped.
    Raises ModelError, in one sentence, for whatever is not a readable and safe weight file.
    """
    path = Path(path)
    kind = sniff(path)
    content = _read_safetensors(path) if kind == "safetensors" else _read_torch(path, kind)
    _refuse_what_trains(content, path)
    tensors = {_plain(name): value.detach() for name, value in _unwrap(content, key, path).items() if _is_tensor(value)}
    if not tensors:
        raise ModelError(f"cannot use {path.name}", "there are no tensors in it", ONLY_WEIGHTS)
    return tensors


def read_metadata(path: str | Path) -> dict[str, str]:
    """The text entries in a safetensors header; {} for other formats. Raises ModelError as `read_state`."""
    path = Path(path)
    if sniff(path) != "safetensors":
        return {}
    with path.open("rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    return {str(name): str(value) for name, value in header.get("__metadata__", {}).items()}


def read_mapping(path: str | Path, *, arrays: bool = False) -> Mapping[str, Any]:
    """What a ``.pth`` holds beside or instead of weights, for example a table of landmarks: dicts, lists, numbers, tensors, as stored.

    arrays: those of numpy, too, for example statistics of features. The same guards as for weights. Raises ModelError as `read_state`.
    """
    path = Path(path)
    kind = sniff(path)
    return _read_safetensors(path) if kind == "safetensors" else _read_torch(path, kind, arrays)


def sniff(path: Path) -> str:
    """ "safetensors", "zip" (torch since 1.6) or "legacy" (torch before), told from the bytes alone.

    Raises ModelError that says what the file is instead.
    """
    if path.is_dir():
        raise ModelError(f"cannot read {path}", "it is a folder", ONLY_WEIGHTS)
    try:
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            head = file.read(4096)
    except FileNotFoundError:
        raise ModelError(f"cannot read {path}", "there is no such file", "check the path, or see: facewright models list") from None
    except OSError as error:
        raise ModelError(f"cannot read {path}", error.strerror or str(error), "check the file's permissions") from error
    if not head:
        raise ModelError(f"cannot read {path}", "it is empty", COPY_AGAIN)
    if head.startswith(b"PK\x03\x04"):
        return "zip"
    if head.startswith(pickles.LEGACY_MAGIC):
        return "legacy"
    if head[8:9] == b"{" and int.from_bytes(head[:8], "little") < 100_000_000:
        return _check_safetensors(path, size)
    raise _not_weights(path, head)


# Reading -------------------------------------------------------------------------------------------------------------------------------


def _read_safetensors(path: Path) -> Mapping[str, Any]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as error:
        raise ModelError(f"cannot read {path}", f"its safetensors data is damaged ({error})", COPY_AGAIN) from error


def _read_torch(path: Path, kind: str, arrays: bool = False) -> Mapping[str, Any]:
    """Both guards, then the content: a dict, or ModelError."""
    import torch

    names = _inspect_zip(path, arrays) if kind == "zip" else _inspect_legacy(path, arrays)
    try:
        with _extra_names(names):
            content = torch.load(os.fspath(path), map_location="cpu", weights_only=True, mmap=kind == "zip")
    except MemoryError:
        raise
    except Exception as error:
        reason = str(error).strip().partition("\n")[0][:160]
        raise ModelError(f"cannot read {path}", f"torch does not accept it ({reason})", COPY_AGAIN) from error
    if not isinstance(content, Mapping):
        raise ModelError(f"cannot use {path.name}", f"it holds one {type(content).__name__}, not named weights", ONLY_WEIGHTS)
    return content


def _inspect_zip(path: Path, arrays: bool) -> set[str]:
    """First guard for torch's zip format: the names its one pickle uses. Raises ModelError."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.namelist()
            if any(name.endswith("/constants.pkl") for name in members):
                raise ModelError(f"cannot use {path.name}", "it is a TorchScript program, not weights", ONLY_WEIGHTS)
            pickled = [name for name in members if name == "data.pkl" or name.endswith("/data.pkl")]
            if len(pickled) != 1:
                raise ModelError(f"cannot use {path.name}", "it is a zip archive, but not one of PyTorch's", ONLY_WEIGHTS)
            # A record that is packed or too long is not torch's doing: torch stores, and its largest pickles are a few MB.
            if archive.getinfo(pickled[0]).file_size > 1 << 28:
                raise ModelError(f"cannot use {path.name}", "its table of contents is larger than any model's", ONLY_WEIGHTS)
            with archive.open(pickled[0]) as stream:
                return _inspect_one(stream, path, arrays)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        size = path.stat().st_size
        raise ModelError(f"cannot read {path}", f"its end is missing or damaged ({size:,} bytes are there)", COPY_AGAIN) from error


def _inspect_legacy(path: Path, arrays: bool) -> set[str]:
    """First guard for the format before torch 1.6: five pickles in a row (magic, version, machine, content, storage keys)."""
    names: set[str] = set()
    with path.open("rb") as stream:
        for _ in range(5):
            names |= _inspect_one(stream, path, arrays)
    return names


def _inspect_one(stream: Any, path: Path, arrays: bool) -> set[str]:
    try:
        return pickles.inspect(stream, arrays)[1]
    except pickles.ForbiddenName as error:
        raise _unsafe(path, error.name) from None
    except (MemoryError, RecursionError) as error:
        raise ModelError(
            f"refused to load {path.name}", "its pickle is built to exhaust this machine", "get the file from its publisher"
        ) from error
    except Exception as error:
        raise ModelError(
            f"cannot read {path}", f"it is damaged or ends early ({path.stat().st_size:,} bytes are there)", COPY_AGAIN
        ) from error


def _unsafe(path: Path, name: str) -> ModelError:
    return ModelError(
        f"refused to load {path.name}",
        f"it would call {name} on this machine (nothing was run)",
        "weights need no such thing: get the file from its publisher, as safetensors if there is one",
    )


def _extra_names(names: set[str]) -> Any:
    """torch's allow-list, widened by numpy's plain numbers and arrays, and only where the file has them."""
    from contextlib import nullcontext

    if not names & (pickles.NUMPY_NAMES | pickles.ARRAY_NAMES):
        return nullcontext()
    import numpy as np
    import torch

    try:
        from numpy._core.multiarray import _reconstruct, scalar
    except ImportError:  # numpy 1
        from numpy.core.multiarray import _reconstruct, scalar  # type: ignore[no-redef]
    dtypes = [type(np.dtype(kind)) for kind in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "?", "S1", "U1")]
    made: list[Any] = [(scalar, "numpy.core.multiarray.scalar"), (scalar, "numpy._core.multiarray.scalar")]
    if names & pickles.ARRAY_NAMES:
        made += [(_reconstruct, f"numpy.{core}.multiarray._reconstruct") for core in ("core", "_core")] + [np.ndarray]
    return torch.serialization.safe_globals([np.dtype, *dtypes, *made])


# What the content is -------------------------------------------------------------------------------------------------------------------


def _unwrap(content: Mapping[str, Any], key: str | None, path: Path) -> Mapping[str, Any]:
    present = [str(name) for name, value in content.items() if isinstance(value, Mapping)]
    if key is None:
        key = next((name for name in WRAPPERS if name in present), None)
        return content if key is None else dict(content[key])
    if key not in present:
        have = f"it has {', '.join(present)}" if present else "it has no parts, only tensors"
        raise ModelError(f"cannot take {key!r} of {path.name}", have, "leave the key out, or name one of these")
    return dict(content[key])


def _refuse_what_trains(content: Mapping[str, Any], path: Path) -> None:
    """Files that lie where training keeps its models, and are none. Raises ModelError."""
    if {"step", "recipe", "random"} <= content.keys():
        raise ModelError(f"cannot use {path.name}", "it is a checkpoint of facewright train", "give the export.safetensors beside it")
    first = next(iter(content.values()), None)
    if isinstance(first, Mapping) and "left_eye" in first:  # GFPGAN's component file
        what = f"it holds where eyes and mouths are in {len(content):,} pictures, not weights"
        raise ModelError(f"cannot use {path.name}", what, ONLY_WEIGHTS)


def _plain(name: str) -> str:
    for prefix in PREFIXES:
        name = name.removeprefix(prefix)
    return name


def _is_tensor(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor)


def _check_safetensors(path: Path, size: int) -> str:
    """ "safetensors" if header and data agree with the file's length, else the one sentence that says why not."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        raw = file.read(length)
    cut = ModelError(f"cannot read {path}", f"it ends early ({size:,} bytes are there)", COPY_AGAIN)
    if len(raw) < length:
        raise cut
    try:
        entries = [entry for name, entry in json.loads(raw).items() if name != "__metadata__"]
        end = max((int(entry["data_offsets"][1]) for entry in entries), default=0)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ModelError(f"cannot read {path}", "its safetensors header is damaged", COPY_AGAIN) from error
    if 8 + length + end > size:
        raise cut
    return "safetensors"


SIGNATURES: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "it is a Git LFS pointer, not the file itself"),
    (b"\x89HDF", "it is a Keras or HDF5 file"),
    (b"GGUF", "it is a GGUF language model"),
    (b"\x93NUMPY", "it is a NumPy array"),
    (b"\x89PNG", "it is a picture"),
    (b"\xff\xd8\xff", "it is a picture"),
    (b"GIF8", "it is a picture"),
    (b"RIFF", "it is a picture or a clip"),
    (b"%PDF", "it is a PDF document"),
    (b"\x1f\x8b", "it is packed with gzip; unpack it first"),
    (b"7z\xbc\xaf", "it is packed with 7-Zip; unpack it first"),
    (b"Rar!", "it is packed with RAR; unpack it first"),
)


def _not_weights(path: Path, head: bytes) -> ModelError:
    """What a file that is no weight file is instead, as far as its first bytes say."""
    for signature, what in SIGNATURES:
        if head.startswith(signature):
            return ModelError(f"cannot use {path.name}", what, ONLY_WEIGHTS)
    if path.suffix.lower() == ".onnx" or (head[:1] == b"\x08" and b"\x12" in head[1:8]):
        return ModelError(f"cannot use {path.name}", "it is an ONNX model; facewright takes PyTorch weights", ONLY_WEIGHTS)
    if head.lstrip()[:14].lower().startswith((b"<!doctype html", b"<html")):
        return ModelError(
            f"cannot use {path.name}", "it is a web page: the download was answered with a page instead of the file", COPY_AGAIN
        )
    if b"ustar" in head[257:265]:
        return ModelError(f"cannot use {path.name}", "it is a tar archive (torch's format of 2016 is not read)", ONLY_WEIGHTS)
    return _bare_pickle(path, head) or _text_or_unknown(path, head)


PROTOCOLS = (b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")


def _bare_pickle(path: Path, head: bytes) -> ModelError | None:
    """A pickle without torch's frame is never loaded; if it means harm the message says so."""
    if path.stat().st_size > 1 << 30 or (head[:2] not in PROTOCOLS and not pickles.is_pickle(path.read_bytes())):
        return None
    try:
        with path.open("rb") as stream:
            pickles.inspect(stream)
    except pickles.ForbiddenName as error:
        return _unsafe(path, error.name)
    except Exception:
        return ModelError(f"cannot read {path}", "it is a damaged pickle", COPY_AGAIN)
    return ModelError(f"cannot use {path.name}", "it is a pickle, but not one of PyTorch's", ONLY_WEIGHTS)


def _text_or_unknown(path: Path, head: bytes) -> ModelError:
    # UTF-8 or an older code page: no control characters, and mostly plain letters.
    is_text = all(byte >= 32 or byte in b"\t\r\n\f" for byte in head) and sum(byte < 127 for byte in head) > 0.7 * len(head)
    what = "it is a text file" if is_text else f"it is no weight file (it begins with {head[:8].hex(' ')})"
    return ModelError(f"cannot use {path.name}", what, ONLY_WEIGHTS)
