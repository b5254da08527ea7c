"""Exports: what is written is the model, lies as its readers expect it, and appears whole or not at all."""

from __future__ import annotations

import hashlib
import importlib.machinery
import json
import sys
import types
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import pytest
import torch
import typer
from safetensors import safe_open
from safetensors.torch import save_file
from torch import nn
from typer.testing import CliRunner

from facewright.cli.export import export
from facewright.errors import FacewrightError, ModelError, OutputError, UsageError
from facewright.export import Exported, export_model, exporter, onnx, probe
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.bisenet import BiSeNet
from facewright.nets.codeformer import CodeFormer
from facewright.nets.gfpgan import GFPGAN, FacialComponentDiscriminator
from facewright.nets.parsenet import ParseNet
from facewright.nets.realesrgan import RRDBNet, SRVGGNetCompact
from facewright.nets.restoreformer import RestoreFormer
from facewright.nets.retinaface import RetinaFace
from facewright.nets.stylegan2 import StyleGAN2Discriminator, StyleGAN2Generator
from facewright.nets.vqgan import VQGAN, PatchDiscriminator
from facewright.weights import load_model, read_metadata
from parity.reading import cases, root

TINY: dict[str, Any] = {"out_size": 16, "num_style_feat": 8, "narrow": 1 / 32, "num_mlp": 2}


def random_numbers(net: nn.Module) -> nn.Module:
    """Every parameter and statistic away from its first value, so that none can be lost unseen."""
    generator = torch.Generator().manual_seed(5)
    for name, value in net.state_dict().items():
        if value.is_floating_point():
            drawn = torch.randn(value.shape, generator=generator)
            value.add_(0.05 * (drawn.abs() if name.endswith("running_var") else drawn))
    return net.eval()


def gfpgan(folder: Path, flavour: Any, name: str = "net.pth", **more: Any) -> Path:
    torch.manual_seed(0)
    torch.save({"params_ema": random_numbers(GFPGAN(flavour, **TINY, **more)).state_dict()}, folder / name)
    return folder / name


# Forms ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_bilinear_gfpgan_becomes_the_clean_one_that_computes_the_same(tmp_path: Path, suffix: str) -> None:
    path = gfpgan(tmp_path, "bilinear")
    done = export_model(f"{path}:flavour=bilinear", tmp_path / f"clean.{suffix}", form="clean")
    assert (done.conversion, done.compared, done.format) == ("bilinear to clean", "pictures", suffix)
    assert done.difference is not None and 0 < done.difference < 1e-5
    source, clean = load_model(path, flavour="bilinear"), load_model(done.path)
    assert clean.arguments["flavour"] == "clean"
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    first, second = (model.net(x, noise=model.noise("seeded", 9))[0] for model in (source, clean))
    assert torch.allclose(first, second, atol=1e-5) and first.std() > 0.01


def test_the_published_conversion_through_files(tmp_path: Path) -> None:
    """GFPGAN's own script on the same weights: every tensor and the picture."""
    fixture = next((case for case in cases(root(), "gfpgan") if case.case == "convert_bilinear_to_clean"), None)
    if fixture is None:
        pytest.skip("this case is not in the selection; set FACEWRIGHT_REFERENCE")
    torch.save({"params_ema": fixture.state()}, tmp_path / "bilinear.pth")
    export_model(f"{tmp_path / 'bilinear.pth'}:flavour=bilinear", tmp_path / "clean.pth", form="clean")
    written = torch.load(tmp_path / "clean.pth", weights_only=True)["params_ema"]
    recorded = {name.removeprefix("state.") for name in fixture.meta["outputs"] if name.startswith("state.")}
    assert recorded == set(written)
    for name in recorded:
        fixture.check(f"state.{name}", written[name].flatten()[:6])


def test_there_and_back(tmp_path: Path) -> None:
    path = gfpgan(tmp_path, "clean")
    there = export_model(path, tmp_path / "trainable.safetensors", form="bilinear")
    assert there.conversion == "clean to bilinear" and load_model(there.path).arguments["flavour"] == "bilinear"
    back = export_model(there.path, tmp_path / "back.pth", form="clean")
    first, last = load_model(path).net.state_dict(), load_model(back.path).net.state_dict()
    assert first.keys() == last.keys() and all(torch.allclose(first[name], last[name], rtol=1e-5, atol=1e-6) for name in first)
    again = export_model(path, tmp_path / "same.pth", form="clean")
    assert (again.conversion, again.difference) == ("", 0.0)


