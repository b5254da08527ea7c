"""The published programs round the network, to the pixel, for comparison (`--as-published`)."""

from facewright.restore.published.procedure import found, notes, pasted, taken, to_levels, to_network, whole
from facewright.restore.published.programs import CODEFORMER, GFPGAN, Program, followed

__all__ = ["CODEFORMER", "GFPGAN", "Program", "followed", "found", "notes", "pasted", "taken", "to_levels", "to_network", "whole"]
