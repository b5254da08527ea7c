"""Make the photos in examples/ from scikit-image's portrait of the astronaut Eileen Collins (NASA, public domain).

    python scripts/make_examples.py [folder]

Each is a plausible find in an album: the damage to the face is the "medium" degradation that facewright measures with, in the face's own
measure; fading, toning, grain, paper and scratches are laid over it. The same numbers come out at every run, the same bytes wherever the
same versions of Pillow and OpenCV write them.
"""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, PngImagePlugin
from skimage import data

from facewright.degrade import preset

Picture = NDArray[np.float32]

EYES = 54.0
"""Pixels between the eyes in the portrait; the template that the degradations are defined on has 126 in 512."""
CREAM = np.array([0.93, 0.90, 0.83], np.float32)


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    portrait = data.astronaut().astype(np.float32) / 255
    save_faded(faded(portrait), folder / "astronaut-faded.jpg")
    save_sepia(sepia(portrait), folder / "astronaut-sepia.jpg")
    save_album_page(album_page(portrait), folder / "album-page.png")
    levels(small(portrait)).save(folder / "thumbnail.webp", quality=72, method=6)


def faded(portrait: Picture) -> Picture:
    """A colour print of the nineties: soft, low in contrast, its cyan gone, in a white frame."""
    rng = np.random.default_rng(1993)
    picture = enlarged(damaged(portrait[:, 30:430], rng), 1.5)
    picture = 0.13 + 0.75 * picture
    picture = picture ** np.array([0.86, 1.0, 1.08], np.float32) * np.array([1.03, 0.97, 0.88], np.float32)
    picture = stained(picture, rng, 0.04) + grain(picture.shape, rng, 0.011, 1.1)
    return framed(picture, 26, CREAM)


def sepia(portrait: Picture) -> Picture:
    """A toned print: dark corners, scratches beside the face, a worn edge."""
    rng = np.random.default_rng(1912)
    picture = enlarged(damaged(portrait[:470, 45:415], rng), 1.6)
    grey = picture @ np.array([0.25, 0.6, 0.15], np.float32)
    height, width = grey.shape
    y, x = np.mgrid[-1 : 1 : height * 1j, -1 : 1 : width * 1j]
    grey = np.clip(0.12 + 0.8 * grey, 0, 1) * (1 - 0.32 * np.clip(x**2 + y**2 - 0.5, 0, 1)).astype(np.float32)
    grey += grain(grey.shape, rng, 0.014, 1.2)
    grey = scratched(grey, rng, face=(0.28, 0.08, 0.72, 0.46))
    toned = np.clip(grey, 0, 1)[..., None] ** np.array([0.82, 1.0, 1.28], np.float32)
    return framed(toned * np.array([0.98, 0.93, 0.84], np.float32), 34, CREAM * np.array([0.97, 0.94, 0.86], np.float32))


def album_page(portrait: Picture) -> Picture:
    """Three grey prints, mounted a little crooked on dark paper. H x W."""
    rng = np.random.default_rng(1955)
    page = np.full((400, 640), 0.2, np.float32) + grain((400, 640), rng, 0.006, 1.5)
    head = portrait[5:300, 95:345] @ np.array([0.299, 0.587, 0.114], np.float32)
    mounts = ((156, 205, 1.0, -5.0, False, 1.05, 0.04), (385, 185, 0.78, 4.0, True, 0.9, 0.1), (548, 270, 0.56, 12.0, False, 1.15, -0.03))
    for x, y, scale, degrees, mirrored, gamma, lift in mounts:
        print_ = head[:, ::-1] if mirrored else head
        worn = damaged(np.repeat(print_[..., None], 3, axis=2), rng)[..., 0]
        worn = np.clip(worn, 0, 1) ** gamma * (0.92 - lift) + lift
        worn = framed(worn, 10, np.float32(0.9))
        turn = cv2.getRotationMatrix2D(((worn.shape[1] - 1) / 2, (worn.shape[0] - 1) / 2), degrees, scale)
        turn[:, 2] += (x - (worn.shape[1] - 1) / 2, y - (worn.shape[0] - 1) / 2)
        placed = cv2.warpAffine(worn, turn, (640, 400), flags=cv2.INTER_AREA)
        cover = cv2.warpAffine(np.ones_like(worn), turn, (640, 400), flags=cv2.INTER_LINEAR)
        shadow = cv2.GaussianBlur(np.roll(cover, (4, 3), (0, 1)), (0, 0), 4)
        page = page * (1 - 0.5 * shadow) * (1 - cover) + placed * cover
    return np.asarray(cv2.GaussianBlur(page, (0, 0), 0.5), np.float32)


