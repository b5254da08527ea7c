"""Follows what a reference case says was called, and compares what comes out."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from parity.reading import Fixture

Rename = Callable[[str], str]


def load(fixture: Fixture, net: nn.Module) -> nn.Module:
    """Fill the network with the case's weights, strictly; mode as recorded, eval if nothing is."""
    net.load_state_dict(fixture.state(), strict=True)
    return net.train(fixture.call.get("mode") == "train")


def follow(fixture: Fixture, function: Callable[..., Any], net: nn.Module | None = None) -> None:
    """Call `function` with the arguments of the case, then check all outputs and gradients.

    function: usually the loaded network itself or a method of it; net: where gradients of parameters are looked up (default:
    `function`, if that is a network).
    """
    net = net or (function if isinstance(function, nn.Module) else None)
    inputs = fixture.inputs()
    wanted = list(fixture.meta.get("gradients", {}))
    for name in wanted:
        if name in inputs:
            inputs[name].requires_grad_(True)
    with torch.set_grad_enabled(bool(wanted)):
        arguments, options = with_inputs(fixture.call.get("args", []), inputs), with_inputs(fixture.call.get("kwargs", {}), inputs)
        results = named(fixture.call.get("returns", list(fixture.meta["outputs"])), function(*arguments, **options))
    check_results(fixture, results, inputs, net)


def check_results(fixture: Fixture, results: Mapping[str, Tensor], inputs: Mapping[str, Tensor], net: nn.Module | None = None) -> None:
    """Check `results` against all outputs of the case, and the derivatives of its scalar."""
    for name in fixture.meta["outputs"]:
        assert name in results, f"{fixture.name}: {name} was not returned, only {sorted(results)}"
        fixture.check(name, results[name])
    wanted = list(fixture.meta.get("gradients", {}))
    if wanted:
        parameters = dict(net.named_parameters()) if net else {}
        derivatives = torch.autograd.grad(
            scalar_of(fixture, results, inputs), [inputs[name] if name in inputs else parameters[name] for name in wanted]
        )
        for name, derivative in zip(wanted, derivatives, strict=True):
            fixture.check_gradient(name, derivative)


def scalar_of(fixture: Fixture, results: Mapping[str, Tensor], inputs: Mapping[str, Tensor]) -> Tensor:
    """What was differentiated: an output, "sum(output*probe)", or several of these with plus signs between."""
    values, whole = {**inputs, **results}, fixture.call["scalar"]
    if whole in results:
        return results[whole]

    def term(text: str) -> Tensor:
        if product := re.fullmatch(r"sum\((\S+?)\s*\*\s*(\S+?)\)", text):
            return (values[product[1]] * values[product[2]]).sum()
        if total := re.fullmatch(r"sum\((\S+?)\)", text):
            return results[total[1]].sum()
        return results[text]

    first, *others = whole.split(" + ")
    return sum((term(text) for text in others), start=term(first))


def with_inputs(value: Any, inputs: Mapping[str, Tensor]) -> Any:
    """Arguments with each "$name" replaced by that input."""
    if isinstance(value, str) and value.startswith("$"):
        return inputs[value[1:]]
    if isinstance(value, list):
        return [with_inputs(item, inputs) for item in value]
    if isinstance(value, dict):
        return {key: with_inputs(item, inputs) for key, item in value.items()}
    return value


def named(names: Sequence[str | None], results: Any) -> dict[str, Tensor]:
    """{name: tensor} of what was returned; lists give name.0, name.1, ..., dictionaries name.key; a None name is not looked at."""
    values = results if isinstance(results, tuple) else (results,)
    found: dict[str, Tensor] = {}

    def put(name: str, value: Any) -> None:
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                put(f"{name}.{index}", item)
        elif isinstance(value, Mapping):
            for key, item in value.items():
                put(f"{name}.{key}", item)
        elif value is not None:
            found[name] = value

    for name, value in zip(names, values, strict=False):
        if name is not None:
            put(name, value)
    return found


def check_keys(fixture: Fixture, build: Callable[[], nn.Module]) -> None:
    """Build on the meta device; every key, every shape and the number of trainable values must be the published ones."""
    with torch.device("meta"):
        net = build()
    ours = {name: list(value.shape) for name, value in net.state_dict().items()}
    published = fixture.meta["parameters"]
    assert not (missing := sorted(set(published) - set(ours))), f"{fixture.name}: missing {missing[:5]}"
    assert not (extra := sorted(set(ours) - set(published))), f"{fixture.name}: not published {extra[:5]}"
    differing = {name: (shape, published[name]) for name, shape in ours.items() if shape != list(published[name])}
    assert not differing, f"{fixture.name}: other shapes {differing}"
    if "trainable" in fixture.meta:
        assert sum(p.numel() for p in net.parameters() if p.requires_grad) == fixture.meta["trainable"]
