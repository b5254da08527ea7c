"""Judges of faces that ship inside: dlib's embedding, our own, the O-Net, local binary patterns. All want aligned square crops.

dlib's embedding is close to a loss that trains our models; no loss saw the others.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.evaluate.distances import Whole, embeddings_apart, gaussian_distance, kernel_distance, patterns_apart, recognised
from facewright.evaluate.judges.judge import Values
from facewright.faces.align import TEMPLATE, TEMPLATE_SIZE
from facewright.faces.identity import Identity
from facewright.metrics import lbp
from facewright.nets.mobilefacenet import MobileFaceNet
from facewright.nets.mtcnn import ONet
from facewright.weights import load_model


class SeenByDlib(NamedTuple):
    """people: N x 128; layers: three inner maps, N x M."""

    people: Tensor
    layers: Tensor


class Dlib:
    """`identity[dlib]`, `layers[dlib]`, and the vectors of `kid[dlib]` and `fid[dlib]`."""

    LAYERS = (2, 6, 9)
    whole: Mapping[str, Whole] = {"kid[dlib]": Whole(value=kernel_distance), "fid[dlib]": Whole(value=gaussian_distance)}

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.identity = Identity.load(str(device))

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> SeenByDlib:
        network = self.identity.network
        people, maps = network.features(network.chip(pictures.to(self.device) * 2 - 1), self.LAYERS)
        return SeenByDlib(people, torch.cat([each.flatten(1) for each in maps], dim=1))

    def compare(self, seen: SeenByDlib, truth: SeenByDlib | None) -> dict[str, Values]:
        if truth is None:
            return {}
        return {
            "identity[dlib]": _values((seen.people - truth.people).norm(dim=1)),
            "layers[dlib]": _values((seen.layers - truth.layers).abs().mean(1) / truth.layers.abs().mean(1)),
        }

    def vectors(self, seen: SeenByDlib) -> dict[str, NDArray[Any]]:
        return {"dlib": seen.people.float().cpu().numpy()}


class Mini:
    """`identity[mini]`, and the vectors of `rank1[mini]`: our own embedding, each of length 1."""

    whole: Mapping[str, Whole] = {"rank1[mini]": Whole(each=partial(recognised, embeddings_apart))}

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.network: MobileFaceNet = load_model("identity-mini", device=device).net  # type: ignore[assignment]

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> Tensor:
        return self.network.people(pictures.to(self.device) * 2 - 1)

    def compare(self, seen: Tensor, truth: Tensor | None) -> dict[str, Values]:
        return {} if truth is None else {"identity[mini]": _values((seen - truth).norm(dim=1))}

    def vectors(self, seen: Tensor) -> dict[str, NDArray[Any]]:
        return {"mini": seen.cpu().numpy()}


class SeenByOnet(NamedTuple):
    """points: N x 5 x 2 in eye distances of the template; features: N x 256."""

    points: Tensor
    features: Tensor


class Onet:
    """`landmarks[onet]`, `features[onet]`: of one fixed window round the template's face, framed as the cascade frames a frontal face."""

    LEFT, TOP, SIDE = 112, 130, 290  # of 512
    whole: Mapping[str, Whole] = {}

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.net: ONet = load_model("mtcnn", device=device).net.onet  # type: ignore[assignment]

    @torch.inference_mode()
    def look(self, pictures: Tensor) -> SeenByOnet:
        scale = pictures.shape[-1] / TEMPLATE_SIZE
        top, left, side = (each * scale for each in (self.TOP, self.LEFT, self.SIDE))
        cut = pictures[..., round(top) : round(top + side), round(left) : round(left + side)].permute(0, 2, 3, 1).cpu().numpy()
        windows = np.stack([cv2.resize(each, (ONet.window, ONet.window), interpolation=cv2.INTER_AREA) for each in cut])
        shown = (torch.from_numpy(windows).permute(0, 3, 1, 2).to(self.device) * 255 - 127.5) * 0.0078125
        _, points, _ = self.net(shown)
        eyes = float(np.linalg.norm(TEMPLATE[1] - TEMPLATE[0]))
        return SeenByOnet(points.view(-1, 2, 5).transpose(1, 2) * self.SIDE / eyes, self.net.features(shown))

    def compare(self, seen: SeenByOnet, truth: SeenByOnet | None) -> dict[str, Values]:
        if truth is None:
            return {}
        return {
            "landmarks[onet]": _values(100 * (seen.points - truth.points).norm(dim=2).mean(1)),
            "features[onet]": _values((seen.features - truth.features).norm(dim=1) / truth.features.norm(dim=1)),
        }

    def vectors(self, seen: SeenByOnet) -> dict[str, NDArray[Any]]:
        return {}


class Lbp:
    """The vectors of `rank1[lbp]`, as counts of a cell's 256 places."""

    whole: Mapping[str, Whole] = {"rank1[lbp]": Whole(each=partial(recognised, patterns_apart))}

    def look(self, pictures: Tensor) -> NDArray[np.uint16]:
        levels = (pictures * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        described = [lbp.describe(np.asarray(each)) for each in levels]
        return np.rint(np.stack(described) * 256).astype(np.uint16)

    def compare(self, seen: Any, truth: Any | None) -> dict[str, Values]:
        return {}

    def vectors(self, seen: NDArray[np.uint16]) -> dict[str, NDArray[Any]]:
        return {"lbp": seen}


def _values(numbers: Tensor) -> Values:
    return np.asarray(numbers.double().cpu().numpy())
