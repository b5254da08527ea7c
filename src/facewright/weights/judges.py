"""Networks and statistics that measure: from a name or file to what `facewright.metrics` is handed.

Published judges come in parts: LPIPS and DISTS as a few KB of learned weights, their trunks as files of torchvision's. Without all of
its parts a judge is refused; nothing is ever computed on weights that are not the published ones.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from facewright.errors import ModelError
from facewright.weights import catalog
from facewright.weights.device import pick_device
from facewright.weights.reader import read_mapping, read_state
from facewright.weights.recogniser import Recognised, recognise

if TYPE_CHECKING:
    import torch
    from torch import nn

    from facewright.metrics import Statistics

TRUNKS = {
    "lpips-alex": "alexnet",
    "lpips-vgg": "vgg16",
    "lpips-squeeze": "squeezenet",
    "dists": "vgg16",
}
"""Judges of the catalog, and the model that each needs beside itself."""
HEADS_OF = {"alex": "lpips-alex", "vgg": "lpips-vgg", "squeeze": "lpips-squeeze"}


def parts(name: str) -> tuple[str, ...]:
    """The models of the catalog that a judge is made of: itself, and its trunk. Raises ModelError for an unknown name."""
    name = catalog.lookup(name).name
    return (name, TRUNKS[name]) if name in TRUNKS else (name,)


def missing(name: str) -> tuple[str, ...]:
    """Those of the `parts` that are not on this machine."""
    return tuple(part for part in parts(name) if not catalog.available(part))


def load_judge(name_or_path: str | Path, *, trunk: str | Path | None = None, device: str | torch.device = "cpu") -> nn.Module:
    """LPIPS, DISTS, the Inception of FID, ArcFace, ...: a catalog name, or a file with the whole judge or its small part.

    trunk: a file of torchvision's, in place of the catalog's. In eval mode, without gradients.
    Raises ModelError where a part is missing, saying how to get all that are, and as `load_model`.
    """
    from facewright.weights.models import fill, load_model

    if not Path(name_or_path).expanduser().is_file():
        _require(str(name_or_path), trunk)
    path = catalog.find(name_or_path)
    small = read_state(path)
    recognised = recognise(small, source=path.name)
    if recognised.architecture not in ("lpips.heads", "dists.weights"):
        return load_model(name_or_path, device=device).net

    judge = HEADS_OF[recognised.arguments["net"]] if recognised.architecture == "lpips.heads" else "dists"
    below = catalog.find(trunk or TRUNKS[judge])
    state = small | _renamed(read_state(below), recognised, below)
    whole = recognise(state, source=path.name)
    return fill(whole, whole.fitted(state), device=pick_device(device), source=f"{path.name} with {below.name}")


def read_statistics(path: str | Path) -> Statistics:
    """Mean and covariance of a set's features: pytorch-fid's .npz, or BasicSR's .pth (inception_FFHQ_512-f7b384ab.pth).

    Raises ModelError where the file is missing, unsafe, or holds something else.
    """
    import torch

    from facewright.metrics import Statistics

    path = Path(path)
    if path.suffix == ".npz":
        return Statistics.read(path)
    held = read_mapping(path, arrays=True)
    if not {"mean", "cov"} <= held.keys():
        raise ModelError(
            f"cannot use the statistics {path}", "it holds no mean and cov", "give a file of statistics of Inception's features"
        )
    try:
        mean, covariance = (torch.as_tensor(held[name]).double() for name in ("mean", "cov"))
    except (TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"cannot use the statistics {path}", f"mean and cov are no numbers ({error})", "get the file again") from error
    return Statistics.of(mean.flatten(), covariance, source=str(path))


def _require(name: str, trunk: str | Path | None) -> None:
    wanted = [part for part in missing(name) if part == catalog.lookup(name).name or trunk is None]
    if wanted:
        needs = f"it needs {' and '.join(parts(name))}, and {' and '.join(wanted)} {'is' if len(wanted) == 1 else 'are'} not here"
        raise ModelError(
            f"the judge {catalog.lookup(name).name} is not on this machine", needs, f"facewright models get {' '.join(wanted)}"
        )


def _renamed(state: dict[str, torch.Tensor], judge: Recognised, path: Path) -> dict[str, torch.Tensor]:
    """The trunk's tensors under the judge's names. Raises ModelError where it is another's."""
    try:
        if judge.architecture == "dists.weights":
            from facewright.nets import dists

            return dists.from_torchvision(state)
        from facewright.nets import lpips

        return lpips.from_torchvision(state, judge.arguments["net"])
    except ModelError as error:
        raise ModelError(f"cannot use {path.name}", f"it is not the trunk that {judge.title} needs ({error.why})") from error
