"""Which of our code answers for which reference case.

To add a system, put a module `tests/parity/adapters/<system>.py` with two functions, and nothing else has to know of it:

    from parity.following import check_keys, follow, load
    from parity.reading import Fixture

    def handles(fixture: Fixture) -> bool:
        return fixture.built in ("PNet", "RNet", "ONet")

    def run(fixture: Fixture) -> None:                     # raises AssertionError where ours differs
        if fixture.is_key_table:
            check_keys(fixture, lambda: build(fixture))    # full size, on the meta device
        else:
            follow(fixture, load(fixture, build(fixture)))

For a procedure (`fixture.procedure`) do what the spec says with `fixture.inputs()` or `.input_arrays()`, and compare with
`fixture.check(name, result)` and `fixture.check_gradient(name, derivative)`.

A module may also have `SYSTEMS`, a tuple of the folders whose cases it is offered (default: the one of its own name), so that two
modules can share a folder; and `slow(fixture)`, true for a case that takes more than a few seconds.
Cases that nobody handles are counted in the summary at the end of the test run; they are no failures.
"""

from __future__ import annotations

import importlib
import pkgutil
from dataclasses import dataclass, field
from types import ModuleType

from parity import adapters
from parity.reading import Fixture, cases


@dataclass
class Collected:
    """Cases with their adapters, cases without, and adapters that cannot be imported."""

    handled: list[tuple[Fixture, ModuleType]] = field(default_factory=list)
    unhandled: list[Fixture] = field(default_factory=list)
    broken: dict[str, Exception] = field(default_factory=dict)


def collect() -> Collected:
    """Find all adapters and offer them the cases of their systems."""
    result = Collected()
    by_system: dict[str, list[ModuleType]] = {}
    for found in pkgutil.iter_modules(adapters.__path__):
        try:
            module = importlib.import_module(f"{adapters.__name__}.{found.name}")
        except Exception as error:  # one broken adapter must not hide the others
            result.broken[found.name] = error
            continue
        for system in getattr(module, "SYSTEMS", (found.name,)):
            by_system.setdefault(system, []).append(module)
    for fixture in cases():
        adapter = next((module for module in by_system.get(fixture.system, []) if module.handles(fixture)), None)
        if adapter is None:
            result.unhandled.append(fixture)
        else:
            result.handled.append((fixture, adapter))
    return result


def is_slow(fixture: Fixture, adapter: ModuleType) -> bool:
    return bool(adapter.slow(fixture)) if hasattr(adapter, "slow") else fixture.case.startswith("full_")
