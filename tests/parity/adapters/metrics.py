"""The field's metrics, under every convention: each recorded number is one of ours by name."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from facewright.metrics import (
    CONVENTIONS,
    Convention,
    Fid,
    NiqeModel,
    arcface_input,
    colourization_auc,
    colourization_curve,
    dists,
    identity_angle,
    identity_similarity,
    inception_input,
    inception_score,
    kid,
    landmark_distance,
    lpips,
    mmd,
    ms_ssim,
    niqe,
    precision_recall,
    psnr,
    ssim,
)
from facewright.metrics.colour import levels, matched
from facewright.metrics.imresize import imresize
from facewright.metrics.inception_input import bilinear_tf1
from facewright.metrics.niqe_features import asymmetric_fit, features_of_blocks
from facewright.metrics.ppl import interpolated, latents
from facewright.nets.arcface import ResNetArcFace
from facewright.nets.dists import DISTS, hanning
from facewright.nets.inception import InceptionV3
from facewright.nets.lpips import LPIPS
from facewright.weights import catalog
from facewright.weights.reader import read_state
from parity.following import check_keys, check_results, load
from parity.reading import Fixture

Run = Callable[[Fixture], None]


def handles(fixture: Fixture) -> bool:
    return _runner(fixture) is not None


def run(fixture: Fixture) -> None:
    runner = _runner(fixture)
    assert runner is not None
    runner(fixture)


def slow(fixture: Fixture) -> bool:
    return fixture.case == "inception_features"


def _runner(fixture: Fixture) -> Run | None:
    return next((run for start, run in RUNNERS.items() if fixture.case.startswith(start)), None)


# PSNR and SSIM -------------------------------------------------------------------------------------------------------------------------

Number = Callable[[Tensor, Tensor, int], Tensor]


def _altered(name: str, **options: object) -> Convention:
    """A convention with another rule for SSIM."""
    return replace(CONVENTIONS[name], ssim=replace(CONVENTIONS[name].ssim, **options))


def _ms(name: str, **options: object) -> Convention:
    return replace(CONVENTIONS[name], ms_ssim=replace(CONVENTIONS[name].ms_ssim, **options))


PAIRS: dict[str, Number] = {
    "basicsr_psnr_rgb": lambda a, b, border: psnr(a, b),
    "basicsr_psnr_y": lambda a, b, border: psnr(a, b, channel="y"),
    "basicsr_psnr_rgb_border": lambda a, b, border: psnr(a, b, crop=border),
    "basicsr_psnr_y_border": lambda a, b, border: psnr(a, b, channel="y", crop=border),
    "basicsr_ssim_rgb": lambda a, b, border: ssim(a, b),
    "basicsr_ssim_y": lambda a, b, border: ssim(a, b, channel="y"),
    "basicsr_ssim_y_border": lambda a, b, border: ssim(a, b, channel="y", crop=border),
    "basicsr_pt_psnr_rgb": lambda a, b, border: psnr(a, b, convention="basicsr-pt"),
    "basicsr_pt_psnr_y": lambda a, b, border: psnr(a, b, convention="basicsr-pt", channel="y"),
    "basicsr_pt_ssim_rgb": lambda a, b, border: ssim(a, b, convention="basicsr-pt"),
    "basicsr_pt_ssim_y": lambda a, b, border: ssim(a, b, convention="basicsr-pt", channel="y"),
    "pyiqa_psnr": lambda a, b, border: psnr(a, b, convention="pyiqa"),
    "pyiqa_psnry": lambda a, b, border: psnr(a, b, convention="pyiqa", channel="yiq"),
    "pyiqa_psnry_ycbcr": lambda a, b, border: psnr(a, b, convention="pyiqa", channel="y"),
    "pyiqa_ssim": lambda a, b, border: ssim(a, b, convention="pyiqa"),
    "pyiqa_ssimc": lambda a, b, border: ssim(a, b, convention="pyiqa", channel="rgb"),
    "pyiqa_ssim_ycbcr": lambda a, b, border: ssim(a, b, convention="pyiqa", channel="y"),
    "pyiqa_ssim_downsample": lambda a, b, border: ssim(a, b, convention=_altered("pyiqa", halved=True)),
    "pyiqa_ms_ssim": lambda a, b, border: ms_ssim(a, b, convention="pyiqa"),
    "pyiqa_ms_ssim_sum": lambda a, b, border: ms_ssim(a, b, convention=_ms("pyiqa", joined="sum")),
    "torchmetrics_psnr": lambda a, b, border: psnr(a, b, convention="torchmetrics"),
    "torchmetrics_ssim": lambda a, b, border: ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ssim_double": lambda a, b, border: ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ssim_auto_range": lambda a, b, border: ssim(a, b, convention=_altered("torchmetrics", of_the_pair=True)),
    "torchmetrics_ssim_sigma3": lambda a, b, border: ssim(a, b, convention=_altered("torchmetrics", sigma=3.0)),
    "torchmetrics_ms_ssim": lambda a, b, border: ms_ssim(a, b, convention="torchmetrics"),
    "torchmetrics_ms_ssim_simple": lambda a, b, border: ms_ssim(a, b, convention=_ms("torchmetrics", negative="simple")),
    "skimage_psnr": lambda a, b, border: psnr(a, b, convention="skimage"),
    "skimage_ssim_default": lambda a, b, border: ssim(a, b, convention="skimage"),
    "skimage_ssim_gaussian": lambda a, b, border: ssim(a, b, convention="skimage-gaussian"),
    "y_matlab": lambda a, b, border: levels(a, "y")[:, 0, :8, :8],
    "y_yiq_255": lambda a, b, border: levels(a, "yiq", whole_luma=True)[:, 0, :8, :8],
}


def run_pair(fixture: Fixture) -> None:
    first, second = pair(fixture)
    for name in fixture.meta["outputs"]:
        fixture.check(name, PAIRS[name](first, second, fixture.call["border"])[0])


def pair(fixture: Fixture) -> list[Tensor]:
    """The two pictures that such a case is about: 1 x 3 x H x W in [0, 1], whole levels."""
    given = fixture.input_arrays()
    base = np.rint(given["base"][0].transpose(1, 2, 0)).astype(np.int64)
    both = (base + given["noise1"], base + given["noise1"] // 2 + given["noise2"])
    return [torch.from_numpy(np.clip(one, 0, 255)).permute(2, 0, 1)[None].double() / 255 for one in both]


def run_matched(fixture: Fixture) -> None:
    given = fixture.inputs()
    truth, other = (given[name].round().to(torch.uint8).float() / 255 for name in ("truth", "other"))
    restored = (truth * 0.8 + 0.12 + 0.05 * (other - 0.5)).clamp(0, 1)
    fixture.check("corrected", matched(restored, truth)[0].permute(1, 2, 0))
    for suffix, convention in (("plain", "gfpgan"), ("corrected", "vqfr")):
        fixture.check(f"psnr_{suffix}", psnr(restored, truth, convention=convention)[0])
        fixture.check(f"ssim_{suffix}", ssim(restored, truth, convention=convention)[0])


# The judges' networks ------------------------------------------------------------------------------------------------------------------


def run_lpips(fixture: Fixture) -> None:
    name = fixture.case.split("_")[1]
    if fixture.is_key_table:
        check_keys(fixture, lambda: LPIPS(name))
        return
    state = fixture.state()
    state |= {re.sub(r"^lin(\d)", r"lins.\1", key): value for key, value in state.items() if key.startswith("lin")}
    nets = {"0.1": LPIPS(name), "0.0": LPIPS(name, version="0.0"), "baseline": LPIPS(name, heads=False)}
    for net in nets.values():
        net.load_state_dict(state | {key: value for key, value in net.state_dict().items() if key.startswith("scaling")})
        net.eval()
    inputs = fixture.inputs()
    first, second = inputs["first"].requires_grad_(True), inputs["second"]
    net = nets["0.1"]
    results = {
        "distance": net(first, second),
        "normalized_01": net(2 * ((first + 1) / 2) - 1, 2 * ((second + 1) / 2) - 1),
        "spatial": net(first, second, spatial=True),
        "baseline": nets["baseline"](first, second),
        "version_0_0": nets["0.0"](first, second),
    }
    results |= {f"layer{number}": each for number, each in enumerate(net.distances(net.features(first), net.features(second)))}
    check_results(fixture, results, inputs)
    ours = lpips((first.detach() + 1) / 2, (second + 1) / 2, net)
    fixture.check("distance", ours.view(-1, 1, 1, 1))


def run_heads(fixture: Fixture) -> None:
    """That each published head has a place, that the catalog knows the file by its sum, and where it is here, what it holds."""
    for name, sha256 in fixture.call["sha256"].items():
        net = Path(name).stem
        entry = catalog.lookup(f"lpips-{net}")
        assert entry.sha256 == sha256
        published = {key.split("__")[1] for key in fixture.meta["outputs"] if key.startswith(f"{net}__")}
        assert published == {key for key in LPIPS(net).state_dict() if re.match(r"lin\d", key)}
        if entry.where != "missing":
            for key, value in read_state(entry.path).items():
                fixture.check(f"{net}__{key}", value.double().sum())


def run_dists(fixture: Fixture) -> None:
    net = load(fixture, DISTS())
    inputs = fixture.inputs()
    score = net(inputs["first"].requires_grad_(True), inputs["second"])
    check_results(fixture, {"score": score, "pool_filter": hanning(score)}, inputs)
    fixture.check("score", dists(inputs["first"].detach(), inputs["second"], net)[:, None])


def run_inception(fixture: Fixture) -> None:
    if fixture.is_key_table:
        check_keys(fixture, InceptionV3)
        return
    inputs = fixture.inputs()
    net, plain = load(fixture, InceptionV3()), load(fixture, InceptionV3("torchvision"))
    with torch.inference_mode():
        taps = net.taps(inception_input(inputs["picture"]))
        whole = net.taps(inception_input(inputs["uint8"], "torch-fidelity"))
        results = {f"pytorch_fid_{size}": taps[size] for size in taps} | {f"torch_fidelity_{size}": whole[size] for size in whole}
        results["torchvision_structure_2048"] = plain(inception_input(inputs["picture"]))
        results["torch_fidelity_logits_unbiased"] = net.logits(whole["2048"], bias=False)
        results["torch_fidelity_logits"] = net.logits(whole["2048"])
        results["pytorch_fid_2048_of_uint8"] = net(inception_input(inputs["uint8"]))
        results["tf1_resize"] = bilinear_tf1(inputs["uint8"][:1].double())
        results["torch_resize"] = (inception_input(inputs["uint8"][:1]) + 1) * 127.5
    check_results(fixture, results, inputs)


def run_resize(fixture: Fixture) -> None:
    for name, suffix in (("image", ""), ("large", "_down")):
        picture = fixture.inputs()[name].permute(2, 0, 1)[None]
        ways = {"clean": (inception_input(picture, "clean-fid") * 128 + 128), "legacy_pytorch": (inception_input(picture) + 1) * 127.5}
        for way, result in ways.items():
            fixture.check(way + suffix, result[0].permute(1, 2, 0))


# Sets of features, faces, colours, latents ---------------------------------------------------------------------------------------------


def run_frechet(fixture: Fixture) -> None:
    inputs, call = fixture.inputs(), fixture.call
    one, two = inputs["features_1"], inputs["features_2"]
    fid = Fid(fewest=2)
    for start in range(0, max(len(one), len(two)), 7):
        fid.update(one[start : start + 7], two[start : start + 7])
    for name in ("pytorch_fid", "basicsr", "clean_fid", "torch_fidelity"):
        fixture.check(name, fid.compute())
    rule = call["kid"]
    mean, deviation = kid(one, two, subsets=rule["subsets"], subset_size=rule["subset_size"], seed=rule["rng_seed"])
    fixture.check("kid_mean", mean)
    fixture.check("kid_std", deviation)
    rule = call["clean_fid_kid"]
    size, seed = min(len(one), len(two), rule["max_subset_size"]), rule["np.random.seed"]
    fixture.check("clean_fid_kid", kid(one, two, subsets=rule["num_subsets"], subset_size=size, seed=seed, restored_first=False)[0])
    least = min(len(one), len(two))
    fixture.check("mmd2_unbiased_all", mmd(one[:least], two[:least]))
    fixture.check("mmd2_biased_all", mmd(one[:least], two[:least], unbiased=False))
    for name, value in zip(("precision", "recall"), precision_recall(one, two), strict=True):
        fixture.check(name, value)
    for name, value in zip(("mean", "std"), inception_score(inputs["logits"]), strict=True):
        fixture.check(f"inception_score_{name}", value)


def run_identity(fixture: Fixture) -> None:
    net, inputs = load(fixture, ResNetArcFace()), fixture.inputs()
    first = inputs["first"].round().to(torch.uint8)
    second = (0.8 * first.double() + 0.2 * inputs["second"].double()).round().to(torch.uint8)
    training = replace(CONVENTIONS["gfpgan"], identity=replace(CONVENTIONS["gfpgan"].identity, whole_levels=False))
    ways: dict[str, str | Convention] = {"vqfr": "vqfr", "gfpgan_loss": training, "restoreformer": "restoreformer"}
    for way, convention in ways.items():
        shown = [arcface_input(picture, convention=convention) for picture in (first, second)]
        with torch.inference_mode():
            embedded = [net(each) for each in shown]
        fixture.check(f"{way}_input", shown[0])
        fixture.check(f"{way}_cosine", identity_similarity(embedded[0], embedded[1])[0])
        angle = identity_angle(embedded[0], embedded[1], convention=convention)[0]
        if way == "restoreformer":
            fixture.check(f"{way}_angle_rad", angle)
            fixture.check(f"{way}_angle_deg", angle.rad2deg())
        else:
            fixture.check(f"{way}_angle_deg", angle)
            fixture.check(f"{way}_angle_rad", angle.deg2rad())
        if way == "vqfr":
            fixture.check("embedding", embedded[0][0])


def run_landmarks(fixture: Fixture) -> None:
    inputs = fixture.inputs()
    points = [inputs[name] for name in ("pred_landmarks", "gt_landmarks")]
    points = [each[None] if each.ndim == 2 else each for each in points]
    fixture.check("lmd", landmark_distance(points[0], points[1]).mean())
    restored, truth = (inputs[name].permute(2, 0, 1)[None] for name in ("pred_picture", "gt_picture"))
    curve = colourization_curve(restored, truth)[0]
    fixture.check("auc_curve", curve)
    fixture.check("auc_mean", colourization_auc(restored, truth)[0])
    fixture.check("auc_trapezoid", torch.trapezoid(curve) / (len(curve) - 1))


def run_latents(fixture: Fixture) -> None:
    random, places = np.random.RandomState(2020), fixture.call["t"]
    a, b = latents(4, 8, random), latents(4, 8, random)
    unit = [latents(4, 8, np.random.RandomState(seed), unit=True) for seed in (1, 2)]
    fixture.check("sample_normal_a", a)
    fixture.check("unit_a", unit[0])
    fixture.check("lerp", interpolated(a, b, places["lerp"]))
    fixture.check("slerp_any", interpolated(a, b, places["slerp_any"], "slerp_any"))
    fixture.check("slerp_unit", interpolated(unit[0], unit[1], places["slerp_unit"], "slerp_unit"))


def run_imresize(fixture: Fixture) -> None:
    picture = pair(fixture)[0][0].float()
    for name in fixture.meta["outputs"]:
        scale = float(name.removeprefix("x").removesuffix("_noaa"))
        fixture.check(name, imresize(picture, scale, antialias=not name.endswith("_noaa")).permute(1, 2, 0))


def run_niqe(fixture: Fixture) -> None:
    model = NiqeModel.read(fixture.path.parent / "niqe_a.npz")  # the published parameters lie with that case
    first, second = pair(fixture)
    block = ((first[0, 1, :96, :96] * 255 - 128) / 40)[None]
    fixture.check("features_of_block", features_of_blocks(block)[0])
    fixture.check("aggd_of_block", torch.cat(asymmetric_fit(block.flatten(1))))
    ways = {
        "basicsr_y": ("basicsr", "y"),
        "basicsr_gray": ("basicsr", "gray"),
        "pyiqa_yiq": ("pyiqa", "yiq"),
        "pyiqa_ycbcr": ("pyiqa", "y"),
    }
    for way, (convention, channel) in ways.items():
        for name, picture in (("first", first), ("second", second)):
            value = niqe(picture, model, convention=convention, channel=channel, crop=fixture.call["crop_border"])[0]
            fixture.check(f"{way}_{name}", value)


RUNNERS: dict[str, Run] = {
    "psnr_ssim_": run_pair,
    "psnr_mean_var": run_matched,
    "lpips_heads": run_heads,
    "lpips_": run_lpips,
    "dists": run_dists,
    "inception_": run_inception,
    "cleanfid_resize": run_resize,
    "frechet": run_frechet,
    "identity_angle": run_identity,
    "landmark_distance_auc": run_landmarks,
    "ppl_latents": run_latents,
    "imresize": run_imresize,
    "niqe_": run_niqe,
}
