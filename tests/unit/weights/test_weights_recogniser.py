"""The recogniser against the published key tables: every size must come out as it went in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from published_samples import REFERENCE, torchvision

from facewright.errors import ModelError, UsageError
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.bisenet import BiSeNet
from facewright.nets.codeformer import CodeFormer
from facewright.nets.gfpgan import GFPGAN
from facewright.nets.mobilefacenet import MobileFaceNet
from facewright.nets.parsenet import ParseNet
from facewright.nets.realesrgan import RRDBNet, SRVGGNetCompact
from facewright.nets.restoreformer import RestoreFormer
from facewright.nets.vqgan import VQGAN
from facewright.weights.architectures import ARCHITECTURES
from facewright.weights.recogniser import recognise

FLAVOURS = {"GFPGANv1": "original", "GFPGANBilinear": "bilinear", "GFPGANv1Clean": "clean"}
BACKBONES = {"resnet50": "resnet50", "mobile0.25": "mobilenet0.25"}


@dataclass(frozen=True)
class Told:
    """What the published class and arguments of a fixture are here: the architecture, arguments that must be deduced, and what we say."""

    architecture: str
    wanted: dict[str, Any]
    known: dict[str, Any] = field(default_factory=dict)


def ours(name: str, args: dict[str, Any]) -> Told | None:
    """None for what is not recognised on purpose."""
    if name in FLAVOURS:
        flavour = FLAVOURS[name]
        known: dict[str, Any] = {} if flavour == "clean" else {"flavour": flavour}
        known |= {} if args["input_is_latent"] else {"input_is_latent": False}
        return Told("gfpgan", {"flavour": flavour, **without(args, "decoder_load_path", "fix_decoder")}, known)
    if name.startswith("StyleGAN2Generator"):
        flavour = "clean" if name.endswith(("Clean", "CSFT")) else "bilinear" if "Bilinear" in name else "original"
        # the conditions come from outside: no trace
        return Told("stylegan2", {"flavour": flavour, **without(args, "sft_half")}, {} if flavour == "clean" else {"flavour": flavour})
    if name == "StyleGAN2Discriminator":
        return Told("stylegan2.discriminator", args, {key: args[key] for key in ("stddev_group",) if key in args})
    if name == "FacialComponentDiscriminator":
        return Told("gfpgan.component_discriminator", {})
    if name == "ResNetArcFace":
        return Told("identity.arcface", {"layers": tuple(args["layers"]), "use_se": args["use_se"]})
    if name == "RRDBNet":
        return Told("realesrgan", args)
    if name == "SRVGGNetCompact":
        return Told("realesrgan.compact", args, {} if args["act_type"] == "prelu" else {"act_type": args["act_type"]})
    if name.endswith("RetinaFace"):
        return Told("retinaface", {"backbone": BACKBONES[args["network_name"]]})
    if name.endswith("yolo:Model"):
        return Told("yolov5face", {"size": {"yolov5n.yaml": "n", "yolov5l.yaml": "l"}[args["cfg"]]})
    if name.endswith("ParseNet"):
        # the sizes show as the number of steps between them, the limits of the channels only where they are met
        sizes = {key: 32 * args[key] // args.get("min_feat_size", 32) for key in ("in_size", "out_size")}
        kept = without(args, "in_size", "out_size", "min_feat_size", "ch_range")
        return Told("parsenet", sizes | kept, {key: args[key] for key in ("norm_type",) if key in args})
    if name.endswith("BiSeNet"):
        return Told("bisenet", args)
    if name == "RestoreFormer" or name.endswith(("VQVAEGANMultiHeadTransformer", ":VQVAEGAN")):
        wanted = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
        wanted = without(wanted, "dropout", "double_z", "enable_mid", "fix_decoder", "fix_codebook", "fix_encoder")
        # tiny ones have attention at 8 px instead of 16
        known = {"resolution": 32} if args.get("resolution") == 32 else {}
        published_heads = 4 if args.get("ex_multi_scale_num") else 8
        return Told(
            "restoreformer", wanted, known | ({"head_size": args["head_size"]} if args.get("head_size", 8) != published_heads else {})
        )
    return from_the_codebook_family(name.rpartition(":")[2], args)


def from_the_codebook_family(name: str, args: dict[str, Any]) -> Told | None:
    args = {key: tuple(value) if isinstance(value, list) else value for key, value in args.items()}
    if name == "CodeFormer":
        return Told("codeformer", args | {"connect_list": tuple(int(side) for side in args["connect_list"])})
    if name == "VQAutoEncoder":
        # tiny ones have attention at 8 px instead of 16
        return Told("vqgan", args, {"img_size": 32} if args["img_size"] == 32 else {})
    if name == "VQGANDiscriminator":
        return Told("vqgan.discriminator", args)
    if name == "VQFRv1":
        (book,) = args["quantizer_opt"].values()
        wanted = {key: args[key] for key in ("base_channels", "channel_multipliers", "encoder_num_blocks", "decoder_num_blocks")}
        return Told("vqfr.v1", wanted | {"num_code": book["num_code"], "code_dim": book["code_dim"]})
    if name == "VQFRv2":
        book, align = args["quantizer_opt"], args["align_opt"]
        wanted = without(args, "use_enc_attention", "use_dec_attention", "align_opt", "quantizer_opt")
        return Told("vqfr.v2", wanted | {"num_code": book["num_code"], "deformable_groups": align["deformable_groups"]})
    return None


def without(args: dict[str, Any], *names: str) -> dict[str, Any]:
    return {key: value for key, value in args.items() if key not in names}


SYSTEMS = {
    "gfpgan",
    "stylegan2",
    "arcface",
    "realesrgan",
    "retinaface",
    "parsenet",
    "bisenet",
    "restoreformer",
    "codeformer",
    "vqgan",
    "vqfr",
}
NOT_WHOLE = {"yolov5n_face"}  # without the anchors, which the file has
CLASS_OF_KEYS = {"retinaface": "RetinaFace", "parsenet": "ParseNet", "bisenet": "BiSeNet"}


def tables() -> list[Any]:
    """Every fixture's table of names and shapes whose class is one of ours, each table once."""
    found, seen = [], set()
    for path in sorted(REFERENCE.glob("*/*.json")):
        if path.parent.name not in SYSTEMS:
            continue
        meta = json.loads(path.read_text())
        build, table = meta.get("build") or {}, meta.get("parameters")
        name = build.get("class") or CLASS_OF_KEYS.get(path.parent.name, "")
        args = build.get("args") or {}
        if not table or name.startswith("pytorch_retinaface") or path.stem in NOT_WHOLE or not ours_or_none(name, args):
            continue
        key = json.dumps([name, without(args, "phase"), table], sort_keys=True)
        if key not in seen:
            seen.add(key)
            found.append(pytest.param(name, args, table, id=f"{path.parent.name}/{path.stem}"))
    return found


