"""Channels of a network as settings give them: a list, from 4 pixels up."""

from __future__ import annotations

from collections.abc import Mapping

from facewright.errors import UsageError


def by_resolution(channels: tuple[int, ...]) -> dict[int, int]:
    """{4: .., 8: .., ...} of a list of channels."""
    return dict(zip((4 << i for i in range(len(channels))), channels, strict=True))


def in_order(channels: Mapping[int, int]) -> tuple[int, ...]:
    """{4: .., 8: .., ...} as a list of channels."""
    return tuple(channels[side] for side in sorted(channels))


def check_channels(name: str, channels: tuple[int, ...], size: int) -> None:
    """Raises UsageError unless the list, called `name`, goes from 4 to `size` pixels with numbers over 0."""
    if 2 << len(channels) != size or min(channels, default=0) < 1:
        wanted = f"it has {len(channels)} numbers, which go from 4 to {2 << len(channels)} pixels, not to {size}"
        raise UsageError(f"{name} does not fit the size", wanted, "give one number over 0 for each of 4, 8, 16, ... pixels")
