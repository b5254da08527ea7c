"""What every judge is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from facewright.evaluate.distances import Whole

Values = NDArray[np.float64]


class Judge(Protocol):
    """Looks at batches: N x 3 x H x W in [0, 1], all of one size. whole: by the metric's name, what it says of sets from their vectors."""

    whole: Mapping[str, Whole]

    def look(self, pictures: Tensor) -> Any:
        """What it remembers of them, to be compared."""
        ...

    def compare(self, seen: Any, truth: Any | None) -> dict[str, Values]:
        """The numbers that it can give, by the metric's name, N each; nan where a picture is not to be counted. truth: what it saw of the
        true pictures; None where there are none."""
        ...

    def vectors(self, seen: Any) -> dict[str, NDArray[Any]]:
        """What distances between sets are computed from, by name: N x D."""
        ...
