"""The codes of the true faces, as they are and mirrored: looked up once and kept beside the run, or read from the published file."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from facewright.data import FaceSet
from facewright.data.augment import Augmentation
from facewright.data.batches import pictures_tensor
from facewright.errors import InputError, OutputError, UsageError
from facewright.nets.blocks.codebook import NearestCode
from facewright.nets.vqgan import VQGAN
from facewright.train.checkpoint import appears_whole
from facewright.weights.reader import read_mapping

log = logging.getLogger(__name__)

CODES = "codes.safetensors"
"""Beside the checkpoints of a stage."""
PUBLISHED = ("orig", "hflip")
AT_A_TIME = 8

Numbers = NDArray[np.uint16]


@dataclass(frozen=True)
class TrueCodes:
    """numbers: faces x 2 x h x w, each face's codes as it is and mirrored."""

    numbers: Numbers

    def of(self, faces: Tensor, mirrored: Tensor) -> Tensor:
        """N x h x w for N of the faces."""
        found = self.numbers[faces.cpu().numpy(), mirrored.cpu().numpy().astype(np.intp)]
        return torch.from_numpy(found.astype(np.int64))


def true_codes(kept: Path, faces: FaceSet, augmentation: Augmentation, size: int, vqgan: VQGAN, published: str = "") -> TrueCodes:
    """Those of `published`, a file of the published program, if one is given; else those of `kept`, made again where they are not of
    these faces and this network, or cannot be read.

    augmentation: what happens to a face apart from mirroring, the same each time. size: of the pictures. A disk that does not take them is
    complained of. Raises UsageError, InputError, ModelError.
    """
    codebook = vqgan.quantize
    assert isinstance(codebook, NearestCode)
    count = len(codebook.embedding.weight)
    if count > 1 + np.iinfo(np.uint16).max:
        raise UsageError(f"{count} codes are too many to be kept", what_to_do="set recipe.cached=false")
    if published:
        return TrueCodes(_published(published, faces, count, _grid(vqgan)))
    stamp = _stamp(faces, size, vqgan)
    numbers = _read(kept, stamp, (len(faces), 2, *_grid(vqgan)))
    if numbers is None:
        log.info("looking up the codes of %d faces", len(faces))
        numbers = _looked_up(faces, augmentation, size, vqgan)
        try:
            with appears_whole(kept) as part:
                save_file({"codes": numbers}, part, metadata={"facewright": "codes of the true faces", "stamp": stamp})
        except OutputError as error:
            log.warning("%s; the codes of the faces are looked up again when the run goes on", error)
    return TrueCodes(numbers)


@torch.no_grad()
def _looked_up(faces: FaceSet, augmentation: Augmentation, size: int, vqgan: VQGAN) -> Numbers:
    """A face whose picture cannot be read has zeros; it is never drawn."""
    codebook, device = vqgan.quantize, next(vqgan.parameters()).device
    assert isinstance(codebook, NearestCode)
    numbers = np.zeros((len(faces), 2, *_grid(vqgan)), np.uint16)
    for way, mirror_p in enumerate((0.0, 1.0)):
        shown = replace(augmentation, mirror_p=mirror_p)
        for start in range(0, len(faces), AT_A_TIME):
            pictures: dict[int, NDArray[np.float32]] = {}
            for index in range(start, min(start + AT_A_TIME, len(faces))):
                try:
                    pictures[index] = shown(faces.pixels(index), size, np.random.default_rng(0))[0]
                except InputError as problem:
                    log.warning("%s", problem)
            if pictures:
                features = vqgan.encode(pictures_tensor(np.stack([*pictures.values()])).to(device)).float()
                numbers[[*pictures], way] = codebook.nearest(features).cpu().numpy()
    return numbers


def _grid(vqgan: VQGAN) -> tuple[int, int]:
    side = min(vqgan.encoder.taps)
    return side, side


def _stamp(faces: FaceSet, size: int, vqgan: VQGAN) -> str:
    """Of everything that the codes depend on: encoder and codebook, the faces' names and bytes in number, the sizes."""
    digest = hashlib.sha256(f"{size} {faces.size}".encode())
    for name, value in vqgan.state_dict().items():
        if name.startswith(("encoder.", "quantize.")):
            digest.update(name.encode() + value.detach().cpu().float().contiguous().numpy().tobytes())
    for picture in faces.pictures:
        region = picture.region
        file = picture.row.file
        length = region.size if region is not None else file.stat().st_size if file.is_file() else -1
        digest.update(f"{picture.row.name}\0{length}\0".encode())
    return digest.hexdigest()


def _read(kept: Path, stamp: str, shape: tuple[int, ...]) -> Numbers | None:
    """None, and said so, where they cannot be used."""
    if not kept.is_file():
        return None
    try:
        with safe_open(kept, "numpy") as stored:
            if (stored.metadata() or {}).get("stamp") != stamp:
                log.warning("%s is of another network or of other faces; the codes are looked up again", kept)
                return None
            numbers: Numbers = stored.get_tensor("codes")
    except (SafetensorError, OSError, ValueError) as problem:
        log.warning("cannot read %s (%s); the codes are looked up again", kept, str(problem).splitlines()[0])
        return None
    if numbers.shape != shape or numbers.dtype != np.uint16:
        log.warning("%s does not hold codes of these faces; they are looked up again", kept)
        return None
    return numbers


def _published(file: str, faces: FaceSet, count: int, grid: tuple[int, int]) -> Numbers:
    """latent_gt_code1024.pth: {"orig", "hflip": {name of the picture without its ending: codes}}."""
    if not Path(file).is_file():
        raise InputError(f"cannot read the codes {file}", "there is no such file", 'leave out recipe.codes, or set recipe.codes=""')
    content = read_mapping(file, arrays=True)
    numbers = np.zeros((len(faces), 2, *grid), np.uint16)
    for way, part in enumerate(PUBLISHED):
        table: Mapping[str, Any] | None = content.get(part)
        if not isinstance(table, Mapping):
            raise InputError(f"cannot use the codes {file}", f"it has no part {part!r}", "give a file as latent_gt_code1024.pth")
        for index in range(len(faces)):
            name = PurePosixPath(faces.name(index)).stem
            if name not in table:
                raise InputError(f"cannot use the codes {file}", f"it has none of {name}", "leave out recipe.codes to look them up")
            codes = np.asarray(table[name])
            if codes.size != np.prod(grid) or codes.min() < 0 or codes.max() >= count:
                what = (
                    f"{' x '.join(map(str, codes.shape))} codes up to {codes.max()}, where the network has {grid[0]} x {grid[1]} of {count}"
                )
                raise InputError(f"cannot use the codes {file}", f"of {name} it has {what}", "give the file of this very autoencoder")
            numbers[index, way] = codes.reshape(grid)
    return numbers
