"""What a weight file is, told from its names and shapes alone: which network, which flavour, every size.

The rules, one a network, stand in `architectures`. What names and shapes leave open has a stated default and can be said by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from facewright.errors import ModelError
from facewright.weights.architectures import ARCHITECTURES, FOREIGN, Architecture, DoesNotFit, Shapes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

PATH_FORWARD = "see the models that facewright can use: facewright models list"


@dataclass(frozen=True)
class Recognised:
    """A network that a file fits.

    architecture: "gfpgan", "stylegan2", "mtcnn.pnet", ... arguments: what its constructor takes. title: for people.
    assumed: those of the arguments that the file leaves open, with the values taken.
    """

    architecture: str
    arguments: dict[str, Any]
    title: str
    numbers: int
    assumed: dict[str, Any] = field(default_factory=dict)

    def build(self, device: str | torch.device = "cpu") -> nn.Module:
        """The network, freshly initialised, on `device` ("meta" costs nothing)."""
        import torch

        with torch.device(device):
            return _architecture(self.architecture).build(self.arguments)


def recognise(state: Mapping[str, Tensor | Sequence[int]], *, source: str = "this file", **known: Any) -> Recognised:
    """The network that these tensors (or shapes) are the weights of.

    source: how to call the file in an error. known: what the caller knows of that names and shapes leave open:
        flavour            "original" and "bilinear" have the same names and shapes; without a word "original" is taken, since no
                           bilinear GFPGAN or StyleGAN2 was ever published
        input_is_latent    of a GFPGAN: True, as in every published file
        stddev_group       of a StyleGAN2 discriminator: 4
    A `known` that the file contradicts, a file that facewright knows but cannot use, and one that it does not know raise ModelError.
    """
    shapes = Shapes({name: tuple(getattr(value, "shape", value)) for name, value in state.items()})
    architecture = next((each for each in ARCHITECTURES if each.matches(shapes)), None)
    if architecture is None:
        raise _stranger(shapes, source)
    try:
        arguments = architecture.deduce(shapes)
    except DoesNotFit as error:
        raise ModelError(
            f"cannot use {source}", f"it looks like {architecture.title}, but {error}", "get the whole file from its source"
        ) from error
    left_open = architecture.left_open(arguments)
    for name, value in known.items():
        if name in left_open:
            arguments[name] = value
        elif name not in arguments or arguments[name] != value:
            raise ModelError(
                f"cannot use {source} with {name}={value!r}", f"its tensors say {name}={arguments.get(name)!r}", "leave it out"
            )
    return Recognised(
        architecture.name,
        arguments,
        architecture.describe(arguments),
        sum(prod(shape) for shape in shapes.values()),
        {name: arguments[name] for name in left_open if name not in known},
    )


def open_arguments(architecture: str) -> set[str]:
    """The arguments of an architecture that its weights may leave open."""
    return set(_architecture(architecture).open)


def _architecture(name: str) -> Architecture:
    return next(each for each in ARCHITECTURES if each.name == name)


def _stranger(shapes: Shapes, source: str) -> ModelError:
    for foreign in FOREIGN:
        if foreign.matches(shapes):
            return ModelError(f"cannot use {source}", f"it is {foreign.title}, {foreign.instead}", PATH_FORWARD)
    some = ", ".join(list(shapes)[:2])
    return ModelError(f"cannot use {source}", f"its {len(shapes)} tensors ({some}, ...) fit no network that facewright knows", PATH_FORWARD)
