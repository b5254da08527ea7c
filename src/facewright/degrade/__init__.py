"""From a clean face to a damaged one."""

from facewright.degrade.kernels import gaussian_kernel
from facewright.degrade.pipeline import Degradation, Draws, FirstOrder
from facewright.degrade.presets import PRESETS, preset

__all__ = ["PRESETS", "Degradation", "Draws", "FirstOrder", "gaussian_kernel", "preset"]
