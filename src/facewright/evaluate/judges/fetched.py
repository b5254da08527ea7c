"""The field's judges from the files that are fetched or given for them; without a file each is refused by name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch

from facewright.errors import ModelError
from facewright.evaluate.judges.field import Arcface, Inception, Lpips, Niqe
from facewright.evaluate.judges.judge import Judge
from facewright.metrics import NiqeModel
from facewright.metrics.conventions import convention as named
from facewright.nets.lpips import LPIPS
from facewright.weights.cache import cached
from facewright.weights.judges import load_judge, read_statistics

NIQE_FILE = "niqe_pris_params.npz"
FFHQ_FILES = {256: "inception_FFHQ_256-0948f50d.pth", 512: "inception_FFHQ_512-f7b384ab.pth", 1024: "inception_FFHQ_1024-75f195dc.pth"}
"""BasicSR's statistics of 50,000 pictures of FFHQ, by the pictures' side: those of another side give another number."""


def _niqe_faces(convention: str, device: torch.device, side: int | None) -> Judge:
    return Niqe(NiqeModel.bundled(), convention)


def _niqe_published(convention: str, device: torch.device, side: int | None) -> Judge:
    path = _given(NIQE_FILE, "the published parameters of NIQE; it lies in the basicsr/metrics of BasicSR")
    return Niqe(NiqeModel.read(path, "published"), convention)


def _lpips(net: str) -> Opener:
    def open_it(convention: str, device: torch.device, side: int | None) -> Judge:
        network = load_judge(f"lpips-{net}", device=device)
        assert isinstance(network, LPIPS)
        return Lpips(f"lpips[{net}]", network, convention)

    return open_it


def _arcface(convention: str, device: torch.device, side: int | None) -> Judge:
    return Arcface(load_judge("arcface-resnet18", device=device), convention)


def _inception(convention: str, device: torch.device, side: int | None) -> Judge:
    against = None
    if named(convention).fid.against == "ffhq":
        # pictures of other sides are compared as GFPGAN's tables do it, with those of 512
        file = FFHQ_FILES.get(side or 512, FFHQ_FILES[512])
        what = f"the statistics of FFHQ that {convention} compares with (difface compares with the true pictures instead)"
        against = read_statistics(_given(file, what))
    return Inception(load_judge("inception-fid", device=device), convention, against)


Opener = Callable[[str, torch.device, int | None], Judge]
OPENERS: dict[str, Opener] = {
    "niqe-faces": _niqe_faces,
    "niqe-published": _niqe_published,
    "lpips-vgg": _lpips("vgg"),
    "lpips-alex": _lpips("alex"),
    "lpips-squeeze": _lpips("squeeze"),
    "arcface": _arcface,
    "inception": _inception,
}


def _given(file: str, what: str) -> Path:
    """A file that the user puts where models are kept. Raises ModelError saying where."""
    path = cached(file)
    if not path.is_file():
        raise ModelError(f"{file} is not on this machine", f"it holds {what}", f"get it from its publisher and put it into {path.parent}")
    return path
