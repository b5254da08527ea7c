"""The recogniser against the published key tables: every size must come out as it went in."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from facewright.errors import ModelError
from facewright.nets.gfpgan import GFPGAN
from facewright.weights.recogniser import recognise

REFERENCE = Path(os.environ.get("FACEWRIGHT_REFERENCE") or Path(__file__).parents[4] / "shared" / "reference")

CLASSES = {
    "GFPGANv1": ("gfpgan", "original"),
    "GFPGANBilinear": ("gfpgan", "bilinear"),
    "GFPGANv1Clean": ("gfpgan", "clean"),
    "StyleGAN2Generator": ("stylegan2", "original"),
    "StyleGAN2GeneratorSFT": ("stylegan2", "original"),
    "StyleGAN2GeneratorBilinear": ("stylegan2", "bilinear"),
    "StyleGAN2GeneratorBilinearSFT": ("stylegan2", "bilinear"),
    "StyleGAN2GeneratorClean": ("stylegan2", "clean"),
    "StyleGAN2GeneratorCSFT": ("stylegan2", "clean"),
    "StyleGAN2Discriminator": ("stylegan2.discriminator", None),
    "FacialComponentDiscriminator": ("gfpgan.component_discriminator", None),
}
# Published arguments that are not sizes (initial values, learning) or that leave no trace in names and shapes.
NO_TRACE = {"decoder_load_path", "fix_decoder"}
FOREIGN = {
    "RRDBNet": "Real-ESRGAN upscaler .*not a face model",
    "SRVGGNetCompact": "Real-ESRGAN upscaler .*not a face model",
    "facexlib.detection.retinaface.RetinaFace": "RetinaFace",
    "facexlib.parsing.parsenet.ParseNet": "ParseNet",
    "facexlib.parsing.bisenet.BiSeNet": "BiSeNet",
    "ResNetArcFace": "ArcFace",
    "RestoreFormer": "RestoreFormer",
    "basicsr.archs.codeformer_arch:CodeFormer": "CodeFormer",
    "vqfr.archs.vqfrv2_arch:VQFRv2": "VQFR",
}


def tables() -> list[Any]:
    """Every fixture's table of names and shapes whose class is one of ours or a known stranger."""
    found = []
    for path in sorted(REFERENCE.glob("*/*.json")):
        if path.parent.name not in {
            "gfpgan",
            "stylegan2",
            "realesrgan",
            "retinaface",
            "parsenet",
            "bisenet",
            "arcface",
            "codeformer",
            "vqfr",
        }:
            continue
        meta = json.loads(path.read_text())
        name = (meta.get("build") or {}).get("class")
        if (name in CLASSES or name in FOREIGN) and meta.get("parameters"):
            found.append(pytest.param(name, meta["build"].get("args") or {}, meta["parameters"], id=f"{path.parent.name}/{path.stem}"))
    return found


TABLES = tables()
needs_reference = pytest.mark.skipif(not TABLES, reason="no reference fixtures; set FACEWRIGHT_REFERENCE")


@needs_reference
def test_the_reference_is_whole() -> None:
    assert {table.values[0] for table in TABLES} >= set(CLASSES)


@pytest.mark.parametrize(("name", "published", "parameters"), [table for table in TABLES if table.values[0] in CLASSES])
def test_published_table_gives_published_arguments(name: str, published: dict[str, Any], parameters: dict[str, list[int]]) -> None:
    architecture, flavour = CLASSES[name]
    left_open = {"flavour": flavour} if flavour == "bilinear" else {}
    if architecture == "gfpgan" and not published["input_is_latent"]:
        left_open["input_is_latent"] = False
    if published.get("stddev_group"):
        left_open["stddev_group"] = published["stddev_group"]
    known = recognise(parameters, **left_open)

    assert known.architecture == architecture
    wanted = {key: value for key, value in published.items() if key not in NO_TRACE}
    if flavour is not None:
        wanted["flavour"] = flavour
    if architecture == "stylegan2":
        wanted.pop("sft_half", None)  # the conditions come from outside: no trace
    assert {key: known.arguments.get(key, "not deduced") for key in wanted} == wanted

    network = known.build("meta").state_dict()
    assert {key: list(value.shape) for key, value in network.items()} == parameters


@pytest.mark.parametrize(("name", "published", "parameters"), [table for table in TABLES if table.values[0] in FOREIGN])
def test_stranger_is_called_by_its_name(name: str, published: dict[str, Any], parameters: dict[str, list[int]]) -> None:
    with pytest.raises(ModelError, match=FOREIGN[name]):
        recognise(parameters)


