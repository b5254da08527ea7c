"""Any network that restores aligned crops, behind one call."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from facewright.errors import ModelError
from facewright.nets import codeformer, gfpgan
from facewright.nets.blocks.layout import channels_last
from facewright.nets.codeformer import PUBLISHED_USE, CodeFormer, PreparedCodeFormer, Task
from facewright.nets.gfpgan import GFPGAN, PreparedGFPGAN
from facewright.nets.restoreformer import RestoreFormer
from facewright.nets.vqfr import VQFRv1, VQFRv2
from facewright.weights import Model
from facewright.weights.device import PRECISIONS

Network = GFPGAN | RestoreFormer | CodeFormer | VQFRv1 | VQFRv2
DOES: dict[Task, str] = {"restoration": "restore faces", "colorization": "colour faces", "inpainting": "fill holes in faces"}
PUBLISHED: dict[Task, str] = {
    "restoration": "codeformer",
    "colorization": "codeformer-colorization",
    "inpainting": "codeformer-inpainting",
}
"""The catalog's models of CodeFormer, by what they learned."""


class FaceNetwork:
    """size: side S of its crops. Raises ModelError for a model that did not learn the task (all but restoration are CodeFormer's)."""

    def __init__(self, model: Model, device: torch.device, precision: str, seed: int, task: Task = "restoration") -> None:
        net = _able(model, task)
        self.device, self.dtype = device, _dtype(precision, device)
        self.size = net.out_size if isinstance(net, GFPGAN) else net.img_size if isinstance(net, CodeFormer) else net.resolution
        self._net = _prepared(net, self.dtype) if device.type == "cpu" else channels_last(net)
        # the seed's noise for one face serves every face: a face must not depend on its neighbours in the batch
        self._noise: list[Tensor] = []
        if isinstance(net, GFPGAN):
            self._noise = [each.to(device) for each in net.make_noise(torch.Generator().manual_seed(seed))]

    @property
    def has_fidelity(self) -> bool:
        """Whether the network itself can stay nearer to the damaged face or go nearer to what it knows.

        A CodeFormer for another task has learned one w only, and takes it.
        """
        return isinstance(self._net, VQFRv2) or (isinstance(self._net, CodeFormer) and self._net.task == "restoration")

    @property
    def usual_fidelity(self) -> float:
        """What is taken where nobody chose: as the published program does; 0 for a network without the choice."""
        return PUBLISHED_USE["restoration"][0] if self.has_fidelity and isinstance(self._net, CodeFormer) else 0.0

    def __call__(self, crops: Tensor, fidelity: float | Tensor | None = None) -> Tensor:
        """crops: N x 3 x S x S in [-1, 1]; the same, restored, float32.

        fidelity: for a network that has it, 0 (its own picture) to 1 (nearest to the crop), one for all or N of them; None: the usual one.
        """
        crops = crops.to(self.device).contiguous(memory_format=torch.channels_last)
        casts = self.dtype != torch.float32 and not isinstance(self._net, (PreparedGFPGAN, PreparedCodeFormer))
        with torch.inference_mode(), torch.autocast(self.device.type, self.dtype, enabled=casts):
            if isinstance(self._net, (CodeFormer, VQFRv2)) and self.has_fidelity:
                picture = self._net(crops, self.usual_fidelity if fidelity is None else fidelity)
            elif isinstance(self._net, (RestoreFormer, VQFRv1, CodeFormer)):
                picture = self._net(crops)
            else:
                picture, _ = self._net(crops, return_rgb=False, noise=self._noise)
        restored: Tensor = picture.float().clamp(-1, 1)
        return restored


def _able(model: Model, task: Task) -> Network:
    net, path = model.net, Path(model.info["path"])
    what, guessed = f"{path.name} does not {DOES[task]}", "task" in model.info["assumed"]  # by its shapes alone
    if isinstance(net, CodeFormer) and net.task != task:
        what_to_do = f"if it learned to, say so: {path}:task={task}" if guessed else f"take {PUBLISHED[task]}"
        raise ModelError(what, f"it is a CodeFormer for {net.task}", what_to_do)
    if not isinstance(net, Network) or (task != "restoration" and not isinstance(net, CodeFormer)):
        what_to_do = "see: facewright models list" if task == "restoration" else f"take {PUBLISHED[task]}"
        raise ModelError(what, f"it is {model.info['title']}", what_to_do)
    return net


def _prepared(net: Network, dtype: torch.dtype) -> Network | PreparedGFPGAN:
    """The form in which a processor is fastest: half again as fast in fp32, faster still in bf16 (benchmarks/network.py)."""
    if isinstance(net, GFPGAN) and net.flavour != "original":
        return gfpgan.prepare(net, dtype)
    return codeformer.prepare(net, dtype) if isinstance(net, CodeFormer) else channels_last(net)


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    """ "auto" is bf16 on CUDA that has it, else fp32: on a processor the same photo must give the same picture everywhere."""
    if precision in PRECISIONS:
        return PRECISIONS[precision]
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32
