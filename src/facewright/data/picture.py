"""One face crop as it is stored, and its pixels at the size that is wanted."""

from __future__ import annotations

import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from facewright.data.aligned import FaceRow
from facewright.errors import InputError

Pixels = NDArray[np.uint8]

FORMATS = ("WEBP", "PNG", "JPEG")


@dataclass(frozen=True)
class Region:
    """Bytes of a larger file, for example a member of an archive."""

    file: Path
    offset: int
    size: int

    def read(self) -> bytes:
        """Raises OSError, also where the file has become shorter."""
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            data = stream.read(self.size)
        if len(data) < self.size:
            raise OSError(f"{self.file.name} ends early")
        return data


@dataclass(frozen=True)
class Picture:
    """A row and where its bytes are: in the row's file, or in a region of an archive."""

    row: FaceRow
    region: Region | None = None

    def open(self) -> BinaryIO:
        """Raises OSError."""
        return self.row.file.open("rb") if self.region is None else io.BytesIO(self.region.read())

    def read(self) -> bytes:
        """The stored bytes. Raises OSError."""
        with self.open() as stream:
            return stream.read()

    def pixels(self, size: int | None = None) -> Pixels:
        """S x S x 3 uint8 RGB, resized to `size` (area averages down, cubic up). Raises InputError where it is broken or not square."""
        try:
            with self.open() as stream, Image.open(stream, formats=FORMATS) as image:
                side_of(image.size)
                pixels = _rgb(image)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
            raise InputError(f"cannot use {self.row.file}", reason(problem)) from problem
        if size is None or size == len(pixels):
            return pixels
        shrinking = len(pixels) > size
        return np.asarray(cv2.resize(pixels, (size, size), interpolation=cv2.INTER_AREA if shrinking else cv2.INTER_CUBIC), np.uint8)

    def side(self) -> int:
        """From the file's head alone. Raises InputError as `pixels`."""
        try:
            with self.open() as stream, Image.open(stream, formats=FORMATS) as image:
                return side_of(image.size)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as problem:
            raise InputError(f"cannot use {self.row.file}", reason(problem)) from problem


def side_of(size: tuple[int, int]) -> int:
    """The side of a square picture; ValueError for another."""
    if size[0] != size[1]:
        raise ValueError(f"it is {size[0]} x {size[1]}; an aligned face crop is square")
    return size[0]


def reason(problem: Exception) -> str:
    """Why, in words for a person, without Pillow's repetition of the path."""
    if isinstance(problem, UnidentifiedImageError):
        return "it is no PNG, JPEG or WebP picture"
    if isinstance(problem, OSError) and problem.strerror:
        return problem.strerror
    return " ".join(str(problem).split())[:160] or type(problem).__name__


def _rgb(image: Image.Image) -> Pixels:
    if image.mode.startswith("I"):  # 16-bit grey, which Pillow's own conversion would clip at 255
        grey = np.asarray(image).astype(np.int64).clip(0, 65535)
        return np.repeat(np.rint(grey / 257).astype(np.uint8)[..., None], 3, axis=2)
    return np.asarray(image.convert("RGB"))
