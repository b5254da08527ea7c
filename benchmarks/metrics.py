"""What do the metrics cost on a processor, against the published arithmetic picture by picture, in one run?

    python benchmarks/metrics.py [--pictures 8] [--side 512] [--threads 1] [--only ssim niqe lpips fid memory]

The rivals do what the published programs do, written anew from their description: OpenCV's 11 x 11 window for each of five maps of each
channel (SSIM); SciPy's window, a mask and a search through 9,801 shapes for each of five maps of each block (NIQE); a forward for
each pair (LPIPS); all features in a list, numpy's covariance and SciPy's root of a matrix (FID). Networks are filled, not learned;
speed does not depend on it. Both sides are timed in turns, several times, and the best of each is taken, in seconds of
the processor's time.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.metrics import Fid, NiqeModel, Statistics, inception_input, lpips, lpips_each, niqe, psnr, ssim
from facewright.metrics.fid import frechet_distance
from facewright.nets.inception import InceptionV3
from facewright.nets.lpips import LPIPS

Array = NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=8)
    parser.add_argument("--side", type=int, default=512)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--only", nargs="+", choices=tuple(BENCHMARKS), default=tuple(BENCHMARKS))
    parser.add_argument("--features", help=argparse.SUPPRESS)  # a child that measures its own memory
    given = parser.parse_args()
    if given.features:
        print(_peak_of(given.features))
        return
    torch.set_num_threads(given.threads)
    cv2.setNumThreads(given.threads)
    print("| what | pictures | literal, s | ours, s | times | difference |\n|---|---|---|---|---|---|")
    for name in given.only:
        BENCHMARKS[name](given)


def compare(what: str, count: int, runs: int, literal: Callable[[], float], ours: Callable[[], float]) -> None:
    """Time both in turns and print a line; each returns its number, so that it is seen that they compute the same."""
    best, numbers = [np.inf, np.inf], [0.0, 0.0]
    for _ in range(runs):
        for side, run in enumerate((literal, ours)):
            start = time.process_time()
            numbers[side] = run()
            best[side] = min(best[side], time.process_time() - start)
    print(
        f"| {what} | {count} | {best[0]:.3f} | {best[1]:.3f} | {best[0] / best[1]:.1f} | {abs(numbers[0] - numbers[1]):.1e} |", flush=True
    )


def photographs(count: int, side: int) -> tuple[Tensor, Tensor]:
    """Noise whose power falls with its frequency, and the same with some white noise; uint8."""
    random = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.fftfreq(side)[None])
    frequency[0, 0] = 1
    signal = np.fft.ifft2(np.fft.fft2(random.standard_normal((count, 3, side, side))) / frequency).real
    truth = np.clip(128 + 40 * signal / signal.std(), 0, 255)
    restored = np.clip(truth + 8 * random.standard_normal(truth.shape), 0, 255)
    return torch.from_numpy(restored).round().byte(), torch.from_numpy(truth).round().byte()


# SSIM and PSNR -------------------------------------------------------------------------------------------------------------------------


def benchmark_ssim(given: argparse.Namespace) -> None:
    restored, truth = photographs(given.pictures, given.side)
    arrays = [tensor.permute(0, 2, 3, 1).numpy() for tensor in (restored, truth)]
    for channel in ("rgb", "y"):
        compare(
            f"ssim[{channel}, basicsr]",
            given.pictures,
            given.runs,
            lambda channel=channel: float(np.mean([literal_ssim(*pair, channel) for pair in zip(*arrays, strict=True)])),
            lambda channel=channel: float(ssim(restored, truth, channel=channel).mean()),
        )
    compare(
        "psnr[rgb, basicsr]",
        given.pictures,
        given.runs,
        lambda: float(np.mean([literal_psnr(*pair) for pair in zip(*arrays, strict=True)])),
        lambda: float(psnr(restored, truth).mean()),
    )


def literal_psnr(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> float:
    return float(10 * np.log10(255**2 / np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)))


def literal_ssim(a: NDArray[np.uint8], b: NDArray[np.uint8], channel: str) -> float:
    if channel == "y":
        a, b = (np.dot(each.astype(np.float32) / 255, [65.481, 128.553, 24.966])[..., None] + 16 for each in (a, b))
    kernel = cv2.getGaussianKernel(11, 1.5)
    window = np.outer(kernel, kernel.T)

    def mean(x: Array) -> Array:
        return np.asarray(cv2.filter2D(x, -1, window)[5:-5, 5:-5])

    values = []
    for plane in range(a.shape[2]):
        x, y = a[..., plane].astype(np.float64), b[..., plane].astype(np.float64)
        mx, my = mean(x), mean(y)
        vx, vy, cov = mean(x**2) - mx**2, mean(y**2) - my**2, mean(x * y) - mx * my
        c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
        values.append((((2 * mx * my + c1) * (2 * cov + c2)) / ((mx**2 + my**2 + c1) * (vx + vy + c2))).mean())
    return float(np.mean(values))


# NIQE ----------------------------------------------------------------------------------------------------------------------------------


def benchmark_niqe(given: argparse.Namespace) -> None:
    pictures, _ = photographs(given.pictures, given.side)
    model = NiqeModel.bundled()
    arrays = pictures.permute(0, 2, 3, 1).numpy()
    compare(
        "niqe[faces, y, basicsr]",
        given.pictures,
        given.runs,
        lambda: float(np.mean([literal_niqe(one, model) for one in arrays])),
        lambda: float(niqe(pictures, model).mean()),
    )


def literal_niqe(picture: NDArray[np.uint8], model: NiqeModel) -> float:
    from scipy.ndimage import convolve

    luma = (np.dot(picture.astype(np.float32) / np.float32(255), [65.481, 128.553, 24.966]) + 16).astype(np.float32).round()
    rows, columns = (side // 96 for side in luma.shape)
    luma = luma[: rows * 96, : columns * 96]
    window = np.outer(model.weights, model.weights)
    scales = []
    for scale in (1, 2):
        mean = convolve(luma, window, mode="nearest")
        deviation = np.sqrt(np.abs(convolve(np.square(luma), window, mode="nearest") - np.square(mean)))
        normal, side = (luma - mean) / (deviation + 1), 96 // scale
        blocks = [(row * side, column * side) for column in range(columns) for row in range(rows)]
        scales.append(np.array([_literal_features(normal[y : y + side, x : x + side]) for y, x in blocks]))
        if scale == 1:
            luma = _literal_half(luma / 255) * 255
    found = np.concatenate(scales, axis=1)
    apart = model.mean.numpy() - np.nanmean(found, axis=0)
    spread = (model.covariance.numpy() + np.cov(found[~np.isnan(found).any(axis=1)], rowvar=False)) / 2
    return float(np.sqrt(apart @ np.linalg.pinv(spread) @ apart))


def _literal_features(block: NDArray[np.float32]) -> list[float]:
    from scipy.special import gamma

    alpha, left, right = _literal_fit(block)
    features = [alpha, (left + right) / 2]
    for shift in ((0, 1), (1, 0), (1, 1), (1, -1)):
        alpha, left, right = _literal_fit(block * np.roll(block, shift, axis=(0, 1)))
        features += [alpha, (right - left) * gamma(2 / alpha) / gamma(1 / alpha), left, right]
    return features


def _literal_fit(block: NDArray[np.float32]) -> tuple[float, float, float]:
    from scipy.special import gamma

    x = block.ravel()
    shapes = np.arange(0.2, 10.001, 0.001)
    moments = np.square(gamma(2 / shapes)) / (gamma(1 / shapes) * gamma(3 / shapes))
    left, right = np.sqrt(np.mean(x[x < 0] ** 2)), np.sqrt(np.mean(x[x > 0] ** 2))
    ratio = left / right
    target = np.mean(np.abs(x)) ** 2 / np.mean(x**2) * (ratio**3 + 1) * (ratio + 1) / (ratio**2 + 1) ** 2
    alpha = shapes[np.argmin((moments - target) ** 2)]
    scale = np.sqrt(gamma(1 / alpha) / gamma(3 / alpha))
    return float(alpha), float(left * scale), float(right * scale)


def _literal_half(x: NDArray[np.float32]) -> NDArray[np.float32]:
    """A product of a matrix and a vector for each row, then for each column."""
    weights = torch.tensor([-3, -9, 29, 111, 111, 29, -9, -3]) / 256
    for _ in range(2):
        wide = torch.from_numpy(np.pad(x, ((3, 3), (0, 0)), mode="symmetric"))
        x = torch.stack([wide[2 * row : 2 * row + 8].T.mv(weights) for row in range(len(x) // 2)], dim=1).numpy()
    return x


# LPIPS ---------------------------------------------------------------------------------------------------------------------------------


def benchmark_lpips(given: argparse.Namespace) -> None:
    for trunk, side in (("alex", 64), ("alex", given.side // 2), ("squeeze", given.side // 2), ("vgg", given.side // 4)):
        restored, truth = (tensor.float() / 255 for tensor in photographs(given.pictures, side))
        network = LPIPS(trunk).eval()

        def literal(network: LPIPS = network, restored: Tensor = restored, truth: Tensor = truth) -> float:
            with torch.no_grad():
                pairs = zip(2 * restored - 1, 2 * truth - 1, strict=True)
                return float(np.mean([float(_literal_lpips(network, a[None], b[None])) for a, b in pairs]))

        def three(network: LPIPS = network, restored: Tensor = restored, truth: Tensor = truth) -> float:
            restorations = [restored, restored.flip(0), restored.flip(3)]
            return float(torch.cat(lpips_each(restorations, truth, network)).mean())

        def literal_three(network: LPIPS = network, restored: Tensor = restored, truth: Tensor = truth) -> float:
            return float(np.mean([literal(network, each, truth) for each in (restored, restored.flip(0), restored.flip(3))]))

        compare(
            f"lpips[{trunk}], {side} px",
            given.pictures,
            given.runs,
            literal,
            lambda network=network, restored=restored, truth=truth: float(lpips(restored, truth, network).mean()),
        )
        compare(f"lpips[{trunk}], {side} px, three restorations", 3 * given.pictures, given.runs, literal_three, three)


def _literal_lpips(network: LPIPS, a: Tensor, b: Tensor) -> Tensor:
    """Each picture through the trunk, each tap through its head at every place, then the mean over the places."""
    total = torch.zeros(1)
    x, y = network.scaling_layer(a), network.scaling_layer(b)
    for number, part in enumerate(network.net.values()):
        x, y = part(x), part(y)
        u, v = (each / (torch.sqrt(torch.sum(each**2, dim=1, keepdim=True)) + 1e-10) for each in (x, y))
        total = total + network.lins[number]((u - v) ** 2).mean([2, 3])
    return total


# FID -----------------------------------------------------------------------------------------------------------------------------------


def benchmark_fid(given: argparse.Namespace) -> None:
    from scipy.linalg import sqrtm

    random = np.random.default_rng(0)
    count, size = 2500, 2048
    mixing = random.standard_normal((size, size)) / size**0.5 + np.eye(size)
    sets = [(random.standard_normal((count, size)) @ mixing + shift).astype(np.float32) for shift in (0, 0.1)]

    def literal() -> float:
        (m1, s1), (m2, s2) = (
            (np.mean(rows, axis=0), np.cov(rows, rowvar=False))
            for rows in (np.concatenate([part.astype(np.float64) for part in np.array_split(one, count // 32)]) for one in sets)
        )
        return float((m1 - m2) @ (m1 - m2) + np.trace(s1) + np.trace(s2) - 2 * np.trace(np.real(sqrtm(s1 @ s2))))

    def ours() -> float:
        fid = Fid()
        for parts in zip(*(np.array_split(one, count // 32) for one in sets), strict=True):
            fid.update(torch.from_numpy(parts[0]), torch.from_numpy(parts[1]))
        return fid.compute()

    compare("fid[2048], statistics and distance", count, 1, literal, ours)
    network, (pictures, _) = InceptionV3().eval(), photographs(max(2, given.pictures // 2), 256)

    def each() -> float:
        with torch.no_grad():
            return float(np.mean([float(network(inception_input(one[None])).mean()) for one in pictures]))

    def together() -> float:
        with torch.inference_mode():
            return float(network(inception_input(pictures).contiguous(memory_format=torch.channels_last)).mean())

    compare("inception[2048] features", len(pictures), given.runs, each, together)


def benchmark_memory(given: argparse.Namespace) -> None:
    """The peak of two children, of which one sees ten times as many features."""
    del given
    for way in ("ours", "list"):
        peaks = [subprocess.check_output([sys.executable, __file__, "--features", f"{way}:{count}"], text=True) for count in (2000, 40000)]
        print(f"memory of FID's statistics, {way}: {' MB for 2,000 pictures, '.join(peak.strip() for peak in peaks)} MB for 40,000")


def _peak_of(what: str) -> int:
    way, count = what.split(":")
    fid, kept = Fid(fewest=2), []
    for seed in range(int(count) // 50):
        rows = torch.randn(50, 2048, generator=torch.Generator().manual_seed(seed))
        if way == "ours":
            fid.update(rows)
        else:
            kept.append(rows.numpy())
    statistics = fid.statistics(fid.restored) if way == "ours" else None
    if statistics is None:
        features = np.concatenate(kept)
        statistics = Statistics(torch.from_numpy(features.mean(0)), torch.from_numpy(np.cov(features, rowvar=False)))
    assert frechet_distance(statistics, statistics) == 0
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


BENCHMARKS: dict[str, Callable[[argparse.Namespace], None]] = {
    "ssim": benchmark_ssim,
    "niqe": benchmark_niqe,
    "lpips": benchmark_lpips,
    "fid": benchmark_fid,
    "memory": benchmark_memory,
}

if __name__ == "__main__":
    main()
