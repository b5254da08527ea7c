"""The command line: one module a verb."""

from facewright.cli.main import main

__all__ = ["main"]