def ours_or_none(name: str, args: dict[str, Any]) -> Told | None:
    try:
        return ours(name, args)
    except KeyError:
        return None


TABLES = tables()
needs_reference = pytest.mark.skipif(not TABLES, reason="no reference fixtures; set FACEWRIGHT_REFERENCE")


@needs_reference
def test_the_reference_is_whole() -> None:
    found = {told.architecture for table in TABLES if (told := ours(*table.values[:2]))}
    elsewhere = {"vgg19", "vgg16", "identity.dlib", "identity.mobilefacenet", *JUDGES} | {"mtcnn" + part for part in PARTS}
    assert found == {each.name for each in ARCHITECTURES} - elsewhere


PARTS = ("", ".pnet", ".rnet", ".onet")
JUDGES = ("lpips", "lpips.heads", "dists", "dists.weights", "inception.fid", "alexnet", "squeezenet")


@pytest.mark.parametrize(("name", "published", "parameters"), TABLES)
def test_published_table_gives_published_arguments(name: str, published: dict[str, Any], parameters: dict[str, list[int]]) -> None:
    told = ours(name, published)
    assert told is not None
    known = recognise(parameters, **told.known)
    assert known.architecture == told.architecture
    assert {key: known.arguments.get(key, "not deduced") for key in told.wanted} == told.wanted
    network = known.build("meta").state_dict()
    assert {key: list(value.shape) for key, value in network.items()} == parameters


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (["conv0.weight", "conv1.weight_orig", "conv9.bias"], "Real-ESRGAN's discriminator"),
        (["features.0.weight", "features.1.running_mean", "features.34.weight"], "a VGG with batch normalisation"),
        (["synthesis.b4.const", "mapping.fc0.weight"], "a StyleGAN2 in NVIDIA's layout"),
        (["encoder.mid.attn_1.norm.weight", "quantize.embedding.weight"], "a VQGAN autoencoder"),
        (["model.0.stem_1.conv.weight", "model.0.stem_2b.conv.weight"], "looks like the face detector YOLOv5-face, but it is neither"),
        (["model.diffusion_model.input_blocks.0.0.weight"], "a Stable Diffusion checkpoint, not a face model"),
    ],
)
def test_files_that_lie_beside_the_right_one(names: list[str], said: str) -> None:
    with pytest.raises(ModelError, match=said):
        recognise({name: (4, 4) for name in names})


