"""Is it the same person: the embedding's chip, its distances, and people it never saw."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from facewright.data import read_manifest
from facewright.faces.identity import SAME_PERSON, Identity
from facewright.nets.identity import CHIP_CENTRE, CHIP_SIDE, CHIP_SIZE, DlibEmbedding


@pytest.fixture(scope="module")
def identity() -> Identity:
    return Identity.load()


def crops(count: int, size: int = 128, seed: int = 0) -> Tensor:
    small = torch.rand(count, 3, 9, 9, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    return torch.nn.functional.interpolate(small, size=(size, size), mode="bicubic").clamp(-1, 1)


@settings(max_examples=30, deadline=None)
@given(
    size=st.sampled_from([64, 128, 256, 320, 512, 1024]),
    across=st.floats(-0.45, 0.45),
    down=st.floats(-0.45, 0.45),
)
def test_a_dot_lands_where_the_square_says(size: int, across: float, down: float) -> None:
    """A spot somewhere in the measured square of the 512 template shows at the same part of the 150 chip."""
    x, y = (c + part * CHIP_SIDE for c, part in zip(CHIP_CENTRE, (across, down), strict=True))
    scale = size / 512
    rows, columns = np.mgrid[:size, :size]
    # template pixels are centred on whole numbers; so are the crop's, of which 512 / size make one
    place = [(v + 0.5) * scale - 0.5 for v in (x, y)]
    spot = np.exp(-((columns - place[0]) ** 2 + (rows - place[1]) ** 2) / (2 * max(1.0, 5 * scale) ** 2))
    picture = torch.from_numpy(spot).float().expand(1, 3, -1, -1) * 2 - 1
    chip = DlibEmbedding.chip(None, picture)[0, 0].double().numpy() / 255  # type: ignore[arg-type]
    assert chip.shape == (CHIP_SIZE, CHIP_SIZE)
    weight = np.where(chip > 0.2 * chip.max(), chip, 0)  # without the far tails, which the border cuts
    found = [float((weight * axis).sum() / weight.sum()) for axis in np.mgrid[:CHIP_SIZE, :CHIP_SIZE][::-1]]
    expected = [(part + 0.5) * CHIP_SIZE - 0.5 for part in (across, down)]
    np.testing.assert_allclose(found, expected, atol=0.35)


def test_a_chip_is_antialiased(identity: Identity) -> None:
    """Stripes too fine for the chip become grey, not other stripes."""
    stripes = torch.zeros(1, 3, 1024, 1024)
    stripes[..., ::2] = 1
    inner = identity.network.chip(stripes * 2 - 1)[..., 20:-20, 20:-20]
    assert float((inner - 127.5).abs().max()) < 15


def test_distances_are_distances(identity: Identity) -> None:
    a, b = crops(2), crops(2, seed=1)
    assert identity.embed(a).shape == (2, 128)
    torch.testing.assert_close(identity.distance(a, a), torch.zeros(2))
    torch.testing.assert_close(identity.distance(a, b), identity.distance(b, a))
    assert (identity.distance(a, b) > 0).all()
    # neither the neighbours nor the number format of the crops count
    torch.testing.assert_close(identity.embed(a)[1:], identity.embed(a[1:]), atol=1e-5, rtol=0)
    torch.testing.assert_close(identity.embed(a.double()), identity.embed(a))


def test_the_size_of_the_crop_hardly_counts(identity: Identity) -> None:
    large = crops(3, 512)
    half = torch.nn.functional.interpolate(large, size=(256, 256), mode="area")
    assert float(identity.distance(large, crops(3, 512, seed=5)).min()) > 5 * float(
        (identity.embed(large) - identity.embed(half)).norm(dim=1).max()
    )


def reference_faces() -> Path:
    given = os.environ.get("FACEWRIGHT_DATA")
    return (Path(given) if given else Path(__file__).resolve().parents[4] / "shared" / "data") / "faces"


@pytest.mark.skipif(not (reference_faces() / "manifest.csv").is_file(), reason="the shared faces are not here")
def test_one_person_twice_is_nearer_than_two_people(identity: Identity) -> None:
    import cv2

    by_person: dict[str, list[Path]] = {}
    for row in read_manifest(reference_faces(), lambda row: row.split == "val"):
        by_person.setdefault(row.person, []).append(row.file)
    pairs = [files[:2] for files in by_person.values() if len(files) > 1][:12]
    assert len(pairs) >= 8
    read = [[cv2.cvtColor(cv2.resize(cv2.imread(str(file)), (256, 256)), cv2.COLOR_BGR2RGB) for file in pair] for pair in pairs]
    first, second = (torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2).float() / 127.5 - 1 for side in zip(*read, strict=True))
    distances = torch.cdist(identity.embed(first), identity.embed(second))
    same, other = distances.diag(), distances[~torch.eye(len(pairs), dtype=torch.bool)]
    assert (distances.argmin(dim=1) == torch.arange(len(pairs))).all()
    assert float(same.mean()) < 0.45 < 0.7 < float(other.mean())
    assert float((same < SAME_PERSON).float().mean()) > 0.9
