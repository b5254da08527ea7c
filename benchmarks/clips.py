"""Clips end to end against a frame-by-frame loop over `Restorer.restore`, on the same clip in the same run; and how calm the faces are.

    python benchmarks/clips.py [--photo FILE] [--frames 50] [--size 640 360] [--rounds 1] [--model gfpgan-mini]

The loop is what one writes without this: each frame to a PNG, each PNG through `Restorer.restore`, each result to a PNG, the PNGs encoded
as the clip is. Both use one Restorer, so loading it counts for neither. The clip: a camera pans over a photograph, comes nearer and shakes,
each frame with blur and noise of its own. Prints seconds (the best of the rounds), their ratio, the most memory above the loaded
networks, how many frames were alive at once, and the flicker of the input, of the loop, and of the clip with and without --steady.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from skimage import data

from facewright.faces import Face, align, ellipse_mask
from facewright.faces.track import Tracker
from facewright.faces.warp import finer
from facewright.media import read, write
from facewright.media.clips import ClipReader, ClipWriter, Frame
from facewright.metrics import Flicker
from facewright.restore import Restorer
from facewright.restore.clips import restore_clip

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "e2e"))

Pixels = NDArray[Any]


def main() -> None:
    from scenes import camera_over, film

    words = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    words.add_argument("--photo", type=Path)
    words.add_argument("--frames", type=int, default=50)
    words.add_argument("--size", type=int, nargs=2, default=(640, 360))
    words.add_argument("--rounds", type=int, default=1)
    words.add_argument("--model", default="gfpgan-mini")
    asked = words.parse_args()
    photo = np.ascontiguousarray(data.astronaut()[:320, 70:380]) if asked.photo is None else read(asked.photo).pixels
    restorer = Restorer(model=asked.model)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        source = film(folder / "clip.mp4", camera_over(photo, asked.frames, size=tuple(asked.size)))
        restore_clip(film(folder / "warm.mp4", camera_over(photo, 8)), folder / "warm-out.mp4", restorer)  # what a first call costs
        seconds: dict[str, list[float]] = {}
        for _ in range(asked.rounds):
            for name, work in ways(folder, source, restorer).items():
                started, worked = time.perf_counter(), time.process_time()
                peak = watched(work)
                seconds.setdefault(name, []).append(time.perf_counter() - started)
                worked = time.process_time() - worked
                print(f"{name:14s} {seconds[name][-1]:7.1f} s, {worked:.1f} s of processors, memory +{peak / 1e6:.0f} MB", flush=True)
        best = {name: min(each) for name, each in seconds.items()}
        print(f"\n{asked.frames} frames of {asked.size[0]} x {asked.size[1]}, {asked.model}")
        print(f"clip {best['clip']:.1f} s, frame by frame {best['loop']:.1f} s: {best['loop'] / best['clip']:.2f} times as fast")
        print(f"most frames alive at once: {most_alive(folder, source, restorer)}")
        print("\n| | flicker[motion] |\n|---|---|")
        for name, value in flickers(folder, source, restorer).items():
            print(f"| {name} | {value:.2f} |")


def ways(folder: Path, source: Path, restorer: Restorer) -> dict[str, Callable[[], object]]:
    return {
        "loop": lambda: frame_by_frame(source, folder / "loop.mp4", restorer),
        "clip": lambda: restore_clip(source, folder / "out.mp4", restorer, resume=False),
        "clip, unsteady": lambda: restore_clip(source, folder / "unsteady.mp4", restorer, steady=False, resume=False),
    }


def frame_by_frame(source: Path, target: Path, restorer: Restorer) -> None:
    with tempfile.TemporaryDirectory() as place, ClipReader(source) as reader:
        times = []
        for frame in reader:
            cv2.imwrite(f"{place}/{frame.index:06d}.png", frame.pixels[..., ::-1])
            times.append(frame.pts)
        names = [f"{place}/{index:06d}.png" for index in range(len(times))]
        for name, restoration in zip(names, restorer.restore(names), strict=True):
            write(restoration.photo, Path(name.replace(".png", "-restored.png")))
        with ClipWriter(target, reader.info, resume=False) as writer:
            for name, pts in zip(names, times, strict=True):
                writer.write(cv2.imread(name.replace(".png", "-restored.png"))[..., ::-1], pts)


def watched(work: Callable[[], object]) -> int:
    """The most bytes that the process held above what it held before."""
    before, peak, over = resident(), 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not over.wait(0.02):
            peak = max(peak, resident() - before)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    work()
    over.set()
    thread.join()
    return peak


def resident() -> int:
    try:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
    except OSError:
        return 0


def most_alive(folder: Path, source: Path, restorer: Restorer) -> int:
    alive: weakref.WeakSet[Frame] = weakref.WeakSet()
    plain, peak = ClipReader.frames, 0

    def counted(reader: ClipReader, start: int = 0) -> Iterator[Frame]:
        for frame in plain(reader, start):
            alive.add(frame)
            yield frame
            del frame

    def look(done: int, total: int | None) -> None:
        nonlocal peak
        peak = max(peak, len(alive))

    setattr(ClipReader, "frames", counted)  # noqa: B010
    try:
        restore_clip(source, folder / "counted.mp4", restorer, resume=False, on_progress=look)
    finally:
        setattr(ClipReader, "frames", plain)  # noqa: B010
    return peak


def flickers(folder: Path, source: Path, restorer: Restorer) -> dict[str, float]:
    """Of the files as they were written, by one measure at the same places: where the faces of the input are."""
    with ClipReader(source) as reader:
        damaged = [frame.pixels for frame in reader]
    places = []
    for pixels in damaged:
        face = max(restorer.detector.detect(pixels), key=lambda each: each.score)
        places.append(face.landmarks)
    tracker = Tracker(25.0)
    moments = [moment for points in places for moment in tracker.add([Face(box_of(points), points, 1.0)])] + tracker.finish()
    mask, side = ellipse_mask(128), 128
    told: dict[str, float] = {}
    for name, path in {
        "frame by frame": "loop.mp4",
        "clip, --no-steady": "unsteady.mp4",
        "clip": "out.mp4",
    }.items():
        meter = Flicker()
        with ClipReader(folder / path) as reader:
            for moment, before, after in zip(moments, damaged, reader, strict=True):
                affine = moment.faces[0].face.affine
                assert affine is not None
                crop, restored = (align(each, finer(affine, side / 512), side) for each in (before, after.pixels))
                meter.add(0, moment.index, crop, restored, mask)
        told.setdefault("input", meter.before or 0.0)
        told[name] = meter.after or 0.0
    return told


def box_of(points: NDArray[np.float64]) -> NDArray[np.float64]:
    reach = 1.2 * np.linalg.norm(points[1] - points[0])
    return np.concatenate([points[2] - reach, points[2] + reach])


if __name__ == "__main__":
    main()
