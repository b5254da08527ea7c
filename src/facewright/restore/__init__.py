"""The main job: photos in, restored photos out."""

from facewright.restore.restorer import Restorer, restore
from facewright.restore.result import FaceResult, Restoration
from facewright.restore.settings import Settings

__all__ = ["FaceResult", "Restoration", "Restorer", "Settings", "restore"]
