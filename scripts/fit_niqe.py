"""Fits NIQE's model of pristine pictures to face crops: src/facewright/metrics/niqe-faces.npz, and its card.

    PYTHONPATH=src python scripts/fit_niqe.py [--data ../shared/data/faces] [--output FILE.npz]

The published procedure (Mittal, Soundararajan, Bovik 2013): blocks of 96 x 96 at two scales, of each picture those that are at least
0.75 as sharp as its sharpest. Taken are the rows for training: in colour, 192 pixels or more so that a picture has four blocks,
whole, and sharp; each person counts once, so that much photographed people do not set the standard.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

import facewright
from facewright.data import FaceRow, read_manifest
from facewright.metrics.niqe import NiqeFit, NiqeModel, niqe

LEAST_WIDTH, LEAST_SHARPNESS = 192, 150.0
CARD = """# niqe[faces]

Mean and covariance of NIQE's 36 features over sharp blocks of pristine face crops. Fitted by `scripts/fit_niqe.py`; the names in the file
are those of the published one.

- Data: {pictures} crops of {pictures} people, {blocks:,} blocks; manifest rows with use train-ok and split train, in colour, at least
  {width} px wide, wholly inside their photographs, variance of the Laplacian at 256 px at least {sharpness:g}. One crop a person.
- Where they come from (first word of the person's name): {sources}.
- Licences: those of the crops (CC0, CC BY, public domain and Unsplash's and Pexels' terms); the file holds statistics, no picture.
- Its numbers are not those of the published model, and are not comparable with the literature: print them as `niqe[faces]`. On the
  fitted crops they are {mean:.2f} on average (standard deviation {deviation:.2f}).
- Limits: the crops are WebP at quality 90 and mostly well lit portraits; a good old print with its grain is not pristine here.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = Path(__file__).resolve().parent.parent
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("FACEWRIGHT_DATA", here.parent / "shared" / "data")) / "faces")
    parser.add_argument("--output", type=Path, default=Path(facewright.__file__).parent / "metrics" / "niqe-faces.npz")
    given = parser.parse_args()
    torch.set_num_threads(1)

    rows = chosen(given.data)
    fit = NiqeFit("faces")
    for row in rows:
        fit.update(picture(row))
    model = fit.compute()
    model.save(given.output)

    model = NiqeModel.read(given.output, "faces")
    scores = torch.cat([niqe(picture(row), model) for row in rows[::5]])
    sources = Counter(row.source for row in rows)
    facts = {"pictures": fit.pictures, "blocks": fit.blocks, "width": LEAST_WIDTH, "sharpness": LEAST_SHARPNESS}
    facts |= {"sources": ", ".join(f"{name} {count}" for name, count in sources.most_common())}
    given.output.with_suffix(".md").write_text(CARD.format(**facts, mean=float(scores.mean()), deviation=float(scores.std())))
    print(f"{given.output}: {given.output.stat().st_size:,} bytes, {fit.blocks:,} blocks of {fit.pictures:,} pictures; {sources}")


def chosen(folder: Path) -> list[FaceRow]:
    """One row a person, the sharpest."""
    best: dict[str, FaceRow] = {}
    for row in read_manifest(folder, fits):
        if row.person not in best or sharpness(row) > sharpness(best[row.person]):
            best[row.person] = row
    return sorted(best.values(), key=lambda row: row.name)


def fits(row: FaceRow) -> bool:
    pristine = row.stored_width >= LEAST_WIDTH and row.inside >= 0.98 and not row.grey and sharpness(row) >= LEAST_SHARPNESS
    return row.use == "train-ok" and row.split == "train" and pristine


def sharpness(row: FaceRow) -> float:
    return float(row.columns["sharpness"])


def picture(row: FaceRow) -> Tensor:
    """1 x 3 x S x S, uint8, as it is stored."""
    pixels = cv2.cvtColor(np.asarray(cv2.imread(str(row.file))), cv2.COLOR_BGR2RGB)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None]


if __name__ == "__main__":
    main()
