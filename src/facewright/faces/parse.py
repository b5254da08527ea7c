"""Which part of the face each pixel of a crop shows, by ParseNet or BiSeNet, in one order of classes.

Both networks were trained on CelebAMask-HQ, which is for non-commercial research; neither ships in the package.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import ModelError
from facewright.nets import bisenet, parsenet
from facewright.nets.bisenet import BiSeNet
from facewright.nets.parsenet import ParseNet

NAMES = ("parsenet", "bisenet")
"""In the catalog; the published programs use the first."""
CLASSES = parsenet.CLASSES
"""What a class number means, whichever network answered: 0 background, 1 skin, ..., 18 cloth."""
SIZE = 512
"""Side of the picture that the networks see and of the map that they give."""

_FROM_BISENET = torch.tensor([CLASSES.index(name) for name in bisenet.CLASSES], dtype=torch.uint8)


class FaceParser:
    """Parses aligned crops. One instance serves all photos of a run."""

    def __init__(self, net: ParseNet | BiSeNet) -> None:
        # channels last: on a processor a tenth faster
        self.net = net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @classmethod
    def load(cls, device: str = "cpu", name: str | None = None) -> FaceParser:
        """name: one of NAMES; None takes the first whose file is here. Raises ModelError, which says how to get it, where none is."""
        from facewright.weights import available, load_model

        name = name or next((each for each in NAMES if available(each)), NAMES[0])
        model = load_model(name, device=device)
        if not isinstance(model.net, ParseNet | BiSeNet):
            raise ModelError(f"cannot parse faces with {name}", f"it is {model.info['title']}", f"use {' or '.join(NAMES)}")
        return cls(model.net)

    @torch.inference_mode()
    def labels(self, crops: Tensor) -> NDArray[np.uint8]:
        """crops: N x 3 x S x S RGB in [-1, 1], FFHQ-aligned, any S. Returns N x SIZE x SIZE class numbers, see CLASSES.

        One crop after the other: a map costs more memory than time is won by a batch.
        """
        maps = [self._scores(crop[None]).argmax(dim=1).to("cpu", torch.uint8) for crop in crops]
        numbers = torch.cat(maps) if maps else torch.zeros((0, SIZE, SIZE), dtype=torch.uint8)
        return (numbers if isinstance(self.net, ParseNet) else _FROM_BISENET[numbers.long()]).numpy()

    def _scores(self, crop: Tensor) -> Tensor:
        """1 x 19 x SIZE x SIZE, in the network's own order of classes."""
        weight = next(self.net.parameters())
        x = crop.to(weight.device, torch.float32)
        if x.shape[-2:] != (SIZE, SIZE):
            x = F.interpolate(x, (SIZE, SIZE), mode="bilinear")  # published: plain bilinear, which skips pixels of a larger crop
        if isinstance(self.net, BiSeNet):
            mean, std = (torch.tensor(each, device=x.device).view(1, 3, 1, 1) for each in (bisenet.MEAN, bisenet.STD))
            x = ((x + 1) / 2 - mean) / std
        scores: Tensor = self.net(x.to(weight.dtype).contiguous(memory_format=torch.channels_last))[0]
        return scores