def small(portrait: Picture) -> Picture:
    """What a telephone of 2002 sent: 240 pixels."""
    rng = np.random.default_rng(2002)
    picture = cv2.resize(portrait[0:400, 20:420], (240, 240), interpolation=cv2.INTER_AREA)
    return np.asarray(damaged(np.asarray(picture, np.float32), rng, eyes=EYES * 240 / 400))


def damaged(picture: Picture, rng: np.random.Generator, eyes: float = EYES) -> Picture:
    """The "medium" degradation at the size of this picture's face. eyes: pixels between them."""
    medium = preset("medium").scaled(round(512 * eyes / 126))
    return np.asarray(medium(np.ascontiguousarray(picture), rng)[0])


def enlarged(picture: Picture, factor: float) -> Picture:
    """As a scanner sees the print."""
    size = round(picture.shape[1] * factor), round(picture.shape[0] * factor)
    return np.asarray(np.clip(cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC), 0, 1), np.float32)


def grain(shape: tuple[int, ...], rng: np.random.Generator, strength: float, size: float) -> Picture:
    """Silver grain, the same in all colours. strength: standard deviation; size: sigma in pixels."""
    noise = cv2.GaussianBlur(rng.standard_normal(shape[:2]).astype(np.float32), (0, 0), size)
    noise *= strength / noise.std()
    return np.asarray(noise if len(shape) == 2 else noise[..., None])


def stained(picture: Picture, rng: np.random.Generator, strength: float) -> Picture:
    """Large soft patches that faded more."""
    height, width = picture.shape[:2]
    patches = cv2.resize(rng.random((4, 4)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)[..., None]
    return np.asarray(picture + strength * patches * np.array([1, 0.6, 0.1], np.float32))


def scratched(grey: Picture, rng: np.random.Generator, face: tuple[float, float, float, float]) -> Picture:
    """Fine pale scratches that spare the face (left, top, right, bottom, in parts of the picture)."""
    height, width = grey.shape
    marks = np.zeros((4 * height, 4 * width), np.uint8)
    for _ in range(26):
        x, y = rng.random(2)
        length, angle = rng.uniform(0.02, 0.16), rng.normal(np.pi / 2, 0.35)
        ends = np.array([[x, y], [x + length * np.cos(angle), y + length * np.sin(angle)]])
        if (ends[:, 0].max() > face[0]) and (ends[:, 0].min() < face[2]) and (ends[:, 1].min() < face[3]):
            continue
        start, stop = (tuple(int(v) for v in end * [4 * width, 4 * height]) for end in ends)
        cv2.line(marks, start, stop, int(rng.integers(90, 200)), int(rng.integers(2, 6)), cv2.LINE_AA)
    light = cv2.resize(marks, (width, height), interpolation=cv2.INTER_AREA).astype(np.float32) / 255
    return np.asarray(grey + (0.95 - grey) * light)


def framed(picture: Picture, width: int, paper: NDArray[np.float32] | np.float32) -> Picture:
    """With a paper border of so many pixels."""
    height, across = picture.shape[:2]
    frame = np.empty((height + 2 * width, across + 2 * width, *picture.shape[2:]), np.float32)
    frame[:] = paper
    frame[width:-width, width:-width] = picture
    return frame


def levels(picture: Picture) -> Image.Image:
    return Image.fromarray(np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8))


def save_faded(picture: Picture, target: Path) -> None:
    """Stored as the scanner saw it, on its side: EXIF's orientation 6 says how to turn it."""
    lying = levels(picture).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    exif[0x010E] = "Eileen, scanned from the album"
    exif[0x010F], exif[0x0110] = "Flatbed", "Scanner 1200"
    exif[0x0132] = "2003:05:17 18:40:00"
    exif[0x013B] = "NASA"
    exif[0x8298] = "Public domain"
    exif.get_ifd(0x8769)[0x9003] = "1992:07:13 10:30:00"
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = bytes(12)  # when it was made
    lying.save(target, quality=82, dpi=(300, 300), exif=exif, icc_profile=bytes(profile))


def save_sepia(picture: Picture, target: Path) -> None:
    packet = (
        '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
        'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
        'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">Public domain</rdf:li></rdf:Alt>'
        '</dc:rights></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>'
    )
    levels(picture).save(target, quality=78, progressive=True, dpi=(200, 200), xmp=packet.encode())


def save_album_page(picture: Picture, target: Path) -> None:
    words = PngImagePlugin.PngInfo()
    words.add_text("Title", "A page of an album")
    words.add_itxt("Copyright", "Public domain (NASA)")
    levels(picture).save(target, optimize=True, pnginfo=words, dpi=(150, 150))


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "examples")
