"""GFPGANer's conversions between pictures and the network."""

from __future__ import annotations

import numpy as np

from facewright.media import Origin, Photo
from facewright.restore import published
from parity.reading import Fixture

SYSTEMS = ("gfpgan",)


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in ("preprocess", "postprocess")


def run(fixture: Fixture) -> None:
    if fixture.procedure == "preprocess":
        photo = Photo(np.ascontiguousarray(fixture.input_arrays()["img"][..., ::-1]), None, Origin())
        fixture.check("tensor", published.to_network(published.whole(published.GFPGAN, photo, 512)[0] * 255))
    else:
        fixture.check("img", published.to_levels(fixture.inputs()["x"][0])[..., ::-1])
