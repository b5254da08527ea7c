"""The text that our own safetensors files carry: what they are, whose, and what their tensors cannot tell."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facewright.errors import ModelError
from facewright.weights.reader import read_metadata

if TYPE_CHECKING:
    from torch import Tensor


def header_of(architecture: str, arguments: Mapping[str, Any], *, licence: str, **said: object) -> dict[str, str]:
    """For `written`. arguments: of the network's constructor, of which `load_model` takes what names and shapes leave open.

    said: source, conversion, steps, ...; empty ones are left out.
    """
    told = {"facewright": architecture, "licence": licence, **{name: str(value) for name, value in said.items()}}
    return {"arguments": json.dumps(dict(arguments)), **{name: value for name, value in told.items() if value}}


def arguments_in(path: Path) -> dict[str, Any]:
    """The arguments in a file's header; {} for files without. Raises ModelError for damaged ones."""
    text = read_metadata(path).get("arguments")
    try:
        return dict(json.loads(text)) if text else {}
    except (ValueError, TypeError):
        raise ModelError(
            f"cannot use {path.name}", "the arguments in its header are damaged", "get the whole file again from its source"
        ) from None


def written(state: Mapping[str, Tensor], header: Mapping[str, str]) -> bytes:
    """The bytes of a safetensors file."""
    from safetensors.torch import save

    return save({name: value.contiguous() for name, value in state.items()}, metadata=dict(header))
