"""How fast is one face through GFPGAN or CodeFormer on a CPU? The published arithmetic against ours, in fp32 and bf16, in one run.

    python benchmarks/network.py [gfpgan] [--runs 3] [--threads N] [--size 512]
    python benchmarks/network.py codeformer [--w 0.5] [--memory]

The rivals compute what the published programs compute, in their way, with the plain network's weights: GFPGAN "clean" below, a weight per
sample, grouped convolutions, NCHW, fp32, the noise of the file; CodeFormer in published_codeformer.py. Weights are random but scaled so
that the output has the range of a picture. Each round runs every variant once, so that a busy machine is equally unfair to all; ratios
are taken within a round. --memory: what each variant of CodeFormer needs, in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import math
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from facewright.nets.codeformer import CodeFormer
from facewright.nets.codeformer import prepare as prepare_codeformer
from facewright.nets.gfpgan import GFPGAN, prepare
from published_codeformer import PublishedCodeFormer, random_codeformer

State = dict[str, Tensor]
Variants = dict[str, Callable[[], Tensor]]
TO_RGB_GAIN = 0.32  # gives the output the standard deviation of a photograph, about 0.5


class Published:
    """The forward of the published program over a state dict, literally."""

    def __init__(self, state: State, out_size: int) -> None:
        self.state, self.log_size = state, int(math.log2(out_size))

    def __call__(self, x: Tensor) -> Tensor:
        s, levels = self.state, self.log_size - 2
        feat = F.leaky_relu(F.conv2d(x, s["conv_body_first.weight"], s["conv_body_first.bias"]), 0.2)
        skips: list[Tensor] = []
        for j in range(levels):
            feat = self.block(f"conv_body_down.{j}", feat, 0.5)
            skips.insert(0, feat)
        feat = F.leaky_relu(self.conv("final_conv", feat), 0.2)
        style = F.linear(feat.flatten(1), s["final_linear.weight"], s["final_linear.bias"]).view(x.shape[0], 2 * self.log_size - 2, -1)
        conditions = []
        for j in range(levels):
            feat = self.block(f"conv_body_up.{j}", feat + skips[j], 2)
            for kind in ("scale", "shift"):
                name = f"condition_{kind}.{j}"
                conditions.append(self.conv(f"{name}.2", F.leaky_relu(self.conv(f"{name}.0", feat), 0.2)))
        return self.decode(style, conditions)

    def decode(self, style: Tensor, conditions: list[Tensor]) -> Tensor:
        constant = self.state["stylegan_decoder.constant_input.weight"].repeat(style.shape[0], 1, 1, 1)
        out = self.style_conv("style_conv1", constant, style[:, 0], 0, False)
        rgb = self.to_rgb("to_rgb1", out, style[:, 1], None)
        for j in range(self.log_size - 2):
            i = 2 * j + 1
            out = self.style_conv(f"style_convs.{i - 1}", out, style[:, i], i, True)
            same, sft = torch.split(out, out.size(1) // 2, dim=1)
            out = torch.cat([same, sft * conditions[i - 1] + conditions[i]], dim=1)
            out = self.style_conv(f"style_convs.{i}", out, style[:, i + 1], i + 1, False)
            rgb = self.to_rgb(f"to_rgbs.{j}", out, style[:, i + 2], rgb)
        return rgb

    def conv(self, name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"], padding=1)

    def block(self, name: str, x: Tensor, factor: float) -> Tensor:
        out = F.leaky_relu(self.conv(f"{name}.conv1", x), 0.2)
        out = F.interpolate(out, scale_factor=factor, mode="bilinear", align_corners=False)
        out = F.leaky_relu(self.conv(f"{name}.conv2", out), 0.2)
        x = F.interpolate(x, scale_factor=factor, mode="bilinear", align_corners=False)
        return out + F.conv2d(x, self.state[f"{name}.skip.weight"])

    def modulated(self, name: str, x: Tensor, style: Tensor, up: bool, demodulate: bool) -> Tensor:
        weight = self.state[f"{name}.weight"]
        n, (_, out_channels, in_channels, k, _) = x.shape[0], weight.shape
        s = F.linear(style, self.state[f"{name}.modulation.weight"], self.state[f"{name}.modulation.bias"])
        weight = weight * s.view(n, 1, in_channels, 1, 1)
        if demodulate:
            weight = weight * torch.rsqrt(weight.pow(2).sum([2, 3, 4]) + 1e-8).view(n, out_channels, 1, 1, 1)
        weight = weight.view(n * out_channels, in_channels, k, k)
        if up:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        out = F.conv2d(x.reshape(1, n * in_channels, *x.shape[2:]), weight, padding=k // 2, groups=n)
        return out.view(n, out_channels, *x.shape[2:])

    def style_conv(self, name: str, x: Tensor, style: Tensor, noise: int, up: bool) -> Tensor:
        name, s = f"stylegan_decoder.{name}", self.state
        out = self.modulated(f"{name}.modulated_conv", x, style, up, True) * 2**0.5
        out = out + s[f"{name}.weight"] * s[f"stylegan_decoder.noises.noise{noise}"] + s[f"{name}.bias"]
        return F.leaky_relu(out, 0.2)

    def to_rgb(self, name: str, x: Tensor, style: Tensor, skip: Tensor | None) -> Tensor:
        name = f"stylegan_decoder.{name}"
        out = self.modulated(f"{name}.modulated_conv", x, style, False, False) + self.state[f"{name}.bias"]
        return out if skip is None else out + F.interpolate(skip, scale_factor=2, mode="bilinear", align_corners=False)


def random_state(net: GFPGAN, seed: int = 0) -> State:
    """Random weights under which signals keep their size and the output is about as bright as a picture."""
    random = torch.Generator().manual_seed(seed)
    state = {}
    for name, value in net.state_dict().items():
        center, gain, fan_in = 0.0, 1.0, value.shape[2:].numel() if value.ndim == 5 else value.shape[1:].numel()
        if name.endswith("bias") or "noises" in name or "constant_input" in name or value.numel() == 1:
            fan_in, gain = 1, 1.0 if "noises" in name or "constant_input" in name else 0.05
        elif "modulation" in name or (name.startswith("condition") and ".2." in name):
            gain = 0.3
        elif "to_rgb" in name:
            gain = TO_RGB_GAIN
        elif "skip" in name:
            gain = 0.7
        if name.endswith("modulation.bias") or (name.startswith("condition_scale") and name.endswith("2.bias")):
            center = 1.0
        state[name] = center + gain / math.sqrt(fan_in) * torch.randn(value.shape, generator=random)
    return state


def picture(size: int) -> Tensor:
    """A smooth, colourful 1 x 3 x size x size in [-1, 1]."""
    y, x = torch.meshgrid(torch.linspace(0, 1, size), torch.linspace(0, 1, size), indexing="ij")
    return torch.stack([torch.sin(9 * y + 4 * x), torch.cos(7 * x - 3 * y), torch.sin(20 * x * y)])[None]


def gfpgan_variants(size: int) -> Variants:
    net = GFPGAN(out_size=size).eval()
    state, x = random_state(net), picture(size)
    net.load_state_dict(state)
    quiet: dict[str, bool] = {"return_rgb": False, "randomize_noise": False}
    literal, exact, half = Published(state, size), prepare(net), prepare(net, torch.bfloat16)
    return {
        "published arithmetic, fp32": lambda: literal(x),
        "GFPGAN, fp32": lambda: net(x, **quiet)[0],
        "prepared, fp32": lambda: exact(x, **quiet)[0],
        "prepared, bf16": lambda: half(x, **quiet)[0],
    }


def codeformer_variants(size: int, w: float, only: str = "") -> Variants:
    """only: the name of one; the weights of the others are let go."""
    net = CodeFormer(img_size=size).eval()
    state, x = random_codeformer(net), picture(size)
    net.load_state_dict(state)
    literal = PublishedCodeFormer(state, net)
    made: dict[str, Callable[[], Callable[[], Tensor]]] = {
        "published arithmetic, fp32": lambda: partial(literal, x, w, adain=True),
        "CodeFormer, fp32": lambda: partial(net, x, w),
        "prepared, fp32": lambda: partial(prepare_codeformer(net), x, w),
        "prepared, bf16": lambda: partial(prepare_codeformer(net, torch.bfloat16), x, w),
    }
    if not only:
        tell_codes(literal, net, x, w)
    return {name: make() for name, make in made.items() if only in ("", name)}


def tell_codes(literal: PublishedCodeFormer, net: CodeFormer, x: Tensor, w: float) -> None:
    """Prints how far the codes are from being others: they have to be the same."""
    literal(x, 0.0)
    best = literal.logits.topk(2, dim=2).values
    margin = (best[..., 0] - best[..., 1]).min()
    ours = prepare_codeformer(net, torch.bfloat16).predict(x).logits
    other, off = (ours.argmax(dim=2) != literal.logits.argmax(dim=2)).sum(), (ours - literal.logits).abs().max()
    print(f"{other} of {best.shape[1]} codes differ; the closest decision is by {margin:.1e}, scores are off by {off:.1e} at most")


def peaks(size: int, w: float) -> None:
    """Prints the resident memory of each variant before and at the peak of a second face. Linux only."""
    print(f"{'':28}{'MiB with weights':>18}{'at the peak':>14}")
    for name in ("published arithmetic, fp32", "CodeFormer, fp32", "prepared, fp32", "prepared, bf16"):
        asked = [sys.executable, __file__, "codeformer", "--only", name, "--size", str(size), "--w", str(w), "--threads", "1"]
        before, peak = subprocess.run(asked, check=True, stdout=subprocess.PIPE, text=True).stdout.split()[-2:]
        print(f"{name:28}{int(before) / 1024:18.0f}{int(peak) / 1024:14.0f}", flush=True)


def one_peak(size: int, w: float, name: str) -> None:
    (run,) = codeformer_variants(size, w, name).values()
    gc.collect()
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    run()
    print(before, resident("VmHWM"))


def resident(kind: str) -> int:
    """KiB."""
    return int(Path("/proc/self/status").read_text().split(f"{kind}:")[1].split()[0])


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("network", nargs="?", choices=["gfpgan", "codeformer"], default="gfpgan")
    parser.add_argument("--runs", type=int, default=3, help="rounds after one for warming up (default 3)")
    parser.add_argument("--threads", type=int, default=None, help="threads of PyTorch (default: its own choice)")
    parser.add_argument("--size", type=int, default=512, help="side of the face (default 512, the published size)")
    parser.add_argument("--w", type=float, default=0.5, help="of CodeFormer (default 0.5, as published)")
    parser.add_argument("--memory", action="store_true", help="of CodeFormer, instead of speed")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    if options.only:
        return one_peak(options.size, options.w, options.only)
    if options.memory:
        return peaks(options.size, options.w)

    told = f"{options.size} px, one face, {torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}"
    if options.network == "gfpgan":
        print(f"GFPGAN clean, {told}")
        compare(gfpgan_variants(options.size), options.runs)
    else:
        print(f"CodeFormer, w = {options.w:g}, {told}")
        compare(codeformer_variants(options.size, options.w), options.runs)


def compare(variants: Variants, runs: int) -> None:
    """Prints time and difference from the first variant."""
    wall: dict[str, list[float]] = {name: [] for name in variants}
    busy: dict[str, list[float]] = {name: [] for name in variants}
    outputs: dict[str, Tensor] = {}
    for turn in range(runs + 1):
        for name, run in variants.items():
            began, worked = time.perf_counter(), time.process_time()
            outputs[name] = run()
            if turn:
                wall[name].append(time.perf_counter() - began)
                busy[name].append(time.process_time() - worked)

    rival, *_ = variants
    truth = outputs[rival]
    print(f"output: mean {truth.mean():+.2f}, std {truth.std():.2f}, within [{truth.min():.2f}, {truth.max():.2f}]\n")
    print(f"{'':28}{'seconds':>16}{'times faster':>16}{'CPU seconds':>16}{'times faster':>16}{'off by (levels of 255)':>26}")
    print(f"{'':28}{'min    median':>16}{'median':>16}{'median':>16}{'median':>16}{'max      mean':>26}")
    for name in variants:
        speed = statistics.median(theirs / ours for theirs, ours in zip(wall[rival], wall[name], strict=True))
        thrift = statistics.median(theirs / ours for theirs, ours in zip(busy[rival], busy[name], strict=True))
        off = (outputs[name] - truth).abs() * 127.5
        print(
            f"{name:28}{min(wall[name]):8.2f}{statistics.median(wall[name]):8.2f}{speed:16.2f}{statistics.median(busy[name]):16.2f}{thrift:16.2f}"
            f"{off.max():17.5f}{off.mean():9.5f}"
        )


if __name__ == "__main__":
    main()
