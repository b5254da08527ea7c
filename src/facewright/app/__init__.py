"""The page and the HTTP service: photos in, restored photos out, for people who type no commands and programs that call one."""

from facewright.app.limits import Limits
from facewright.app.options import Options
from facewright.app.service import Service
from facewright.app.serving import Place, serve

__all__ = ["Limits", "Options", "Place", "Service", "serve"]
