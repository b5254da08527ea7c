"""The rules of the recogniser, one file a family: each network's tell-tale names, and how its arguments follow from the shapes."""

from facewright.weights.architectures.architecture import Architecture, Ask, Foreign
from facewright.weights.architectures.foreign import FOREIGN
from facewright.weights.architectures.register import ARCHITECTURES
from facewright.weights.architectures.shapes import DoesNotFit, Shapes

__all__ = ["ARCHITECTURES", "FOREIGN", "Architecture", "Ask", "DoesNotFit", "Foreign", "Shapes"]
