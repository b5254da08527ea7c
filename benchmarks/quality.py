"""Quality of the shipped restorer on people it never saw, against simple rivals: the table of the README and the model card.

    python benchmarks/quality.py --split test            # the table (reporting)
    python benchmarks/quality.py --split val             # for choosing checkpoints
    python benchmarks/quality.py --split fair --groups group gender
    python benchmarks/quality.py --split val --model runs/gfpgan-mini/export.safetensors --sheet sheet.png

Damage is seeded, so every method sees the same pictures. Judges marked * are close to a loss that trained the model (dlib's
embedding); no loss saw the others: points and features of the O-Net, local binary patterns with rank-1 retrieval over people.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image as Picture
from torch import Tensor

from facewright.data import AlignedFaces, FaceRow, read_manifest
from facewright.degrade import preset
from facewright.faces.align import TEMPLATE
from facewright.faces.identity import Identity
from facewright.metrics import lbp, psnr, sharpness, ssim
from facewright.restore import Restorer
from facewright.weights import load_model

Images = NDArray[np.float32]
SIZE = 256
LEVELS = ("light", "medium", "heavy")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--split", default="test", choices=("val", "test", "fair"))
    parser.add_argument("--model", default="gfpgan-mini")
    parser.add_argument("--limit", type=int, help="this many faces, evenly spread")
    parser.add_argument("--groups", nargs="*", default=[], help="manifest columns, or source")
    parser.add_argument("--sheet", type=Path, help="also write a picture: damaged | rivals | ours | truth")
    parser.add_argument("--json", type=Path, help="also write the numbers of every face")
    arguments = parser.parse_args()

    rows = read_manifest(arguments.data, lambda row: row.split == arguments.split and row.stored_width >= SIZE)
    if arguments.limit:
        rows = rows[:: max(1, len(rows) // arguments.limit)][: arguments.limit]
    faces = AlignedFaces(rows, SIZE)
    rows, truth = faces.rows, faces.stacked().astype(np.float32) / np.float32(255)
    judges = Judges(truth)
    restorer = Restorer(model=arguments.model, aligned=True)
    print(f"{len(rows)} faces of {len({row.person for row in rows})} people, split {arguments.split}, {SIZE} px, model {arguments.model}\n")

    sheets, everything = [], []
    print("| damage | method | " + " | ".join(Judges.COLUMNS) + " |\n|" + "---|" * (2 + len(Judges.COLUMNS)))
    for level in ("none", *LEVELS):
        methods = pictures(level, truth, restorer)
        for name, images in methods.items():
            scores = judges(images)
            print(f"| {level} | {name} | " + " | ".join(scores.row()) + " |", flush=True)
            everything.append((level, name, scores))
        sheets.append(np.concatenate([np.concatenate(list(images[:6]), axis=0) for images in (*methods.values(), truth)], axis=1))
    for column in arguments.groups:
        by_group(column, rows, everything)
    if arguments.sheet:
        Picture.fromarray(np.rint(np.clip(np.concatenate(sheets[1:], axis=1), 0, 1) * 255).astype(np.uint8)).save(arguments.sheet)
    if arguments.json:
        told = [
            {"damage": level, "method": name, **{key: np.round(value, 5).tolist() for key, value in scores.each.items()}}
            for level, name, scores in everything
        ]
        arguments.json.write_text(json.dumps({"files": [row.file.name for row in rows], "results": told}))


def pictures(level: str, truth: Images, restorer: Restorer) -> dict[str, Images]:
    """The damaged faces and what each method makes of them."""
    if level == "none":
        return {"clean": truth, "ours": restored(truth, restorer)}
    degradation = preset(level).scaled(SIZE)
    draws = [degradation.draw(np.random.default_rng([7, index])) for index in range(len(truth))]
    damaged = _each(lambda index: degradation.apply(truth[index], draws[index]), len(truth))
    bicubic = _each(lambda index: degradation.apply(truth[index], draws[index], enlarge=_bicubic), len(truth))
    return {
        "damaged": damaged,
        "bicubic": bicubic,
        "denoise + sharpen": np.stack([denoise_and_sharpen(image) for image in damaged]),
        "ours": restored(damaged, restorer),
    }


def restored(damaged: Images, restorer: Restorer) -> Images:
    """Through the whole restorer, as a user gets it: 8 bits in, 8 bits out."""
    levels = list(np.rint(damaged * 255).astype(np.uint8))
    return np.stack([result.image for result in restorer.restore(levels)]).astype(np.float32) / np.float32(255)


def denoise_and_sharpen(image: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a patient person does by hand: non-local means, then an unsharp mask."""
    levels = np.rint(image * 255).astype(np.uint8)
    smooth = cv2.fastNlMeansDenoisingColored(levels, None, 5, 7, 5, 15).astype(np.float32)
    return np.asarray(np.clip(1.8 * smooth - 0.8 * cv2.GaussianBlur(smooth, (0, 0), 2), 0, 255) / 255, np.float32)


@dataclass
class Scores:
    """One number a face and judge; rank-1 is one number for all."""

    each: dict[str, NDArray[np.float64]]
    rank1: float

    def row(self) -> list[str]:
        mean = {name: values.mean() for name, values in self.each.items()}
        sharp = np.exp(np.log(self.each["sharpness"]).mean())
        perfect = "exact" if np.isinf(mean["psnr"]) else f"{mean['psnr']:.2f}"
        return [
            perfect,
            f"{mean['ssim']:.4f}",
            f"{mean['identity']:.3f}",
            f"{mean['inner']:.3f}",
            f"{mean['landmarks']:.2f}",
            f"{mean['onet']:.3f}",
            f"{100 * self.rank1:.1f}",
            f"{sharp:.2f}",
        ]


