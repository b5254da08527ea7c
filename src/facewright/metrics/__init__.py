"""Numbers that say how good a restoration is."""

from facewright.metrics.conventions import CONVENTIONS, Convention, convention, label
from facewright.metrics.psnr import psnr
from facewright.metrics.sharpness import sharpness
from facewright.metrics.ssim import ms_ssim, ssim

__all__ = ["CONVENTIONS", "Convention", "convention", "label", "ms_ssim", "psnr", "sharpness", "ssim"]
