"""What a weight file is, told from its names and shapes alone: which network, which flavour, every size.

The rules stand in `architectures`. What names and shapes leave open has a stated default, or is asked for where a wrong guess would
give wrong pictures without an error; the caller can say it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any

from facewright.errors import ModelError
from facewright.weights.architectures import ARCHITECTURES, FOREIGN, Architecture, Ask, DoesNotFit, Shapes

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
    assumed: dict[str, Any]
    rule: Architecture = field(repr=False)

    def build(self, device: str | torch.device = "cpu") -> nn.Module:
        """The network, freshly initialised, on `device` ("meta" costs nothing)."""
        import torch

        with torch.device(device):
            return self.rule.build(self.arguments)

    def fitted(self, state: dict[str, Tensor]) -> dict[str, Tensor]:
        """The tensors of the file under the network's names, where a publisher has others."""
        return self.rule.fit(state, self.arguments) if self.rule.fit else state


def recognise(
    state: Mapping[str, Tensor | Sequence[int]], *, source: str = "this file", told: Mapping[str, Any] | None = None, **known: Any
) -> Recognised:
    """The network that these tensors (or shapes) are the weights of.

    source: how to call the file in an error. known: what the caller knows of that names and shapes leave open:
        flavour            of a GFPGAN or StyleGAN2: "original" and "bilinear" have the same names and shapes, and are asked for
        act_type           of a compact upscaler without PReLU: "relu" and "leakyrelu" are alike, and asked for
        norm_type          of a ParseNet without tensors in its normalisation: "in", "pixel" and "none" are alike, and asked for
        input_is_latent    of a GFPGAN: True, as in every published file
        stddev_group       of a StyleGAN2 discriminator: 4
        head_size, resolution, attn_resolutions, cross_attention
                           of a RestoreFormer: 8 heads (4 for RestoreFormer++), attention at maps of 16 px, a restorer
        n_head, task       of a CodeFormer: 8 heads; "restoration", unless its shapes are those that only the published files of
                           "colorization" and "inpainting" have
        img_size, ...      of a VQGAN: attention at maps of 16 px, and the other arguments of nets.vqgan.VQGAN
        resolution         of a VQFR: 512
        layers, ...        of a VGG: which layers are kept, and the other arguments of nets.vgg.VGGFeatures
    told: the same as a header or a catalog says it: taken for what is left open, not held against the tensors.
    A `known` that the file contradicts, what must be asked for and was not said, a file that facewright knows but cannot use, and one
    that it does not know raise ModelError.
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

    assumed = _settle(architecture, shapes, arguments, source, told or {}, known)
    numbers = sum(prod(shape) for shape in shapes.values())
    return Recognised(architecture.name, arguments, architecture.describe(arguments), numbers, assumed, architecture)


def open_arguments(architecture: str) -> set[str]:
    """The arguments of an architecture that names and shapes may leave open."""
    return {name for each in ARCHITECTURES if each.name == architecture for name in (*each.open, *each.asks)}


def _settle(
    architecture: Architecture, shapes: Shapes, arguments: dict[str, Any], source: str, told: Mapping[str, Any], known: Mapping[str, Any]
) -> dict[str, Any]:
    """Put into `arguments` what the shapes left open, as it is said or else assumed; returns what was assumed."""
    left_open = (architecture.open.keys() | architecture.asks.keys()) - arguments.keys()
    for name in known.keys() - left_open:
        if name not in arguments:
            raise _contradicted(source, name, known[name], f"there is nothing to say about {name} of {architecture.title}")
        if arguments[name] != known[name]:
            raise _contradicted(source, name, known[name], f"its tensors say {name}={arguments[name]!r}")
    said = {name: value for name, value in told.items() if name in left_open} | dict(known)
    for name, ask in architecture.asks.items():
        if name in left_open and name not in said:
            raise _asked(source, name, ask)
        if name in left_open and said[name] not in ask.choices:
            raise _contradicted(source, name, said[name], f"its tensors fit {', '.join(ask.choices)}")
    arguments |= said
    assumed: dict[str, Any] = {}
    for name, value in architecture.open.items():
        if name in left_open and name not in said:
            assumed[name] = arguments[name] = value(shapes, arguments) if callable(value) else value
    return assumed


def _asked(source: str, name: str, ask: Ask) -> ModelError:
    ways = " or ".join(f"{source}:{name}={choice}" for choice in ask.choices)
    hint = f" ({ask.hint})" if ask.hint else ""
    return ModelError(
        f"cannot tell what {source} is",
        f"its tensors fit {ask.which}, and the wrong one gives wrong pictures",
        f"say which{hint}: {ways}; in Python: load_model(path, {name}={ask.choices[0]!r})",
    )


def _contradicted(source: str, name: str, value: object, why: str) -> ModelError:
    return ModelError(f"cannot use {source} with {name}={value!r}", why, "leave it out, or say what fits")


def _stranger(shapes: Shapes, source: str) -> ModelError:
    for foreign in FOREIGN:
        if foreign.matches(shapes):
            return ModelError(f"cannot use {source}", f"it is {foreign.title}, {foreign.instead}", PATH_FORWARD)
    some = ", ".join(list(shapes)[:2])
    return ModelError(f"cannot use {source}", f"its {len(shapes)} tensors ({some}, ...) fit no network that facewright knows", PATH_FORWARD)
