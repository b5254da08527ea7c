"""What does it cost to enlarge a photo with Real-ESRGAN on a processor, and how far do tiles differ from the whole?

    python benchmarks/background.py network [--side 128] [--runs 3]      the published arithmetic against ours, in one run
    python benchmarks/background.py photo [--megapixels 1] [--small]     time and memory of a whole photo, x2plus and x4plus
    python benchmarks/background.py overlap [--model FILE] [--small]     the largest difference at the seams, by overlap

Without --model the networks have the published sizes and weights that were filled, not learned; speed and memory do not depend on
them, seams do. --small takes seconds: a sixteenth of the photo, its time scaled up (the memory is that of the small one).
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from facewright.media import read
from facewright.nets.realesrgan import RRDBNet, SRVGGNetCompact, prepare
from facewright.restore.background import Upscaler
from facewright.weights import load_model

State = dict[str, Tensor]
PHOTO = Path(__file__).resolve().parents[1] / "examples" / "astronaut-faded.jpg"


def published(state: State, x: Tensor) -> Tensor:
    """The forward of the published x4 program over a state dict, literally: concatenations, NCHW, enlarge and convolve."""

    def conv(name: str, x: Tensor) -> Tensor:
        return F.conv2d(x, state[f"{name}.weight"], state[f"{name}.bias"], 1, 1)

    feat = conv("conv_first", x)
    body = feat
    blocks = 1 + max(int(name.split(".")[1]) for name in state if name.startswith("body."))
    for b in range(blocks):
        y = body
        for r in (1, 2, 3):
            grown = [y]
            for k in (1, 2, 3, 4):
                grown.append(F.leaky_relu(conv(f"body.{b}.rdb{r}.conv{k}", torch.cat(grown, 1)), 0.2, inplace=True))
            y = conv(f"body.{b}.rdb{r}.conv5", torch.cat(grown, 1)) * 0.2 + y
        body = y * 0.2 + body
    feat = feat + conv("conv_body", body)
    feat = F.leaky_relu(conv("conv_up1", F.interpolate(feat, scale_factor=2, mode="nearest")), 0.2, inplace=True)
    feat = F.leaky_relu(conv("conv_up2", F.interpolate(feat, scale_factor=2, mode="nearest")), 0.2, inplace=True)
    return conv("conv_last", F.leaky_relu(conv("conv_hr", feat), 0.2, inplace=True))


def filled(scale: int) -> RRDBNet:
    """The published size; weights under which signals keep their size, and a picture of middle greys comes out."""
    net, random = RRDBNet(scale=scale).eval(), torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in net.parameters():
            gain = parameter[0].numel() ** -0.5 if parameter.ndim == 4 else 0.1
            parameter.copy_(gain * torch.randn(parameter.shape, generator=random))
        std, mean = torch.std_mean(prepare(net)(as_tensor(photo(64, 64))), dim=(0, 2, 3))
        net.conv_last.weight.mul_((0.2 / std)[:, None, None, None])
        assert net.conv_last.bias is not None
        net.conv_last.bias.sub_(mean).mul_(0.2 / std).add_(0.5)
    return net


def photo(height: int, width: int) -> NDArray[np.uint8]:
    """A photograph, repeated to any size."""
    picture = read(PHOTO).pixels[160:560, 120:520]
    times = -(-height // 400), -(-width // 400), 1
    return np.asarray(np.tile(picture, times)[:height, :width])


def as_tensor(picture: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None].float() / 255


@torch.inference_mode()
def network(side: int, runs: int) -> None:
    net, x = filled(4), as_tensor(photo(side, side))
    state, fast, half = net.state_dict(), prepare(net), prepare(net, torch.bfloat16)
    variants: dict[str, Callable[[], Tensor]] = {
        "published arithmetic, fp32": lambda: published(state, x),
        "RRDBNet, fp32": lambda: net(x),
        "prepared, fp32": lambda: fast(x),
        "prepared, bf16": lambda: half(x),
    }
    print(f"RealESRGAN_x4plus, {side} x {side} px, {torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}")
    busy: dict[str, list[float]] = {name: [] for name in variants}
    outputs: dict[str, Tensor] = {}
    for turn in range(runs + (runs > 1)):
        for name, run in variants.items():
            began = time.process_time()
            outputs[name] = run()
            if turn or runs == 1:
                busy[name].append(time.process_time() - began)
    rival, *_ = variants
    print(f"{'':28}{'CPU seconds':>12}{'times faster':>14}{'off by (levels of 255), max':>30}{'mean':>10}")
    for name in variants:
        faster = statistics.median(theirs / ours for theirs, ours in zip(busy[rival], busy[name], strict=True))
        off = (outputs[name] - outputs[rival]).abs() * 255
        print(f"{name:28}{statistics.median(busy[name]):12.2f}{faster:14.2f}{off.max():30.4f}{off.mean():10.4f}")


def one_photo(scale: int, megapixels: float, precision: str) -> None:
    """Prints what one photo cost as JSON; in a process of its own, whose peak memory it is."""
    height = round((megapixels * 1e6 * 3 / 4) ** 0.5)
    picture = photo(height, height * 4 // 3)
    upscaler = Upscaler(RRDBNet(scale=scale).eval(), precision=precision)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    tiles: list[int] = []
    began, worked = time.perf_counter(), time.process_time()
    upscaler.enlarge(picture, scale, on_tile=lambda done, total: tiles.append(done))
    figures = {
        "tiles": len(tiles),
        "wall": time.perf_counter() - began,
        "cpu": time.process_time() - worked,
        "before_mib": before / 1024,
        "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "result_mib": picture.nbytes * scale**2 / 2**20,
    }
    print(json.dumps(figures))


def photos(megapixels: float, small: bool, scales: list[int], precisions: list[str], threads: int) -> None:
    times = 16 if small else 1
    computed = ", computed for a sixteenth of it" if small else ""
    print(f"one photo of {megapixels:g} megapixels{computed}; {threads} threads, torch {torch.__version__}, {platform.machine()}")
    print("memory without interpreter, libraries and weights")
    print(f"{'':14}{'tiles':>6}{'wall s':>9}{'CPU s':>9}{'MiB at the peak':>17}{'of them the result':>20}")
    for precision in precisions:
        for scale in scales:
            asked = ["one-photo", "--scale", str(scale), "--megapixels", str(megapixels / times), "--precision", precision]
            done = subprocess.run(
                [sys.executable, __file__, *asked, "--threads", str(threads)], check=True, stdout=subprocess.PIPE, text=True
            )
            f = json.loads(done.stdout)
            print(
                f"x{scale}plus, {precision}{f['tiles']:6}{f['wall'] * times:9.0f}{f['cpu'] * times:9.0f}"
                f"{f['peak_mib'] - f['before_mib']:17.0f}{f['result_mib']:20.0f}",
                flush=True,
            )


def overlaps(model: str | None, small: bool) -> None:
    """Two by two tiles against the whole photo, 16 bits so that rounding does not hide the difference."""
    side = 64 if small else 160
    picture = photo(side, side).astype(np.uint16) * 257
    for scale in (None,) if model else (2, 4):
        net = load_model(str(model)).net if scale is None else filled(scale)
        assert isinstance(net, (RRDBNet, SRVGGNetCompact)), f"{model} does not enlarge photos"
        name = model if scale is None else f"filled x{scale}"
        print(f"{name}: difference between two by two tiles and {side} x {side} px at once, levels of 255")
        print("overlap in the body      max     mean")
        for overlap in (4, 8, 16) if small else (4, 8, 12, 16, 24, 32):
            upscaler = Upscaler(net)
            upscaler.overlap = overlap * upscaler.multiple
            whole, tiled = (upscaler.enlarge(picture, upscaler.scale, tile=tile).astype(np.float64) / 257 for tile in (0, side // 2))
            off = np.abs(whole - tiled)
            print(f"{overlap:16} px{off.max():9.3f}{off.mean():9.5f}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["network", "photo", "overlap", "one-photo"])
    parser.add_argument("--side", type=int, default=128, help="of the network's input (default 128)")
    parser.add_argument("--runs", type=int, default=3, help="rounds after one for warming up (default 3); 1: no warming up")
    parser.add_argument("--threads", type=int, default=1, help="threads of PyTorch (default 1)")
    parser.add_argument("--megapixels", type=float, default=1.0, help="of the photo (default 1)")
    parser.add_argument("--precision", action="append", choices=["fp32", "bf16"], help="default: both")
    parser.add_argument("--scale", type=int, action="append", choices=[2, 4], help="default: both")
    parser.add_argument("--model", help="weight file whose seams are measured")
    parser.add_argument("--small", action="store_true", help="seconds instead of minutes")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    precisions, scales = options.precision or ["fp32", "bf16"], options.scale or [2, 4]
    if options.what == "network":
        network(options.side, options.runs)
    elif options.what == "overlap":
        overlaps(options.model, options.small)
    elif options.what == "photo":
        photos(options.megapixels, options.small, scales, precisions, options.threads)
    else:
        one_photo(scales[0], options.megapixels, precisions[0])


if __name__ == "__main__":
    main()
