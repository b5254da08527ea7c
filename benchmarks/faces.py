"""Time and memory of finding, aligning and pasting faces, against the published full-frame paste.

    python benchmarks/faces.py                    # 2 and 24 MP, 1, 5 and 20 faces: a Markdown table
    python benchmarks/faces.py --megapixels 24 --faces 1
    python benchmarks/faces.py --retinaface       # RetinaFace with random weights: what a look costs, ours and the published whole photo
    python benchmarks/faces.py --recall           # what is found in real photos, and how small; needs the data folder

Each figure comes from a fresh process with one thread: the best of a few runs, and how far the resident memory rose above what it was
before. The photo is made of the astronaut portrait of scikit-image (NASA, public domain). The rival, `paste_full_frame`, does what the
published program does at upscale 1 with its plain mask: every step on the whole photo. Both paste the same crops.

The data folder is that of FACEWRIGHT_DATA, else `../shared/data` beside the repository.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import cv2
import numpy as np
from skimage.data import astronaut

SHAPES = {2: (1155, 1732), 24: (4000, 6000)}
SIZE = 512
RIVAL_FACES = 3  # it costs the same for each face, so more would only take longer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--megapixels", type=int, nargs="+", default=[2, 24], choices=SHAPES)
    parser.add_argument("--faces", type=int, nargs="+", default=[1, 5, 20])
    parser.add_argument("--recall", action="store_true")
    parser.add_argument("--retinaface", action="store_true")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.recall:
        report_recall(Path(os.environ.get("FACEWRIGHT_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"))
        return
    if arguments.case:
        print(json.dumps(measure(*json.loads(arguments.case))))
        return
    print(f"OpenCV {cv2.__version__}, one thread; memory: MiB above what was held before\n")
    if arguments.retinaface:
        report_retinaface(arguments.megapixels)
        return
    print(
        "| photo | faces | detect | align a face | paste a face | paste, memory | published a face | published, memory | faster | lighter |"
    )
    print("|---|---|---|---|---|---|---|---|---|---|")
    for megapixels in arguments.megapixels:
        for faces in arguments.faces:
            print(row(megapixels, faces), flush=True)


def row(megapixels: int, faces: int) -> str:
    detect, align, paste, rival = (in_fresh_process(step, megapixels, faces) for step in STEPS)
    each, rival_each = paste["seconds"] / faces, rival["seconds"] / min(faces, RIVAL_FACES)
    cells = [
        f"{megapixels} MP",
        str(faces),
        f"{detect['seconds']:.2f} s, {detect['mebibytes']:.0f} MiB, {detect['found']} found",
        f"{align['seconds'] / faces * 1000:.1f} ms",
        f"{each * 1000:.1f} ms",
        f"{paste['mebibytes']:.1f}",
        f"{rival_each:.2f} s",
        f"{rival['mebibytes']:.0f}",
        f"{rival_each / each:.0f} x",
        f"{rival['mebibytes'] / max(paste['mebibytes'], 0.1):.0f} x",
    ]
    return "| " + " | ".join(cells) + " |"


def in_fresh_process(step: str, megapixels: int, faces: int) -> dict[str, float]:
    case = json.dumps([step, megapixels, faces])
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, __file__, "--case", case], capture_output=True, text=True, env=environment, check=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer


def measure(step: str, megapixels: int, faces: int) -> dict[str, float]:
    """Run in the fresh process: seconds (best of three, of one for what takes long) and the rise of the memory in the first run."""
    cv2.setNumThreads(1)
    return (STEPS | LOOKS)[step](*photo_with(faces, SHAPES[megapixels]))


def photo_with(faces: int, shape: tuple[int, int]) -> tuple[np.ndarray, list[np.ndarray]]:
    """A photo with that many portraits on a quiet background, and the points of their faces."""
    height, width = shape
    y, x = np.ogrid[0:height, 0:width]
    shade = (110 + 30 * np.sin(x / width * 3) + 20 * np.cos(y / height * 4)).astype(np.uint8)
    photo = np.repeat(shade[..., None], 3, axis=2)
    columns = int(np.ceil((faces * width / height) ** 0.5))
    rows = -(-faces // columns)
    side = int(min(height / rows, width / columns, 0.29 * height) * 0.95)
    portrait = cv2.resize(astronaut(), (side, side), interpolation=cv2.INTER_AREA if side < 512 else cv2.INTER_CUBIC)
    points = np.array([[204.0, 100.5], [246, 103], [223.5, 128], [202, 139], [245, 141]])
    found = []
    for i in range(faces):
        top, left = int((i // columns + 0.5) * height / rows - side / 2), int((i % columns + 0.5) * width / columns - side / 2)
        photo[top : top + side, left : left + side] = portrait
        found.append((points + 0.5) * (side / 512) - 0.5 + [left, top])
    return photo, found


def step_detect(photo: np.ndarray, points: list[np.ndarray]) -> dict[str, float]:
    import torch

    from facewright.faces import load_detector

    torch.set_num_threads(1)
    detector = load_detector()
    detector.detect(photo[:200, :200])
    found: list[int] = []
    return timed(lambda: found.append(len(detector.detect(photo))), times=2) | {"found": found[0]}


def step_align(photo: np.ndarray, points: list[np.ndarray]) -> dict[str, float]:
    from facewright.faces import align, similarity

    return timed(lambda: [align(photo, similarity(face)) for face in points])


def step_paste(photo: np.ndarray, points: list[np.ndarray]) -> dict[str, float]:
    from facewright.faces import ellipse_mask, paste, similarity

    crop, mask = restored(), ellipse_mask()

    def all_faces() -> None:
        for face in points:
            paste(photo, crop, similarity(face), mask)

    return timed(all_faces)


def step_rival(photo: np.ndarray, points: list[np.ndarray]) -> dict[str, float]:
    from facewright.faces import similarity

    crop = np.rint(restored() * 255).astype(np.uint8)
    affines = [similarity(face) for face in points[:RIVAL_FACES]]
    return timed(lambda: paste_full_frame(photo, [crop] * len(affines), affines), times=1)


STEPS: dict[str, Callable[[np.ndarray, list[np.ndarray]], dict[str, float]]] = {
    "detect": step_detect,
    "align": step_align,
    "paste": step_paste,
    "rival": step_rival,
}


def report_retinaface(sizes: list[int]) -> None:
    """Upright only: with random weights nothing is sure, so all quarter turns would be tried."""
    print("| photo | network | detector | published, whole photo | a megapixel | priors, decoding, suppression |")
    print("|---|---|---|---|---|---|")
    for megapixels in sizes:
        for backbone in ("resnet50", "mobilenet0.25"):
            ours = in_fresh_process(f"{backbone} bounded", megapixels, 1)
            # from 2 megapixels one may tell what ResNet-50 does to 24: a minute, and 8 GiB
            fits = megapixels < 10 or backbone != "resnet50"
            whole = in_fresh_process(f"{backbone} whole", megapixels, 1) if fits else None
            cells = [f"{megapixels} MP", backbone, f"{ours['seconds']:.2f} s, {ours['mebibytes']:.0f} MiB"]
            cells += [f"{whole['seconds']:.2f} s, {whole['mebibytes']:.0f} MiB" if whole else "not run"]
            cells += [f"{ours['a megapixel']:.2f} s", f"{ours['after']:.3f} s"]
            print("| " + " | ".join(cells) + " |", flush=True)


def step_retinaface(photo: np.ndarray, points: list[np.ndarray], *, backbone: str, bounded: bool) -> dict[str, float]:
    import torch

    from facewright.faces.boxes import suppress
    from facewright.faces.copies import working_copy
    from facewright.faces.retinaface import RetinafaceDetector, find_published, look
    from facewright.nets.retinaface import RetinaFace

    torch.set_num_threads(1)
    torch.manual_seed(0)
    detector = RetinafaceDetector(RetinaFace(backbone), score=0.999, quarter_turns=False)  # type: ignore[arg-type]
    detector.detect(photo[:200, :200])
    if not bounded:
        return timed(lambda: find_published(detector.net, photo, 0.999), times=1)
    measured = timed(lambda: detector.detect(photo), times=2)
    copy = working_copy(photo, detector.working_size)
    a_look = timed(lambda: look(detector.net, copy, 0.999), times=2)["seconds"]

    answer = detector.net(torch.zeros(1, 3, *copy.shape[:2]))
    answer[1][:, ::100, 1] = 1  # a prior in a hundred is sure, far more than in any photo
    detector.net.forward = lambda x: answer  # type: ignore[method-assign]

    def after() -> None:
        rows = look(detector.net, copy, 0.999)
        suppress(rows[:, :4], rows[:, 4], 0.4)

    return measured | {"a megapixel": a_look / copy[..., 0].size * 1e6, "after": timed(after)["seconds"]}


LOOKS: dict[str, Callable[[np.ndarray, list[np.ndarray]], dict[str, float]]] = {
    f"{backbone} {kind}": partial(step_retinaface, backbone=backbone, bounded=kind == "bounded")
    for backbone in ("resnet50", "mobilenet0.25")
    for kind in ("bounded", "whole")
}


def restored() -> np.ndarray:
    return np.asarray(cv2.resize(astronaut()[20:220, 124:324], (SIZE, SIZE)).astype(np.float32) / 255)


def paste_full_frame(photo: np.ndarray, faces: list[np.ndarray], affines: list[np.ndarray]) -> np.ndarray:
    """The published paste with its plain mask at upscale 1. photo: H x W x 3, uint8; faces: 512 x 512 x 3, uint8."""
    height, width = photo.shape[:2]
    canvas = cv2.resize(photo, (width, height), interpolation=cv2.INTER_LANCZOS4)
    for face, affine in zip(faces, affines, strict=True):
        inverse = cv2.invertAffineTransform(affine)
        moved = cv2.warpAffine(face, inverse, (width, height))
        mask = cv2.warpAffine(np.ones(face.shape[:2], np.float32), inverse, (width, height))
        eroded = cv2.erode(mask, np.ones((2, 2), np.uint8))
        face_part = eroded[:, :, None] * moved
        edge = int(float(np.sum(eroded)) ** 0.5) // 20
        centre = cv2.erode(eroded, np.ones((edge * 2, edge * 2), np.uint8))
        soft = cv2.GaussianBlur(centre, (edge * 2 + 1, edge * 2 + 1), 0)[:, :, None]
        canvas = soft * face_part + (1 - soft) * canvas
    return np.asarray(canvas).astype(np.uint8)


def report_recall(data: Path) -> None:
    """Counts against the manifest of whole photos; aligned crops of people, shrunk, on grey."""
    from facewright.faces import Face, load_detector
    from facewright.media import read

    detector = load_detector()
    print("| photo | seen | found |\n|---|---|---|")
    seen = found = extra = 0
    for line in rows_of(data / "photos"):
        count, wanted = len(detector.detect(read(data / "photos" / line["file"]).pixels)), int(line["faces"])
        seen, found, extra = seen + wanted, found + min(count, wanted), extra + max(0, count - wanted)
        if count != wanted:
            print(f"| {line['file']} | {wanted} | {count} |")
    print(f"| all {len(rows_of(data / 'photos'))} | {seen} | {found}, and {extra} more than were counted |")

    people = [line for line in rows_of(data / "faces") if float(line["inside"]) > 0.97]
    chosen = [people[i] for i in np.random.default_rng(1).permutation(len(people))[:160]]

    def look(line: dict[str, str], eyes: float) -> tuple[list[Face], np.ndarray]:
        crop = read(data / "faces" / line["file"]).pixels
        side = round(eyes / np.linalg.norm(TEMPLATE_EYES) * 512)
        photo = np.full((side + 80, side + 100, 3), 128, np.uint8)
        photo[30 : 30 + side, 40 : 40 + side] = cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA)
        points = np.array([[float(line[f"{name}_{axis}"]) for axis in "xy"] for name in ("leye", "reye", "nose", "lmouth", "rmouth")])
        return detector.detect(photo), (points + 0.5) * side / len(crop) - 0.5 + [40, 30]

    print("\n| eyes apart, pixels | found of 160 | false | error of the points, in eye distances (median) |\n|---|---|---|---|")
    for eyes in (5, 6, 7, 8, 10, 13, 16, 40):
        hits, false, errors = 0, 0, []
        for line in chosen:
            faces, points = look(line, eyes)
            near = [face for face in faces if np.linalg.norm(face.landmarks.mean(axis=0) - points.mean(axis=0)) < eyes]
            hits, false = hits + bool(near), false + len(faces) - bool(near)
            errors += [((face.landmarks - points) ** 2).sum(axis=1).mean() ** 0.5 / eyes for face in near[:1]]
        print(f"| {eyes} | {hits} | {false} | {np.median(errors):.3f} |")

    print("\n| group, eyes 8 pixels apart | found |\n|---|---|")
    fair = [line for line in rows_of(data / "faces") if line["split"] == "fair"]
    for group in sorted({line["group"] for line in fair}):
        these = [line for line in fair if line["group"] == group]
        print(f"| {group or 'not said'} | {sum(len(look(line, 8)[0]) == 1 for line in these)} of {len(these)} |")


def rows_of(folder: Path) -> list[dict[str, str]]:
    with (folder / "manifest.csv").open(newline="") as file:
        return list(csv.DictReader(file))


TEMPLATE_EYES = np.array([125.9, 0.2])


def timed(work: Callable[[], object], times: int = 3) -> dict[str, float]:
    """Seconds of the best of `times` runs, and MiB by which the first raised the peak of resident memory."""
    before = reset_peak()
    started = time.perf_counter()
    work()
    seconds = time.perf_counter() - started
    risen = peak() - before
    for _ in range(times - 1):
        started = time.perf_counter()
        work()
        seconds = min(seconds, time.perf_counter() - started)
    return {"seconds": seconds, "mebibytes": risen / 2**20}


def reset_peak() -> int:
    """Bytes resident now; on Linux the peak is forgotten, elsewhere the present peak is the start."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return peak()
    return status("VmRSS")


def peak() -> int:
    if Path("/proc/self/status").exists():
        return status("VmHWM")
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def status(field: str) -> int:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(field))
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
