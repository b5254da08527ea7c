"""How an error is said."""

from __future__ import annotations

import sys

from facewright.errors import FacewrightError


def tell(error: FacewrightError) -> None:
    """The error as a person reads it, on stderr."""
    print(f"facewright: {error}", file=sys.stderr)
    if error.what_to_do:
        print(f"            {error.what_to_do}", file=sys.stderr)
