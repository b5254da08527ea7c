"""Every published file loads by its content: full size, in the layout of its publisher; what is wrong with one is named."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from published_samples import REFERENCE, save, table, torchvision, zeros
from torch import Tensor

from facewright.errors import ModelError
from facewright.nets.gfpgan import GFPGAN
from facewright.nets.stylegan2 import StyleGAN2Generator
from facewright.weights import available, catalog, load_model
from facewright.weights.recogniser import recognise

State = dict[str, Tensor]
needs_reference = pytest.mark.skipif(not REFERENCE.is_dir(), reason="no reference fixtures; set FACEWRIGHT_REFERENCE")
big = pytest.mark.slow


def ema(state: State) -> Any:
    return {"params_ema": state}


def params(state: State) -> Any:
    return {"params": state}


def both(state: State) -> Any:
    """As a user's own training leaves it; the other part would not load."""
    return {"params": {"broken": torch.ones(1)}, "params_ema": state}


def parallel(state: State) -> Any:
    return {f"module.{name}": value for name, value in state.items()}


def old(state: State) -> Any:
    """From before torch counted batches."""
    return {f"module.{name}": value for name, value in state.items() if not name.endswith("num_batches_tracked")}


def bare(state: State) -> Any:
    return state


CM2 = {"out_size": 512, "channel_multiplier": 2, "narrow": 1, "different_w": True, "sft_half": True}
CM1 = CM2 | {"channel_multiplier": 1}
RRDB = {"num_in_ch": 3, "num_feat": 64, "num_grow_ch": 32}
PUBLISHED = [
    pytest.param("gfpgan/keys_original_512_cm1", ema, "gfpgan", {"flavour": "original"}, CM1, id="GFPGANv1", marks=big),
    pytest.param("gfpgan/keys_clean_512_cm2", ema, "gfpgan", {}, CM2 | {"flavour": "clean"}, id="GFPGANv1.2-v1.4", marks=big),
    pytest.param("gfpgan/keys_bilinear_512_cm2", both, "gfpgan", {"flavour": "bilinear"}, CM2, id="bilinear", marks=big),
    pytest.param("stylegan2/keys_generator_original_512_cm1", ema, "stylegan2", {"flavour": "original"}, {"out_size": 512}, id="prior"),
    pytest.param("stylegan2/keys_discriminator_512_cm1", params, "stylegan2.discriminator", {}, {"channel_multiplier": 1}, id="net_d"),
    pytest.param("gfpgan/keys_component_discriminator", params, "gfpgan.component_discriminator", {}, {}, id="net_d_left_eye"),
    pytest.param("arcface/keys_resnet18", old, "identity.arcface", {}, {"layers": (2, 2, 2, 2), "use_se": False}, id="arcface"),
    pytest.param("arcface/resnet18_se", parallel, "identity.arcface", {}, {"use_se": True}, id="arcface-se"),
    pytest.param("arcface/small_1111", bare, "identity.arcface", {}, {"layers": (1, 1, 1, 1)}, id="arcface-small"),
    pytest.param("retinaface/keys_resnet50", parallel, "retinaface", {}, {"backbone": "resnet50"}, id="retinaface-resnet50"),
    pytest.param("retinaface/keys_mobilenet", parallel, "retinaface", {}, {"backbone": "mobilenet0.25"}, id="retinaface-mobilenet"),
    pytest.param("codeformer/keys_yolov5n_face", bare, "yolov5face", {}, {"size": "n"}, id="yolov5n-face"),
    pytest.param("codeformer/keys_yolov5l_face", bare, "yolov5face", {}, {"size": "l"}, id="yolov5l-face", marks=big),
    pytest.param("parsenet/keys", bare, "parsenet", {}, {"in_size": 512, "norm_type": "bn"}, id="parsenet"),
    pytest.param("bisenet/keys", bare, "bisenet", {}, {"num_class": 19}, id="bisenet"),
    pytest.param("realesrgan/keys_rrdbnet_x2plus", ema, "realesrgan", {}, RRDB | {"scale": 2, "num_block": 23}, id="x2plus"),
    pytest.param("realesrgan/keys_rrdbnet_x4plus", ema, "realesrgan", {}, RRDB | {"scale": 4, "num_block": 23}, id="x4plus"),
    pytest.param("realesrgan/keys_rrdbnet_x4plus_anime_6B", ema, "realesrgan", {}, {"scale": 4, "num_block": 6}, id="anime_6B"),
    pytest.param("realesrgan/keys_srvgg_general_x4v3", params, "realesrgan.compact", {}, {"num_conv": 32, "act_type": "prelu"}, id="x4v3"),
    pytest.param("realesrgan/keys_srvgg_animevideov3", params, "realesrgan.compact", {}, {"num_conv": 16, "upscale": 4}, id="animevideo"),
    pytest.param(
        "gfpgan/keys_restoreformer", params, "restoreformer", {}, {"head_size": 8, "resolution": 512}, id="RestoreFormer", marks=big
    ),
    pytest.param(
        "restoreformer/keys_restoreformerpp",
        lambda state: {"state_dict": {f"vqvae.{name}": value for name, value in state.items()} | {"loss.logvar": torch.ones(1)}},
        "restoreformer",
        {},
        {"head_size": 4, "ex_multi_scale_num": 1},
        id="RestoreFormer++",
        marks=big,
    ),
    pytest.param("codeformer/keys_codeformer", ema, "codeformer", {}, {"n_head": 8, "task": "restoration"}, id="codeformer", marks=big),
    pytest.param("codeformer/keys_colorization", ema, "codeformer", {}, {"task": "colorization"}, id="colorization", marks=big),
    pytest.param("codeformer/keys_inpainting", ema, "codeformer", {}, {"task": "inpainting"}, id="inpainting", marks=big),
    pytest.param("vqgan/keys_vqgan_code1024", ema, "vqgan", {}, {"img_size": 512, "attn_resolutions": (16,)}, id="vqgan", marks=big),
    pytest.param("vqgan/keys_discriminator", lambda state: {"params_d": state}, "vqgan.discriminator", {}, {"n_layers": 4}, id="vqgan_d"),
    pytest.param("vqfr/keys_vqfrv1", params, "vqfr.v1", {}, {"resolution": 512}, id="VQFR_v1", marks=big),
    pytest.param("vqfr/keys_vqfrv2", ema, "vqfr.v2", {}, {"resolution": 512}, id="VQFR_v2", marks=big),
]


