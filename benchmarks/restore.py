"""Time and memory of restoring a whole photo: decode, detect, align, network, paste, encode.

    python benchmarks/restore.py

Each case runs in a process of its own; memory is the peak beyond what the process held once the networks were loaded (the promise: under
1 GB for 24 megapixels). The rival in the same run is the same restorer with the published full-frame paste, written out below.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image as Picture
from skimage import data

CASES = ((2, 1), (2, 5), (2, 20), (24, 1), (24, 5), (24, 20))
SIDES = {2: (1632, 1224), 24: (6000, 4000)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--model", default="gfpgan-mini")
    arguments = parser.parse_args()
    if arguments.child:
        print(json.dumps(measure(Path(arguments.child[0]), arguments.child[1], arguments.model)))
        return
    print("| photo | faces | method | found | seconds | in the network | peak MB beyond it |\n|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for megapixels, faces in CASES:
            path = Path(folder) / f"{megapixels}mp-{faces}.jpg"
            Picture.fromarray(album_page(SIDES[megapixels], faces)).save(path, quality=92)
            for method in ("bounded", "full frame"):
                if method == "full frame" and faces == 20 and megapixels == 24:
                    continue  # a minute and more, for no other number a face
                command = [sys.executable, __file__, "--model", arguments.model, "--child", str(path), method]
                told = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()[-1])
                cells = (
                    f"{megapixels} MP",
                    faces,
                    method,
                    told["found"],
                    f"{told['seconds']:.2f}",
                    f"{told['network']:.2f}",
                    f"{told['megabytes']:.0f}",
                )
                print("| " + " | ".join(map(str, cells)) + " |", flush=True)


def measure(path: Path, method: str, model: str) -> dict[str, float]:
    """One photo, once, after the networks are loaded and warm."""
    from facewright.media import encode, read
    from facewright.restore import Restorer

    restorer = Restorer(model=model)
    warm = restorer.prepare(read_array(data.astronaut()))
    restorer.run([warm])
    before = peak()
    started = time.perf_counter()
    photo = read(path)
    job = restorer.prepare(photo)
    at_network = time.perf_counter()
    restorer.run([job])
    network = time.perf_counter() - at_network
    if method == "bounded":
        result = restorer.finish(job).photo
    else:
        canvas = photo.pixels.astype(np.float32)
        for face in job.waiting:
            canvas = paste_full_frame(canvas, face.restored, restorer._affine(face))
        photo.pixels = canvas.astype(np.uint8)
        result = photo
    encode(result, format="jpeg")
    return {"found": len(job.faces), "seconds": time.perf_counter() - started, "network": network, "megabytes": peak() - before}


def paste_full_frame(canvas: Any, face: Any, affine: Any) -> Any:
    """The published way: warp face and mask to the size of the photo, erode, blur, and mix every pixel."""
    height, width = canvas.shape[:2]
    back = cv2.invertAffineTransform(affine)
    size = face.shape[0]
    warped = cv2.warpAffine(face * 255, back, (width, height))
    mask = cv2.warpAffine(np.ones((size, size), np.float32), back, (width, height))
    eroded = cv2.erode(mask, np.ones((2, 2), np.uint8))
    edge = int(eroded.sum() ** 0.5) // 20
    center = cv2.erode(eroded, np.ones((2 * edge, 2 * edge), np.uint8))
    soft = cv2.GaussianBlur(center, (2 * edge + 1, 2 * edge + 1), 0)[..., None]
    return soft * (eroded[..., None] * warped) + (1 - soft) * canvas


def album_page(size: tuple[int, int], faces: int) -> Any:
    """Astronauts on a grey page, evenly spread, blurred a little; width x height."""
    width, height = size
    page = np.full((height, width, 3), 128, np.uint8)
    columns = int(np.ceil((faces * width / height) ** 0.5))
    rows = int(np.ceil(faces / columns))
    side = int(min(width / columns, height / rows) * 0.9)
    face = cv2.GaussianBlur(cv2.resize(data.astronaut()[:300, 80:380], (side, side), interpolation=cv2.INTER_CUBIC), (0, 0), side / 300)
    for number in range(faces):
        y, x = (number // columns) * (height // rows), (number % columns) * (width // columns)
        page[y : y + side, x : x + side] = face
    return page


def read_array(pixels: Any) -> Any:
    from facewright.media import Origin, Photo

    return Photo(pixels, None, Origin())


def peak() -> float:
    """MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
