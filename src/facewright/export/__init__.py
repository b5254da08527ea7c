"""A model as a file for other programs, or for this one: converted, in another format or precision, and checked."""

from facewright.export.exporter import Exported, export_model

__all__ = ["Exported", "export_model"]
