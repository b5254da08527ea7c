"""What a rule is: a network with its tell-tale names, or a kind of file that facewright only knows by sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from facewright.weights.architectures.shapes import Shapes

if TYPE_CHECKING:
    from torch import Tensor, nn

State = dict[str, "Tensor"]


@dataclass(frozen=True)
class Ask:
    """What a file cannot tell and nobody may guess, since the wrong choice computes something else without an error.

    choices: the values that fit. which: goes on from "its tensors fit", naming the choices. hint: what may help to choose, or "".
    """

    choices: tuple[str, ...]
    which: str
    hint: str = ""


@dataclass(frozen=True)
class Architecture:
    """name: ours. title: for people, goes on from "it is". tells: tensors that together no other network has. network: module:class.

    deduce: the arguments that names and shapes determine. open: arguments that they may leave open, with the value taken then, or a
    function of the shapes and the arguments so far that gives it. asks: those that they may leave open and that are asked for.
    fit: from a file's tensors to those of the network where its names are not the network's.
    """

    name: str
    title: str
    tells: tuple[str, ...]
    network: str
    deduce: Callable[[Shapes], dict[str, Any]]
    open: dict[str, Any] = field(default_factory=dict)
    asks: dict[str, Ask] = field(default_factory=dict)
    fit: Callable[[State, dict[str, Any]], State] | None = None

    def matches(self, shapes: Mapping[str, object]) -> bool:
        return all(name in shapes for name in self.tells)

    def describe(self, arguments: Mapping[str, Any]) -> str:
        facts = [f"{arguments['flavour']} flavour"] if "flavour" in arguments else []
        facts += [f"{arguments[name]} px" for name in ("out_size", "img_size") if name in arguments]
        facts += [f"for {arguments['task']}"] if "task" in arguments else []
        facts += [f"x{arguments[name]}" for name in ("scale", "upscale") if name in arguments]
        facts += [str(arguments["backbone"])] if "backbone" in arguments else []
        return ", ".join([self.title.removeprefix("a ").removeprefix("the "), *facts])

    def build(self, arguments: Mapping[str, Any]) -> nn.Module:
        module, _, name = self.network.partition(":")
        network: nn.Module = getattr(import_module(module), name)(**arguments)
        return network


@dataclass(frozen=True)
class Foreign:
    """A kind of file that people have lying beside the right one. title goes on from "it is", instead from the comma."""

    title: str
    tells: tuple[str, ...]
    instead: str = "which this version cannot run yet"

    def matches(self, shapes: Mapping[str, object]) -> bool:
        return all(name in shapes for name in self.tells)


def nothing_to_deduce(shapes: Shapes) -> dict[str, Any]:
    """A network that comes in one size."""
    return {}