# What names and shapes leave open ------------------------------------------------------------------------------------------------------


def test_flavours_that_look_alike_are_asked_for() -> None:
    tiny: dict[str, Any] = {"out_size": 16, "num_style_feat": 8, "narrow": 1 / 64, "num_mlp": 1}
    original, clean = (GFPGAN(flavour, **tiny).state_dict() for flavour in ("original", "clean"))
    with pytest.raises(ModelError, match=r"cannot tell what own\.pth is: its tensors fit .* original as well as bilinear") as caught:
        recognise(original, source="own.pth")
    assert "own.pth:flavour=original or own.pth:flavour=bilinear; in Python: load_model(path, flavour=" in caught.value.what_to_do
    for flavour in ("original", "bilinear"):
        assert recognise(original, flavour=flavour).arguments["flavour"] == flavour
        assert recognise(original, told={"flavour": flavour, "out_size": 99}).arguments["flavour"] == flavour
    assert recognise(original, told={"flavour": "bilinear"}, flavour="original").arguments["flavour"] == "original"
    assert recognise(original, flavour="original").assumed == recognise(clean).assumed == {"input_is_latent": True}
    assert recognise(clean, told={"flavour": "bilinear"}).arguments["flavour"] == "clean"
    with pytest.raises(ModelError, match="its tensors say flavour='clean'"):
        recognise(clean, flavour="original")
    with pytest.raises(ModelError, match="its tensors fit original, bilinear"):
        recognise(original, flavour="clean")
    with pytest.raises(ModelError, match="its tensors say out_size=16"):
        recognise(clean, out_size=32)


SMALL_CODEFORMER: dict[str, Any] = {
    "dim_embd": 16,
    "n_head": 2,
    "n_layers": 2,
    "codebook_size": 12,
    "connect_list": (8, 16),
    "img_size": 32,
    "nf": 32,
    "ch_mult": (1, 1, 2),
    "res_blocks": 1,
    "attn_resolutions": (8,),
    "emb_dim": 8,
    "fold": 1,
}


def test_a_codeformer_of_any_size_tells_all_but_its_heads_and_its_task() -> None:
    with torch.device("meta"):
        state = CodeFormer(**SMALL_CODEFORMER).state_dict()
    known = recognise(state, told={"n_head": 2, "img_size": 99})
    assert known.arguments == SMALL_CODEFORMER | {"task": "restoration"} and known.assumed == {"task": "restoration"}
    assert recognise(state).assumed == {"n_head": 8, "task": "restoration"}
    assert "for colorization" in recognise(state, task="colorization").title
    with pytest.raises(ModelError, match="its tensors say img_size=32"):
        recognise(state, img_size=64)


@pytest.mark.parametrize(
    ("name", "shape", "said"),
    [
        ("position_emb", (60, 16), "its 60 positions make no square"),
        ("fuse_convs_dict.12.scale.0.weight", (32, 32, 3, 3), "connected at 12 px, where its maps have 8, 16, 32"),
        ("encoder.blocks.1.conv1.weight", (48, 32, 3, 3), "no multiples of the first one, 32"),
        ("encoder.blocks.9.norm1.weight", None, "does not end as CodeFormer's does"),
        ("encoder.blocks.4.conv.weight", None, "does not end as CodeFormer's does"),
    ],
)
def test_what_contradicts_a_codeformer_is_named(name: str, shape: tuple[int, ...] | None, said: str) -> None:
    with torch.device("meta"):
        state = {key: tuple(value.shape) for key, value in CodeFormer(**SMALL_CODEFORMER).state_dict().items()}
    state = {key: value for key, value in state.items() if key != name} | ({} if shape is None else {name: shape})
    with pytest.raises(ModelError, match=f"it looks like a CodeFormer, but .*{said}"):
        recognise(state)


def test_a_gumbel_quantizer_shows_in_the_names() -> None:
    sizes: dict[str, Any] = {"img_size": 32, "nf": 32, "ch_mult": (1, 1), "res_blocks": 1, "codebook_size": 12, "emb_dim": 8}
    for quantizer in ("gumbel", "nearest"):
        with torch.device("meta"):
            state = VQGAN(quantizer=quantizer, attn_resolutions=(16,), **sizes).state_dict()  # type: ignore[arg-type]
        known = recognise(state)
        assert {key: known.arguments[key] for key in sizes} == sizes and known.arguments["quantizer"] == quantizer
        assert known.build("meta").state_dict().keys() == state.keys()


