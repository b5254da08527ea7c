"""What the rules look at: the names and shapes of a file's tensors."""

from __future__ import annotations


class DoesNotFit(Exception):
    """The shapes contradict the network that the names promise; the text goes on from "it looks like X, but"."""


class Shapes(dict[str, tuple[int, ...]]):
    """{tensor's name: shape}; a name that is not there is a DoesNotFit."""

    def __missing__(self, name: str) -> tuple[int, ...]:
        raise DoesNotFit(f"{name} is missing")

    def axis(self, name: str, axis: int) -> int:
        shape = self[name]
        if axis >= len(shape):
            raise DoesNotFit(f"{name} has shape {shape}")
        return shape[axis]

    def count(self, pattern: str, start: int = 0) -> int:
        """How many of pattern.format(start), pattern.format(start + 1), ... are there without a gap."""
        number = start
        while pattern.format(number) in self:
            number += 1
        return number - start

    def below(self, prefix: str) -> Shapes:
        return Shapes({name.removeprefix(prefix): shape for name, shape in self.items() if name.startswith(prefix)})
