"""From a name or a file to a network that is ready to run."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from facewright.errors import ModelError
from facewright.weights import catalog
from facewright.weights.device import pick_device
from facewright.weights.header import arguments_in
from facewright.weights.noise import Kind, choose_noise, noise_facts
from facewright.weights.reader import read_metadata, read_state
from facewright.weights.recogniser import Recognised, recognise

if TYPE_CHECKING:
    from torch import Tensor

AGAIN = "get the whole file again from its source"


@dataclass
class Model:
    """A network with its weights: eval mode, no gradients.

    architecture, arguments: as `Recognised`. info: name, title, path, licence, commercial (use: "yes", "ask", "no"), note, card (text),
    assumed (what the file left open), noise (layers, largest strength, choices; {} for networks without).
    """

    net: nn.Module
    architecture: str
    arguments: dict[str, Any]
    info: dict[str, Any] = field(default_factory=dict)

    def noise(self, kind: Kind, seed: int = 0) -> list[Tensor]:
        """For the `noise` of a GFPGAN's or StyleGAN2's forward: "stored", "seeded" or "zero", see `choose_noise`."""
        return choose_noise(self.net, kind, seed)


def load_model(
    name_or_path: str | Path, *, device: str | torch.device = "cpu", dtype: torch.dtype | None = None, key: str | None = None, **known: Any
) -> Model:
    """The network of a catalog name or weight file, all sizes told from the file.

    device, dtype (float32 where None): where and how the weights are held; buffers of whole numbers keep their type.
    key: the part of a training checkpoint, see `read_state`. known: what the file cannot tell, see `recognise`; it can also be said beside
    the name: "net.pth:flavour=bilinear". The published files are known by their place, name, size or sum, and need no word.
    Raises ModelError where the file is missing, unsafe, damaged, unknown, or does not fill the network exactly; UsageError for a
    device that is not there.
    """
    name, said = catalog.split(name_or_path)
    path = catalog.find(name)
    device = pick_device(device)
    state = read_state(path, key=key)
    entry = catalog.identify(path)
    told = arguments_in(path) | dict(entry.arguments if entry else {})
    recognised = recognise(state, source=path.name, told=told, **said | known)
    net = fill(recognised, recognised.fitted(state), device=device, dtype=dtype, source=path.name)
    info = {
        "name": entry.name if entry else path.stem,
        "title": recognised.title,
        "path": str(path),
        "licence": entry.licence if entry else read_metadata(path).get("licence", "unknown"),
        "commercial": entry.commercial if entry else "ask",
        "note": entry.note if entry else "",
        "card": _card(path, entry),
        "assumed": recognised.assumed,
        "noise": noise_facts(net),
    }
    return Model(net, recognised.architecture, recognised.arguments, info)


def fill(
    recognised: Recognised,
    state: dict[str, Tensor],
    *,
    device: torch.device | str = "cpu",
    dtype: torch.dtype | None = None,
    source: str = "this file",
) -> nn.Module:
    """Build the network and put every tensor in its place. Raises ModelError unless names and shapes agree exactly and all is finite."""
    net = recognised.build("meta")
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items()}
    state = _counters(wanted) | state
    given = {name: tuple(value.shape) for name, value in state.items()}
    _check_names(recognised, wanted, given, source)

    copied = {}
    for name, value in state.items():
        held = (dtype or torch.float32) if value.is_floating_point() else value.dtype
        try:
            # A copy of its own: the file may be mapped into memory, and may change.
            copied[name] = value.to(device=device, dtype=held, copy=True)
        except (RuntimeError, MemoryError) as error:
            reason = str(error).partition("\n")[0]
            raise ModelError(
                f"cannot load {source}", f"no room for {name} on {device} ({reason})", "close other programs, or use --device cpu"
            ) from error
        if not _finite(copied[name]):
            raise ModelError(f"cannot use {source}", f"{name} holds values that are not numbers", AGAIN)
    net.load_state_dict(copied, strict=True, assign=True)
    if any(tensor.is_meta for tensor in (*net.parameters(), *net.buffers())):
        # Constants that stand in no file (a mean to subtract): only a real build has them.
        net = recognised.build("cpu")
        net.load_state_dict(copied, strict=True)
        net = net.to(device=device, dtype=dtype or torch.float32)
    return net.eval().requires_grad_(False)


def _counters(wanted: dict[str, tuple[int, ...]]) -> dict[str, Tensor]:
    """Batch normalisation's counters of batches, which files from before torch 0.4.1 do not have and inference does not use."""
    return {name: torch.zeros((), dtype=torch.int64) for name in wanted if name.endswith(".num_batches_tracked")}


def _finite(value: Tensor) -> bool:
    # A sum meets every NaN and infinity at a fiftieth of isfinite's time; only where it is odd is each value looked at.
    return not value.is_floating_point() or bool(value.sum(dtype=torch.float32).isfinite()) or bool(value.isfinite().all())


def _check_names(recognised: Recognised, wanted: dict[str, tuple[int, ...]], given: dict[str, tuple[int, ...]], source: str) -> None:
    missing, unexpected = [name for name in wanted if name not in given], [name for name in given if name not in wanted]
    other = [name for name in wanted if name in given and wanted[name] != given[name]]
    problems = [f"{_some(missing)} missing"] if missing else []
    problems += [f"{_some(unexpected)} unexpected"] if unexpected else []
    if other:
        name, rest = other[0], f" (and {len(other) - 1} more like it)" if len(other) > 1 else ""
        problems.append(f"{name} has shape {_times(given[name])} instead of {_times(wanted[name])}{rest}")
    if problems:
        raise ModelError(f"cannot use {source}", f"it is no whole {recognised.title}: {'; '.join(problems)}", AGAIN)


def _some(names: list[str]) -> str:
    return f"{', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''} {'is' if len(names) == 1 else 'are'}"


def _times(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape)) or "a single number"


def _card(path: Path, entry: catalog.Entry | None) -> str:
    """The card's text: the catalog's, else the .md beside the file, else nothing."""
    if entry:
        return entry.card
    card = path.with_suffix(".md")
    return card.read_text(encoding="utf-8", errors="replace") if card.is_file() else ""