def test_activations_and_normalisations_that_leave_no_trace_are_asked_for() -> None:
    compact = {"body.0.weight": (8, 3, 3, 3), "body.0.bias": (8,), "body.2.weight": (12, 8, 3, 3), "body.2.bias": (12,)}
    with pytest.raises(ModelError, match="activation relu as well as one with leakyrelu"):
        recognise(compact)
    assert recognise(compact, act_type="relu").arguments["upscale"] == 2
    assert recognise({**compact, "body.1.weight": (8,)}).arguments["act_type"] == "prelu"
    with pytest.raises(ModelError, match="its tensors say act_type='prelu'"):
        recognise({**compact, "body.1.weight": (8,)}, act_type="relu")


@pytest.mark.parametrize(("taken", "scale"), [(3, 4), (12, 2), (48, 1)])
def test_the_scale_of_an_upscaler_shows_in_its_first_layer(taken: int, scale: int) -> None:
    shapes = {"conv_first.weight": (8, taken, 3, 3), "conv_last.weight": (3, 8, 3, 3), "conv_up1.weight": (8, 8, 3, 3)}
    shapes |= {f"body.{block}.rdb1.conv1.weight": (4, 8, 3, 3) for block in range(5)}
    arguments = recognise(shapes).arguments
    assert (arguments["scale"], arguments["num_in_ch"], arguments["num_block"], arguments["num_grow_ch"]) == (scale, 3, 5, 4)
    shapes["conv_first.weight"] = (8, 27, 3, 3)
    with pytest.raises(ModelError, match="takes 27 channels where 3, 12 or 48 are due"):
        recognise(shapes)


def test_the_vggs_are_told_apart() -> None:
    for vgg in ("vgg19", "vgg16"):
        found = recognise(torchvision(vgg))
        assert (found.architecture, found.arguments["vgg"]) == (vgg, vgg)
        assert set(found.assumed) == {"layers", "use_input_norm", "range_norm", "remove_pooling", "pooling_stride"}
        assert recognise(torchvision(vgg), layers=["conv2_2"], range_norm=True).arguments["layers"] == ["conv2_2"]
    torn = torchvision("vgg19")
    del torn["features.21.bias"]
    with pytest.raises(ModelError, match=r"looks like a VGG-19 for perceptual losses, but features\.21\.bias is missing"):
        recognise(torn)
    with pytest.raises(ModelError, match="there is nothing to say about nonsense"):
        recognise(torchvision("vgg16"), nonsense=1)


@settings(max_examples=40, deadline=None)
@given(
    flavour=st.sampled_from(["original", "bilinear", "clean"]),
    out_size=st.sampled_from([8, 16, 64, 128, 256]),
    num_style_feat=st.integers(1, 24),
    num_mlp=st.integers(0, 5),
    sft_half=st.booleans(),
    different_w=st.booleans(),
    input_skip=st.booleans(),
    refine=st.sampled_from([0, 1, 16]),
    table=st.one_of(
        st.tuples(st.sampled_from([1, 2, 0.5]), st.sampled_from([1, 0.5, 0.25, 3 / 32, 1 / 8])),
        st.lists(st.integers(1, 40), min_size=7, max_size=7),
    ),
)
def test_any_gfpgan_is_recognised(
    flavour: Any,
    out_size: int,
    num_style_feat: int,
    num_mlp: int,
    sft_half: bool,
    different_w: bool,
    input_skip: bool,
    refine: int,
    table: Any,
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
        "refine": refine,
        **sizes,
    }
    try:
        with torch.device("meta"):
            shapes = {name: tuple(value.shape) for name, value in GFPGAN(**arguments).state_dict().items()}
    except UsageError:  # the decoder's channels do not halve
        assume(False)
    known = recognise(shapes, **({} if flavour == "clean" else {"flavour": flavour}))
    said = {key: value for key, value in arguments.items() if key not in sizes and key != "num_mlp"}
    if num_style_feat == 1:  # one latent of size 1 ... L latents of size 1: still told apart, since L > 1
        assert known.arguments["different_w"] == different_w
    assert {key: known.arguments[key] for key in said} == said
    assert {name: tuple(value.shape) for name, value in known.build("meta").state_dict().items()} == shapes


