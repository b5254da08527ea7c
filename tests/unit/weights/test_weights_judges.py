"""The networks that measure: files as their publishers lay them out, joined from their parts, or refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from published_samples import REFERENCE, save, table, torchvision, zeros
from torch import Tensor

from facewright.errors import ModelError
from facewright.metrics import Statistics, frechet_distance, lpips
from facewright.nets.dists import DISTS
from facewright.nets.inception import InceptionV3
from facewright.nets.lpips import LPIPS, TAPS
from facewright.weights import catalog, load_model
from facewright.weights.judges import TRUNKS, load_judge, missing, parts, read_statistics
from facewright.weights.recogniser import recognise
from small_networks import lpips_heads as heads
from small_networks import lpips_trunk

NETS = {"alex": "alexnet", "vgg": "vgg16", "squeeze": "squeezenet"}
JUDGES = {"inception-fid", "dists", "lpips-alex", "lpips-vgg", "lpips-squeeze", "alexnet", "vgg16", "squeezenet"}
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference fixtures; set FACEWRIGHT_REFERENCE")
State = dict[str, Tensor]


@pytest.fixture(autouse=True)
def empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(catalog.VARIABLE, str(tmp_path / "cache"))
    (tmp_path / "cache" / "models").mkdir(parents=True)
    return tmp_path / "cache" / "models"


def trunk(net: str) -> State:
    """A torchvision file: the trunk with a small classifier behind it."""
    if net != "vgg":
        return lpips_trunk(net)
    random = torch.Generator().manual_seed(0)
    return {name: 0.05 * torch.randn(tuple(shape), generator=random) for name, shape in torchvision("vgg16", 8).items()}


def put(folder: Path, name: str, state: State) -> Path:
    return save(folder / catalog.lookup(name).file, state)


@pytest.mark.parametrize("net", NETS)
def test_lpips_is_joined_from_its_parts(net: str, empty_cache: Path) -> None:
    judge = f"lpips-{net}"
    with pytest.raises(ModelError, match=f"the judge {judge} is not on this machine") as refused:
        load_judge(judge)
    assert refused.value.what_to_do == f"facewright models get {judge} {NETS[net]}"
    put(empty_cache, judge, heads(net))
    assert missing(judge) == (NETS[net],)
    with pytest.raises(ModelError) as refused:
        load_judge(judge)
    assert refused.value.what_to_do == f"facewright models get {NETS[net]}"
    below = trunk(net)
    put(empty_cache, NETS[net], below)
    network = load_judge(judge)
    assert isinstance(network, LPIPS) and network.trunk == net and not network.training and missing(judge) == ()
    first = network.net["slice1"].get_submodule("0")
    assert torch.equal(first.get_parameter("weight"), below["features.0.weight"])
    assert torch.equal(network.lins[0].state_dict()["model.1.weight"], heads(net)["lin0.model.1.weight"])
    np.testing.assert_allclose(network.scaling_layer.get_buffer("scale").flatten(), (0.458, 0.448, 0.450))
    a, b = torch.rand(2, 2, 3, 40, 44)
    assert (lpips(a, b, network) > 0).all() and (lpips(a, a, network) == 0).all()


def test_lpips_from_files_of_any_name(tmp_path: Path) -> None:
    small, below = save(tmp_path / "a.pth", heads("alex")), save(tmp_path / "b.pth", trunk("alex"))
    assert isinstance(load_judge(small, trunk=below), LPIPS)
    with pytest.raises(ModelError, match="alexnet is not on this machine"):
        load_judge(small)
    with pytest.raises(ModelError, match=r"cannot use c\.pth: it is not the trunk"):
        load_judge(small, trunk=save(tmp_path / "c.pth", trunk("squeeze")))


@needs_reference
@pytest.mark.parametrize("net", NETS)
def test_a_whole_lpips_is_known_by_its_content(net: str, tmp_path: Path) -> None:
    shapes = table(f"metrics/lpips_{net}_keys")
    model = load_model(save(tmp_path / "whole.pth", zeros(shapes)))
    assert (model.architecture, model.arguments) == ("lpips", {"net": net, "version": "0.1"})
    assert {name: list(value.shape) for name, value in model.net.state_dict().items()} == shapes
    assert isinstance(load_judge(tmp_path / "whole.pth"), LPIPS)


@needs_reference
def test_dists_is_joined_from_its_parts_or_whole(tmp_path: Path, empty_cache: Path) -> None:
    with pytest.raises(ModelError, match="it needs dists and vgg16") as refused:
        load_judge("dists")
    assert refused.value.what_to_do == "facewright models get dists vgg16"
    put(empty_cache, "dists", {name: torch.rand(1, 1475, 1, 1) for name in ("alpha", "beta")})
    put(empty_cache, "vgg16", trunk("vgg"))
    assert isinstance(load_judge("dists"), DISTS)
    whole = zeros(json.loads((REFERENCE / "metrics" / "dists.json").read_text())["parameters"])
    constants = {"mean": torch.zeros(1, 3, 1, 1), "std": torch.ones(1, 3, 1, 1), "stage2.4.filter": torch.zeros(64, 1, 3, 3)}
    model = load_model(save(tmp_path / "whole.pth", {**whole, **constants}))
    assert model.architecture == "dists" and float(model.net.get_buffer("mean").sum()) == pytest.approx(1.347)


@needs_reference
def test_fids_inception_is_known_and_torchvisions_refused(tmp_path: Path) -> None:
    shapes = table("metrics/inception_fid_keys")
    published = {name: value for name, value in zeros(shapes).items() if not name.endswith("num_batches_tracked")}
    network = load_judge(save(tmp_path / "inception.pth", published))
    assert isinstance(network, InceptionV3)
    other = zeros({**shapes, "fc.weight": [1000, 2048], "fc.bias": [1000]})
    with pytest.raises(ModelError, match="tells 1000 classes apart, FID's tells 1008"):
        load_judge(save(tmp_path / "torchvision.pth", other))
    numbers = recognise(shapes).numbers
    assert 0.99 < (catalog.lookup("inception-fid").about_bytes or 0) / (4 * numbers) < 1.05


def test_heads_of_another_trunk_are_refused(tmp_path: Path) -> None:
    odd = heads("alex") | {"lin0.model.1.weight": torch.ones(1, 65, 1, 1)}
    with pytest.raises(ModelError, match="65, 192, 384, 256, 256"):
        load_judge(save(tmp_path / "odd.pth", odd))


def test_the_catalog_and_the_judges_agree() -> None:
    entries = {name: entry for name, entry in catalog.entries().items() if entry.serves == "judging" and not entry.bundled}
    assert entries.keys() == JUDGES and all(entry.runs for entry in entries.values())
    assert {part for name in JUDGES for part in parts(name)} == JUDGES
    for net in TAPS:
        entry = entries[f"lpips-{net}"]
        found = recognise(heads(net))
        assert (found.architecture, found.arguments) == (entry.architecture, {"net": net})
        assert (entry.bytes or 0) > 4 * found.numbers
        below = entries[TRUNKS[f"lpips-{net}"]]
        assert recognise(trunk(net)).architecture == below.architecture


# Statistics ----------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["arrays", "tensors"])
@pytest.mark.parametrize("legacy", [True, False])
def test_published_statistics_are_read(kind: str, legacy: bool, tmp_path: Path) -> None:
    """BasicSR saves a dictionary of name, size, mean and cov, as numpy's arrays."""
    random = np.random.default_rng(0)
    rows = random.standard_normal((40, 5))
    mean, covariance = rows.mean(0), np.cov(rows, rowvar=False)
    held = [mean, covariance] if kind == "arrays" else [torch.from_numpy(mean), torch.from_numpy(covariance)]
    path = save(tmp_path / "s.pth", {"name": "FFHQ", "size": 512, "mean": held[0], "cov": held[1]}, legacy=legacy)
    assert frechet_distance(read_statistics(path), Statistics(torch.from_numpy(mean), torch.from_numpy(covariance))) == 0
    np.savez(tmp_path / "s.npz", mu=mean, sigma=covariance)
    assert frechet_distance(read_statistics(tmp_path / "s.npz"), read_statistics(path)) == 0


class Harm:
    def __reduce__(self) -> tuple[object, ...]:
        import os

        return os.system, ("false",)


def test_what_is_no_statistics_is_refused(tmp_path: Path) -> None:
    for content, why in (
        ({"mean": torch.ones(3)}, "no mean and cov"),
        ({"mean": torch.ones(3), "cov": torch.eye(4)}, "covariance"),
        ({"mean": torch.full((3,), np.nan), "cov": torch.eye(3)}, "not numbers"),
        ({"mean": "three", "cov": torch.eye(3)}, "no numbers"),
        ({"mean": np.ones(3), "cov": Harm()}, "refused to load"),
        ({"mean": np.array([Harm()], dtype=object), "cov": np.eye(1)}, "refused to load"),
    ):
        with pytest.raises(ModelError, match=why):
            read_statistics(save(tmp_path / "bad.pth", content))
    with pytest.raises(ModelError, match="no such file"):
        read_statistics(tmp_path / "none.pth")
    # numpy's arrays stay forbidden where weights are read
    with pytest.raises(ModelError, match="refused to load"):
        load_model(save(tmp_path / "weights.pth", {"weight": np.ones(3)}))
