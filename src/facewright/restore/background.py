"""What lies between the faces: the whole photo enlarged by a network, tile by tile.

Real-ESRGAN enlarges 2 or 4 times; any other size comes from its picture by Lanczos. Each tile goes straight into the result, so memory
beyond the result does not grow with the photo.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facewright.errors import InputError, ModelError, UsageError
from facewright.nets.realesrgan import Prepared, RRDBNet, SRVGGNetCompact, prepare
from facewright.restore.memory import free_memory, is_out_of_memory, release
from facewright.restore.tiles import Axis, Share, Span, reach, share
from facewright.weights import load_model
from facewright.weights.device import PRECISIONS, pick_device

log = logging.getLogger(__name__)

Pixels = NDArray[Any]
OnTile = Callable[[int, int], None]

SMALLEST_TILE = 32
LARGEST = {"cpu": (0.3, 2**30), "cuda": (0.5, 2**34), "mps": (0.3, 2**31)}
"""Of the free memory, and at most so many bytes, for one tile."""
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
"""ITU-R BT.601, as everywhere here."""


@dataclass(frozen=True)
class Published:
    """Real-ESRGAN's own procedure and its settings, to compare with.

    tile: side of a tile's core, 0 for the whole photo at once. tile_pad: context around it, none beyond the photo. pre_pad: mirrored pixels
    right and bottom. alpha_upsampler: "realesrgan" sends alpha through the network, any other name enlarges it bilinearly.
    """

    tile: int = 0
    tile_pad: int = 10
    pre_pad: int = 10
    alpha_upsampler: str = "realesrgan"


class Upscaler:
    """Enlarges whole photos. Not for use by several threads at once.

    precision: "fp32", "bf16", "fp16" or "auto": fp16 on CUDA (bf16's 8 bits of mantissa are too few for a picture), else fp32. A tile that
    comes out of a shorter type with something that is no number is made again in fp32. overlap: context around a tile, in pixels of the
    photo, see `nets.realesrgan.Prepared.context`.
    """

    def __init__(
        self, net: RRDBNet | SRVGGNetCompact, *, device: str | torch.device = "cpu", precision: str = "auto", name: str = "this upscaler"
    ) -> None:
        self.device, self.name = pick_device(device), name
        self.dtype = _dtype(precision, self.device)
        self.scale, self.multiple = net.scale, net.unshuffle
        self._fast: Prepared = prepare(net, self.dtype).to(self.device)
        self.overlap = self._fast.context
        self._source = None if self.dtype == torch.float32 else net
        self._exact: Prepared | None = None  # made of the source when the first tile needs it
        self._limit: int | None = None  # the largest tile that went through since memory last ran out

    @classmethod
    def load(cls, name_or_path: str | Path, device: str | torch.device = "auto", *, precision: str = "auto") -> Upscaler:
        """Of a catalog name or weight file. Raises ModelError where it is missing or enlarges nothing, UsageError for a missing device."""
        model = load_model(name_or_path)
        if not isinstance(model.net, (RRDBNet, SRVGGNetCompact)):
            raise ModelError(f"{name_or_path} does not enlarge photos", f"it is {model.info['title']}", "see: facewright models list")
        return cls(model.net, device=device, precision=precision, name=str(model.info["name"]))

    @overload
    def enlarge(
        self,
        pixels: Pixels,
        upscale: float,
        alpha: None = None,
        *,
        tile: int | None = None,
        published: Published | None = None,
        on_tile: OnTile | None = None,
    ) -> Pixels: ...

    @overload
    def enlarge(
        self,
        pixels: Pixels,
        upscale: float,
        alpha: Pixels,
        *,
        tile: int | None = None,
        published: Published | None = None,
        on_tile: OnTile | None = None,
    ) -> tuple[Pixels, Pixels]: ...

    def enlarge(
        self,
        pixels: Pixels,
        upscale: float,
        alpha: Pixels | None = None,
        *,
        tile: int | None = None,
        published: Published | None = None,
        on_tile: OnTile | None = None,
    ) -> Pixels | tuple[Pixels, Pixels]:
        """The photo int(width * upscale) x int(height * upscale) large, same type, same kind; with `alpha` a pair.

        pixels: H x W x 3 RGB or H x W grey, uint8 or uint16. upscale: 1 to 8. alpha: H x W of the same type; it is enlarged bilinearly.
        tile: side of a tile's core in pixels of the photo, 0 for all at once (default: what the memory allows). Where memory runs out all
        the same, tiles are halved, down to 32 px. on_tile: called with (tiles done, tiles in all) after each.
        Raises InputError for other arrays, UsageError for another upscale, ModelError where no memory or no numbers can be had.
        """
        _check(pixels, alpha, upscale)
        size = int(pixels.shape[1] * upscale), int(pixels.shape[0] * upscale)
        if published is not None:
            return self._as_published(pixels, size, alpha, published, on_tile)
        steps = [n * self.scale / m for n, m in zip(pixels.shape[1::-1], size, strict=True)]
        context = self.overlap + (0 if steps == [1, 1] else max(reach(step, self.scale) for step in steps))
        rows, columns = (Axis.mirrored(length, context, self.multiple) for length in pixels.shape[:2])
        if tile is None:
            tile = self._affordable(context)
        cells = [(r, c) for r in rows.even(tile or rows.covered) for c in columns.even(tile or columns.covered)]
        enlarged = self._fill(pixels, (rows, columns), cells, size, on_tile)
        if alpha is None:
            return enlarged
        return enlarged, np.asarray(cv2.resize(alpha, size, interpolation=cv2.INTER_LINEAR))

    def _as_published(
        self, pixels: Pixels, size: tuple[int, int], alpha: Pixels | None, settings: Published, on_tile: OnTile | None
    ) -> Pixels | tuple[Pixels, Pixels]:
        height, width = pixels.shape[:2]
        own = width * self.scale, height * self.scale

        def enlarged(picture: Pixels) -> Pixels:
            rows, columns = (Axis.published(length, settings.pre_pad, settings.tile_pad, self.multiple) for length in (height, width))
            cells = [(r, c) for r in rows.spans(settings.tile) for c in columns.spans(settings.tile)]
            return self._fill(picture, (rows, columns), cells, own, on_tile)

        def sized(picture: Pixels) -> Pixels:
            return picture if size == own else np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_LANCZOS4))

        if alpha is None:
            return sized(enlarged(pixels))
        if settings.alpha_upsampler == "realesrgan":
            return sized(enlarged(pixels)), sized(enlarged(alpha))
        levels = np.float32(np.iinfo(alpha.dtype).max)
        bilinear = cv2.resize(alpha.astype(np.float32) / levels, own, interpolation=cv2.INTER_LINEAR)
        return sized(enlarged(pixels)), sized(np.rint(bilinear * levels).astype(alpha.dtype))

    def _fill(
        self, pixels: Pixels, axes: tuple[Axis, Axis], cells: list[tuple[Span, Span]], size: tuple[int, int], on_tile: OnTile | None
    ) -> Pixels:
        """Run all cells, each straight into the result; a cell for which there is no memory is quartered, and so are all after it."""
        try:
            result = np.empty((size[1], size[0], *pixels.shape[2:]), pixels.dtype)
        except MemoryError:
            raise InputError(
                f"cannot enlarge this photo to {size[0]} x {size[1]}", "there is no memory for the result", "use a smaller --upscale"
            ) from None
        waiting, done = deque(cells), 0
        while waiting:
            cell = waiting.popleft()
            if self._limit and max(span.length for span in cell) > self._limit:
                waiting.extendleft(reversed(_quartered(axes, cell, self._limit)))
                continue
            parts = tuple(share(axis, span, self.scale, n) for axis, span, n in zip(axes, cell, size[::-1], strict=True))
            if all(part.target.start < part.target.stop for part in parts):
                values = self._attempt(_window(pixels, axes, cell), parts)
                if values is None:
                    self._shrink(axes, cell)
                    waiting.appendleft(cell)
                    continue
                result[parts[0].target, parts[1].target] = _as_pixels(values, result)
            done += 1
            if on_tile is not None:
                on_tile(done, done + len(waiting))
        return result

    def _attempt(self, window: Pixels, parts: tuple[Share, ...]) -> NDArray[np.float32] | None:
        """The tile's part of the result, h x w x 3 in [0, 1]; None where memory ran out."""
        try:
            picture = self._enlarged(torch.from_numpy(_rgb(window)).to(self.device))
            return _shared(picture, parts).permute(1, 2, 0).cpu().numpy()
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            log.info("no memory for a tile of %d x %d px: %s", *window.shape[1::-1], str(error).partition("\n")[0])
        # only here, where the exception no longer holds the tensors
        release(self.device)
        return None

    def _enlarged(self, window: Tensor) -> Tensor:
        """h x w x 3 in [0, 1] to 3 x sh x sw in [0, 1]."""
        x = window.permute(2, 0, 1)[None]
        with torch.inference_mode():
            y = self._fast(x)
            if not _finite(y) and self._source is not None:
                log.warning("%s gave values that are not numbers in %s; this tile is made again in fp32", self.name, self.dtype)
                self._exact = self._exact or prepare(self._source).to(self.device)
                y = self._exact(x)
            if not _finite(y):
                raise ModelError(f"cannot enlarge with {self.name}", "it gives values that are not numbers", "get the file again")
            picture: Tensor = y[0].clamp_(0, 1)
        return picture

    def _shrink(self, axes: tuple[Axis, Axis], cell: tuple[Span, Span]) -> None:
        largest = max(span.length for span in cell)
        if largest <= SMALLEST_TILE:
            raise ModelError(
                f"cannot enlarge with {self.name}",
                f"there is not enough memory on {self.device}, not even for tiles of {SMALLEST_TILE} px",
                "close other programs, use --device cpu, or --background lanczos",
            )
        multiple = axes[0].multiple
        self._limit = max(-(-largest // 2 // multiple) * multiple, SMALLEST_TILE)
        log.warning("memory ran out; going on in tiles of %d px", self._limit)

    def _affordable(self, context: int) -> int:
        """The side of the largest tile for which there is memory."""
        share_of_free, most = LARGEST.get(self.device.type, LARGEST["cpu"])
        budget = min(share_of_free * free_memory(self.device), most)
        side = int((budget / self._fast.bytes_per_pixel) ** 0.5) - 2 * context
        return max(side // self.multiple * self.multiple, SMALLEST_TILE)


def _window(pixels: Pixels, axes: tuple[Axis, Axis], cell: tuple[Span, Span]) -> Pixels:
    rows, columns = (axis.window(span) for axis, span in zip(axes, cell, strict=True))
    return pixels[rows[:, None], columns[None]]


def _rgb(window: Pixels) -> NDArray[np.float32]:
    """h x w x 3 in [0, 1]."""
    values = window.astype(np.float32) / np.float32(np.iinfo(window.dtype).max)
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def _shared(picture: Tensor, parts: tuple[Share, ...]) -> Tensor:
    """The network's picture of a window, 3 x H x W, cropped or resampled to what the tile gives to the result."""
    rows, columns = parts
    picture = picture[:, rows.source] if rows.weights is None else torch.from_numpy(rows.weights).to(picture.device) @ picture
    if columns.weights is None:
        return picture[:, :, columns.source]
    return picture @ torch.from_numpy(columns.weights).to(picture.device).T


def _as_pixels(values: NDArray[np.float32], like: Pixels) -> Pixels:
    """h x w x 3 in [0, 1], or beyond it by what Lanczos overshoots, as the levels of `like`, rounded to the nearest; grey where that is."""
    values = values.clip(0, 1)
    if like.ndim == 2:
        values = values @ LUMA
    return np.asarray(np.rint(values * np.float32(np.iinfo(like.dtype).max)).astype(like.dtype))


def _quartered(axes: tuple[Axis, Axis], cell: tuple[Span, Span], tile: int) -> list[tuple[Span, Span]]:
    rows, columns = (axis.cut(span.start, span.stop, tile) for axis, span in zip(axes, cell, strict=True))
    return [(r, c) for r in rows for c in columns]


def _finite(y: Tensor) -> bool:
    # A sum meets every NaN and infinity at a fraction of isfinite's time; only where it is odd is each value looked at.
    return bool(y.sum().isfinite()) or bool(y.isfinite().all())


def _dtype(precision: str, device: torch.device) -> torch.dtype:
    if precision == "auto":
        return torch.float16 if device.type == "cuda" else torch.float32
    if precision not in PRECISIONS:
        raise UsageError(f"there is no precision {precision!r}", what_to_do=f"use auto, {', '.join(PRECISIONS)}")
    return PRECISIONS[precision]


def _check(pixels: Pixels, alpha: Pixels | None, upscale: float) -> None:
    if (
        pixels.dtype not in (np.uint8, np.uint16)
        or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] == 3))
        or not pixels.size
    ):
        raise InputError(
            "cannot enlarge this array", f"it is {pixels.dtype} of shape {pixels.shape}", "pass H x W x 3 RGB or H x W, uint8 or uint16"
        )
    if alpha is not None and (alpha.shape != pixels.shape[:2] or alpha.dtype != pixels.dtype):
        raise InputError("cannot enlarge this alpha", f"it is {alpha.dtype} of shape {alpha.shape}", "pass H x W, as the pixels")
    if not 1 <= upscale <= 8:
        raise UsageError(f"cannot enlarge {upscale:g} times", what_to_do="use a number from 1 to 8")
