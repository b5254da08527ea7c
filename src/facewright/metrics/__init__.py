"""Numbers that say how good a restoration is."""

from facewright.metrics.psnr import psnr

__all__ = ["psnr"]