def test_the_original_flavour_is_refused_by_name(tmp_path: Path) -> None:
    path = gfpgan(tmp_path, "original")
    with pytest.raises(UsageError, match="flavour original, which resamples by FIR filters: it would convert without an error") as caught:
        export_model(f"{path}:flavour=original", tmp_path / "clean.pth", form="clean")
    assert "FILE:flavour=bilinear" in caught.value.what_to_do
    with pytest.raises(ModelError, match=r"cannot tell what net\.pth is"):
        export_model(path, tmp_path / "clean.pth", form="clean")
    with pytest.raises(UsageError, match="only a GFPGAN has such a form"):
        export_model("mtcnn", tmp_path / "clean.pth", form="clean")
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.pth"]


def test_the_reason_for_the_refusal_is_true(tmp_path: Path) -> None:
    """The original flavour's weights pass through the conversion, and the picture is another one."""
    path = gfpgan(tmp_path, "original")
    original, pretended = load_model(path, flavour="original"), load_model(path, flavour="bilinear")
    assert probe.difference(original, pretended) > 100 * probe.ALLOWED["converted"]


# Formats -------------------------------------------------------------------------------------------------------------------------------

NETWORKS: dict[str, tuple[Any, str | None]] = {
    "stylegan2": (lambda: StyleGAN2Generator(16, 8, 2, narrow=1 / 32, flavour="clean"), "params_ema"),
    "discriminator": (lambda: StyleGAN2Discriminator(16, narrow=1 / 32), "params"),
    "component": (FacialComponentDiscriminator, "params"),
    "arcface": (lambda: ResNetArcFace((1, 1, 1, 1)), None),
    "retinaface": (lambda: RetinaFace("mobilenet0.25"), None),
    "parsenet": (lambda: ParseNet(32, 32, 8, 8, 5, 1, ch_range=(4, 16)), None),
    "bisenet": (lambda: BiSeNet(5), None),
    "realesrgan": (lambda: RRDBNet(scale=2, num_feat=8, num_block=1, num_grow_ch=4), "params_ema"),
    "compact": (lambda: SRVGGNetCompact(num_feat=8, num_conv=2, upscale=3), "params"),
    "restoreformer": (
        lambda: RestoreFormer(16, 8, 32, ch_mult=(1, 2), num_res_blocks=1, resolution=32, z_channels=8, head_size=4),
        "params",
    ),
    "codeformer": (
        lambda: CodeFormer(16, 2, 1, 12, (8, 16), img_size=32, nf=32, ch_mult=(1, 1, 2), res_blocks=1, attn_resolutions=(8,), emb_dim=8),
        "params_ema",
    ),
    "vqgan": (lambda: VQGAN(32, 32, (1, 2), res_blocks=1, codebook_size=12, emb_dim=8), "params_ema"),
    "vqgan discriminator": (lambda: PatchDiscriminator(3, 8, 2), "params"),
}


LARGE = ("arcface", "bisenet")  # have one size


@pytest.mark.parametrize("name", [pytest.param(name, marks=[pytest.mark.slow] if name in LARGE else []) for name in NETWORKS])
def test_every_network_in_every_format(tmp_path: Path, name: str) -> None:
    build, part = NETWORKS[name]
    torch.manual_seed(0)
    state = random_numbers(build()).state_dict()
    torch.save(state, tmp_path / "net.pth")
    said = ":head_size=4" if name == "restoreformer" else ""
    for suffix in ("pth", "safetensors"):
        done = export_model(f"{tmp_path / 'net.pth'}{said}", tmp_path / f"out.{suffix}")
        assert done.difference == 0.0
        again = load_model(done.path, **({"head_size": 4} if name == "restoreformer" else {})).net.state_dict()
        assert all(torch.equal(again[key], value) for key, value in state.items())
    content = torch.load(tmp_path / "out.pth", weights_only=True)
    assert list(content if part is None else content[part]) == list(state) and (part is None or list(content) == [part])
    half = export_model(f"{tmp_path / 'net.pth'}{said}", tmp_path / "half.safetensors", precision="fp16")
    assert half.difference is not None and 0 < half.difference < 0.05
    with safe_open(tmp_path / "half.safetensors", "pt") as file:
        kinds = {file.get_tensor(key).dtype for key in file.keys()}  # noqa: SIM118
    assert torch.float16 in kinds and kinds <= {torch.float16, torch.int64}


