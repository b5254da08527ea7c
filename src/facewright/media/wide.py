"""16-bit colour, of which Pillow gives 8 bits and cv2 all 16. Sizes have been checked by the time that cv2 sees a file."""

from __future__ import annotations

import numpy as np

from facewright.media.photo import Pixels


def decode_16(file: bytes) -> tuple[Pixels, Pixels | None]:
    """RGB and alpha of a 16-bit file that Pillow would give 8 bits of. Raises OSError."""
    import cv2

    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)  # it would tell of damage on stderr, which we do ourselves
    try:
        picture = cv2.imdecode(np.frombuffer(file, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error as fault:
        raise OSError(str(fault)) from fault
    finally:
        if before != cv2.utils.logging.LOG_LEVEL_SILENT:  # else another thread of ours is inside, and will restore it
            cv2.utils.logging.setLogLevel(before)
    if picture is None or picture.dtype != np.uint16 or picture.ndim != 3 or picture.shape[2] not in (3, 4):
        raise OSError("it cannot be decoded at 16 bits")
    alpha = picture[..., 3].copy() if picture.shape[2] == 4 else None
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB if alpha is None else cv2.COLOR_BGRA2RGB), alpha


def encode_16(picture: Pixels, suffix: str, options: list[int]) -> bytes:
    """H x W x 3 or 4 uint16 as cv2 writes it."""
    import cv2

    bgr = cv2.cvtColor(picture, cv2.COLOR_RGB2BGR if picture.shape[2] == 3 else cv2.COLOR_RGBA2BGRA)
    done, file = cv2.imencode(suffix, bgr, options)
    if not done:
        raise OSError("it cannot be encoded at 16 bits")
    return file.tobytes()