@needs_reference
@pytest.mark.parametrize(("keys", "wrapped", "architecture", "known", "arguments"), PUBLISHED)
def test_a_published_file_loads_by_its_content(
    tmp_path: Path, keys: str, wrapped: Callable[[State], Any], architecture: str, known: dict[str, Any], arguments: dict[str, Any]
) -> None:
    shapes = table(keys)
    model = load_model(save(tmp_path / "file.pth", wrapped(zeros(shapes)), legacy=architecture == "gfpgan"), **known)
    assert model.architecture == architecture
    assert {name: list(value.shape) for name, value in model.net.state_dict().items()} == shapes
    assert {name: model.arguments[name] for name in arguments} == arguments
    assert not model.net.training and not any(parameter.requires_grad for parameter in model.net.parameters())


@pytest.mark.parametrize(("out_size", "narrow", "multiplier"), [(32, 1 / 64, 1), (256, 1 / 32, 2), (1024, 1 / 16, 1), (1024, 1 / 16, 2)])
def test_priors_of_other_sizes(tmp_path: Path, out_size: int, narrow: float, multiplier: int) -> None:
    with torch.device("meta"):
        net = StyleGAN2Generator(out_size, 8, 2, multiplier, narrow=narrow)
    shapes = {name: list(value.shape) for name, value in net.state_dict().items()}
    model = load_model(save(tmp_path / "prior.pth", ema(zeros(shapes))), flavour="original")
    assert {name: list(value.shape) for name, value in model.net.state_dict().items()} == shapes
    sizes = {"out_size": out_size, "num_style_feat": 8, "num_mlp": 2, "channel_multiplier": multiplier, "narrow": narrow}
    assert model.arguments == sizes | {"flavour": "original"}


# VGG: only what is asked for -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("vgg", "known", "last", "width"),
    [
        ("vgg19", {}, "vgg_net.conv5_4.weight", 512),
        ("vgg19", {"layers": ["conv1_2", "relu2_1"], "range_norm": True}, "vgg_net.conv2_1.weight", 128),
        ("vgg16", {"layers": ["conv3_3"], "use_input_norm": False}, "vgg_net.conv3_3.weight", 256),
    ],
)
def test_of_a_vgg_only_the_layers_asked_for_are_kept(tmp_path: Path, vgg: str, known: dict[str, Any], last: str, width: int) -> None:
    state = zeros(torchvision(vgg))
    state["features.0.bias"] = torch.arange(64.0)
    model = load_model(save(tmp_path / "vgg.pth", state), **known)
    kept = model.net.state_dict()
    assert model.architecture == vgg
    assert list(kept)[-2] == last and kept[last].shape[0] == width
    assert torch.equal(kept["vgg_net.conv1_1.bias"], torch.arange(64.0))
    assert ("mean" in kept) == known.get("use_input_norm", True)
    assert kept.keys() - {"mean", "std"} == {name for name in kept if name.startswith("vgg_net.conv")}


