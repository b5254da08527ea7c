"""What a rule is: a network with its tell-tale names, or a kind of file that facewright only knows by sight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import TYPE_CHECKING, Any

from facewright.weights.architectures.shapes import Shapes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Architecture:
    """name: ours. title: for people, goes on from "it is". tells: tensors that together no other network has. network: module:class.

    open: arguments that names and shapes may leave open, with the value taken then.
    """

    name: str
    title: str
    tells: tuple[str, ...]
    network: str
    deduce: Callable[[Shapes], dict[str, Any]]
    open: dict[str, Any] = field(default_factory=dict)

    def matches(self, shapes: Mapping[str, object]) -> bool:
        return all(name in shapes for name in self.tells)

    def left_open(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The clean flavour shows in the names; only the other two are alike."""
        return {name: value for name, value in self.open.items() if not (name == "flavour" and arguments.get("flavour") == "clean")}

    def describe(self, arguments: Mapping[str, Any]) -> str:
        facts = [f"{arguments['flavour']} flavour"] if "flavour" in arguments else []
        facts += [f"{arguments['out_size']} px"] if "out_size" in arguments else []
        return ", ".join([self.title.removeprefix("a "), *facts])

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
