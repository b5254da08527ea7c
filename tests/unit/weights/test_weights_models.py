"""Loading by name and by path: exact, or refused with the tensor's name."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from facewright.errors import ModelError, UsageError
from facewright.nets.gfpgan import GFPGAN
from facewright.weights import bundled, find, load_model
from facewright.weights.catalog import TERMS, Serves, default, entries, lookup

TINY: dict[str, Any] = {"out_size": 16, "num_style_feat": 8, "narrow": 1 / 64, "num_mlp": 1}


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny(flavour: Any = "clean") -> GFPGAN:
    torch.manual_seed(0)
    return GFPGAN(flavour, **TINY)


def test_loads_the_same_network_from_every_format(tmp_path: Path) -> None:
    net = tiny().eval()
    torch.save({"params_ema": net.state_dict()}, tmp_path / "a.pth", _use_new_zipfile_serialization=False)
    torch.save({"module." + name: value for name, value in net.state_dict().items()}, tmp_path / "b.pt")
    save_file(net.state_dict(), tmp_path / "c.safetensors")
    x = torch.rand(1, 3, 16, 16) * 2 - 1
    truth = net(x, randomize_noise=False)[0]
    for name in ("a.pth", "b.pt", "c.safetensors"):
        model = load_model(tmp_path / name)
        assert model.architecture == "gfpgan"
        assert not model.net.training and not any(parameter.requires_grad for parameter in model.net.parameters())
        assert torch.equal(model.net(x, randomize_noise=False)[0], truth)


def test_half_precision_files_load_as_asked(tmp_path: Path) -> None:
    save_file({name: value.half() for name, value in tiny().state_dict().items()}, tmp_path / "half.safetensors")
    assert {value.dtype for value in load_model(tmp_path / "half.safetensors").net.state_dict().values()} == {torch.float32}
    model = load_model(tmp_path / "half.safetensors", dtype=torch.bfloat16)
    assert {value.dtype for value in model.net.state_dict().values()} == {torch.bfloat16}


def test_the_loaded_network_does_not_change_with_its_file(tmp_path: Path) -> None:
    torch.save(tiny().state_dict(), tmp_path / "a.pth")
    model = load_model(tmp_path / "a.pth")
    before = {name: value.clone() for name, value in model.net.state_dict().items()}
    with (tmp_path / "a.pth").open("r+b") as file:
        file.write(bytes((tmp_path / "a.pth").stat().st_size))
    assert all(torch.equal(value, before[name]) for name, value in model.net.state_dict().items())


def test_the_files_own_header_says_what_its_tensors_leave_open(tmp_path: Path) -> None:
    state = tiny("bilinear").state_dict()
    save_file(state, tmp_path / "mute.safetensors")
    with pytest.raises(ModelError, match=r"cannot tell what mute\.safetensors is"):
        load_model(tmp_path / "mute.safetensors")
    assert load_model(tmp_path / "mute.safetensors", flavour="bilinear").arguments["flavour"] == "bilinear"
    header = {"arguments": json.dumps({"flavour": "bilinear", "out_size": 16, "fix_decoder": True}), "licence": "CC0-1.0"}
    save_file(state, tmp_path / "own.safetensors", metadata=header)
    (tmp_path / "own.md").write_text("# Own\nMade in a test.")
    model = load_model(tmp_path / "own.safetensors")
    assert model.arguments["flavour"] == "bilinear"
    assert (model.info["licence"], model.info["card"]) == ("CC0-1.0", "# Own\nMade in a test.")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda s: s.pop("toRGB.0.bias"), r"toRGB\.0\.bias is missing"),
        (lambda s: [s.pop(name) for name in list(s) if name.startswith("toRGB")], r"toRGB\.0\.weight, .* and 1 more are missing"),
        (lambda s: s.update(extra=torch.ones(1)), "extra is unexpected"),
        (lambda s: s.update({"toRGB.0.bias": torch.ones(4)}), r"toRGB\.0\.bias has shape 4 instead of 3$"),
        (lambda s: s["toRGB.0.bias"].fill_(float("nan")), r"toRGB\.0\.bias holds values that are not numbers"),
        (lambda s: s["toRGB.0.weight"][0].fill_(float("inf")), "not numbers"),
    ],
)
def test_a_file_that_does_not_fit_exactly_is_refused(tmp_path: Path, change: Callable[[dict[str, Tensor]], Any], said: str) -> None:
    state = dict(tiny().state_dict())
    change(state)
    torch.save(state, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match=said) as caught:
        load_model(tmp_path / "odd.pth")
    assert "odd.pth" in str(caught.value) and "\n" not in str(caught.value)


def test_large_but_finite_values_are_numbers(tmp_path: Path) -> None:
    state = tiny().state_dict()
    state["toRGB.0.bias"].fill_(3e38)  # their sum is not finite
    torch.save(state, tmp_path / "large.pth")
    assert load_model(tmp_path / "large.pth").net.state_dict()["toRGB.0.bias"][0] == torch.tensor(3e38)


@pytest.mark.parametrize("device", ["cuda:77", "tpu?", "nonsense"])
def test_a_device_that_is_not_there(tmp_path: Path, device: str) -> None:
    torch.save(tiny().state_dict(), tmp_path / "a.pth")
    with pytest.raises(UsageError, match="device"):
        load_model(tmp_path / "a.pth", device=device)


@pytest.mark.parametrize("name", ["mtcnn", "identity-dlib", "identity-mini"])
def test_bundled_helpers_load(name: str) -> None:
    model = load_model(name)
    assert bundled(name) == find(name) == Path(model.info["path"])
    assert not any(tensor.is_meta for tensor in (*model.net.parameters(), *model.net.buffers()))


def test_constants_that_stand_in_no_file_are_there() -> None:
    assert load_model("identity-dlib").net.get_buffer("mean").flatten().tolist() == pytest.approx([122.782, 117.001, 104.298])


# Names ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "nearest"),
    [("gfpgan-v1.5", "gfpgan-v1.4"), ("GPFGAN-mini", "gfpgan-mini"), ("codeforme", "codeformer"), ("mtcn", "mtcnn")],
)
def test_an_unknown_name_gets_the_nearest(asked: str, nearest: str) -> None:
    with pytest.raises(ModelError, match=f"no model named '{asked}'.* {nearest}"):
        find(asked)


def test_a_name_like_nothing() -> None:
    with pytest.raises(ModelError, match="nothing in the catalog is like it"):
        find("zzzzzz")


@pytest.mark.parametrize("asked", ["gfpgan-v1.4", "GFPGANv1.4.pth", "gfpganv1.4", "GFPGAN-1.4"])
def test_a_published_model_is_found_once_it_is_there(own_cache: Path, asked: str) -> None:
    with pytest.raises(ModelError, match=r"gfpgan-v1\.4 is not on this machine") as caught:
        find(asked)
    assert caught.value.what_to_do == "facewright models get gfpgan-v1.4"
    file = own_cache / "models" / "GFPGANv1.4.pth"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"x")
    assert find(asked) == file


@pytest.mark.parametrize("name", ["missing.pth", "folder/gfpgan", "./gfpgan-v1.4", "missing.safetensors"])
def test_a_missing_path_is_not_taken_for_a_name(name: str) -> None:
    with pytest.raises(ModelError, match="there is no such file"):
        find(name)


def test_a_path_goes_before_a_name_and_a_folder_does_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mtcnn").mkdir()
    assert find("mtcnn") == bundled("mtcnn")
    Path("GFPGANv1.3.pth").write_bytes(b"x")
    assert find("GFPGANv1.3.pth") == Path("GFPGANv1.3.pth")
    with pytest.raises(ModelError, match="it is a folder"):
        find(tmp_path)


def test_bundled_model_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from facewright.weights import catalog

    monkeypatch.setattr(catalog, "HERE", tmp_path)
    with pytest.raises(ModelError, match="is missing") as caught:
        bundled("mtcnn")
    assert "install" in caught.value.what_to_do


def test_the_catalog_is_sound() -> None:
    found = entries()
    assert default().name == "gfpgan-mini" and next(iter(found)) == "gfpgan-mini"
    for entry in found.values():
        assert entry.licence and entry.title and entry.note
        assert entry.bundled or entry.url.startswith("https://")
        assert entry.sha256 is None or (len(entry.sha256) in (8, 64) and int(entry.sha256, 16) and entry.pinned_by)
        assert entry.commercial in TERMS and (entry.commercial == "yes") == ("ommercial use" not in entry.note)
        assert entry.serves in get_args(Serves)
        for name in (entry.name, entry.file, *entry.also):
            assert lookup(name) is entry
    files = [entry.file for entry in found.values()]
    assert len(files) == len(set(files))


def test_names_and_commands_need_no_torch() -> None:
    code = "import sys, facewright.cli.models, facewright.cli.doctor, facewright.weights.catalog as c; c.entries()\n"
    code += "print('torch' in sys.modules, 'httpx' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]


def test_bundled_models_load_on_a_bare_training_machine() -> None:
    """No platformdirs, httpx or filelock there: only what training needs."""
    code = "import sys\nfor name in ('platformdirs', 'httpx', 'filelock', 'typer'): sys.modules[name] = None\n"
    code += "from facewright.weights import load_model; print(load_model('mtcnn').architecture)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout.strip() == "mtcnn", done.stderr