def test_what_the_header_says(tmp_path: Path) -> None:
    path = gfpgan(tmp_path, "bilinear")
    done = export_model(f"{path}:flavour=bilinear", tmp_path / "a.safetensors")
    header = read_metadata(done.path)
    assert header["facewright"] == "gfpgan" and header["licence"] == "unknown" and header["precision"] == "fp32"
    assert header["source"] == f"net.pth, sha256 {hashlib.sha256(path.read_bytes()).hexdigest()}" and "conversion" not in header
    assert json.loads(header["arguments"])["flavour"] == "bilinear"
    assert load_model(done.path).arguments["flavour"] == "bilinear"  # no word is needed any more
    clean = export_model(done.path, tmp_path / "b.safetensors", form="clean")
    assert read_metadata(clean.path)["conversion"] == "bilinear to clean"
    trained = tmp_path / "trained.safetensors"
    save_file(load_model(clean.path).net.state_dict(), trained, metadata={"facewright": "gfpgan", "steps": "4000", "source": "before"})
    kept = read_metadata(export_model(trained, tmp_path / "c.safetensors").path)
    assert kept["steps"] == "4000" and kept["source"].startswith("trained.safetensors, sha256") and "conversion" not in kept
    assert read_metadata(export_model("mtcnn", tmp_path / "m.safetensors").path)["licence"] == "MIT"


def test_what_no_published_program_knows_is_not_written_for_it(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="do not know its fold and input_skip and refine and channels") as caught:
        export_model("gfpgan-mini", tmp_path / "mini.pth")
    assert caught.value.what_to_do == "use .safetensors"
    with pytest.raises(UsageError, match="no published program that reads face detector MTCNN"):
        export_model("mtcnn", tmp_path / "mtcnn.pth")
    assert not list(tmp_path.iterdir())


def test_half_precision_that_cannot_hold_a_weight_is_refused(tmp_path: Path) -> None:
    net = GFPGAN("clean", **TINY)
    with torch.no_grad():
        net.toRGB[0].bias[0] = 1e5  # type: ignore[union-attr, index, operator]
    torch.save(net.state_dict(), tmp_path / "net.pth")
    with pytest.raises(UsageError, match=r"toRGB\.0\.bias cannot be held in fp16: it goes up to 1e\+05"):
        export_model(tmp_path / "net.pth", tmp_path / "half.pth", precision="fp16")


@pytest.mark.parametrize(
    ("output", "format", "said"),
    [
        ("a.bin", None, "cannot tell the format"),
        ("a.pth", "safetensors", "its name says another format"),
        ("net.pth", None, "it is the file"),
    ],
)
def test_names_that_cannot_be(tmp_path: Path, output: str, format: Any, said: str) -> None:
    path = gfpgan(tmp_path, "clean")
    before = path.read_bytes()
    with pytest.raises(UsageError, match=said):
        export_model(path, tmp_path / output, format=format)
    (tmp_path / "link.pth").symlink_to(path)
    with pytest.raises(UsageError, match="it is the file that is exported"):
        export_model(path, tmp_path / "link.pth")
    assert path.read_bytes() == before
    assert export_model(path, tmp_path / "named.bin", format="safetensors").format == "safetensors"


# Faults --------------------------------------------------------------------------------------------------------------------------------


def test_a_result_that_is_not_the_model_is_not_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gfpgan(tmp_path, "bilinear")
    (tmp_path / "out.pth").write_bytes(b"old")
    right = exporter.clean_of

    def wrong(net: GFPGAN) -> GFPGAN:
        clean = right(net)
        with torch.no_grad():
            clean.stylegan_decoder.to_rgb1.bias += 0.5
        return clean

    monkeypatch.setattr(exporter, "clean_of", wrong)
    with pytest.raises(ModelError, match=r"is not the model: its pictures differ from the model's by 0\..*nothing was written"):
        export_model(f"{path}:flavour=bilinear", tmp_path / "out.pth", form="clean")
    assert (tmp_path / "out.pth").read_bytes() == b"old"
    assert sorted(each.name for each in tmp_path.iterdir()) == ["net.pth", "out.pth"]


