"""Made-up faces with a manifest, a network that never learned, and small folders of pictures."""

from __future__ import annotations

import csv
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

sys.path.insert(0, str(Path(__file__).parent.parent / "data"))

from fake_faces import COLUMNS, face, row

from facewright.nets.gfpgan import GFPGAN

PEOPLE = 8


@pytest.fixture(scope="session")
def faces_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """PEOPLE validation faces of 256 px: two of the first person, one of each other; group a or b; ages from 20."""
    folder = tmp_path_factory.mktemp("faces")
    rows = []
    for number in range(PEOPLE):
        person = f"us-{max(1, number)}"
        Image.fromarray(face(number, 256)).save(folder / f"us-{number}.png")
        told = row(f"us-{number}.png", person, "eval-only", "val", 256)
        rows.append(told | {"group": "ab"[number % 2], "age": str(20 + 10 * number) if number else ""})
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [*COLUMNS, "group", "age"])
        writer.writeheader()
        writer.writerows(rows)
    return folder


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A GFPGAN of 64 px that never learned."""
    torch.manual_seed(1)
    net = GFPGAN(out_size=64, num_style_feat=16, num_mlp=2, channels={4: 8, 8: 8, 16: 8, 32: 8, 64: 8}, input_skip=True)
    path = tmp_path_factory.mktemp("model") / "tiny.safetensors"
    save_file({name: value.contiguous() for name, value in net.state_dict().items()}, path)
    return str(path)


@pytest.fixture
def pairs(tmp_path: Path) -> tuple[Path, Path]:
    """(restored, truth): six pictures of 40 x 32 each, the restored ones a little off, more so from one to the next."""
    chance = np.random.default_rng(5)
    restored, truth = tmp_path / "ours", tmp_path / "true"
    for folder in (restored, truth):
        folder.mkdir()
    for number in range(6):
        picture = chance.integers(20, 230, (32, 40, 3), np.uint8)
        Image.fromarray(picture).save(truth / f"p{number}.png")
        Image.fromarray(picture + np.uint8(number + 1)).save(restored / f"p{number}.png")
    return restored, truth