def test_flavour_is_assumed_and_said() -> None:
    tiny = {"out_size": 16, "num_style_feat": 8, "narrow": 1 / 64, "num_mlp": 1}
    original, clean = (GFPGAN(flavour, **tiny).state_dict() for flavour in ("original", "clean"))
    assert recognise(original).assumed == {"flavour": "original", "input_is_latent": True}
    assert recognise(original, flavour="bilinear").assumed == {"input_is_latent": True}
    assert recognise(clean).assumed == {"input_is_latent": True}
    with pytest.raises(ModelError, match="its tensors say flavour='clean'"):
        recognise(clean, flavour="original")
    with pytest.raises(ModelError, match="its tensors say out_size=16"):
        recognise(clean, out_size=32)


@settings(max_examples=40, deadline=None)
@given(
    flavour=st.sampled_from(["original", "bilinear", "clean"]),
    out_size=st.sampled_from([8, 16, 64, 128, 256]),
    num_style_feat=st.integers(1, 24),
    num_mlp=st.integers(0, 5),
    sft_half=st.booleans(),
    different_w=st.booleans(),
    input_skip=st.booleans(),
    table=st.one_of(
        st.tuples(st.sampled_from([1, 2, 0.5]), st.sampled_from([1, 0.5, 0.25, 3 / 32, 1 / 8])),
        st.lists(st.integers(1, 40), min_size=7, max_size=7),
    ),
)
def test_any_gfpgan_is_recognised(
    flavour: Any, out_size: int, num_style_feat: int, num_mlp: int, sft_half: bool, different_w: bool, input_skip: bool, table: Any
) -> None:
    if isinstance(table, tuple):
        sizes: dict[str, Any] = {"channel_multiplier": table[0], "narrow": table[1]}
    else:
        sides = [4 * 2**level for level in range(7)]
        sizes = {"channels": {side: 2 * count for side, count in zip(sides, table, strict=True) if side <= out_size}}
    arguments = {
        "flavour": flavour,
        "out_size": out_size,
        "num_style_feat": num_style_feat,
        "num_mlp": num_mlp,
        "sft_half": sft_half,
        "different_w": different_w,
        "input_skip": input_skip,
        **sizes,
    }
    with torch.device("meta"):
        shapes = {name: tuple(value.shape) for name, value in GFPGAN(**arguments).state_dict().items()}
    known = recognise(shapes, **({"flavour": "bilinear"} if flavour == "bilinear" else {}))
    said = {key: value for key, value in arguments.items() if key not in sizes and key != "num_mlp"}
    if num_style_feat == 1:  # one latent of size 1 ... L latents of size 1: still told apart, since L > 1
        assert known.arguments["different_w"] == different_w
    assert {key: known.arguments[key] for key in said} == said
    assert {name: tuple(value.shape) for name, value in known.build("meta").state_dict().items()} == shapes


def test_a_torn_gfpgan_says_what_is_missing() -> None:
    state = dict(GFPGAN(out_size=16, num_style_feat=8, narrow=1 / 64, num_mlp=1).state_dict())
    del state["conv_body_down.1.conv2.weight"]
    with pytest.raises(ModelError, match=r"looks like a GFPGAN face restorer, but conv_body_down\.1\.conv2\.weight is missing"):
        recognise(state, source="torn.pth")


def test_unknown_tensors() -> None:
    with pytest.raises(ModelError, match=r"cannot use x\.pth: its 1 tensors \(linear\.weight, \.\.\.\) fit no network") as caught:
        recognise({"linear.weight": (2, 2)}, source="x.pth")
    assert "models list" in caught.value.what_to_do
    with pytest.raises(ModelError, match="fit no network"):
        recognise({})


def test_bundled_networks_are_told_apart() -> None:
    from facewright.nets.identity import DlibEmbedding
    from facewright.nets.mtcnn import ONet, PNet, RNet

    nets = {"mtcnn.pnet": PNet(), "mtcnn.rnet": RNet(), "mtcnn.onet": ONet(), "identity.dlib": DlibEmbedding()}
    for name, net in nets.items():
        assert recognise(net.state_dict()).architecture == name
        assert type(recognise(net.state_dict()).build("meta")) is type(net)
    joined = {f"{name}.{key}": value for name in ("pnet", "rnet", "onet") for key, value in nets[f"mtcnn.{name}"].state_dict().items()}
    assert recognise(joined).architecture == "mtcnn"
    assert set(recognise(joined).build("meta").state_dict()) == set(joined)
