"""Boxes of eyes and mouth, and the entries of the published component file."""

from __future__ import annotations

import numpy as np

from facewright.data import components
from parity.reading import Fixture

SYSTEMS = ("gfpgan", "degradations")


def handles(fixture: Fixture) -> bool:
    return fixture.procedure in ("component_boxes", "parse_landmark") or fixture.call.get("step") == "components"


def run(fixture: Fixture) -> None:
    if fixture.procedure == "parse_landmark":
        found = components.parts_of_68(fixture.input_arrays()["landmarks"], fixture.call["scale"])
        for name, part in zip(components.PARTS, found, strict=True):
            fixture.check(name, part)
    elif fixture.procedure == "component_boxes":
        call = fixture.call
        parts = _parts(call["components"])
        boxes = components.boxes(components.mirrored(parts, call["out_size"]) if call["hflip"] else parts, call["eye_enlarge_ratio"])
        for name, box in zip(components.PARTS, boxes, strict=True):
            fixture.check(f"loc_{name}", box)
    else:
        args = fixture.call["args"]
        parts, ratio = _parts(args["components"]), args["ratio"]["left_eye"]
        assert args["parts"] == list(components.PARTS) and args["ratio"] == {"left_eye": ratio, "right_eye": ratio}
        both = [components.boxes(each, ratio) for each in (parts, components.mirrored(parts, args["out_size"]))]
        fixture.check("locations", np.concatenate(both))


def _parts(entry: dict[str, list[float]]) -> components.Parts:
    return np.array([entry[name] for name in components.PARTS])