widths = st.sampled_from([4, 6, 8, 20])
SIZED: dict[str, tuple[Any, Any]] = {
    "realesrgan": (
        RRDBNet,
        {
            "num_in_ch": (colours := st.shared(st.sampled_from([1, 3]), key="colours")),
            "num_out_ch": colours,
            "scale": st.sampled_from([1, 2, 4]),
            "num_feat": widths,
            "num_block": st.integers(1, 4),
            "num_grow_ch": widths,
        },
    ),
    "realesrgan.compact": (
        SRVGGNetCompact,
        {
            "num_in_ch": colours,
            "num_out_ch": colours,
            "num_feat": widths,
            "num_conv": st.integers(1, 6),
            "upscale": st.integers(1, 5),
            "act_type": st.sampled_from(["prelu", "relu", "leakyrelu"]),
        },
    ),
    "identity.arcface": (
        ResNetArcFace,
        {"layers": st.tuples(*[st.integers(1, 4)] * 4), "use_se": st.booleans()},
    ),
    "parsenet": (
        ParseNet,
        {
            "in_size": st.sampled_from([32, 64, 256, 1024]),
            "out_size": st.sampled_from([32, 64, 128, 512]),
            "base_ch": st.sampled_from([32, 64, 128]),
            "parsing_ch": st.integers(2, 30),
            "res_depth": st.integers(1, 4),
            "norm_type": st.sampled_from(["bn", "gn", "in", "pixel", "none"]),
            "relu_type": st.sampled_from(["LeakyReLU", "prelu"]),
        },
    ),
    "bisenet": (BiSeNet, {"num_class": st.integers(1, 40)}),
    "identity.mobilefacenet": (MobileFaceNet, {"channels": st.integers(1, 96), "embedding": st.integers(2, 512)}),
    "restoreformer": (
        RestoreFormer,
        {
            "n_embed": widths,
            "embed_dim": widths,
            "ch": st.just(32),
            "ch_mult": st.sampled_from([(1, 2), (1, 1, 2), (1, 2, 2, 4)]),
            "num_res_blocks": st.integers(1, 3),
            "z_channels": widths,
            "ex_multi_scale_num": st.integers(0, 1),
        },
    ),
}


@pytest.mark.parametrize("name", SIZED)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_any_size_of_the_other_networks_is_recognised(name: str, data: st.DataObject) -> None:
    """Widths, depths and scales come out of the shapes as they went in; what leaves no trace is said."""
    build, sizes = SIZED[name]
    arguments = {key: data.draw(value, label=key) for key, value in sizes.items()}
    if name == "restoreformer":  # attention at the coarsest level, as published
        arguments["resolution"] = 16 << (len(arguments["ch_mult"]) - 1)
    with torch.device("meta"):
        shapes = {key: tuple(value.shape) for key, value in build(**arguments).state_dict().items()}
    no_trace = {"act_type": ("relu", "leakyrelu"), "norm_type": ("in", "pixel", "none")}
    known = {key: arguments[key] for key, values in no_trace.items() if arguments.get(key) in values}
    found = recognise(shapes, **known)
    assert (found.architecture, {key: found.arguments[key] for key in arguments}) == (name, arguments)
    assert {key: tuple(value.shape) for key, value in found.build("meta").state_dict().items()} == shapes


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
    nets |= {"identity.mobilefacenet": MobileFaceNet(8)}
    for name, net in nets.items():
        assert recognise(net.state_dict()).architecture == name
        assert type(recognise(net.state_dict()).build("meta")) is type(net)
    joined = {f"{name}.{key}": value for name in ("pnet", "rnet", "onet") for key, value in nets[f"mtcnn.{name}"].state_dict().items()}
    assert recognise(joined).architecture == "mtcnn"
    assert set(recognise(joined).build("meta").state_dict()) == set(joined)


def test_a_lightning_file_of_restoreformer_is_the_same_network() -> None:
    arguments: dict[str, Any] = {"n_embed": 8, "embed_dim": 6, "ch": 32, "ch_mult": (1, 2), "num_res_blocks": 1, "z_channels": 6}
    with torch.device("meta"):
        bare = RestoreFormer(**arguments, resolution=32, ex_multi_scale_num=1, head_size=4).state_dict()
    trained = {f"vqvae.{name}": value for name, value in bare.items()} | {"loss.lpips.weight": torch.ones(1)}
    found = recognise(trained)
    assert found.arguments == recognise(bare).arguments == found.arguments | arguments | {"resolution": 32, "head_size": 4}
    assert list(found.fitted(trained)) == list(bare)
