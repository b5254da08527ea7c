"""Photographs: decode, orient, colour, metadata, encode, limits."""

from facewright.media.atomic import write_atomically
from facewright.media.decode import read
from facewright.media.encode import encode, write
from facewright.media.formats import READABLE, default_suffix
from facewright.media.photo import Origin, Photo, replaced

__all__ = ["READABLE", "Origin", "Photo", "default_suffix", "encode", "read", "replaced", "write", "write_atomically"]