def test_what_is_wrong_with_a_vgg_is_named(tmp_path: Path) -> None:
    state = zeros(torchvision("vgg19", 8)) | {"features.99.weight": torch.ones(1)}
    with pytest.raises(ModelError, match=r"features\.99\.weight is unexpected"):
        load_model(save(tmp_path / "more.pth", state))
    state = zeros(torchvision("vgg19", 8)) | {"features.5.weight": torch.ones(128, 64, 5, 5)}
    with pytest.raises(ModelError, match=r"looks like a VGG-19 .*features\.5\.weight has shape \(128, 64, 5, 5\)"):
        load_model(save(tmp_path / "other.pth", state))


# What is wrong is named ----------------------------------------------------------------------------------------------------------------

SMALL = [
    ("arcface/small_1111", "fc5.bias"),
    ("retinaface/keys_mobilenet", "BboxHead.1.conv1x1.bias"),
    ("parsenet/tiny", "out_img_conv.conv2d.bias"),
    ("bisenet/keys", "ffm.conv1.weight"),
    ("realesrgan/rrdbnet_x2", "conv_hr.weight"),
    ("realesrgan/srvgg_prelu", "body.3.weight"),
    ("restoreformer/restoreformer_tiny", "decoder.mid.attn_1.k.bias"),
    ("vqgan/autoencoder_tiny", "generator.blocks.2.k.bias"),
    ("vqfr/vqfrv1_tiny", "main_decoder.conv_out.0.bias"),
    ("vqfr/vqfrv2_tiny_predict", "feat2index.0.bias"),
    ("gfpgan/keys_component_discriminator", "conv2.1.weight"),
    ("stylegan2/keys_discriminator_512_cm1", "final_conv.0.weight"),
]


@needs_reference
@pytest.mark.parametrize(("keys", "name"), SMALL, ids=[keys for keys, _ in SMALL])
def test_missing_extra_and_wrong_tensors_are_named(tmp_path: Path, keys: str, name: str) -> None:
    whole = zeros(table(keys))
    shape = tuple(whole[name].shape)
    for state, said in (
        ({key: value for key, value in whole.items() if key != name}, f"{name} is missing"),
        (whole | {"strange.weight": torch.ones(2)}, "strange.weight is unexpected"),
        (whole | {name: torch.zeros(*shape, 3)}, f"{name} has shape {' x '.join(map(str, (*shape, 3)))} instead of"),
        (whole | {name: torch.full(shape, float("nan"))}, f"{name} holds values that are not numbers"),
    ):
        with pytest.raises(ModelError) as caught:
            load_model(save(tmp_path / "odd.pth", state))
        assert said in str(caught.value) and "odd.pth" in str(caught.value) and "\n" not in str(caught.value)


@needs_reference
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("keep", [0.0, 0.3, 0.9, 0.999])
def test_a_truncated_file(tmp_path: Path, legacy: bool, keep: float) -> None:
    whole = save(tmp_path / "x4.pth", ema(zeros(table("realesrgan/rrdbnet_x4"))), legacy=legacy).read_bytes()
    (tmp_path / "cut.pth").write_bytes(whole[: int(len(whole) * keep)])
    with pytest.raises(ModelError, match=r"cannot read .*cut\.pth"):
        load_model(tmp_path / "cut.pth")


def test_a_file_of_components_is_no_model(tmp_path: Path) -> None:
    faces = {f"{i:08d}": {part: [np.float64(1), np.float64(2), np.float64(3)] for part in ("left_eye", "mouth")} for i in range(3)}
    with pytest.raises(ModelError, match="it holds where eyes and mouths are in 3 pictures, not weights"):
        load_model(save(tmp_path / "FFHQ_eye_mouth_landmarks_512.pth", faces))


def test_a_training_checkpoint_of_ours_is_no_model(tmp_path: Path) -> None:
    checkpoint = {"step": 7, "recipe": "gfpgan", "settings": {}, "networks": {"generator": zeros({"a": [2]})}, "random": torch.ones(3)}
    with pytest.raises(ModelError, match="it is a checkpoint of facewright train") as caught:
        load_model(save(tmp_path / "step-00000007.pt", checkpoint))
    assert caught.value.what_to_do == "give the export.safetensors beside it"


# Published files known anywhere --------------------------------------------------------------------------------------------------------


