"""DISTS: whole modules, and the published file, which holds alpha and beta only."""

from __future__ import annotations

from facewright.weights.architectures.architecture import Architecture, nothing_to_deduce

DISTS = (
    Architecture(
        "dists",
        "DISTS, which judges how different two pictures look",
        ("alpha", "beta", "stage1.0.weight", "stage5.28.weight"),
        "facewright.nets.dists:DISTS",
        nothing_to_deduce,
        # some programs keep the constants in the file
        fit=lambda state, arguments: {
            name: value for name, value in state.items() if name not in ("mean", "std") and not name.endswith(".filter")
        },
    ),
    Architecture(
        "dists.weights",
        "alpha and beta of DISTS without its trunk",
        ("alpha", "beta"),
        "facewright.nets.dists:Weights",
        nothing_to_deduce,
    ),
)