def test_a_picture_that_is_no_number_is_no_match(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gfpgan(tmp_path, "clean")
    monkeypatch.setattr(probe, "picture", lambda model: torch.full((1, 3, 4, 4), float("nan")))
    with pytest.raises(ModelError, match="is not the model"):
        export_model(path, tmp_path / "out.pth")


def test_a_disk_that_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gfpgan(tmp_path, "clean")
    with pytest.raises(OutputError, match="there is no folder"):
        export_model(path, tmp_path / "none" / "out.pth")
    real, calls = exporter.write_atomically, []

    def second_fails(target: Path, data: bytes) -> None:
        calls.append(target)
        if len(calls) == 2:
            raise OutputError(f"cannot write {target}", "the disk is full")
        real(target, data)

    monkeypatch.setattr(exporter, "write_atomically", second_fails)
    with pytest.raises(OutputError, match="the disk is full"):
        export_model(path, tmp_path / "out.pth")
    assert [each.name for each in tmp_path.iterdir()] == ["net.pth"]


# ONNX ----------------------------------------------------------------------------------------------------------------------------------


def test_onnx_without_its_packages_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match="ONNX export needs an optional part") as caught:
        export_model("gfpgan-mini", tmp_path / "mini.onnx")
    assert caught.value.what_to_do == 'pip install "facewright[export]"'


@pytest.fixture
def onnx_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where onnx is not installed, a stand-in for what torch's exporter asks of it: whether a graph has functions of its own."""
    if find_spec("onnx") is None:
        stand_in = types.ModuleType("onnx")
        stand_in.__spec__ = importlib.machinery.ModuleSpec("onnx", None)
        stand_in.load_model_from_string = lambda content: types.SimpleNamespace(graph=types.SimpleNamespace(node=[]))  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "onnx", stand_in)


@pytest.mark.parametrize("flavour", ["clean", "original"])
def test_onnx_makes_the_same_pictures(tmp_path: Path, onnx_installed: None, flavour: str) -> None:
    path = gfpgan(tmp_path, flavour)
    done = export_model(f"{path}:flavour={flavour}" if flavour == "original" else path, tmp_path / "net.onnx")
    assert done.format == "onnx" and done.path.stat().st_size == done.bytes
    assert b"crops" in done.path.read_bytes() and b"restored" in done.path.read_bytes()
    # OpenCV before 5 cannot run it, where onnxruntime is not there
    assert done.difference is None or done.difference < 1e-4


def test_onnx_is_run_by_opencv_where_onnxruntime_is_not_there(
    tmp_path: Path, onnx_installed: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = find_spec
    monkeypatch.setattr(onnx, "find_spec", lambda name: None if name == "onnxruntime" else real(name))
    done = export_model(gfpgan(tmp_path, "clean"), tmp_path / "net.onnx")
    if int(cv2.__version__.split(".")[0]) < 5:
        assert done.difference is None or done.difference < 1e-4
    else:
        assert done.difference is not None and done.difference < 1e-4


def test_onnx_that_is_another_network_is_caught(tmp_path: Path, onnx_installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    path = gfpgan(tmp_path, "clean")
    done = export_model(path, tmp_path / "net.onnx")
    if done.difference is None:
        pytest.skip("nothing here can run ONNX")
    monkeypatch.setattr(probe, "picture", lambda model: torch.zeros(1, 3, 16, 16))
    with pytest.raises(ModelError, match="is not the model"):
        export_model(path, tmp_path / "other.onnx")


def test_what_onnx_cannot_hold(tmp_path: Path, onnx_installed: None) -> None:
    with pytest.raises(UsageError, match="fp32 only"):
        export_model("gfpgan-mini", tmp_path / "mini.onnx", precision="fp16")
    with pytest.raises(UsageError, match="only a GFPGAN can be"):
        export_model("mtcnn", tmp_path / "mtcnn.onnx")


# The command ---------------------------------------------------------------------------------------------------------------------------

app = typer.Typer()
app.command()(export)


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments)
    if isinstance(result.exception, FacewrightError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result.stdout


def test_the_command(tmp_path: Path) -> None:
    path = gfpgan(tmp_path, "bilinear")
    said = run(f"{path}:flavour=bilinear", "-o", str(tmp_path / "clean.pth"), "--clean")
    assert "pth, fp32, bilinear to clean" in said and "its pictures differ from the model's by at most" in said
    assert "it was clean already" in run(str(tmp_path / "clean.pth"), "-o", str(tmp_path / "again.safetensors"), "--clean", "--fp16")
    told = json.loads(run(str(tmp_path / "clean.pth"), "-o", str(tmp_path / "x.bin"), "--format", "safetensors", "--json"))
    assert Exported(**told | {"path": Path(told["path"])}).difference == 0.0
    assert run(str(tmp_path / "clean.pth"), "-o", str(tmp_path / "y.pth"), "--bilinear", "-q") == ""
    with pytest.raises(UsageError, match="either clean or bilinear"):
        run(str(path), "-o", str(tmp_path / "z.pth"), "--clean", "--bilinear")
