"""What is said at the end of every run, also when workers ran it: which reference cases nobody handles yet."""

from __future__ import annotations

from collections import Counter

import pytest


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    # only this file, not the one beside the tests, is loaded by the process that prints
    from parity.reading import root
    from parity.registry import collect

    found = collect()
    count = Counter(fixture.system for fixture in found.unhandled)
    terminalreporter.section(f"parity: {len(found.handled)} of {len(found.handled) + len(found.unhandled)} reference cases handled")
    terminalreporter.write_line(f"read from {root()}")
    if count:
        terminalreporter.write_line("not yet handled: " + ", ".join(f"{system} {number}" for system, number in sorted(count.items())))
