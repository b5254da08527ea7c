"""From a clean face to a damaged one."""

from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.pipeline import Degradation, Draws
from facewright.degrade.presets import PRESETS, preset

__all__ = ["PRESETS", "Degradation", "Draws", "gaussian_kernel", "preset"]
