"""What a run goes on with: what was learned, whether it fits what is to be trained, and what was set otherwise when it was made."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from torch import Tensor, nn, optim

if TYPE_CHECKING:
    from facewright.train.engine import Recipe, RunSettings

HARMLESS = frozenset(
    f"run.{name}"
    for name in (
        *("steps", "device", "accumulate", "on_nan", "best", "tensorboard", "keep_checkpoints"),
        *("log_every", "sample_every", "checkpoint_every", "validate_every"),
    )
)
"""Settings that change what is seen of a run, or how fast it goes, and not its course."""

Change = tuple[Any, Any]


def recipe_name(recipe: Recipe) -> str:
    """ "gfpgan" for a GfpganRecipe."""
    return type(recipe).__name__.removesuffix("Recipe").lower()


def spoken(recipe: Recipe, run: RunSettings) -> dict[str, Any]:
    """All settings as YAML knows them: lists where there were tuples."""
    return dict(json.loads(json.dumps({"recipe": asdict(recipe.settings), "run": asdict(run)})))


def write_settings(settings: Mapping[str, Any], path: Path) -> None:
    path.write_text(yaml.safe_dump(dict(settings), sort_keys=False), encoding="utf-8")


def read_settings(path: Path) -> dict[str, Any] | None:
    """The settings of an earlier part of the run; None where they cannot be read."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    return found if isinstance(found, dict) else None


def changes(before: Mapping[str, Any], now: Mapping[str, Any], where: str = "") -> dict[str, Change]:
    """Settings with other values than before, by their dotted name: (old, new). One that only one side knows is None on the other."""
    found: dict[str, Change] = {}
    for name in [*before, *(name for name in now if name not in before)]:
        old, new = before.get(name), now.get(name)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            found |= changes(old, new, f"{where}{name}.")
        elif old != new:
            found[f"{where}{name}"] = (old, new)
    return found


def that_change_the_course(found: Mapping[str, Change], harmless: Collection[str] = ()) -> dict[str, Change]:
    """Those that are not HARMLESS, nor among the recipe's own harmless ones."""
    return {name: change for name, change in found.items() if name not in HARMLESS and name not in harmless}


def listed(found: Mapping[str, Change]) -> str:
    """ "recipe.rate 0.05 -> 0.1, recipe.style 16 -> 8"."""
    return ", ".join(f"{name} {_short(old)} -> {_short(new)}" for name, (old, new) in found.items())


def sizes(found: Mapping[str, Change]) -> dict[str, Change]:
    """Those that may have changed a network: counts, lists, names and switches, never rates and weights."""
    return {name: change for name, change in found.items() if not any(isinstance(value, (float, dict)) for value in change)}


def learned(recipe: Recipe) -> dict[str, Any]:
    """What a recipe has learned so far, for a checkpoint."""
    return {
        "networks": {name: network.state_dict() for name, network in recipe.networks.items()},
        "optimizers": {name: optimizer.state_dict() for name, optimizer in recipe.optimizers.items()},
        "ema": {name: ema.network.state_dict() for name, ema in recipe.ema.items()},
    }


def load_learned(recipe: Recipe, state: Mapping[str, Any]) -> None:
    """Put it back. The options of the optimisers (rates, betas) stay those of now: the settings win over what they were."""
    for name, network in recipe.networks.items():
        network.load_state_dict(state["networks"][name])
    for name, optimizer in recipe.optimizers.items():
        options = [{key: value for key, value in group.items() if key != "params"} for group in optimizer.param_groups]
        optimizer.load_state_dict(state["optimizers"][name])
        for group, present in zip(optimizer.param_groups, options, strict=True):
            group.update(present)
    for name, ema in recipe.ema.items():
        ema.network.load_state_dict(state["ema"][name])


def misfit(recipe: Recipe, state: Mapping[str, Any]) -> str:
    """Why a checkpoint cannot be gone on from, by name; "" where it can. Looks at everything before anything is loaded."""
    made_by, here = state.get("recipe", recipe_name(recipe)), recipe_name(recipe)
    if made_by != here:
        return f"it is of the recipe {made_by}, this is {here}"
    if lacking := [name for name in ("step", "networks", "optimizers", "ema", "random") if name not in state]:
        return f"it is no checkpoint of a run: it has no {lacking[0]}"
    for kind, mine in (("networks", recipe.networks), ("optimizers", recipe.optimizers), ("ema", recipe.ema)):
        if set(mine) != set(state[kind]):
            return f"it is of another recipe: its {kind} are {_names(state[kind])}, here {_names(mine)}"
    for name, network in recipe.networks.items():
        if told := _network_misfit(network, state["networks"][name]):
            return f"{name}: {told}"
    for name, average in recipe.ema.items():
        if told := _network_misfit(average.network, state["ema"][name]):
            return f"average of {name}: {told}"
    for name, optimizer in recipe.optimizers.items():
        if told := _optimizer_misfit(optimizer, state["optimizers"][name]):
            return f"optimizer of {name}: {told}"
    return ""


def _network_misfit(network: nn.Module, found: Mapping[str, Tensor]) -> str:
    mine = network.state_dict()
    if lacking := [key for key in mine if key not in found]:
        return f"it has no {lacking[0]}" + _more(lacking)
    if surplus := [key for key in found if key not in mine]:
        return f"there is no {surplus[0]} here" + _more(surplus)
    if other := [key for key in mine if mine[key].shape != found[key].shape]:
        return f"{other[0]} is {_shape(found[other[0]])} there and {_shape(mine[other[0]])} here" + _more(other)
    return ""


def _optimizer_misfit(optimizer: optim.Optimizer, found: Mapping[str, Any]) -> str:
    counts = [[len(group["params"]) for group in groups] for groups in (found["param_groups"], optimizer.param_groups)]
    return "" if counts[0] == counts[1] else f"groups of {counts[0]} parameters there and {counts[1]} here"


def _shape(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a scalar"


def _more(keys: Collection[str]) -> str:
    return f" (and {len(keys) - 1} more)" if len(keys) > 1 else ""


def _names(found: Mapping[str, Any]) -> str:
    return ", ".join(found) or "none"


def _short(value: Any) -> str:
    return "(not set)" if value is None else str(value)
