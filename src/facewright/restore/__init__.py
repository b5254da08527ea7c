"""The main job: photos in, restored photos out."""

from facewright.restore.colorizer import Colorizer, colorize
from facewright.restore.inpainter import Inpainter, inpaint
from facewright.restore.restorer import Restorer, restore
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.settings import Settings

__all__ = ["Colorizer", "FaceResult", "Inpainter", "Restoration", "Restorer", "Settings", "colorize", "inpaint", "restore"]