@pytest.fixture
def v1(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A tiny GFPGAN v1, and a catalog that takes it for the published one."""
    monkeypatch.setenv("FACEWRIGHT_CACHE", str(tmp_path / "cache"))
    net = GFPGAN("original", 16, 8, narrow=1 / 64, num_mlp=1)
    path = save(tmp_path / "GFPGANv1.pth", ema(net.state_dict()))
    known = dict(catalog.entries())
    known["gfpgan-v1"] = replace(known["gfpgan-v1"], about_bytes=path.stat().st_size)
    catalog._names.cache_clear()
    monkeypatch.setattr(catalog, "entries", lambda: known)
    yield path
    catalog._names.cache_clear()


def test_name_and_size_settle_what_tensors_cannot(v1: Path) -> None:
    model = load_model(v1)
    assert (model.arguments["flavour"], model.info["name"], model.info["licence"]) == ("original", "gfpgan-v1", "Apache-2.0")
    other = v1.rename(v1.with_name("mine.pth"))
    with pytest.raises(ModelError, match=r"cannot tell what mine\.pth is") as caught:
        load_model(other)
    assert "mine.pth:flavour=original or mine.pth:flavour=bilinear" in caught.value.what_to_do
    for way in (
        load_model(f"{other}:flavour=bilinear"),
        load_model(Path(f"{other}:flavour=bilinear")),
        load_model(other, flavour="bilinear"),
    ):
        assert way.arguments["flavour"] == "bilinear" and way.info["name"] == "mine"
    assert load_model(f"{other}:flavour=original,input_is_latent=true").info["assumed"] == {}
    with pytest.raises(ModelError, match="its tensors fit original, bilinear"):
        load_model(f"{other}:flavour=clean")
    with pytest.raises(ModelError, match="there is nothing to say about colour"):
        load_model(f"{other}:colour=red")


def test_a_file_of_the_same_name_but_another_size_is_not_taken_for_the_published_one(v1: Path) -> None:
    torch.save({**torch.load(v1), "note": "x" * 20_000}, v1)
    with pytest.raises(ModelError, match="cannot tell what"):
        load_model(v1)


def test_a_renamed_file_is_known_by_its_sum(tmp_path: Path, v1: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    renamed = v1.rename(tmp_path / "from_a_friend.bin")
    digest, size = hashlib.sha256(renamed.read_bytes()).hexdigest(), renamed.stat().st_size
    known = dict(catalog.entries())
    known["gfpgan-v1"] = replace(known["gfpgan-v1"], bytes=size, sha256=digest)
    monkeypatch.setattr(catalog, "entries", lambda: known)
    assert load_model(renamed).info["name"] == "gfpgan-v1"
    content = bytearray(renamed.read_bytes())
    content[-30] ^= 1
    renamed.write_bytes(content)
    assert catalog.identify(renamed) is None


def test_available(v1: Path, tmp_path: Path) -> None:
    assert available("mtcnn") and not available("gfpgan-v1") and not available("GFPGANv1.4.pth")
    (tmp_path / "cache" / "models").mkdir(parents=True)
    v1.rename(tmp_path / "cache" / "models" / v1.name)
    assert available("gfpgan-v1") and load_model("gfpgan-v1").arguments["flavour"] == "original"
    with pytest.raises(ModelError, match="nearest"):
        available("gfpgan-v9")


def test_what_is_said_beside_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert catalog.split("a.pth") == ("a.pth", {})
    assert catalog.split(r"C:\models\a.pth") == (r"C:\models\a.pth", {})
    assert catalog.split(r"C:\a.pth:flavour=original") == (r"C:\a.pth", {"flavour": "original"})
    assert catalog.split("a.pth:resolution=32,cross_attention=false") == ("a.pth", {"resolution": 32, "cross_attention": False})
    assert catalog.split("gfpgan-v1:flavour=original") == ("gfpgan-v1", {"flavour": "original"})
    monkeypatch.chdir(tmp_path)
    Path("odd:flavour=original").write_bytes(b"x")
    assert catalog.split("odd:flavour=original") == ("odd:flavour=original", {})


# Noise ---------------------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["stored", "seeded", "zero"])
def test_noise_to_choose_makes_the_picture_reproducible(v1: Path, kind: Any) -> None:
    model = load_model(v1)
    for name, value in model.net.named_parameters():
        if name.endswith("style_conv1.weight"):
            value.fill_(0.5)
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    once, again = (model.net(x, noise=model.noise(kind, seed=3))[0] for _ in range(2))
    assert torch.equal(once, again)
    truth = {
        "stored": lambda: model.net(x, randomize_noise=False)[0],
        "seeded": lambda: model.net(x, noise=model.net.make_noise(torch.Generator().manual_seed(3)))[0],  # type: ignore[operator]
        "zero": lambda: model.net(x, noise=[torch.zeros(1, 1, 1, 1)] * 5)[0],
    }
    assert torch.equal(once, truth[kind]())
    assert not torch.equal(once, model.net(x, noise=model.noise("seeded", seed=4))[0])


def test_noise_is_told_of(v1: Path) -> None:
    model = load_model(v1)
    assert model.info["noise"] == {"layers": 5, "largest strength": 0.0, "choices": ["stored", "seeded", "zero"]}
    assert load_model("mtcnn").info["noise"] == {}
    with pytest.raises(Exception, match="there is no noise 'pink'"):
        model.noise("pink")  # type: ignore[arg-type]
    with pytest.raises(Exception, match="takes no noise"):
        load_model("mtcnn").noise("zero")


# The catalog's promises ----------------------------------------------------------------------------------------------------------------

PROMISED = {
    "gfpgan-v1": ("gfpgan/keys_original_512_cm1", "gfpgan"),
    "gfpgan-v1.2": ("gfpgan/keys_clean_512_cm2", "gfpgan"),
    "gfpgan-v1.3": ("gfpgan/keys_clean_512_cm2", "gfpgan"),
    "gfpgan-v1.4": ("gfpgan/keys_clean_512_cm2", "gfpgan"),
    "stylegan2-ffhq-512": ("stylegan2/keys_generator_original_512_cm1", "stylegan2"),
    "arcface-resnet18": ("arcface/keys_resnet18", "identity.arcface"),
    "realesrgan-x2plus": ("realesrgan/keys_rrdbnet_x2plus", "realesrgan"),
    "realesrgan-x4plus": ("realesrgan/keys_rrdbnet_x4plus", "realesrgan"),
    "realesrgan-x4plus-anime": ("realesrgan/keys_rrdbnet_x4plus_anime_6B", "realesrgan"),
    "realesrgan-general-x4v3": ("realesrgan/keys_srvgg_general_x4v3", "realesrgan.compact"),
    "realesrgan-general-wdn-x4v3": ("realesrgan/keys_srvgg_general_x4v3", "realesrgan.compact"),
    "realesrgan-animevideov3": ("realesrgan/keys_srvgg_animevideov3", "realesrgan.compact"),
    "retinaface-resnet50": ("retinaface/keys_resnet50", "retinaface"),
    "retinaface-mobilenet": ("retinaface/keys_mobilenet", "retinaface"),
    "parsenet": ("parsenet/keys", "parsenet"),
    "bisenet": ("bisenet/keys", "bisenet"),
    "restoreformer": ("gfpgan/keys_restoreformer", "restoreformer"),
    "codeformer": ("codeformer/keys_codeformer", "codeformer"),
    "codeformer-colorization": ("codeformer/keys_colorization", "codeformer"),
    "codeformer-inpainting": ("codeformer/keys_inpainting", "codeformer"),
    "codeformer-stage2": ("codeformer/keys_codeformer", "codeformer"),
    "vqgan-code1024": ("vqgan/keys_vqgan_code1024", "vqgan"),
    "vqgan-discriminator": ("vqgan/keys_discriminator", "vqgan.discriminator"),
    "restoreformer++": ("restoreformer/keys_restoreformerpp", "restoreformer"),
    "vqfr-v2": ("vqfr/keys_vqfrv2", "vqfr.v2"),
    "yolov5n-face": ("codeformer/keys_yolov5n_face", "yolov5face"),
    "yolov5l-face": ("codeformer/keys_yolov5l_face", "yolov5face"),
}
UNKNOWN_SIZE = {"codeformer-stage2"}


@needs_reference
@pytest.mark.parametrize("name", PROMISED)
def test_a_catalog_entry_says_all_that_its_file_cannot(name: str) -> None:
    keys, architecture = PROMISED[name]
    entry, shapes = catalog.lookup(name), table(keys)
    found = recognise(shapes, **entry.arguments)
    assert (found.architecture, entry.architecture, entry.runs) == (architecture, architecture, True)
    # the tensors make up the file: what it says of its size must hold them, in float32 and with little beside
    size = entry.bytes or entry.about_bytes or 0
    assert (size == 0) == (name in UNKNOWN_SIZE)
    assert size == 0 or 0 < size / (4 * found.numbers) - 0.95 < 0.1 or name == "realesrgan-animevideov3"


def test_the_catalog_has_what_was_promised() -> None:
    assert {*PROMISED, "vgg19"} <= catalog.entries().keys()
    known = {name: entry for name, entry in catalog.entries().items() if entry.runs and not entry.bundled and entry.serves != "judging"}
    assert known.keys() == {*PROMISED, "vgg19"}
