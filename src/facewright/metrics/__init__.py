"""Numbers that say how good a restoration is."""

from facewright.metrics.psnr import psnr
from facewright.metrics.sharpness import sharpness
from facewright.metrics.ssim import ssim

__all__ = ["psnr", "sharpness", "ssim"]