class Judges:
    """All judges of faces against their truth."""

    COLUMNS = (
        "psnr[rgb]",
        "ssim[y]",
        "identity[dlib]* ↓",
        "dlib layers* ↓",
        "landmarks[onet] % ↓",
        "onet features ↓",
        "rank1[lbp] % ↑",
        "sharpness / truth",
    )

    def __init__(self, truth: Images) -> None:
        self.identity = Identity.load()
        self.onet = load_model("mtcnn").net.onet  # type: ignore[union-attr]
        self.truth = truth
        self.tensor = _tensor(truth)
        self.people, self.layers = self._embedded(truth)
        self.points, self.features = self._looked(truth)
        self.patterns = _patterns(truth)

    def __call__(self, images: Images) -> Scores:
        people, layers = self._embedded(images)
        points, features = self._looked(images)
        shown = _tensor(images)
        each = {
            "psnr": psnr(shown, self.tensor),
            "ssim": ssim(shown, self.tensor, channel="y"),
            "identity": (people - self.people).norm(dim=1),
            "inner": _relative(layers, self.layers),
            # as parts of the distance between the eyes of the template
            "landmarks": 100 * (points - self.points).norm(dim=2).mean(1),
            "onet": (features - self.features).norm(dim=1) / self.features.norm(dim=1),
            "sharpness": sharpness(_middle(shown)) / sharpness(_middle(self.tensor)),
        }
        return Scores({name: value.double().numpy() for name, value in each.items()}, lbp.rank_one(_patterns(images), self.patterns))

    @torch.inference_mode()
    def _embedded(self, images: Images) -> tuple[Tensor, Tensor]:
        network = self.identity.network
        parts = [network.features(network.chip(part * 2 - 1), (2, 6, 9)) for part in _tensor(images).split(16)]
        layers = torch.cat([torch.cat([each.flatten(1) for each in maps], dim=1) for _, maps in parts])
        return torch.cat([people for people, _ in parts]), layers

    @torch.inference_mode()
    def _looked(self, images: Images) -> tuple[Tensor, Tensor]:
        """Points N x 5 x 2 in eye distances, and the layer before the heads, of one fixed window round the template's face."""
        left, top, side = 112, 130, 290  # of 512: as the cascade frames a frontal face
        scale = SIZE / 512
        cut = images[:, round(top * scale) : round((top + side) * scale), round(left * scale) : round((left + side) * scale)]
        windows = np.stack([cv2.resize(each, (48, 48), interpolation=cv2.INTER_AREA) for each in cut])
        seen = (_tensor(windows) * 255 - 127.5) * 0.0078125
        _, points, _ = self.onet(seen)
        eyes = np.linalg.norm(TEMPLATE[1] - TEMPLATE[0])
        return points.view(-1, 2, 5).transpose(1, 2) * side / eyes, self.onet.features(seen)


def by_group(column: str, rows: list[FaceRow], everything: list[tuple[str, str, Scores]]) -> None:
    """How each group is served: identity and PSNR, damaged against ours."""
    groups = [row.source if column == "source" else row.columns.get(column, "") for row in rows]
    if column == "age":
        groups = ["" if not age else "under 25" if float(age) < 25 else "25 to 39" if float(age) < 40 else "40 and over" for age in groups]
    numbers = {(level, method): scores.each for level, method, scores in everything}
    print(f"\n| {column} | faces | damage | identity, damaged → ours | landmarks | psnr |\n|---|---|---|---|---|---|")
    for group in sorted(set(groups)):
        chosen = np.array([each == group for each in groups])
        for level in ("medium", "heavy"):
            before, after = numbers[level, "damaged"], numbers[level, "ours"]
            cells = [
                f"{before[name][chosen].mean():.{digits}f} → {after[name][chosen].mean():.{digits}f}"
                for name, digits in (("identity", 3), ("landmarks", 2), ("psnr", 2))
            ]
            print(f"| {group or 'not stated'} | {chosen.sum()} | {level} | " + " | ".join(cells) + " |")


def _relative(a: Tensor, b: Tensor) -> Tensor:
    return (a - b).abs().mean(1) / b.abs().mean(1)


def _middle(pictures: Tensor) -> Tensor:
    """The face without most of the background."""
    side = pictures.shape[-1]
    return pictures[..., int(0.2 * side) : int(0.9 * side), int(0.2 * side) : int(0.8 * side)]


def _patterns(images: Images) -> NDArray[np.float32]:
    return np.stack([lbp.describe(np.rint(image * 255).astype(np.uint8)) for image in images])


def _tensor(images: Images) -> Tensor:
    return torch.from_numpy(images).permute(0, 3, 1, 2)


def _bicubic(image: NDArray[np.float32], width: int, height: int) -> NDArray[np.float32]:
    return np.clip(cv2.resize(image, (width, height), interpolation=cv2.INTER_CUBIC), 0, 1)


def _each(make: Callable[[int], NDArray[np.float32]], count: int) -> Images:
    return np.stack([make(index) for index in range(count)])


if __name__ == "__main__":
    main()
